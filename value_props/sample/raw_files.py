"""Write made-up raw data in the shape of the public case, at any size.

Nothing here comes from real users. The rows follow a small model of how the app is used:

- A user has an activity (a truncated Zipf law: one user in ten makes two payments in five) and
  a taste: one favourite value prop and, for three users in five, a second one.
- A user who opens the app on a day sees a carousel: one to four different value props at
  positions 0 to 3. The carousel ignores taste, as an app without a ranking model would.
- Whether a print is tapped depends on position, value prop, taste and user.
- A payment is either the follow-up of a tap, up to six days later, or goes by taste and
  popularity; every user makes at least one.

DuckDB makes every row by itself. A random number is a hash of the seed, of what the number is
for and of the row's key, so it depends on no other row, no thread and no clock. DuckDB may
change ``hash()`` in a later version, and with it the data behind a seed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from value_props.files import move, sha256_of

# Beside the sample files: what was written, so that a run over them can say what it is.
NOTE = "sample.json"

FIRST_DAY = date(2020, 11, 1)
LAST_DAY = date(2020, 11, 30)

MIN_SCALE = 0.001
MAX_SCALE = 100.0

# What the public case holds, which is scale 1.
USERS = 100_000
PRINTS = 508_617
TAPS = 50_859
PAYS = 756_483

FILE_NAMES = {"prints": "prints.json", "taps": "taps.json", "pays": "pays.csv"}

# Enough for any scale, because DuckDB spills what does not fit.
MEMORY_LIMIT = "2GB"


@dataclass(frozen=True)
class SampleSummary:
    """What `write_sample` wrote.

    `paths` and `rows` are keyed by source (prints, taps, pays); `users` counts the users who
    appear in the data; both days hold rows of every source.
    """

    paths: dict[str, Path]
    rows: dict[str, int]
    users: int
    first_day: date
    last_day: date


@dataclass(frozen=True)
class _ValueProp:
    """How one value prop behaves.

    `shown` and `clicked` multiply its place in the carousel and its click-through rate;
    `liked` and `paid` are its shares of favourites and of payments without taste; `amount` is
    the scale of its payments, of which the mean is about nine tenths.
    """

    name: str
    shown: float
    clicked: float
    liked: float
    paid: float
    amount: float


_VALUE_PROPS = (
    _ValueProp("cellphone_recharge", shown=1.3, clicked=1.20, liked=0.20, paid=0.18, amount=32),
    _ValueProp("credits_consumer", shown=1.0, clicked=0.80, liked=0.10, paid=0.09, amount=103),
    _ValueProp("link_cobro", shown=0.8, clicked=0.65, liked=0.08, paid=0.07, amount=84),
    _ValueProp("point", shown=0.8, clicked=0.60, liked=0.09, paid=0.10, amount=71),
    _ValueProp("prepaid", shown=1.1, clicked=0.95, liked=0.13, paid=0.13, amount=53),
    _ValueProp("send_money", shown=1.2, clicked=1.15, liked=0.22, paid=0.23, amount=67),
    _ValueProp("transport", shown=1.2, clicked=1.40, liked=0.18, paid=0.20, amount=24),
)

_PRIMITIVES = """
-- A uniform number in [0, 1). The two keys are mixed by xor before the hash: hash(a, b) in
-- one call would leave numbers of one row made for two purposes correlated.
create macro chance(purpose, key) as
    (hash(xor(hash(concat('{seed} ', purpose)), (key)::ubigint)) >> 11) / 9007199254740992.0;

create macro users() as {users}::bigint;
create macro prints_wanted() as {prints}::bigint;
create macro taps_wanted() as {taps}::bigint;
create macro pays_wanted() as {pays}::bigint;

-- Users are ranked by activity, 0 the most active. The user_id does not tell the rank:
-- multiplying by a prime larger than any number of users permutes them.
create macro user_id_of(user_rank) as
    (user_rank * 2654435761 + hash('{seed} user_id') % 1000000007)::bigint % users() + 1;

-- Expected activity of a user relative to the mean, from 10.8 down to 0.26, and its inverse:
-- the user to whom the next event belongs.
create macro activity_of(user_rank) as
    40 / ((1 + 40 * (user_rank + 0.5) / users()) * ln(41));
create macro active_user(roll) as
    least(floor(users() * (pow(41, roll) - 1) / 40)::bigint, users() - 1);

create macro liked_prop(roll) as {liked_prop};
create macro paid_prop(roll) as {paid_prop};
create macro favourite_of(user_rank) as liked_prop(chance('favourite', user_rank));
create macro second_favourite_of(user_rank) as
    case
        when chance('has second favourite', user_rank) < 0.4 then favourite_of(user_rank)
        else (
            favourite_of(user_rank) + 1 + floor(6 * chance('second favourite', user_rank))::int
        ) % 7
    end;

create table value_props (prop integer, value_prop varchar, shown double, clicked double,
    amount double);
insert into value_props values {value_props};
"""

# Quotas come from running totals in whole numbers, so they add up to the rows wanted.
_DAYS = """
create table days as
with

calendar as (
    select
        day_number::int as day_number,
        date '{first_day}' + day_number::int as day
    from range({day_count}) as numbers (day_number)
),

rhythm as (
    select
        *,
        floor(
            1000
            * [1.06, 1.03, 1.02, 1.04, 1.10, 0.92, 0.83][isodow(day)]
            * (0.96 + 0.08 * chance('opens of day', day_number))
        )::bigint as print_weight,
        floor(
            1000
            * [1.00, 0.99, 0.99, 1.00, 1.02, 1.08, 1.06][isodow(day)]
            * (0.96 + 0.08 * chance('clicks of day', day_number))
        )::bigint as click_weight,
        floor(
            1000
            * [0.97, 0.96, 0.98, 1.03, 1.18, 1.12, 0.76][isodow(day)]
            * (case when day(day) <= 5 or day(day) >= 28 then 1.06 else 1.0 end)
            * (0.97 + 0.06 * chance('payments of day', day_number))
        )::bigint as pay_weight
    from calendar
),

running as (
    select
        *,
        sum(print_weight) over up_to_day as prints_so_far,
        sum(print_weight) over () as prints_in_all,
        sum(print_weight * click_weight) over up_to_day as taps_so_far,
        sum(print_weight * click_weight) over () as taps_in_all
    from rhythm
    window up_to_day as (order by day_number)
),

quotas as (
    select
        *,
        (prints_wanted() * prints_so_far // prints_in_all)::bigint as prints_until,
        (taps_wanted() * taps_so_far // taps_in_all)::bigint as taps_until
    from running
)

select
    day_number,
    day,
    pay_weight,
    prints_until - lag(prints_until, 1, 0) over (order by day_number) as print_quota,
    taps_until - lag(taps_until, 1, 0) over (order by day_number) as tap_quota
from quotas
order by day_number;
"""

_PRINTS = """
-- 4,096 carousels are enough to choose from: a user opens the app at most 30 times.
create table carousels as
select
    carousel::int as carousel,
    (row_number() over best_first - 1)::int as position,
    prop,
    [0.200, 0.127, 0.084, 0.056][row_number() over best_first] * clicked as click_weight
from range(4096) as numbers (carousel)
cross join value_props
window best_first as (
    partition by carousel
    order by -ln(1 - chance('carousel order', carousel * 8 + prop)) / shown, prop
)
qualify position < 4;

-- Each day the users with the lowest scores open the app, until its prints are used up. The
-- filter keeps about three times as many users as needed and spares sorting the others.
create table opens as
with

candidates as (
    select
        user_rank * 32 + day_number as open_id,
        user_rank,
        day_number,
        print_quota,
        chance('open', open_id) / activity_of(user_rank) as score,
        case
            when chance('prints shown', open_id) < 0.15 then 1
            when chance('prints shown', open_id) < 0.35 then 2
            when chance('prints shown', open_id) < 0.55 then 3
            else 4
        end as shown
    from range(users()) as numbers (user_rank)
    cross join days
    where score < 4 * (print_quota / 2.95 + 10) / users()
),

counted as (
    select
        *,
        sum(shown) over (
            partition by day_number
            order by score, user_rank
            rows between unbounded preceding and 1 preceding
        ) as shown_before
    from candidates
)

select
    open_id,
    user_rank,
    day_number,
    least(shown, print_quota - coalesce(shown_before, 0))::int as shown
from counted
where coalesce(shown_before, 0) < print_quota;

create table prints as
select
    opens.open_id,
    opens.user_rank,
    opens.day_number,
    carousels.position,
    carousels.prop,
    carousels.click_weight
from opens
inner join carousels
    on carousels.carousel = floor(4096 * chance('carousel', opens.open_id))::int
    and carousels.position < opens.shown;
"""

# The lowest scores of a day are tapped: twice the weight, twice the chance of a tap.
_TAPS = """
create table taps as
select
    prints.open_id,
    prints.user_rank,
    prints.day_number,
    prints.position,
    prints.prop
from prints
inner join days
    on prints.day_number = days.day_number
qualify
    row_number() over (
        partition by prints.day_number
        order by
            chance('tap', prints.open_id * 4 + prints.position) / (
                prints.click_weight
                * (0.5 + chance('clicks of user', prints.user_rank))
                * case
                    when prints.prop = favourite_of(prints.user_rank) then 2.2
                    when prints.prop = second_favourite_of(prints.user_rank) then 1.6
                    else 0.7
                end
            ),
            prints.open_id,
            prints.position
    ) <= days.tap_quota;

create table follow_up_payments as
select
    open_id * 4 + position as tap_id,
    user_rank,
    day_number + floor(7 * pow(chance('delay', tap_id), 2))::int as day_number,
    prop
from taps
where chance('follow-up', tap_id) < 0.55
    and day_number + floor(7 * pow(chance('delay', tap_id), 2))::int < {day_count};
"""

_EVENTS_FILE = """
copy (
    select
        days.day,
        {{'position': events.position, 'value_prop': value_props.value_prop}} as event_data,
        user_id_of(events.user_rank) as user_id
    from {source} as events
    inner join days
        on events.day_number = days.day_number
    inner join value_props
        on events.prop = value_props.prop
    order by
        days.day,
        chance('time of day', events.open_id),
        events.open_id,
        events.position
) to '{path}' (format json)
"""

_PAYS_FILE = """
copy (
    with

    pay_days as (
        select
            day_number,
            row_number() over (order by day_number, place) - 1 as ticket,
            count(*) over () as tickets
        from (select day_number, unnest(range(pay_weight)) as place from days)
    ),

    rolls as (
        select
            pay_id,
            case
                when pay_id < users() then pay_id
                else active_user(chance('payer', pay_id))
            end as user_rank,
            floor(chance('pay day', pay_id) * (select any_value(tickets) from pay_days))::bigint
                as ticket,
            chance('pays by taste', pay_id) as taste_roll
        from range(pays_wanted() - (select count(*) from follow_up_payments))
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

    -- A Weibull law of shape 1.4, in cents. What passes the highest amount is reflected back.
    priced as (
        select
            payments.*,
            value_props.value_prop,
            floor(
                100 * value_props.amount
                * pow(-ln(1 - chance('amount', payments.pay_id)), 1 / 1.4)
            )::bigint as cents
        from payments
        inner join value_props
            on payments.prop = value_props.prop
    )

    select
        days.day as pay_date,
        (greatest(0, 19995 - abs(19995 - priced.cents)) / 100)::decimal(18, 2) as total,
        user_id_of(priced.user_rank) as user_id,
        priced.value_prop
    from priced
    inner join days
        on priced.day_number = days.day_number
    order by
        days.day,
        chance('time of payment', priced.pay_id),
        priced.pay_id
) to '{path}' (format csv, header true)
"""


def write_sample(
    out: Path,
    scale: float = 1.0,
    seed: int = 7,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> SampleSummary:
    """Write prints.json, taps.json, pays.csv and a note to the folder `out`, made if missing.

    Rows and users grow linearly with `scale`; 1 is the size of the public case. The same
    `scale` and `seed` give the same bytes, whatever the number of `threads` (default: all
    cores) and the `memory_limit`, such as 2GB. The files appear whole or not at all.

    Raises ValueError if `scale` is not from 0.001 to 100, and FileExistsError if one of the
    files is there and `overwrite` is false.
    """
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise ValueError(
            f"--scale is {scale:g}, and it must be a number from {MIN_SCALE:g} to {MAX_SCALE:g}"
        )
    paths = {source: out / name for source, name in FILE_NAMES.items()}
    present = [str(path) for path in paths.values() if path.exists()]
    if present and not overwrite:
        raise FileExistsError(f"there are files already: {', '.join(present)}")

    users = round(scale * USERS)
    out.mkdir(parents=True, exist_ok=True)
    # Inside `out`, so that the renames stay on one file system.
    with tempfile.TemporaryDirectory(prefix=".sample-", dir=out) as scratch:
        drafts = {source: Path(scratch) / name for source, name in FILE_NAMES.items()}
        with _connect(Path(scratch), threads, memory_limit) as connection:
            _make_events(connection, scale, users, seed)
            rows = {source: _write(connection, source, draft) for source, draft in drafts.items()}
        note = Path(scratch) / NOTE
        _write_note(note, scale, seed, drafts.values())
        move(note, out / NOTE)
        for source, draft in drafts.items():
            move(draft, paths[source])
    return SampleSummary(
        paths=paths, rows=rows, users=users, first_day=FIRST_DAY, last_day=LAST_DAY
    )


def _write_note(path: Path, scale: float, seed: int, files: Collection[Path]) -> None:
    written = {
        "about": "value-props sample made these files up. A run over any of them says so.",
        "scale": scale,
        "seed": seed,
        "sha256": {file.name: sha256_of(file) for file in files},
    }
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def is_sample_data(note: bytes, sha256s: Collection[str]) -> bool:
    """Whether a raw file is one that `write_sample` wrote.

    Args:
        note: the file NOTE from beside the raw files.
        sha256s: of what the raw files hold.
    """
    try:
        written = set(json.loads(note)["sha256"].values())
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return not written.isdisjoint(sha256s)


def _connect(scratch: Path, threads: int | None, memory_limit: str) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(scratch / "spill"),
        # The COPY statements order their rows themselves.
        "preserve_insertion_order": False,
    }
    if threads is not None:
        config["threads"] = threads
    return duckdb.connect(":memory:", config=config)


def _make_events(
    connection: duckdb.DuckDBPyConnection, scale: float, users: int, seed: int
) -> None:
    """Fill the tables days, prints, taps and follow_up_payments."""
    day_count = (LAST_DAY - FIRST_DAY) // timedelta(days=1) + 1
    connection.execute(
        _PRIMITIVES.format(
            seed=int(seed),
            users=users,
            prints=round(scale * PRINTS),
            taps=round(scale * TAPS),
            pays=round(scale * PAYS),
            liked_prop=_choice([prop.liked for prop in _VALUE_PROPS]),
            paid_prop=_choice([prop.paid for prop in _VALUE_PROPS]),
            value_props=", ".join(
                f"({number}, '{prop.name}', {prop.shown}, {prop.clicked}, {prop.amount})"
                for number, prop in enumerate(_VALUE_PROPS)
            ),
        )
    )
    connection.execute(_DAYS.format(first_day=FIRST_DAY, day_count=day_count))
    connection.execute(_PRINTS)
    connection.execute(_TAPS.format(day_count=day_count))


def _choice(weights: list[float]) -> str:
    """SQL that turns `roll`, uniform in [0, 1), into the number of a weight."""
    bounds = [sum(weights[: number + 1]) / sum(weights) for number in range(len(weights))]
    branches = " ".join(
        f"when roll < {bound:.6f} then {number}" for number, bound in enumerate(bounds[:-1])
    )
    return f"case {branches} else {len(weights) - 1} end"


def _write(connection: duckdb.DuckDBPyConnection, source: str, path: Path) -> int:
    """Write one source to `path`; return its rows."""
    quoted = str(path).replace("'", "''")
    if source == "pays":
        statement = _PAYS_FILE.format(path=quoted)
    else:
        statement = _EVENTS_FILE.format(source=source, path=quoted)
    counted = connection.execute(statement).fetchone()
    if counted is None:
        raise RuntimeError(f"DuckDB did not say how many rows it wrote to {path}")
    return int(counted[0])
