-- Chance, the size of the sample, and what is true of users and value props by nature.

-- A uniform number in [0, 1). The two keys are mixed by xor before the hash: hash(a, b)
-- in one call would leave numbers of one row made for two purposes correlated.
create macro chance(purpose, key) as (
    (
        hash(xor(hash(concat(getvariable('seed'), ' ', purpose)), cast(key as ubigint)))
        >> 11
    ) / 9007199254740992.0
);

create macro users() as (cast(getvariable('users') as bigint));
create macro prints_wanted() as (cast(getvariable('prints') as bigint));
create macro taps_wanted() as (cast(getvariable('taps') as bigint));
create macro pays_wanted() as (cast(getvariable('pays') as bigint));
create macro first_day() as (cast(getvariable('first_day') as date));
create macro day_count() as (cast(getvariable('day_count') as bigint));

-- Users are ranked by activity, 0 the most active. The user_id does not tell the rank:
-- multiplying by a prime larger than any number of users permutes them.
create macro user_id_of(user_rank) as (
    cast(
        user_rank * 2654435761
        + hash(concat(getvariable('seed'), ' user_id')) % 1000000007 as bigint
    ) % users() + 1
);

-- Expected activity of a user relative to the mean, from 10.8 down to 0.26: a truncated
-- Zipf law, by which one user in ten makes two payments in five.
create macro activity_of(user_rank) as (
    40 / ((1 + 40 * (user_rank + 0.5) / users()) * ln(41))
);

-- Its inverse: the user to whom the next event belongs.
create macro active_user(roll) as (
    least(cast(floor(users() * (pow(41, roll) - 1) / 40) as bigint), users() - 1)
);

-- The value prop (see value_props.sql) that a roll in [0, 1) picks. The bounds are
-- running totals of the shares of favourites, and then of payments without taste.
create macro liked_prop(roll) as (
    case
        when roll < 0.20 then 0
        when roll < 0.30 then 1
        when roll < 0.38 then 2
        when roll < 0.47 then 3
        when roll < 0.60 then 4
        when roll < 0.82 then 5
        else 6
    end
);

create macro paid_prop(roll) as (
    case
        when roll < 0.18 then 0
        when roll < 0.27 then 1
        when roll < 0.34 then 2
        when roll < 0.44 then 3
        when roll < 0.57 then 4
        when roll < 0.80 then 5
        else 6
    end
);

-- The taste of a user: one favourite and, for three users in five, a second one.
create macro favourite_of(user_rank) as (
    liked_prop(chance('favourite', user_rank))
);

create macro second_favourite_of(user_rank) as (
    case
        when chance('has second favourite', user_rank) < 0.4 then favourite_of(user_rank)
        else (
            favourite_of(user_rank)
            + 1
            + cast(floor(6 * chance('second favourite', user_rank)) as integer)
        ) % 7
    end
);
