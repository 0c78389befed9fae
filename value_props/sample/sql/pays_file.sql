-- The lines of the payments file, in order. Some payments follow a tap. The others depend
-- on taste and popularity. Every user makes at least one payment.
with

-- Each day has as many tickets as its weight. A payment draws one ticket and so its day.
pay_days as (
    select
        day_number,
        row_number() over (order by day_number, place) - 1 as ticket
    from (
        select
            day_number,
            unnest(range(pay_weight)) as place
        from days
    ) as places
),

rolls as (
    select
        numbers.pay_id,
        case
            when numbers.pay_id < users() then numbers.pay_id
            else active_user(chance('payer', numbers.pay_id))
        end as user_rank,
        cast(floor(
            chance('pay day', numbers.pay_id) * (select sum(days.pay_weight) from days)
        ) as bigint) as ticket,
        chance('pays by taste', numbers.pay_id) as taste_roll
    from
        range(pays_wanted() - (select count(*) from follow_up_payments))
            as numbers (pay_id)
),

payments as (
    select
        2 * rolls.pay_id as pay_id,
        rolls.user_rank,
        pay_days.day_number,
        case
            when rolls.taste_roll < 0.45 then favourite_of(rolls.user_rank)
            when rolls.taste_roll < 0.65 then second_favourite_of(rolls.user_rank)
            else paid_prop(chance('paid prop', rolls.pay_id))
        end as prop
    from rolls
    inner join pay_days
        on rolls.ticket = pay_days.ticket
    union all
    select
        2 * tap_id + 1 as pay_id,
        user_rank,
        day_number,
        prop
    from follow_up_payments
),

-- Amounts follow a Weibull distribution of shape 1.4, in cents. The last query reflects
-- amounts above the highest one back below it.
priced as (
    select
        payments.*,
        value_props.value_prop,
        cast(floor(
            100 * value_props.amount
            * pow(-ln(1 - chance('amount', payments.pay_id)), 1 / 1.4)
        ) as bigint) as cents
    from payments
    inner join value_props
        on payments.prop = value_props.prop
)

select
    days.day as pay_date,
    cast(
        greatest(0, 19995 - abs(19995 - priced.cents)) / 100 as decimal(18, 2)
    ) as total,
    user_id_of(priced.user_rank) as user_id,
    priced.value_prop
from priced
inner join days
    on priced.day_number = days.day_number
order by
    days.day,
    chance('time of payment', priced.pay_id),
    priced.pay_id
