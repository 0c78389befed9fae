"""The rules of one row for the independent reference: whether it is valid, or its first fault.

Like reference.py, it was written only from the rules of the data.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import NoReturn, TypeAlias

PAY_COLUMNS = ("pay_date", "total", "user_id", "value_prop")
EVENT_KEYS = ("day", "user_id", "event_data")
EVENT_DATA_KEYS = ("position", "value_prop")

LONGEST_LINE = 16 * 1024 * 1024  # bytes, without the terminator
FIRST_DAY = date(2000, 1, 1)
LARGEST_USER_ID = 2**63 - 1
LARGEST_POSITION = 2**31 - 1
LARGEST_TOTAL = Decimal(10) ** 12
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Event:
    """A valid print or tap. Equal events are redeliveries."""

    day: date
    user_id: int
    value_prop: str
    position: int


@dataclass(frozen=True)
class Payment:
    """A valid payment. `total` has two decimals."""

    day: date
    user_id: int
    value_prop: str
    total: Decimal


class BrokenRowError(Exception):
    """A row breaks the rule in `rule`."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


# --- One line of JSON by RFC 8259 ---

# Greatest depth of nesting that the reference reads. Python's own limit is lower.
DEEPEST = 10_000


@dataclass(frozen=True)
class JsonNumber:
    """A JSON number, kept as its text."""

    text: str


@dataclass(frozen=True)
class JsonObject:
    """A JSON object with all its pairs, including repeated keys."""

    pairs: list[tuple[str, Json]]

    def names(self) -> list[str]:
        """Return its keys in their order, with escapes decoded."""
        return [key for key, _ in self.pairs]

    def get(self, wanted: str) -> Json:
        """Return the value of a key. None if the key is absent or its value is null."""
        return next((value for key, value in self.pairs if key == wanted), None)


Json: TypeAlias = JsonObject | list["Json"] | str | JsonNumber | bool | None


def parse_json(text: str) -> Json:
    """Parse one JSON text strictly. Keep repeated keys, and numbers as their texts.

    Raises:
        ValueError: RFC 8259 does not allow the text, half of a surrogate pair stands alone, or
            the text is nested too deeply.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEPEST)
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=JsonObject,
            parse_constant=_refuse,
            parse_int=JsonNumber,
            parse_float=JsonNumber,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    finally:
        sys.setrecursionlimit(limit)
    for each in _strings_in(value):
        # encode() fails if half of a surrogate pair stands alone.
        each.encode("utf-8")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _strings_in(value: Json) -> Iterator[str]:
    """Yield all strings of a value, including keys."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            left += each
        elif isinstance(each, JsonObject):
            yield from each.names()
            left += [member for _, member in each.pairs]


# --- One line of CSV by RFC 4180 ---

_CSV_FIELD = r'(?:"[^"]*+(?:""[^"]*+)*+"|[^",]*+)'
_CSV_LINE = re.compile(rf"{_CSV_FIELD}(?:,{_CSV_FIELD})*+")
_CSV_FIELDS = re.compile(rf"(?:^|,)({_CSV_FIELD})")


def split_csv_line(line: str) -> list[str]:
    """Split a line into its fields without their quotes.

    Raises:
        ValueError: a quote is misplaced.
    """
    if not _CSV_LINE.fullmatch(line):
        raise ValueError("a stray quote")
    fields = _CSV_FIELDS.findall(line)
    return [field[1:-1].replace('""', '"') if field[:1] == '"' else field for field in fields]


# --- One row ---


def decode(line: bytes) -> str:
    """Decode a line.

    Raises:
        BrokenRowError: the line is too long, contains NUL, or is not UTF-8.
    """
    if len(line) > LONGEST_LINE or b"\x00" in line:
        raise BrokenRowError("malformed")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenRowError("malformed") from error


def parse_event_line(line: bytes) -> JsonObject:
    """Parse the line of a print or tap.

    Raises:
        BrokenRowError: the line is malformed.
    """
    try:
        value = parse_json(decode(line))
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
    """Return the keys of a print or tap that no rule knows."""
    unknown = {key for key in row.names() if key not in EVENT_KEYS}
    event_data = row.get("event_data")
    if isinstance(event_data, JsonObject):
        unknown |= {f"event_data.{k}" for k in event_data.names() if k not in EVENT_DATA_KEYS}
    return unknown


def check_event(row: JsonObject, run_date: date) -> Event:
    """Turn a well-formed print or tap into an event.

    Raises:
        BrokenRowError: the row breaks a rule. The error has the first rule that it breaks.
    """
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
    """Parse the line of a payment into its required columns.

    Raises:
        BrokenRowError: the line is malformed.
    """
    try:
        fields = split_csv_line(decode(line))
    except ValueError as error:
        raise BrokenRowError("malformed") from error
    if len(fields) != len(header):
        raise BrokenRowError("malformed")
    return {column: fields[header.index(column)] for column in PAY_COLUMNS}


def check_payment(row: dict[str, str], run_date: date) -> Payment:
    """Turn a well-formed row into a payment.

    Raises:
        BrokenRowError: the row breaks a rule. The error has the first rule that it breaks.
    """
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
    # int() refuses thousands of digits. A number with 21 or more digits is out of every range.
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
