"""The whole pipeline a second time, in plain Python, to test the real one against.

Written from the rules of the data alone: it shares no code, no engine and no idea with the
package or the models. Where the two disagree on the same raw folder, one of them is wrong.
It aims at being obviously right; everything is held in memory.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

MartRow = tuple[str, date, str, date, int, str, int, bool, int, int, int, Decimal]
QuarantinedRow = tuple[str, str, int, str, str]

MART_COLUMNS = (
    "print_id",
    "week_start_date",
    "iso_week",
    "print_date",
    "user_id",
    "value_prop",
    "position",
    "is_clicked",
    "prior_views",
    "prior_clicks",
    "prior_payments",
    "prior_amount",
)
SOURCES = ("prints", "taps", "pays")
RULES = ("malformed", "missing_field", "bad_type", "out_of_range", "duplicate")

PAY_COLUMNS = ("pay_date", "total", "user_id", "value_prop")
EVENT_KEYS = ("day", "user_id", "event_data")
EVENT_DATA_KEYS = ("position", "value_prop")

LONGEST_LINE = 16 * 1024 * 1024  # bytes, without the terminator
FIRST_DAY = date(2000, 1, 1)
LARGEST_USER_ID = 2**63 - 1
LARGEST_POSITION = 2**31 - 1
LARGEST_TOTAL = Decimal(10) ** 12
CENT = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of one run; `None` as the cut-off means the latest valid print day."""

    run_date: date
    as_of_date: date | None = None
    week_rule: str = "complete"
    report_weeks: int = 1
    lookback_weeks: int = 3
    lookback_anchor: str = "week"
    max_quarantine_rate: Decimal = Decimal("0.01")
    allow_incomplete: bool = False


class Stopped(Exception):  # noqa: N818 - the name says what became of the run
    """The run cannot start (exit 2); the message names the file or source."""


@dataclass(frozen=True)
class Outcome:
    """What a run computes from a raw folder, the failed gates included.

    - `mart`: the rows of `fct_prints` in the order of `final.csv`, see `MART_COLUMNS`.
    - `quarantine`: (source, file, line number, raw text, rule), by source, file and line.
    - `reconciliation`: (source, file) to the rows (read, kept, quarantined).
    - `gate`: the gates that failed, before `allow_incomplete` forgives any.
    - `unknown_keys`: (source, file, key), a key inside event_data as `event_data.key`.
    - `week_starts`: the Mondays of the report weeks, oldest first.
    - `orphan_taps`: valid taps up to the cut-off for which no print exists.
    """

    mart: list[MartRow]
    quarantine: list[QuarantinedRow]
    reconciliation: dict[tuple[str, str], tuple[int, int, int]]
    gate: set[str]
    unknown_keys: set[tuple[str, str, str]]
    week_starts: list[date]
    orphan_taps: int
    allow_incomplete: bool = False

    @property
    def passes(self) -> bool:
        """Whether the run may be published."""
        forgiven = {"report_day_without_prints", "source_ends_early"}
        return not (self.gate - forgiven if self.allow_incomplete else self.gate)


@dataclass(frozen=True)
class Event:
    """A valid print or tap; equal events are redeliveries."""

    day: date
    user_id: int
    value_prop: str
    position: int


@dataclass(frozen=True)
class Payment:
    """A valid payment; `total` has two decimals."""

    day: date
    user_id: int
    value_prop: str
    total: Decimal


class BrokenRowError(Exception):
    """A row breaks the rule in `rule`."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


# --- JSON, as RFC 8259 has it ---


@dataclass(frozen=True)
class JsonNumber:
    """A JSON number as it is written."""

    text: str


@dataclass(frozen=True)
class JsonObject:
    """A JSON object with every pair it holds, repeated keys included."""

    pairs: tuple[tuple[str, Json], ...]

    def names(self) -> list[str]:
        """Its keys with the escapes decoded, in their order."""
        return [key for key, _ in self.pairs]

    def get(self, wanted: str) -> Json:
        """The value of a key, or None (JSON's null) where it is absent."""
        return next((value for key, value in self.pairs if key == wanted), None)


@dataclass
class _OpenContainer:
    is_object: bool
    keys: list[str] = field(default_factory=list)
    values: list[Json] = field(default_factory=list)

    def close(self) -> Json:
        if self.is_object:
            return JsonObject(tuple(zip(self.keys, self.values, strict=True)))
        return self.values


Json: TypeAlias = JsonObject | list["Json"] | str | JsonNumber | bool | None

_JSON_SPACE = re.compile(r"[ \t\n\r]*")
_JSON_TOKEN = re.compile(
    r"""
      (?P<mark>   [{}\[\]:,] )
    | (?P<string> "(?: [^"\\\x00-\x1f]++ | \\["\\/bfnrt] | \\u[0-9a-fA-F]{4} )*+" )
    | (?P<number> -?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)? )
    | (?P<word>   true|false|null )
    """,
    re.VERBOSE,
)
_JSON_WORDS = {"true": True, "false": False, "null": None}


def parse_json(text: str) -> Json:
    """Parse one JSON text strictly; keeps repeated keys, and numbers as they are written.

    Nesting may be as deep as the text is long. Raises ValueError for all that RFC 8259 does not
    allow, and for a surrogate without its partner.
    """
    whole = _OpenContainer(is_object=False)
    open_containers = [whole]
    expected = "value"
    for kind, token in _json_tokens(text):
        current = open_containers[-1]
        if expected in ("value", "value or ]"):
            if token == "{":
                open_containers.append(_OpenContainer(is_object=True))
                expected = "key or }"
            elif token == "[":
                open_containers.append(_OpenContainer(is_object=False))
                expected = "value or ]"
            elif kind != "mark":
                current.values.append(_json_scalar(kind, token))
                expected = ", or end"
            elif token == "]" and expected == "value or ]":
                _close(open_containers)
                expected = ", or end"
            else:
                raise ValueError(f"{token} where a value belongs")
        elif expected in ("key", "key or }"):
            if kind == "string":
                current.keys.append(_json_string(token))
                expected = ":"
            elif token == "}" and expected == "key or }":
                _close(open_containers)
                expected = ", or end"
            else:
                raise ValueError(f"{token} where a key belongs")
        elif expected == ":":
            if token != ":":
                raise ValueError(f"{token} after a key")
            expected = "value"
        elif current is whole:
            raise ValueError(f"{token} after the end")
        elif token == ",":
            expected = "key" if current.is_object else "value"
        elif token == ("}" if current.is_object else "]"):
            _close(open_containers)
        else:
            raise ValueError(f"{token} after a value")
    if len(open_containers) != 1 or len(whole.values) != 1:
        raise ValueError("not one whole value")
    return whole.values[0]


def _json_tokens(text: str) -> Iterator[tuple[str, str]]:
    place = _end_of_space(text, 0)
    while place < len(text):
        match = _JSON_TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise ValueError(f"no JSON at character {place}")
        yield match.lastgroup, match.group()
        place = _end_of_space(text, match.end())


def _end_of_space(text: str, place: int) -> int:
    match = _JSON_SPACE.match(text, place)
    return match.end() if match else place


def _json_scalar(kind: str, token: str) -> Json:
    if kind == "string":
        return _json_string(token)
    if kind == "number":
        return JsonNumber(token)
    return _JSON_WORDS[token]


def _json_string(token: str) -> str:
    text: str = json.loads(token) if "\\" in token else token[1:-1]
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("a surrogate without its partner")
    return text


def _close(open_containers: list[_OpenContainer]) -> None:
    closed = open_containers.pop()
    open_containers[-1].values.append(closed.close())


# --- One line of CSV, as RFC 4180 has it ---


def split_csv_line(line: str) -> list[str]:
    """Split a line into its fields, quotes taken off. Raises ValueError on a stray quote."""
    fields: list[str] = []
    place = 0
    while True:
        text: list[str] = []
        if line[place : place + 1] == '"':
            place += 1
            while line[place : place + 1] != '"' or line[place : place + 2] == '""':
                if place >= len(line):
                    raise ValueError("a quote is never closed")
                text.append(line[place])
                place += 2 if line[place] == '"' else 1
            place += 1
            if line[place : place + 1] not in ("", ","):
                raise ValueError("text after a closing quote")
        else:
            while place < len(line) and line[place] != ",":
                if line[place] == '"':
                    raise ValueError("a quote inside a bare field")
                text.append(line[place])
                place += 1
        fields.append("".join(text))
        if place == len(line):
            return fields
        place += 1


# --- Files and their lines ---


@dataclass(frozen=True)
class RawFile:
    """One raw file after gunzip: its name and its rows as (physical line number, bytes)."""

    name: str
    content: bytes
    header: list[str]
    rows: list[tuple[int, bytes]]


_FILE_NAMES = {
    "prints": re.compile(r"prints.*\.(json|jsonl|ndjson)(\.gz)?", re.DOTALL),
    "taps": re.compile(r"taps.*\.(json|jsonl|ndjson)(\.gz)?", re.DOTALL),
    "pays": re.compile(r"pays.*\.csv(\.gz)?", re.DOTALL),
}


def read_files(raw_path: Path, source: str) -> list[RawFile]:
    """Read the files of a source in order of the code points of their names.

    Raises Stopped for everything that keeps a run from starting.
    """
    names = sorted(
        path.name
        for path in (raw_path.iterdir() if raw_path.is_dir() else [])
        if _FILE_NAMES[source].fullmatch(path.name)
    )
    if not names:
        raise Stopped(f"no file for {source} in {raw_path}")
    for name in names:
        if f"{name}.gz" in names:
            raise Stopped(f"{name} stands beside {name}.gz")
        if not (raw_path / name).is_file():
            raise Stopped(f"{name} is no file")
    files = [_read_file(raw_path / name, source) for name in names]
    first_with: dict[bytes, str] = {}
    for file in files:
        if file.rows and file.content in first_with:
            raise Stopped(f"{file.name} has the content of {first_with[file.content]}")
        first_with[file.content] = file.name
    return files


def _read_file(path: Path, source: str) -> RawFile:
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = _gunzip(path.name, content)
    if _looks_like_utf16(content):
        raise Stopped(f"{path.name} is UTF-16")
    # A line is blank if it is empty or holds only spaces and tabs; blank lines are no rows.
    lines = re.split(rb"\r\n|\n|\r", content.removeprefix(b"\xef\xbb\xbf"))
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip(b" \t")]
    header: list[str] = []
    if source == "pays" and rows:
        header = _parse_header(path.name, rows.pop(0)[1])
    return RawFile(path.name, content, header, rows)


def _gunzip(name: str, packed: bytes) -> bytes:
    # Without a single member there is nothing to unpack: a delivery cut at its first byte.
    if not packed:
        raise Stopped(f"{name} is a truncated gzip")
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Stopped(f"{name} is no whole gzip: {error}") from error


def _looks_like_utf16(content: bytes) -> bool:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or content[:4] == b"\x00\x00\xfe\xff":
        return True
    is_nul = [byte == 0 for byte in content[:4]]
    return is_nul in ([False, True, False, True], [True, False, True, False])


def _parse_header(name: str, line: bytes) -> list[str]:
    try:
        header = split_csv_line(_decode(line))
    except (BrokenRowError, ValueError) as error:
        raise Stopped(f"{name}: the header is malformed") from error
    for column in PAY_COLUMNS:
        if header.count(column) != 1:
            raise Stopped(f"{name}: the header must hold {column} once")
    return header


# --- One row ---


def _decode(line: bytes) -> str:
    """Decode a line; raises BrokenRowError if it is too long, holds a NUL or is not UTF-8."""
    if len(line) > LONGEST_LINE or b"\x00" in line:
        raise BrokenRowError("malformed")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenRowError("malformed") from error


def parse_event_line(line: bytes) -> JsonObject:
    """Parse the line of a print or tap; raises BrokenRowError where it is malformed."""
    try:
        value = parse_json(_decode(line))
    except ValueError as error:
        raise BrokenRowError("malformed") from error
    if not isinstance(value, JsonObject) or _repeats(value, EVENT_KEYS):
        raise BrokenRowError("malformed")
    event_data = value.get("event_data")
    if isinstance(event_data, JsonObject) and _repeats(event_data, EVENT_DATA_KEYS):
        raise BrokenRowError("malformed")
    return value


def _repeats(value: JsonObject, keys: Iterable[str]) -> bool:
    return any(value.names().count(key) > 1 for key in keys)


def unknown_event_keys(row: JsonObject) -> set[str]:
    """The keys of a print or tap that nothing reads."""
    unknown = {key for key in row.names() if key not in EVENT_KEYS}
    event_data = row.get("event_data")
    if isinstance(event_data, JsonObject):
        unknown |= {f"event_data.{k}" for k in event_data.names() if k not in EVENT_DATA_KEYS}
    return unknown


def check_event(row: JsonObject, run_date: date) -> Event:
    """Turn a well-formed print or tap into an event; raises BrokenRowError with its first fault."""
    day, user_id, event_data = (row.get(key) for key in EVENT_KEYS)
    if not isinstance(event_data, JsonObject):
        raise BrokenRowError("missing_field")
    position, value_prop = (event_data.get(key) for key in EVENT_DATA_KEYS)
    if any(_is_missing(value) for value in (day, user_id, position, value_prop)):
        raise BrokenRowError("missing_field")

    event = Event(
        day=_to_day(day),
        user_id=_to_whole_number(user_id),
        value_prop=_to_value_prop(value_prop),
        position=_to_whole_number(position),
    )

    _check_ranges(event.day, event.user_id, run_date)
    if not 0 <= event.position <= LARGEST_POSITION:
        raise BrokenRowError("out_of_range")
    return event


def parse_payment_line(line: bytes, header: list[str]) -> dict[str, str]:
    """Parse the line of a payment into its required columns; raises BrokenRowError if malformed."""
    try:
        fields = split_csv_line(_decode(line))
    except ValueError as error:
        raise BrokenRowError("malformed") from error
    if len(fields) != len(header):
        raise BrokenRowError("malformed")
    return {column: fields[header.index(column)] for column in PAY_COLUMNS}


def check_payment(row: dict[str, str], run_date: date) -> Payment:
    """Turn a well-formed row into a payment; raises BrokenRowError with its first fault."""
    if any(_is_missing(value) for value in row.values()):
        raise BrokenRowError("missing_field")

    day = _to_day(row["pay_date"])
    user_id = _to_whole_number(row["user_id"])
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", row["total"]):
        raise BrokenRowError("bad_type")
    total = Decimal(row["total"])

    _check_ranges(day, user_id, run_date)
    if total < 0 or total > LARGEST_TOTAL:
        raise BrokenRowError("out_of_range")
    # The rule named ROUND_HALF_UP rounds half away from zero; abs() turns -0 into 0.
    rounded = abs(total.quantize(CENT, rounding=ROUND_HALF_UP))
    return Payment(day, user_id, row["value_prop"], rounded)


def _is_missing(value: Json) -> bool:
    return value is None or (isinstance(value, str) and not value.strip(" \t"))


def _to_day(value: Json) -> date:
    match = isinstance(value, str) and re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", value)
    if not match:
        raise BrokenRowError("bad_type")
    year, month, day = (int(part) for part in match.groups())
    try:
        return date(year, month, day)
    except ValueError as error:
        raise BrokenRowError("bad_type") from error


def _to_whole_number(value: Json) -> int:
    if isinstance(value, JsonNumber) and re.fullmatch(r"-?[0-9]+", value.text):
        text = value.text
    elif isinstance(value, str) and re.fullmatch(r"[0-9]+", value):
        text = value
    else:
        raise BrokenRowError("bad_type")
    digits = text.lstrip("-0") or "0"
    # int() refuses thousands of digits; from 21 on a number is out of every range anyway.
    size = int(digits) if len(digits) <= 20 else 10**20
    return -size if text.startswith("-") else size


def _to_value_prop(value: Json) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise BrokenRowError("bad_type")
    return value


def _check_ranges(day: date, user_id: int, run_date: date) -> None:
    if day < FIRST_DAY or day.toordinal() > run_date.toordinal() + 1:
        raise BrokenRowError("out_of_range")
    if not 1 <= user_id <= LARGEST_USER_ID:
        raise BrokenRowError("out_of_range")


# --- All rows ---


@dataclass
class _Ledger:
    """What reading every row of the three sources gives."""

    prints: list[Event] = field(default_factory=list)
    taps: list[Event] = field(default_factory=list)
    pays: list[Payment] = field(default_factory=list)
    quarantine: list[QuarantinedRow] = field(default_factory=list)
    reconciliation: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    unknown_keys: set[tuple[str, str, str]] = field(default_factory=set)


def _read_everything(raw_path: Path, run_date: date) -> _Ledger:
    ledger = _Ledger()
    files_of = {source: read_files(raw_path, source) for source in SOURCES}
    for source in SOURCES:
        seen: set[Event] = set()
        for file in files_of[source]:
            kept = quarantined = 0
            if source == "pays":
                unknown_columns = set(file.header) - set(PAY_COLUMNS)
                ledger.unknown_keys |= {(source, file.name, name) for name in unknown_columns}
            for line_number, line in file.rows:
                try:
                    if source == "pays":
                        payment = parse_payment_line(line, file.header)
                        ledger.pays.append(check_payment(payment, run_date))
                    else:
                        row = parse_event_line(line)
                        unknown = unknown_event_keys(row)
                        ledger.unknown_keys |= {(source, file.name, key) for key in unknown}
                        event = check_event(row, run_date)
                        if event in seen:
                            raise BrokenRowError("duplicate")
                        seen.add(event)
                        (ledger.prints if source == "prints" else ledger.taps).append(event)
                    kept += 1
                except BrokenRowError as broken:
                    raw_text = line[:LONGEST_LINE].decode("utf-8", errors="backslashreplace")
                    ledger.quarantine.append(
                        (source, file.name, line_number, raw_text, broken.rule)
                    )
                    quarantined += 1
            ledger.reconciliation[source, file.name] = (len(file.rows), kept, quarantined)
    return ledger


# --- Weeks, gates and the mart ---


def monday_of(day: date) -> date:
    """The Monday of the ISO week that holds a day."""
    return day - timedelta(days=day.weekday())


def iso_week_of(day: date) -> str:
    """The label of the ISO week that holds a day, such as 2020-W48."""
    year, week, _ = day.isocalendar()
    return f"{year:04d}-W{week:02d}"


def print_id_of(event: Event) -> str:
    """The surrogate key of a print."""
    parts = (event.day.isoformat(), str(event.user_id), event.value_prop, str(event.position))
    return hashlib.md5("-".join(parts).encode("utf-8"), usedforsecurity=False).hexdigest()


def report_weeks_of(cut_off: date, parameters: Parameters) -> list[date]:
    """The Mondays of the report weeks for a cut-off, oldest first."""
    last_monday = monday_of(cut_off)
    is_finished = cut_off.weekday() == 6
    if parameters.week_rule == "complete" and not is_finished:
        last_monday -= timedelta(weeks=1)
    weeks_back = reversed(range(parameters.report_weeks))
    return [last_monday - timedelta(weeks=weeks) for weeks in weeks_back]


def compute(raw_path: Path, parameters: Parameters) -> Outcome:
    """Run the pipeline over a raw folder. Raises Stopped where a run cannot start.

    Without a valid print and without `as_of_date` there is no cut-off: no report week, no mart,
    the gate `report_week_without_prints` fails, and every tap is an orphan.
    """
    ledger = _read_everything(raw_path, parameters.run_date)
    cut_off = parameters.as_of_date or max((event.day for event in ledger.prints), default=None)

    prints = [event for event in ledger.prints if cut_off is None or event.day <= cut_off]
    taps = [event for event in ledger.taps if cut_off is None or event.day <= cut_off]
    pays = [payment for payment in ledger.pays if cut_off is None or payment.day <= cut_off]

    gate = set()
    if _exceeds_quarantine_rate(ledger, parameters.max_quarantine_rate):
        gate.add("quarantine_rate")
    if cut_off is None:
        week_starts, mart = [], []
        gate.add("report_week_without_prints")
    else:
        week_starts = report_weeks_of(cut_off, parameters)
        # The days of the report weeks up to the cut-off (a week under `latest` may be cut).
        end = min(week_starts[-1].toordinal() + 6, cut_off.toordinal())
        report_days = [
            date.fromordinal(number) for number in range(week_starts[0].toordinal(), end + 1)
        ]
        gate |= _completeness(prints, taps, pays, week_starts, report_days, parameters)
        mart = _build_mart(prints, taps, pays, report_days, parameters)

    existing_prints = set(prints)
    return Outcome(
        mart=mart,
        quarantine=ledger.quarantine,
        reconciliation=ledger.reconciliation,
        gate=gate,
        unknown_keys=ledger.unknown_keys,
        week_starts=week_starts,
        orphan_taps=sum(tap not in existing_prints for tap in taps),
        allow_incomplete=parameters.allow_incomplete,
    )


def _exceeds_quarantine_rate(ledger: _Ledger, max_rate: Decimal) -> bool:
    read: Counter[str] = Counter()
    for (source, _), (rows_read, _, _) in ledger.reconciliation.items():
        read[source] += rows_read
    broken = Counter(row[0] for row in ledger.quarantine if row[4] != "duplicate")
    # Multiplied, not divided: no rows read are a rate of 0.
    return any(broken[source] > Fraction(max_rate) * read[source] for source in SOURCES)


def _completeness(
    prints: list[Event],
    taps: list[Event],
    pays: list[Payment],
    week_starts: list[date],
    report_days: list[date],
    parameters: Parameters,
) -> set[str]:
    failed = set()
    days_with_prints = {event.day for event in prints}
    if set(week_starts) - {monday_of(day) for day in days_with_prints}:
        failed.add("report_week_without_prints")
    if parameters.week_rule == "complete" and set(report_days) - days_with_prints:
        failed.add("report_day_without_prints")
    tap_days = {tap.day for tap in taps}
    pay_days = {payment.day for payment in pays}
    for days in (tap_days, pay_days):
        if not days or max(days) < report_days[-1]:
            failed.add("source_ends_early")
    return failed


def _build_mart(
    prints: list[Event],
    taps: list[Event],
    pays: list[Payment],
    report_days: list[date],
    parameters: Parameters,
) -> list[MartRow]:
    """Prints, taps and payments are those up to the cut-off."""
    views: defaultdict[tuple[int, str], Counter[date]] = defaultdict(Counter)
    clicks: defaultdict[tuple[int, str], Counter[date]] = defaultdict(Counter)
    payments: defaultdict[tuple[int, str], dict[date, list[Decimal]]] = defaultdict(dict)
    for event in prints:
        views[event.user_id, event.value_prop][event.day] += 1
    for event in taps:
        clicks[event.user_id, event.value_prop][event.day] += 1
    for payment in pays:
        by_day = payments[payment.user_id, payment.value_prop]
        by_day.setdefault(payment.day, []).append(payment.total)

    tapped = set(taps)
    days = set(report_days)
    rows: list[MartRow] = []
    for event in prints:
        if event.day not in days:
            continue
        key = (event.user_id, event.value_prop)
        monday = monday_of(event.day)
        # The window is half open: its end, never later than the print's own day, is outside.
        end = monday if parameters.lookback_anchor == "week" else event.day
        start = end - timedelta(weeks=parameters.lookback_weeks)
        totals = [
            total
            for day, totals_of_day in payments[key].items()
            if start <= day < end
            for total in totals_of_day
        ]
        rows.append(
            (
                print_id_of(event),
                monday,
                iso_week_of(event.day),
                event.day,
                event.user_id,
                event.value_prop,
                event.position,
                event in tapped,
                sum(count for day, count in views[key].items() if start <= day < end),
                sum(count for day, count in clicks[key].items() if start <= day < end),
                len(totals),
                sum(totals, Decimal("0.00")),
            )
        )
    return sorted(rows, key=lambda row: (row[3], row[4], row[6], row[5]))
