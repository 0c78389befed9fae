-- Random numbers, the size of the sample, and fixed traits of users and value props.

-- A uniform number in [0, 1). xor mixes purpose and key before the hash. With hash(a, b)
-- instead, the numbers of a row for two purposes would be correlated.
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

-- Users are ranked by activity; rank 0 is the most active. The user_id must not reveal
-- the rank. So the ranks are permuted: each is multiplied by a prime larger than the
-- number of users.
create macro user_id_of(user_rank) as (
    cast(
        user_rank * 2654435761
        + hash(concat(getvariable('seed'), ' user_id')) % 1000000007 as bigint
    ) % users() + 1
);

-- The expected activity of a user relative to the mean, from 10.8 down to 0.26. It
-- follows a truncated Zipf law: one user in ten makes about two payments in five.
create macro activity_of(user_rank) as (
    40 / ((1 + 40 * (user_rank + 0.5) / users()) * ln(41))
);

-- The inverse of activity_of: the rank of the user whom a roll in [0, 1) picks.
create macro active_user(roll) as (
    least(cast(floor(users() * (pow(41, roll) - 1) / 40) as bigint), users() - 1)
);

-- The value prop (value_props.sql) that a roll in [0, 1) picks. The bounds are running
-- totals: in liked_prop of the shares of favourites, and in paid_prop of the shares of
-- payments that ignore taste.
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

-- The taste of a user: one favourite and, for 60 % of the users, a second one.
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
