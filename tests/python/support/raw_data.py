"""Raw folders to run the pipeline on: small ones for hypothesis, larger ones from a seed.

Hypothesis draws a case as one string of bytes: a few for the parameters, two for the layout of
each file, and one for each place where a row may stand. A zero means no row, a plain file, the
simplest parameter, so that a failing case shrinks to the rows and parameters it needs. One string,
because hypothesis fills a test with near copies of a case that is drawn in many steps.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TypeVar

from hypothesis import strategies as st
from support.reference import Parameters


@dataclass(frozen=True)
class RawCase:
    """A raw folder (file name to bytes; a name may hold a subfolder) and how to run on it."""

    files: dict[str, bytes]
    parameters: Parameters

    def write(self, folder: Path) -> None:
        """Write the files into a folder, which is made where it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


T = TypeVar("T")

# --- What the texts are drawn from ---

CATALOGUE = (
    "cellphone_recharge",
    "credits_consumer",
    "link_cobro",
    "point",
    "prepaid",
    "send_money",
    "transport",
)
STRANGE_VALUE_PROPS = (
    "point,of,sale",
    'the "best" one',
    '"',
    "'",
    ",",
    "a-1-b",
    " point",
    "point ",
    "Point",
    "\u00e9clair",
    "e\u0301clair",
    "emoji \U0001f600\U0001f44d\U0001f3fd",
    "\u00a0",
    "line\u2028separator",
    "next\u0085line",
    "\ufeffpoint",
    "\u202eright to left",
    "del\x7f",
    "control\x01\x02\x1f",
    "escape\x1b[31m",
    "tab\tinside",
    "\x0b",
    "back\\slash\\n",
    "null",
    "NULL",
    "NaN",
    "true",
    "=1+1",
    "{{ value_prop }}",
    "%s",
    "0",
    "007",
    "x" * 300,
    "\u20ac" * 2000,
)
# A line of CSV ends at these, so only JSON, which escapes them, can hold them.
VALUE_PROPS_OF_JSON_ONLY = ("line\nbreak", "return\rhere", "both\r\n", "\n")

MISSING_IN_JSON = (None, "null", '""', '" "', '"\\t"', '" \\t\\u0020\\u0009 "')
EVENT_DATA_MISSING = (
    None,
    "null",
    "[]",
    "{}",
    '""',
    '"x"',
    "5",
    "true",
    '"{\\"position\\":0,\\"value_prop\\":\\"point\\"}"',
    '[{"position":0,"value_prop":"point"}]',
    '{"position":0}',
    '{"value_prop":"point"}',
    '{"Position":0,"value_prop":"point"}',
    '{"position":0,"value_prop":null}',
)

BAD_DAYS = (
    "2020-02-30",
    "2019-02-29",
    "2020-2-3",
    "2020-11-1",
    "0000-01-01",
    "2020-13-01",
    "2020-00-10",
    "2020-11-00",
    "2020-11-31",
    "20201101",
    "2020/11/01",
    "01-11-2020",
    "12020-11-01",
    "020-11-01",
    "-2020-11-01",
    "+2020-11-01",
    " 2020-11-01",
    "2020-11-01 ",
    "2020-11-01T00:00:00",
    "2020-11-01 00:00:00",
    "2020-11-01Z",
    "2020-11-01 (BC)",
    "2020-W48-1",
    "2020-11",
    "\u0662\u0660\u0662\u0660-11-01",
    "2020\u201311\u201301",
    "\uff12\uff10\uff12\uff10-11-01",
    "today",
    "epoch",
    "infinity",
    "\u00a0",
)
FAR_DAYS = ("1999-12-31", "9999-12-31", "0001-01-01", "1970-01-01", "2262-04-12", "2100-02-28")

BAD_WHOLE_NUMBERS = (
    " 5",
    "5 ",
    "+5",
    "1.0",
    "1e3",
    "1,000",
    "1_000",
    "0x1F",
    "abc",
    "true",
    "null",
    "NaN",
    "--5",
    "5-",
    "\u0665",
    "\uff15",
    "\u00b2",
    "\u00a05",
    "5\u200b",
)
BAD_JSON_NUMBERS = ("1.0", "-0.0", "1e3", "1E0", "0e0", "5.5", "-1.5", "1e999", "1e-2")
BAD_JSON_VALUES = ("true", "false", "[]", "{}", "[5]", '{"id":5}')

FAR_USER_IDS = (
    "0",
    "000",
    "9223372036854775808",
    "18446744073709551616",
    "18446744073709551617",
    "1" + "0" * 30,
    "9" * 400,
    "9" * 5000,
)
FAR_POSITIONS = (
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "1" + "0" * 30,
    "9" * 5000,
)

TOTALS = (
    "0",
    "0.00",
    "-0",
    "-0.00",
    "-0.000000",
    "+0",
    "+5",
    "+0.5",
    "7.04",
    "199.95",
    "50",
    "000012.5",
    "0.005",
    "1.005",
    "2.675",
    "0.004",
    "0.0049999999999999999999999999",
    "0.0050000000000000000000000001",
    "1.994999999999999999999999999999999999999999999999",
    "33.333333333333333333333333333333",
    "0.015",
    "0.025",
    "0.1",
    "4503599627370497.5"[-9:],
    "0" * 40 + "7.125",
    "3." + "0" * 60,
    "999999999999.994",
    "999999999999.999",
    "1000000000000",
    "1000000000000.00",
    "1000000000000.000000000000000000000000",
)
BAD_TOTALS = (
    ".5",
    "5.",
    "1e3",
    "1E3",
    "+",
    "-",
    ".",
    "--5",
    "+-5",
    "- 5",
    "5-",
    " 5",
    "5 ",
    "1,5",
    "1.000,50",
    "1_000",
    "1 000",
    "1.2.3",
    "$5",
    "5\u20ac",
    "NaN",
    "inf",
    "-Infinity",
    "0x1F",
    "true",
    "null",
    "abc",
    "\u0665",
    "5\u00a0",
    "\uff15.00",
    "(5)",
)
FAR_TOTALS = (
    "-0.001",
    "-0.0000000000000000000000000001",
    "-1",
    "-7.04",
    "-1000000000000",
    "1000000000000.001",
    "1000000000000.0000000000000000000000000001",
    "1000000000000.01",
    "1000000000001",
    "99999999999999999999",
    "9" * 60,
    "9" * 400 + ".99",
)

# Members that no rule minds, at the top of an object or inside event_data.
EXTRA_MEMBERS = (
    '"session":"abc"',
    '"app":{"version":[1,2,{"beta":null}]}',
    '"\\u0078":"\\ud83d\\ude00"',
    '"x":1,"x":2',
    '"":null',
    '"Day":"2020-11-01"',
    '"day ":1',
    '"USER_ID":5',
    '"Position":1',
    '"float":-0.0e-5',
    '"big":1e999',
    '"long":' + "9" * 400,
    '"nul":"\\u0000"',
    '"nul in \\u0000 key":1',
    '"del":"\x7f"',
    '"line\\nbreak, \\"quoted\\"":0',
    '"caf\u00e9 \U0001f600":"\u2028\u0085\u00a0"',
    '"deep":' + "[" * 60 + "]" * 60,
    '"deeper":' + '{"a":' * 600 + "1" + "}" * 600,
    '"empty":[{},[],""]',
    '"slash":"\\/\\b\\f\\n\\r\\t"',
)
EXTRA_TOP_MEMBERS = ('"position":1,"position":2', '"value_prop":"point","value_prop":"x"')
EXTRA_DATA_MEMBERS = ('"day":1,"day":2', '"user_id":5,"user_id":6', '"event_data":{}')

# Members that make their line malformed.
BROKEN_MEMBERS = (
    '"x":NaN',
    '"x":Infinity',
    '"x":-Infinity',
    '"x":nan',
    '"x":007',
    '"x":-01',
    '"x":+1',
    '"x":.5',
    '"x":1.',
    '"x":1e',
    '"x":0x10',
    '"x":1_000',
    '"x":-',
    '"x":tru',
    '"x":True',
    '"x":None',
    '"x":undefined',
    '"x":',
    '"x"',
    "x:1",
    "'x':1",
    "5:1",
    "null:1",
    '"x":[1,]',
    '"x":{"a":1,}',
    '"x":[1 2]',
    '"x":[1',
    '"x":1]',
    '"x":1 "y":2',
    '"x"::1',
    '"x":1,',
    ',"x":1',
    '"x":"unclosed',
    '"x":"\\ud83d"',
    '"x":"\\ude00\\ud83d"',
    '"x":"\\ud83d\\u0041"',
    '"x":"\\ud83d\\\\ude00"',
    '"x":["\\uD800"]',
    '"\\udfff":1',
    '"x":"\\x41"',
    '"x":"\\u12G4"',
    '"x":"\\u00"',
    '"x":"\\U0001f600"',
    '"x":"\\\'"',
    '"x":"a\x01b"',
    '"x":"a\x02b"',
    '"x":"a\x1fb"',
    '"x":"raw\ttab"',
    '"a\x0bkey":1',
    '"x":1 /* why */',
    '"x":\u00a01',
    '"x":\x0c1',
    '"x":\u2028"y"',
    '\ufeff"x":1',
)
REPEATED_TOP_MEMBERS = (
    '"day":"2020-11-01"',
    '"d\\u0061y":null',
    '"\\u0064\\u0061\\u0079":[]',
    '"user_id":5',
    '"\\u0075ser_id":null',
    '"event_data":null',
    '"event_data":{"position":0,"value_prop":"point"}',
    '"event\\u005Fdata":1',
)
REPEATED_DATA_MEMBERS = (
    '"position":0',
    '"posi\\u0074ion":null',
    '"value_prop":"point"',
    '"value\\u005fprop":{}',
)
BROKEN_JSON_TEXTS = {
    "day": ("2020-11-01", "'2020-11-01'", '"2020-11-01', '"2020-11-01\x00"', '"2020-11-01\x1f"'),
    "user_id": ("007", "-01", "+5", ".5", "5.", "1e", "0x1F", "NaN", "Infinity", "tru", "", "--5"),
    "position": ("00", "-", "+0", "0.", "NaN", "0 0", "\uff10", "0\x00"),
    "value_prop": (
        '"\\ud83d"',
        '"\\udE00x"',
        '"a\x01b"',
        '"a\x1f"',
        '"\t"',
        '"a"b"',
        "point",
        '"\\q"',
    ),
}
BROKEN_JSON_LINES = (
    "[]",
    "{",
    "}",
    "{]",
    "{}{}",
    "{,}",
    '{"day"}',
    '{"day":}',
    '"prints"',
    "'{}'",
    "5",
    "-0",
    "null",
    "true",
    "NaN",
    "[1,2]",
    '["day","2020-11-01"]',
    "not json",
    "day,user_id",
    "// comment",
    "\u00a0",
    "\u3000",
    "\ufeff",
    "\x0c",
    "\x0b",
    "\x7f",
    "\x01",
    "\x1f",
    "\x1a",
    "\x00",
    " \x00 ",
    "\x00" * 9,
    "[" * 2000,
    "\u2028",
    "\\",
)
BROKEN_BYTES = (
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"\x80",
    b"\xc0\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf0\x9f\x98",
    b"\xf5\x80\x80\x80",
    b"\xe9",
)

# Quoting that RFC 4180 does not allow, for the value prop of a payment.
BROKEN_CSV_TEXTS = (
    'po"int',
    'point"',
    '"point',
    '"po"int"',
    '"point"x',
    '"point" ',
    ' "point"',
    '""point',
    'point""',
    '"',
    '"""',
    '"a""',
    '\\"point\\"',
    '"back\\"slash"',
    "po,int",
    ",",
    '"point",',
)
BROKEN_CSV_LINES = (
    ",",
    ",,,,,,,,,",
    '"',
    '""',
    '" "',
    "point",
    "2020-11-01;7.04;5;point",
    "2020-11-01\t7.04\t5\tpoint",
    "\x00",
    " \x00",
    "\u00a0",
    "\x0c",
    "\x1a",
    "# comment",
    '"2020-11-01,7.04,5,point',
    '2020-11-01,7.04,5,"point',
)
EXTRA_COLUMNS = ("currency", "note", "", " ", "a,b", 'q"uote', "\u00fcnit", "Note", "day", "x" * 80)
EXTRA_FIELDS = ("", " ", "ARS", "5", "a,b", 'say "hi"', "\u00e9\U0001f600", "null", "\x01", "'")

FILE_SUFFIXES = (
    "",
    "_1",
    "_2",
    "_10",
    "-2020-11",
    ".part1",
    "B",
    "b",
    " copy",
    "\u00e9",
    "\uff5e",
    "\U0001f600",
    "[1]",
    "'s",
    "%20",
    "#1",
    ".json",
)
JSON_EXTENSIONS = (".json", ".jsonl", ".ndjson")
IGNORED_FILES = {
    "Prints.json": b'{"day":1}\n',
    "TAPS.JSON": b"{}\n",
    "print.json": b"{}\n",
    "old_prints.json": b"{}\n",
    "prints.txt": b"no json",
    "prints.JSON": b"{}\n",
    "prints.json.bak": b"{}\n",
    "prints.json.gz.tmp": b"\x1f\x8b",
    "prints.csv": b"day\n",
    "taps": b"",
    "pays.json": b"{}\n",
    "pays.csv.zip": b"PK",
    "README.md": b"# raw\n",
    ".prints.json.swp": b"\x00",
    "prints/prints.json": b"{}\n",
    "archive/pays.csv": b"total\n",
}

# --- The shape of a case ---

SOURCES = ("prints", "taps", "pays")
FIELD_RULES = ("missing_field", "bad_type", "out_of_range")
STOPS = (
    "no_file",
    "empty_folder",
    "folder_named_as_a_file",
    "lacking_column",
    "repeated_column",
    "column_in_other_case",
    "column_with_space",
    "malformed_header",
    "truncated_gzip",
    "corrupt_gzip",
    "garbage_as_gzip",
    "utf16_with_bom",
    "utf16_without_bom",
    "same_content",
    "same_content_gzipped",
    "beside_its_gzip",
)


@dataclass(frozen=True)
class _FileShape:
    """A file: its layout (0 is plain), and the seed of each row and whether the row is plain."""

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


@dataclass(frozen=True)
class _Event:
    day: str
    user_id: int
    value_prop: str
    position: int


@dataclass
class _World:
    """What the rows of a case have in common; `events` grows while they are made."""

    shape: _Shape
    users: list[int]
    value_props: list[str]
    report_days: list[date]
    other_days: list[date]
    events: dict[str, list[_Event]] = field(default_factory=lambda: {s: [] for s in SOURCES})


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
            layout = _layout_of(file.layout)
            writer = _CsvWriter(layout) if source == "pays" else _JsonWriter()
            lines = [_make_line(world, source, writer, *row) for row in file.rows]
            if index == 0 and shape.is_covered:
                lines = _covering_lines(world, source, writer) + lines
            if isinstance(writer, _CsvWriter):
                lines = [writer.header_line(), *lines]
            name = _file_name(source, layout, taken)
            files[name] = _to_file(lines, layout, is_gzip=name.endswith(".gz"))
    if shape.odd_files:
        _add_odd_files(files, Random(shape.odd_files))
    if shape.stop:
        _spoil(files, shape.stop, Random(shape.world))
    return RawCase(files, shape.parameters)


# --- Rows ---


def _make_line(world: _World, source: str, writer: _Writer, seed: str, is_plain: bool) -> bytes:
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


def _make_event(world: _World, source: str, rng: Random) -> _Event:
    user_id, value_prop = rng.choice(world.users), rng.choice(world.value_props)
    day = rng.choice(world.report_days if rng.random() < 0.5 else world.other_days).isoformat()
    position = rng.choice((0, 0, 0, 1, 1, 2, 3))
    if rng.random() < 0.02:
        position = 2**31 - 1
    if rng.random() < 0.03:
        day = _edge_day(world, rng)
    prints = world.events["prints"]
    if source != "prints" and prints and rng.random() < 0.6:
        # Near a print: the same in all, or in all but one.
        near = rng.choice(prints)
        differs = rng.choice(("", "", "", "", "day", "user_id", "position", "position"))
        return _Event(
            day if differs == "day" else near.day,
            user_id if differs == "user_id" else near.user_id,
            near.value_prop,
            position if differs == "position" else near.position,
        )
    return _Event(day, user_id, value_prop, position)


def _edge_day(world: _World, rng: Random) -> str:
    parameters = world.shape.parameters
    # A late print moves the cut-off away from the data unless the case sets one.
    if parameters.as_of_date is None or rng.random() < 0.3:
        return "2000-01-01"
    return (parameters.run_date + timedelta(days=rng.choice((0, 1)))).isoformat()


def _covering_lines(world: _World, source: str, writer: _Writer) -> list[bytes]:
    """Plain rows without which the gates of completeness would fail."""
    rng = Random(world.shape.world)
    if source == "prints":
        # One week more than the report holds: a cut-off in mid-week moves it back by one.
        days = _days(world.report_days[0] - timedelta(weeks=1), world.shape.last_day)
        events = [
            _Event(
                day.isoformat(),
                rng.choice(world.users),
                rng.choice(world.value_props[:2]),
                rng.choice((0, 1)),
            )
            for day in days
        ]
    else:
        # The days that a report may end on.
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


def _far_day(rng: Random, run_date: date) -> str:
    return rng.choice((*FAR_DAYS, (run_date + timedelta(days=2)).isoformat()))


class _JsonWriter:
    """Writes prints and taps."""

    def plain_line(self, rng: Random, event: _Event) -> bytes:
        del rng
        data = {"position": event.position, "value_prop": event.value_prop}
        row = {"day": event.day, "event_data": data, "user_id": event.user_id}
        return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()

    def line(self, rng: Random, event: _Event) -> bytes:
        top = list(rng.sample(EXTRA_MEMBERS + EXTRA_TOP_MEMBERS, rng.choice((0, 0, 0, 1))))
        data = list(rng.sample(EXTRA_MEMBERS + EXTRA_DATA_MEMBERS, rng.choice((0, 0, 0, 1))))
        return self._object(rng, self._texts(rng, event), top, data).encode()

    def broken_line(self, rng: Random, event: _Event, run_date: date) -> bytes:
        texts = self._texts(rng, event)
        kind = rng.random()
        if kind < 0.6:
            for _ in range(rng.choice((1, 1, 1, 2))):
                self._break_field(rng, texts, run_date)
            return self._object(rng, texts, [], []).encode()
        if kind < 0.7:
            name = rng.choice(list(BROKEN_JSON_TEXTS))
            texts[name] = rng.choice(BROKEN_JSON_TEXTS[name])
            return self._object(rng, texts, [], []).encode()
        if kind < 0.85:
            top: list[str] = []
            data: list[str] = []
            members, place = rng.choice(
                (
                    (BROKEN_MEMBERS, top),
                    (BROKEN_MEMBERS, data),
                    (REPEATED_TOP_MEMBERS, top),
                    (REPEATED_DATA_MEMBERS, data),
                )
            )
            place.append(rng.choice(members))
            return self._object(rng, texts, top, data).encode()
        good = self._object(rng, texts, [], [])
        if kind < 0.9:
            return rng.choice(BROKEN_JSON_LINES).encode()
        if kind < 0.95:
            return _with_broken_bytes(rng, good.encode())
        spoiled = (
            good[:-1],
            good[1:],
            good[: rng.randrange(1, len(good))],
            good[:-1] + ",}",
            good + "}",
            good + ",",
            good + good,
            good + " x",
            good + "\x0c",
            good + "\u00a0",
            good + " // why",
            "[" + good + "]",
            '{"row":' + good + "}",
            "\ufeff" + good,
            "\x00" + good,
            json.dumps(good),
            good.replace('"', "'"),
            good.replace(":", "=", 1),
            good.replace('"', "\u201c", 2),
        )
        return rng.choice(spoiled).encode()

    def _texts(self, rng: Random, event: _Event) -> dict[str, str | None]:
        return {
            "day": _spell_string(rng, event.day),
            "user_id": _spell_number(rng, event.user_id),
            "position": _spell_number(rng, event.position),
            "value_prop": _spell_string(rng, event.value_prop),
        }

    def _break_field(self, rng: Random, texts: dict[str, str | None], run_date: date) -> None:
        name = rng.choice(("day", "user_id", "position", "value_prop"))
        rule = rng.choice(FIELD_RULES)
        if rule == "missing_field" and rng.random() < 0.3:
            texts["event_data"] = rng.choice(EVENT_DATA_MISSING)
        elif rule == "missing_field":
            texts[name] = rng.choice(MISSING_IN_JSON)
        elif rule == "bad_type" and name == "day":
            bad_texts = [*map(json.dumps, BAD_DAYS), '"2020-11-01\\u0000"', "20201101"]
            texts[name] = rng.choice((*bad_texts, *BAD_JSON_VALUES))
        elif rule == "bad_type" and name == "value_prop":
            bad = ("5", "-1.5", "1e3", *BAD_JSON_VALUES, '"a\\u0000b"', '"\\u0000"', '" \\u0000"')
            texts[name] = rng.choice(bad)
        elif rule == "bad_type":
            bad_strings = [json.dumps(text) for text in (*BAD_WHOLE_NUMBERS, "-5", "-0")]
            texts[name] = rng.choice((*bad_strings, *BAD_JSON_NUMBERS, *BAD_JSON_VALUES))
        elif name == "day" or (name == "value_prop" and rng.random() < 0.5):
            texts["day"] = json.dumps(_far_day(rng, run_date))
        elif name == "position":
            far = rng.choice(FAR_POSITIONS)
            # JSON has no number with a zero in front; a string of digits may have one.
            texts[name] = rng.choice((far, f'"{far}"', f'"00{far}"', f"-{far}", "-1"))
        else:
            far = rng.choice(FAR_USER_IDS)
            number = "0" if far == "000" else far
            texts["user_id"] = rng.choice((number, f'"{far}"', f"-{number}", "-0", "-1", "-98702"))

    def _object(
        self, rng: Random, texts: dict[str, str | None], top: list[str], data: list[str]
    ) -> str:
        """Join the texts of the values (None: left out) and further members to one object."""
        gap = _spaces(rng)
        event_data = self._join(
            rng, gap, {name: texts[name] for name in ("position", "value_prop")}, data
        )
        members = {
            "day": texts["day"],
            "event_data": texts.get("event_data", event_data),
            "user_id": texts["user_id"],
        }
        return gap() + self._join(rng, gap, members, top) + gap()

    def _join(
        self,
        rng: Random,
        gap: Callable[[], str],
        values: dict[str, str | None],
        others: list[str],
    ) -> str:
        members = [
            f"{_spell_key(rng, name)}{gap()}:{gap()}{text}"
            for name, text in values.items()
            if text is not None
        ]
        members += others
        if rng.random() < 0.3:
            rng.shuffle(members)
        return "{" + ",".join(f"{gap()}{member}{gap()}" for member in members) + "}"


class _CsvWriter:
    """Writes the payments of one file, whose columns the layout orders."""

    def __init__(self, layout: Random | None) -> None:
        self.columns = ["pay_date", "total", "user_id", "value_prop"]
        if layout and layout.random() < 0.5:
            layout.shuffle(self.columns)
        if layout and layout.random() < 0.3:
            for name in layout.sample(EXTRA_COLUMNS, layout.choice((1, 1, 2))):
                for _ in range(layout.choice((1, 1, 1, 2))):
                    self.columns.insert(layout.randint(0, len(self.columns)), name)
        self.quotes_header = bool(layout and layout.random() < 0.2)

    def header_line(self) -> bytes:
        names = [_quote(name) if self.quotes_header else _csv_text(name) for name in self.columns]
        return ",".join(names).encode()

    def plain_line(self, rng: Random, event: _Event) -> bytes:
        texts = self._texts(rng, event)
        texts["total"] = f"{rng.randint(0, 19995) / 100:.2f}"
        return self._join({name: _csv_text(text) for name, text in texts.items()})

    def line(self, rng: Random, event: _Event) -> bytes:
        return self._join(self._spell(rng, self._texts(rng, event)))

    def broken_line(self, rng: Random, event: _Event, run_date: date) -> bytes:
        texts = self._texts(rng, event)
        kind = rng.random()
        if kind < 0.6:
            for _ in range(rng.choice((1, 1, 1, 2))):
                self._break_field(rng, texts, run_date)
            return self._join(self._spell(rng, texts))
        spelled = self._spell(rng, texts)
        if kind < 0.8:
            spelled[rng.choice(self.columns)] = rng.choice(BROKEN_CSV_TEXTS)
            return self._join(spelled)
        good = self._join(spelled)
        if kind < 0.87:
            return rng.choice(BROKEN_CSV_LINES).encode()
        if kind < 0.95:
            return _with_broken_bytes(rng, good)
        return rng.choice((good + b",", b"," + good, good + b'"', good[: good.rindex(b",")]))

    def _texts(self, rng: Random, event: _Event) -> dict[str, str]:
        total = rng.choice(TOTALS) if rng.random() < 0.4 else f"{rng.randint(0, 19995) / 100:.2f}"
        texts = {name: rng.choice(EXTRA_FIELDS) for name in self.columns}
        texts |= {"pay_date": event.day, "total": total, "user_id": str(event.user_id)}
        has_line_end = event.value_prop in VALUE_PROPS_OF_JSON_ONLY
        texts["value_prop"] = "point" if has_line_end else event.value_prop
        return texts

    def _break_field(self, rng: Random, texts: dict[str, str], run_date: date) -> None:
        name = rng.choice(("pay_date", "total", "user_id"))
        rule = rng.choice(FIELD_RULES)
        if rule == "missing_field":
            name = rng.choice((name, "value_prop"))
            texts[name] = rng.choice(("", "", " ", "\t", " \t "))
        elif rule == "bad_type":
            bad = {
                "pay_date": BAD_DAYS,
                "total": BAD_TOTALS,
                "user_id": (*BAD_WHOLE_NUMBERS, "-5", "-0", "5.", "''"),
            }
            texts[name] = rng.choice(bad[name])
        elif name == "pay_date":
            texts[name] = _far_day(rng, run_date)
        else:
            texts[name] = rng.choice(FAR_TOTALS if name == "total" else FAR_USER_IDS)

    def _spell(self, rng: Random, texts: dict[str, str]) -> dict[str, str]:
        spelled = {}
        for name, text in texts.items():
            if name == "user_id" and text.isdecimal() and text.isascii() and rng.random() < 0.1:
                text = rng.choice(("0", "00", "0" * 30)) + text
            spelled[name] = _quote(text) if rng.random() < 0.15 else _csv_text(text)
        return spelled

    def _join(self, spelled: dict[str, str]) -> bytes:
        return ",".join(spelled[name] for name in self.columns).encode()


_Writer = _JsonWriter | _CsvWriter


def _spell_string(rng: Random, text: str) -> str:
    way = rng.random()
    if way < 0.5:
        return json.dumps(text, ensure_ascii=False)
    if way < 0.8:
        return json.dumps(text)
    escaped = text.encode("utf-16-be")
    units = [escaped[n : n + 2].hex() for n in range(0, len(escaped), 2)]
    return '"' + "".join(f"\\u{unit.upper() if way < 0.9 else unit}" for unit in units) + '"'


def _spell_key(rng: Random, name: str) -> str:
    if rng.random() > 0.05:
        return f'"{name}"'
    place = rng.randrange(len(name))
    return f'"{name[:place]}\\u{ord(name[place]):04x}{name[place + 1 :]}"'


def _spell_number(rng: Random, number: int) -> str:
    way = rng.random()
    if number == 0 and way < 0.1:
        return "-0"
    if way < 0.75:
        return str(number)
    return f'"{rng.choice(("", "", "0", "00", "0" * 30))}{number}"'


def _spaces(rng: Random) -> Callable[[], str]:
    if rng.random() < 0.7:
        return lambda: ""
    return lambda: rng.choice(("", "", " ", "  ", "\t", " \t" * 3))


def _csv_text(text: str) -> str:
    return _quote(text) if '"' in text or "," in text else text


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _with_broken_bytes(rng: Random, line: bytes) -> bytes:
    place = rng.randint(0, len(line))
    return line[:place] + rng.choice(BROKEN_BYTES) + line[place:]


# --- Files ---


def _layout_of(code: int) -> Random | None:
    """The choices of a file's layout; None is a plain file."""
    return Random(code) if code else None


def _file_name(source: str, layout: Random | None, taken: set[str]) -> str:
    extensions = (".csv",) if source == "pays" else JSON_EXTENSIONS
    suffixes = [suffix for suffix in FILE_SUFFIXES if source + suffix not in taken]
    suffix = layout.choice(suffixes) if layout and layout.random() < 0.8 else suffixes[0]
    taken.add(source + suffix)
    if layout is None:
        return source + suffix + extensions[0]
    return source + suffix + layout.choice(extensions) + layout.choice(("", "", ".gz"))


def _to_file(lines: list[bytes], layout: Random | None, *, is_gzip: bool) -> bytes:
    if layout is None:
        return b"".join(line + b"\n" for line in lines)
    style = layout.choice((b"\n", b"\n", b"\r\n", b"\r", None))
    blank_share = layout.choice((0.0, 0.0, 0.1))
    parts = [b"\xef\xbb\xbf"] if layout.random() < 0.2 else []
    for line in lines:
        while layout.random() < blank_share:
            parts += [layout.choice((b"", b" ", b"\t", b" \t  ", b" " * 5000)), _end(style, layout)]
        parts += [line, _end(style, layout)]
    if layout.random() < 0.3 and lines:
        parts.pop()
    content = b"".join(parts)
    return _gzip(content, layout) if is_gzip else content


def _end(style: bytes | None, layout: Random) -> bytes:
    return layout.choice((b"\n", b"\r\n", b"\r")) if style is None else style


def _gzip(content: bytes, layout: Random | None = None) -> bytes:
    """Pack bytes into one gzip member, or (by the layout) into several cut anywhere."""
    cuts = [0, len(content)]
    if layout and layout.random() < 0.4:
        cuts += [layout.randint(0, len(content)) for _ in range(layout.randint(1, 3))]
    cuts.sort()
    members = [content[start:end] for start, end in pairwise(cuts)]
    return b"".join(gzip.compress(member, mtime=0) for member in members)


def _add_odd_files(files: dict[str, bytes], rng: Random) -> None:
    """Add files without rows and files that no source has."""
    if rng.random() < 0.3:
        for name in rng.sample(list(IGNORED_FILES), 2):
            files[name] = IGNORED_FILES[name]
    if rng.random() < 0.2:
        empty = rng.choice((b"", b"\n", b" \t\r\n\r", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"))
        header = b"pay_date,total,user_id,value_prop"
        no_payment = rng.choice((empty, empty + header, header + b"\n" + b" \n"))
        files |= {"prints_none.json": empty, "taps_none.jsonl.gz": _gzip(empty)}
        files |= {"pays_none.csv": no_payment, "pays_no more.csv": no_payment}


def _spoil(files: dict[str, bytes], stop: str, rng: Random) -> None:
    """Change the folder so that no run can start on it."""
    source = rng.choice(SOURCES)
    names = [name for name in files if name.startswith(source)]
    extension = ".csv" if source == "pays" else ".json"
    bad_header = rng.choice((b'"pay_date,total,user_id,value_prop\n', b"\x00\n", b"\xff\n"))
    header = {
        "lacking_column": b"pay_date,total,user_id\n",
        "repeated_column": b"pay_date,total,user_id,value_prop,total\n",
        "column_in_other_case": b"pay_date,Total,user_id,value_prop\n",
        "column_with_space": b"pay_date, total,user_id,value_prop\n",
        "malformed_header": bad_header,
    }
    text = "{}" if source != "pays" else "pay_date,total,user_id,value_prop\n2020-11-01,1,5,point"
    packed = gzip.compress(text.encode() * 20, mtime=0)
    if stop == "no_file":
        for name in names:
            del files[name]
    elif stop == "empty_folder":
        files.clear()
    elif stop == "folder_named_as_a_file":
        files[f"{source}_spoiled{extension}/{source}{extension}"] = text.encode()
    elif stop in header:
        files["pays_spoiled.csv"] = header[stop] + b"2020-11-01,7.04,5,point,7.04\n"
    elif stop == "truncated_gzip":
        files[f"{source}_spoiled{extension}.gz"] = packed[: rng.randrange(1, len(packed))]
    elif stop == "corrupt_gzip":
        files[f"{source}_spoiled{extension}.gz"] = packed[:-8] + b"\x00\x01\x02\x03" + packed[-4:]
    elif stop == "garbage_as_gzip":
        files[f"{source}_spoiled{extension}.gz"] = text.encode()
    elif stop == "utf16_with_bom":
        encoding, mark = rng.choice((("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")))
        files[f"{source}_spoiled{extension}"] = mark + text.encode(encoding)
    elif stop == "utf16_without_bom":
        encoding = rng.choice(("utf-16-le", "utf-16-be"))
        files[f"{source}_spoiled{extension}"] = text.encode(encoding)
    elif stop == "beside_its_gzip":
        files[f"{source}_spoiled{extension}"] = text.encode()
        files[f"{source}_spoiled{extension}.gz"] = packed
    else:
        files[f"{source}_spoiled{extension}"] = text.encode()
        is_gzip = stop == "same_content_gzipped"
        copy = gzip.compress(text.encode(), mtime=0) if is_gzip else text.encode()
        files[f"{source}_spoiled_again{extension}{'.gz' if is_gzip else ''}"] = copy


# --- What tests call ---

LAST_MONDAYS = (date(2020, 11, 23), date(2020, 12, 28), date(2021, 1, 4), date(2024, 2, 26))


# About half of these places hold a row.
PLACES = {"prints": 72, "taps": 56, "pays": 56}
MOST_FILES = 3
CASE_BYTES = 21 + sum(1 + 2 * MOST_FILES + places for places in PLACES.values())


def raw_cases() -> st.SearchStrategy[RawCase]:
    """Draw a raw folder of tens of rows per source with the parameters of a run.

    Most cases are valid runs with a mart; about one in twenty cannot start.
    """
    drawn = st.binary(min_size=CASE_BYTES, max_size=CASE_BYTES)
    return drawn.map(lambda content: _make_case(_read_shape(_Choices(content))))


class _Choices:
    """Takes choices from a string of bytes, of which zero is the first choice."""

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

    Two files a source, many users, a share of the rows broken; a valid run with a mart.
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
