-- Drift checks of numbers: the last report week compared with up to twelve complete
-- weeks before it. Weeks that the run's raw files do not cover come from earlier
-- published runs. A number outside the prediction interval of these weeks,
-- mean ± t · s · √(1 + 1/n), is drift. If weeks vary by chance alone, one check in 500 is
-- a false alarm. Few weeks make a wide interval. Quarantine rates are compared by run.
with

run_window as (
    select
        *,
        least(last_week_start_date + 6, as_of_date) as last_day,
        last_week_start_date - 84 as first_compared_week
    from intermediate.int_run_window
    where last_week_start_date is not null
),

-- Quantiles of Student's t with n - 1 degrees of freedom, two-sided at 1 in 500.
student as (
    select
        quantiles.week_count,
        quantiles.quantile
    from (
        values
        (3, 22.327), (4, 10.215), (5, 7.173), (6, 5.893), (7, 5.208),
        (8, 4.785), (9, 4.501), (10, 4.297), (11, 4.144), (12, 4.025)
    ) as quantiles (week_count, quantile)
),

known_runs as (
    select
        *,
        run_id = $run_id as is_this_run
    from quality.runs
    where run_id = $run_id or status = 'published'
),

-- The last week of this run, and the complete weeks before it of every known run.
known_weeks as (
    select
        profiles.*,
        known_runs.is_this_run,
        profiles.week_start_date = run_window.last_week_start_date as is_last
    from quality.week_profiles as profiles
    inner join known_runs
        on profiles.run_id = known_runs.run_id
    inner join run_window
        on
            profiles.week_start_date
            between run_window.first_compared_week and run_window.last_week_start_date
    qualify
        case
            when is_last then known_runs.is_this_run
            else bool_or(profiles.is_complete_week)
                over (partition by profiles.run_id, profiles.week_start_date)
        end
),

-- Each week comes from one run: this run if it has the week, else the last published one.
week_runs as (
    select
        week_start_date,
        arg_max(run_id, (is_this_run, run_id)) as run_id
    from known_weeks
    group by week_start_date
),

value_prop_weeks as (
    select known_weeks.*
    from known_weeks
    inner join week_runs
        on
            known_weeks.week_start_date = week_runs.week_start_date
            and known_weeks.run_id = week_runs.run_id
),

-- is_complete_week looks at prints only, and another source may begin within the week.
source_starts as (
    select
        run_id,
        source_name,
        min(first_date) as first_date
    from quality.source_profiles
    group by run_id, source_name
),

sums_of_weeks as (
    select
        week_start_date,
        run_id,
        is_last,
        sum(prints) as prints,
        sum(clicked_prints) as clicked_prints,
        sum(taps) as taps,
        sum(payments) as payments,
        cast(sum(amount) as double) as amount
    from value_prop_weeks
    group by week_start_date, run_id, is_last
),

weeks as (
    select
        sums_of_weeks.*,
        least(sums_of_weeks.week_start_date + 6, run_window.last_day)
        - sums_of_weeks.week_start_date + 1 as day_count
    from sums_of_weeks
    cross join run_window
),

source_weeks as (
    select
        weeks.*,
        sources.source_name,
        case sources.source_name
            when 'prints' then weeks.prints
            when 'taps' then weeks.taps
            else weeks.payments
        end as row_count
    from weeks
    cross join (values ('prints'), ('taps'), ('pays')) as sources (source_name)
    left join source_starts
        on
            weeks.run_id = source_starts.run_id
            and sources.source_name = source_starts.source_name
    where weeks.is_last or source_starts.first_date <= weeks.week_start_date
),

quarantine_rates as (
    select
        profiles.source_name,
        known_runs.is_this_run,
        -- As in the gate, repeated deliveries do not count as bad rows.
        cast(
            sum(
                profiles.rows_quarantined
                - coalesce(profiles.quarantined_by_reason['duplicate'], 0)
            ) as double
        ) / nullif(sum(profiles.rows_read), 0) as rate
    from quality.source_profiles as profiles
    inner join known_runs
        on profiles.run_id = known_runs.run_id
    inner join run_window
        on
            known_runs.is_this_run
            or known_runs.last_week_start_date
            between run_window.first_compared_week
            and run_window.last_week_start_date - 7
    group by
        profiles.source_name,
        known_runs.is_this_run,
        known_runs.run_id,
        known_runs.last_week_start_date
    qualify
        row_number() over (
            partition by profiles.source_name, known_runs.last_week_start_date
            order by known_runs.is_this_run desc, known_runs.run_id desc
        ) = 1
),

shown_value_props as (
    select distinct value_prop
    from value_prop_weeks
    where prints > 0
),

measures as (
    select
        'rows_per_day' as check_name,
        source_name as subject,
        is_last,
        row_count / day_count as n
    from source_weeks
    union all
    select
        'click_through_rate' as check_name,
        'prints' as subject,
        is_last,
        clicked_prints / prints as n
    from source_weeks
    where source_name = 'taps' and prints > 0
    union all
    select
        'payment_amount' as check_name,
        'pays' as subject,
        is_last,
        amount / payments as n
    from weeks
    where payments > 0
    union all
    select
        'value_prop_share' as check_name,
        shown_value_props.value_prop as subject,
        weeks.is_last,
        coalesce(value_prop_weeks.prints, 0) / weeks.prints as n
    from weeks
    cross join shown_value_props
    left join value_prop_weeks
        on
            weeks.week_start_date = value_prop_weeks.week_start_date
            and shown_value_props.value_prop = value_prop_weeks.value_prop
    where weeks.prints > 0
    union all
    select
        'quarantine_rate' as check_name,
        source_name as subject,
        is_this_run as is_last,
        rate as n
    from quarantine_rates
    where rate is not null
),

-- Sums of doubles depend on order, so a fixed order keeps the results identical.
compared as (
    select
        check_name,
        subject,
        any_value(n) filter (where is_last) as value,
        avg(n order by n) filter (where not is_last) as typical,
        stddev_samp(n order by n) filter (where not is_last) as deviation,
        count(*) filter (where not is_last) as weeks_compared
    from measures
    group by check_name, subject
    having
        count(*) filter (where is_last) > 0
        -- The check new_value_prop covers value props never shown before.
        and (
            check_name <> 'value_prop_share'
            or coalesce(avg(n) filter (where not is_last), 1) > 0
        )
),

-- If weeks hardly vary, any change would be drift. So the interval allows for a deviation
-- of at least 2 % and, for quarantine rates, of 5 rows in 10,000.
intervals as (
    select
        compared.*,
        student.quantile * sqrt(1 + 1.0 / compared.weeks_compared) * greatest(
            compared.deviation,
            0.02 * compared.typical,
            case when compared.check_name = 'quarantine_rate' then 0.0005 else 0 end
        ) as half_width
    from compared
    left join student
        on compared.weeks_compared = student.week_count
),

bounded as (
    select
        *,
        case
            when half_width is null then null
            -- Fewer quarantined rows than usual are never drift.
            when check_name = 'quarantine_rate' then 0
            else greatest(typical - half_width, 0)
        end as lowest,
        typical + half_width as highest,
        case check_name
            when 'rows_per_day' then '{:,.0f}'
            when 'payment_amount' then '{:,.2f}'
            else '{:.2f} %'
        end as pattern,
        case
            when check_name in ('rows_per_day', 'payment_amount') then 1.0
            else 100.0
        end as factor,
        case check_name
            when 'rows_per_day' then 'Rows of ' || subject || ' a day: '
            when 'value_prop_share' then 'Share of ' || subject || ' in the prints: '
            when 'click_through_rate' then 'Click-through rate: '
            when 'payment_amount' then 'Mean payment: '
            else 'Quarantined rows of ' || subject || ': '
        end as topic
    from intervals
)

select
    $run_id as run_id,
    check_name,
    subject,
    case
        when highest is null then 'unknown'
        when value between lowest and highest then 'pass'
        else 'warn'
    end as status,
    value,
    lowest,
    highest,
    typical,
    weeks_compared,
    topic || format(pattern, factor * value) || case
        when highest is null
            then
                format('; too few earlier weeks to compare with ({})', weeks_compared)
        else format(
            '; usual range from the last {} weeks: ' || pattern || ' to ' || pattern,
            weeks_compared,
            factor * lowest,
            factor * highest
        )
    end as message
from bounded
order by check_name, subject
