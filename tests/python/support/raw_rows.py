"""Make rows as texts for raw_data.py: in any valid spelling, or broken in one of many ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from support.odd_lines import (
    BROKEN_BYTES,
    BROKEN_CSV_LINES,
    BROKEN_CSV_TEXTS,
    BROKEN_JSON_LINES,
    BROKEN_JSON_TEXTS,
    BROKEN_MEMBERS,
    EXTRA_COLUMNS,
    EXTRA_DATA_MEMBERS,
    EXTRA_FIELDS,
    EXTRA_MEMBERS,
    EXTRA_TOP_MEMBERS,
    REPEATED_DATA_MEMBERS,
    REPEATED_TOP_MEMBERS,
)
from support.odd_values import (
    BAD_DAYS,
    BAD_JSON_NUMBERS,
    BAD_JSON_VALUES,
    BAD_TOTALS,
    BAD_WHOLE_NUMBERS,
    EVENT_DATA_MISSING,
    FAR_DAYS,
    FAR_POSITIONS,
    FAR_TOTALS,
    FAR_USER_IDS,
    MISSING_IN_JSON,
    TOTALS,
    VALUE_PROPS_OF_JSON_ONLY,
)

FIELD_RULES = ("missing_field", "bad_type", "out_of_range")


@dataclass(frozen=True)
class Event:
    """The values of a print, tap or payment. A payment has no position."""

    day: str
    user_id: int
    value_prop: str
    position: int


def _far_day(rng: Random, run_date: date) -> str:
    return rng.choice((*FAR_DAYS, (run_date + timedelta(days=2)).isoformat()))


class JsonWriter:
    """Writes prints and taps."""

    def plain_line(self, rng: Random, event: Event) -> bytes:
        del rng
        data = {"position": event.position, "value_prop": event.value_prop}
        row = {"day": event.day, "event_data": data, "user_id": event.user_id}
        return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()

    def line(self, rng: Random, event: Event) -> bytes:
        top = list(rng.sample(EXTRA_MEMBERS + EXTRA_TOP_MEMBERS, rng.choice((0, 0, 0, 1))))
        data = list(rng.sample(EXTRA_MEMBERS + EXTRA_DATA_MEMBERS, rng.choice((0, 0, 0, 1))))
        return self._object(rng, self._texts(rng, event), top, data).encode()

    def broken_line(self, rng: Random, event: Event, run_date: date) -> bytes:
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

    def _texts(self, rng: Random, event: Event) -> dict[str, str | None]:
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
            # A JSON number may not start with extra zeros, but a string of digits may.
            texts[name] = rng.choice((far, f'"{far}"', f'"00{far}"', f"-{far}", "-1"))
        else:
            far = rng.choice(FAR_USER_IDS)
            number = "0" if far == "000" else far
            texts["user_id"] = rng.choice((number, f'"{far}"', f"-{number}", "-0", "-1", "-98702"))

    def _object(
        self, rng: Random, texts: dict[str, str | None], top: list[str], data: list[str]
    ) -> str:
        """Join the texts of the values and further members to an object. None omits a value."""
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


class CsvWriter:
    """Writes the payments of one file. The layout sets the order of the columns."""

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

    def plain_line(self, rng: Random, event: Event) -> bytes:
        texts = self._texts(rng, event)
        texts["total"] = f"{rng.randint(0, 19995) / 100:.2f}"
        return self._join({name: _csv_text(text) for name, text in texts.items()})

    def line(self, rng: Random, event: Event) -> bytes:
        return self._join(self._spell(rng, self._texts(rng, event)))

    def broken_line(self, rng: Random, event: Event, run_date: date) -> bytes:
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

    def _texts(self, rng: Random, event: Event) -> dict[str, str]:
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


Writer = JsonWriter | CsvWriter


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
