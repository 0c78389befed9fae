-- Numbers of the last report week beside the complete weeks before it, twelve at most: those
-- that the run's own raw files hold, and where they reach back no further, those of the
-- published runs before it. A number is unusual outside the prediction interval of those weeks,
-- mean ± t · s · √(1 + 1/n): where weeks vary by chance alone, one check in 500 is a false
-- alarm, and few weeks make a wide interval. Rates of quarantine are compared run by run.
with

run_window as (
    select *, least(last_week_start_date + 6, as_of_date) as last_day
    from intermediate.int_run_window
    where last_week_start_date is not null
),

-- Student's t with n - 1 degrees of freedom: it lies outside ± t once in 500 times.
student as (
    from (values
        (3, 22.327), (4, 10.215), (5, 7.173), (6, 5.893), (7, 5.208),
        (8, 4.785), (9, 4.501), (10, 4.297), (11, 4.144), (12, 4.025)
    ) as quantiles (week_count, quantile)
),

known_runs as (
    select *, run_id = $run_id as is_this_run
    from quality.runs
    where run_id = $run_id or status = 'published'
),

-- The last week as this run has it, and what every run knows of complete weeks before.
known_weeks as (
    select
        profiles.*,
        known_runs.is_this_run,
        profiles.week_start_date = run_window.last_week_start_date as is_last
    from quality.week_profiles as profiles
    inner join known_runs using (run_id)
    inner join run_window
        on profiles.week_start_date
        between run_window.last_week_start_date - 84 and run_window.last_week_start_date
    qualify
        case
            when is_last then known_runs.is_this_run
            else bool_or(profiles.is_complete_week)
                over (partition by profiles.run_id, profiles.week_start_date)
        end
),

-- The newest word on each week: this run's, else that of the last published run.
week_runs as (
    select week_start_date, arg_max(run_id, (is_this_run, run_id)) as run_id
    from known_weeks
    group by all
),

value_prop_weeks as (
    select known_weeks.*
    from known_weeks
    inner join week_runs using (week_start_date, run_id)
),

-- A week is complete by its prints; a source may begin in the middle of it.
source_starts as (
    select run_id, source_name, min(first_date) as first_date
    from quality.source_profiles
    group by all
),

weeks as (
    select
        week_start_date,
        run_id,
        is_last,
        sum(prints) as prints,
        sum(clicked_prints) as clicked_prints,
        sum(taps) as taps,
        sum(payments) as payments,
        cast(sum(amount) as double) as amount,
        least(week_start_date + 6, any_value(run_window.last_day)) - week_start_date + 1
            as day_count
    from value_prop_weeks
    cross join run_window
    group by week_start_date, run_id, is_last
),

source_weeks as (
    select
        weeks.*,
        sources.source_name,
        case sources.source_name
            when 'prints' then weeks.prints when 'taps' then weeks.taps else weeks.payments
        end as row_count
    from weeks
    cross join (values ('prints'), ('taps'), ('pays')) as sources (source_name)
    left join source_starts using (run_id, source_name)
    where weeks.is_last or source_starts.first_date <= weeks.week_start_date
),

quarantine_rates as (
    select
        profiles.source_name,
        runs.is_this_run,
        -- As in the gate: a redelivered row is no bad row.
        cast(
            sum(
                profiles.rows_quarantined
                - coalesce(profiles.quarantined_by_reason['duplicate'], 0)
            ) as double
        ) / nullif(sum(profiles.rows_read), 0) as rate
    from quality.source_profiles as profiles
    inner join known_runs as runs using (run_id)
    cross join run_window
    where
        runs.is_this_run
        or runs.last_week_start_date
        between run_window.last_week_start_date - 84 and run_window.last_week_start_date - 7
    group by profiles.source_name, runs.is_this_run, runs.run_id, runs.last_week_start_date
    qualify
        row_number() over (
            partition by profiles.source_name, runs.last_week_start_date
            order by runs.is_this_run desc, runs.run_id desc
        ) = 1
),

measures as (
    select
        'rows_per_day' as check_name, source_name as subject, is_last, row_count / day_count as n
    from source_weeks
    union all
    select 'click_through_rate', 'prints', is_last, clicked_prints / prints
    from source_weeks where source_name = 'taps' and prints > 0
    union all
    select 'payment_amount', 'pays', is_last, amount / payments from weeks where payments > 0
    union all
    select
        'value_prop_share', value_props.value_prop, weeks.is_last,
        coalesce(value_prop_weeks.prints, 0) / weeks.prints
    from weeks
    cross join (select distinct value_prop from value_prop_weeks where prints > 0) as value_props
    left join value_prop_weeks using (week_start_date, value_prop)
    where weeks.prints > 0
    union all
    select 'quarantine_rate', source_name, is_this_run, rate
    from quarantine_rates where rate is not null
),

compared as (
    select
        check_name,
        subject,
        any_value(n) filter (where is_last) as value,
        avg(n) filter (where not is_last) as typical,
        stddev_samp(n) filter (where not is_last) as deviation,
        count(*) filter (where not is_last) as weeks_compared
    from measures
    group by all
    having
        count(*) filter (where is_last) > 0
        -- A value prop that was never shown before is told of as a new one.
        and (
            check_name <> 'value_prop_share'
            or coalesce(avg(n) filter (where not is_last), 1) > 0
        )
),

-- Weeks that hardly vary would make any change unusual: less than 2 % is none, nor are 5 rows
-- more in quarantine of 10,000.
intervals as (
    select
        compared.*,
        student.quantile * sqrt(1 + 1.0 / compared.weeks_compared) * greatest(
            compared.deviation,
            0.02 * compared.typical,
            case when compared.check_name = 'quarantine_rate' then 0.0005 else 0 end
        ) as half_width
    from compared
    left join student on compared.weeks_compared = student.week_count
),

bounded as (
    select
        *,
        case
            when half_width is null then null
            -- Less of what is bad is never unusual.
            when check_name = 'quarantine_rate' then 0
            else greatest(typical - half_width, 0)
        end as lowest,
        typical + half_width as highest,
        case check_name
            when 'rows_per_day' then '{:,.0f}'
            when 'payment_amount' then '{:,.2f}'
            else '{:.2f} %'
        end as pattern,
        case when check_name in ('rows_per_day', 'payment_amount') then 1.0 else 100.0 end
            as factor,
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
            then format('; too few earlier weeks to compare with ({})', weeks_compared)
        else format(
            '; usual range from the last {} weeks: ' || pattern || ' to ' || pattern,
            weeks_compared, factor * lowest, factor * highest
        )
    end as message
from bounded
order by check_name, subject
