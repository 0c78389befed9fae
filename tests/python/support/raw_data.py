"""Make raw folders to test the pipeline: small ones for hypothesis, larger ones from a seed.

Hypothesis draws a case as one string of bytes: a few bytes for the parameters, two for the layout
of each file, and one for each place that may have a row. Zero means no row, a plain file or the
simplest parameter. So a failing case shrinks to the rows and parameters that it needs. It is one
string because hypothesis makes many near copies of a case that it draws in many steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TypeVar

from hypothesis import strategies as st
from support.odd_values import CATALOGUE, STRANGE_VALUE_PROPS, VALUE_PROPS_OF_JSON_ONLY
from support.raw_files import STOPS, add_odd_files, file_name, layout_of, spoil, to_file
from support.raw_rows import CsvWriter, Event, JsonWriter, Writer
from support.reference import SOURCES, Parameters

T = TypeVar("T")

LAST_MONDAYS = (date(2020, 11, 23), date(2020, 12, 28), date(2021, 1, 4), date(2024, 2, 26))

# Number of places for rows. About half of them have a row.
PLACES = {"prints": 72, "taps": 56, "pays": 56}
MOST_FILES = 3
CASE_BYTES = 22 + sum(1 + 2 * MOST_FILES + places for places in PLACES.values())


@dataclass(frozen=True)
class RawCase:
    """A raw folder and the parameters of a run.

    Args:
        files: content of each file by name; a name may contain a subfolder.
        parameters: parameters of the run.
    """

    files: dict[str, bytes]
    parameters: Parameters


@dataclass(frozen=True)
class _FileShape:
    """A file.

    Args:
        layout: code of its layout; 0 is a plain file.
        rows: for each row, its seed and whether the row is plain.
    """

    layout: int
    rows: list[tuple[str, bool]]


@dataclass(frozen=True)
class _Shape:
    world: int
    parameters: Parameters
    last_monday: date
    last_day: date
    is_covered: bool
    broken_share: float
    user_count: int
    files: dict[str, list[_FileShape]]
    odd_files: int
    stop: str | None


@dataclass
class _World:
    """Facts that all rows of a case share. `events` grows while the rows are made."""

    shape: _Shape
    users: list[int]
    value_props: list[str]
    report_days: list[date]
    other_days: list[date]
    events: dict[str, list[Event]] = field(default_factory=lambda: {s: [] for s in SOURCES})


def _make_world(shape: _Shape) -> _World:
    rng = Random(shape.world)
    users = [98702, 1, 35994] + [rng.randint(2, 100_000) for _ in range(shape.user_count)]
    value_props = rng.sample(CATALOGUE, rng.randint(2, 3))
    if shape.world:
        value_props += rng.sample(STRANGE_VALUE_PROPS, rng.randint(0, 3))
        value_props += rng.sample(VALUE_PROPS_OF_JSON_ONLY, rng.choice((0, 0, 1)))
        if rng.random() < 0.2:
            users[1] = 2**63 - 1
    first_report_day = shape.last_monday - timedelta(weeks=shape.parameters.report_weeks - 1)
    first_day = first_report_day - timedelta(weeks=5)
    report_days = _days(first_report_day, shape.last_monday + timedelta(days=6))
    return _World(
        shape=shape,
        users=users[: shape.user_count],
        value_props=value_props,
        report_days=report_days,
        other_days=_days(first_day, shape.last_day),
    )


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _make_case(shape: _Shape) -> RawCase:
    world = _make_world(shape)
    files: dict[str, bytes] = {}
    for source in SOURCES:
        taken: set[str] = set()
        for index, file in enumerate(shape.files[source]):
            layout = layout_of(file.layout)
            writer = CsvWriter(layout) if source == "pays" else JsonWriter()
            lines = [_make_line(world, source, writer, *row) for row in file.rows]
            if index == 0 and shape.is_covered:
                lines = _covering_lines(world, source, writer) + lines
            if isinstance(writer, CsvWriter):
                lines = [writer.header_line(), *lines]
            name = file_name(source, layout, taken)
            files[name] = to_file(lines, layout, is_gzip=name.endswith(".gz"))
    if shape.odd_files:
        add_odd_files(files, Random(shape.odd_files))
    if shape.stop:
        spoil(files, shape.stop, Random(shape.world))
    return RawCase(files, shape.parameters)


# --- Rows ---


def _make_line(world: _World, source: str, writer: Writer, seed: str, is_plain: bool) -> bytes:
    rng = Random(f"{source}/{seed}")
    event = _make_event(world, source, rng)
    if is_plain:
        world.events[source].append(event)
        return writer.plain_line(rng, event)
    if rng.random() < world.shape.broken_share:
        return writer.broken_line(rng, event, world.shape.parameters.run_date)
    if source != "pays" and world.events[source] and rng.random() < 0.1:
        event = rng.choice(world.events[source])
    world.events[source].append(event)
    return writer.line(rng, event)


def _make_event(world: _World, source: str, rng: Random) -> Event:
    user_id, value_prop = rng.choice(world.users), rng.choice(world.value_props)
    day = rng.choice(world.report_days if rng.random() < 0.5 else world.other_days).isoformat()
    position = rng.choice((0, 0, 0, 1, 1, 2, 3))
    if rng.random() < 0.02:
        position = 2**31 - 1
    if rng.random() < 0.03:
        day = _edge_day(world, rng)
    prints = world.events["prints"]
    if source != "prints" and prints and rng.random() < 0.6:
        # Copy a print exactly, or with one field changed.
        near = rng.choice(prints)
        differs = rng.choice(("", "", "", "", "day", "user_id", "position", "position"))
        return Event(
            day if differs == "day" else near.day,
            user_id if differs == "user_id" else near.user_id,
            near.value_prop,
            position if differs == "position" else near.position,
        )
    return Event(day, user_id, value_prop, position)


def _edge_day(world: _World, rng: Random) -> str:
    parameters = world.shape.parameters
    # If the case sets no cut-off, a late print would move it away from the other data.
    if parameters.as_of_date is None or rng.random() < 0.3:
        return "2000-01-01"
    return (parameters.run_date + timedelta(days=rng.choice((0, 1)))).isoformat()


def _covering_lines(world: _World, source: str, writer: Writer) -> list[bytes]:
    """Return the plain rows that the completeness gates need to pass."""
    rng = Random(world.shape.world)
    if source == "prints":
        # Cover one week more than the report, because a mid-week cut-off moves it back a week.
        days = _days(world.report_days[0] - timedelta(weeks=1), world.shape.last_day)
        events = [
            Event(
                day.isoformat(),
                rng.choice(world.users),
                rng.choice(world.value_props[:2]),
                rng.choice((0, 1)),
            )
            for day in days
        ]
    else:
        # The days on which a report may end.
        sunday = world.report_days[-1]
        ends = {sunday - timedelta(weeks=1), sunday, world.shape.last_day}
        ends.add(world.shape.parameters.as_of_date or sunday)
        prints = {event.day: event for event in world.events["prints"]}
        events = [prints[day] for day in sorted(map(str, ends)) if day in prints]
    lines = []
    for event in events:
        world.events[source].append(event)
        lines.append(writer.plain_line(rng, event))
    return lines


# --- What tests call ---


def raw_cases() -> st.SearchStrategy[RawCase]:
    """Draw a raw folder of tens of rows per source with the parameters of a run.

    Most cases are valid runs with a mart; about one in twenty cannot start.
    """
    drawn = st.binary(min_size=CASE_BYTES, max_size=CASE_BYTES)
    return drawn.map(lambda content: _make_case(_read_shape(_Choices(content))))


class _Choices:
    """Turns a string of bytes into choices. Zero is the first choice."""

    def __init__(self, content: bytes) -> None:
        self._bytes = iter(content)

    def byte(self) -> int:
        return next(self._bytes)

    def number(self, size: int) -> int:
        return int.from_bytes(bytes(self.byte() for _ in range(size)), "big")

    def pick(self, options: Sequence[T]) -> T:
        return options[self.byte() * len(options) // 256]


def _read_shape(choices: _Choices) -> _Shape:
    last_monday = choices.pick(LAST_MONDAYS)
    last_day = last_monday + timedelta(days=choices.pick((6, 7, 7, 10)))
    run_date = last_day + timedelta(days=choices.pick((31,) * 12 + (1, 1, 0, 0, -1, -1, -1, -12)))
    cut_off = choices.pick((None,) * 9 + (6,) * 5 + (7, 7, 5, 5, 2, 2, -1, -1, 10, 17, -100))
    broken_share = choices.pick((0.0, 0.1, 0.3, 0.6))
    rates = ("1",) * 5 + ("0.5", "0.5", "0.01") if broken_share else ("0.01", "0", "0.5", "1")
    parameters = Parameters(
        run_date=run_date,
        as_of_date=None if cut_off is None else last_monday + timedelta(days=cut_off),
        week_rule=choices.pick(("complete", "latest")),
        report_weeks=choices.pick((1, 1, 2, 3, 4)),
        lookback_weeks=choices.pick((3, 1, 2, 4, 5)),
        lookback_anchor=choices.pick(("week", "print")),
        max_quarantine_rate=Decimal(choices.pick(rates)),
        allow_incomplete=choices.pick((False, True, True)),
        serving_features=choices.pick((True, False)),
    )
    is_covered = choices.pick((True,) * 7 + (False,))
    user_count = choices.pick((1, 2, 3, 4))
    first_row = choices.pick((160, 100, 100, 100, 40, 1))
    stop = choices.byte() - (256 - len(STOPS))
    odd_files, world = choices.number(2), choices.number(4)

    files: dict[str, list[_FileShape]] = {}
    for source, places in PLACES.items():
        file_count = choices.pick((1, 2, 3))
        layouts = [choices.number(2) for _ in range(MOST_FILES)]
        rows: list[list[tuple[str, bool]]] = [[] for _ in range(file_count)]
        for place in range(places):
            byte = choices.byte()
            if byte >= first_row:
                row = (f"{world}/{place}/{byte}", byte < first_row + 8)
                rows[place * file_count // places].append(row)
        files[source] = [
            # One file in eight is plain.
            _FileShape(layout if layout >= 2**13 else 0, rows_of_file)
            for layout, rows_of_file in zip(layouts, rows, strict=False)
        ]
    return _Shape(
        world=world,
        parameters=parameters,
        last_monday=last_monday,
        last_day=last_day,
        is_covered=is_covered,
        broken_share=broken_share,
        user_count=user_count,
        files=files,
        odd_files=odd_files,
        stop=STOPS[stop] if stop >= 0 else None,
    )


def big_case(seed: int, rows: int, broken_share: float = 0.02) -> RawCase:
    """Make a raw folder of about `rows` prints, `rows // 4` taps and `rows` payments.

    It has two files per source, many users and a share of broken rows. A run on it is valid and
    has a mart.

    Args:
        seed: seed of the random numbers.
        rows: approximate number of prints.
        broken_share: share of broken rows, 0 to 1.
    """
    rng = Random(seed)
    last_monday = date(2020, 12, 28)
    parameters = Parameters(
        run_date=date(2021, 2, 1),
        week_rule=rng.choice(("complete", "latest")),
        report_weeks=rng.randint(1, 4),
        lookback_weeks=rng.randint(1, 5),
        lookback_anchor=rng.choice(("week", "print")),
        max_quarantine_rate=Decimal("0.5"),
    )
    files = {
        source: [
            _FileShape(
                layout=rng.randint(0, 2**16),
                rows=[(f"{seed}/{part}/{place}", False) for place in range(count // 2)],
            )
            for part in range(2)
        ]
        for source, count in {"prints": rows, "taps": rows // 4, "pays": rows}.items()
    }
    shape = _Shape(
        world=rng.randint(1, 2**32),
        parameters=parameters,
        last_monday=last_monday,
        last_day=last_monday + timedelta(days=7),
        is_covered=True,
        broken_share=broken_share,
        user_count=max(4, rows // 20),
        files=files,
        odd_files=0,
        stop=None,
    )
    return _make_case(shape)
