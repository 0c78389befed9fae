-- The traits of each value prop. `shown` is its weight when places in a carousel are
-- drawn. `clicked` multiplies its click-through rate. `amount` is the scale of its
-- payments, whose mean is about 0.9 of it. The macros liked_prop and paid_prop set how
-- often it is a favourite or is paid with. They use its number, `prop`.
with

props (prop, value_prop, shown, clicked, amount) as (
    values
    (0, 'cellphone_recharge', 1.3, 1.20, 32),
    (1, 'credits_consumer', 1.0, 0.80, 103),
    (2, 'link_cobro', 0.8, 0.65, 84),
    (3, 'point', 0.8, 0.60, 71),
    (4, 'prepaid', 1.1, 0.95, 53),
    (5, 'send_money', 1.2, 1.15, 67),
    (6, 'transport', 1.2, 1.40, 24)
)

select
    cast(prop as integer) as prop,
    value_prop,
    cast(shown as double) as shown,
    cast(clicked as double) as clicked,
    cast(amount as double) as amount
from props
