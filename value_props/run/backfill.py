"""A backfill: the weeks of a span, each as a build of its own would give it, in one pass.

A lookback ends before its print. So a print's row is the same whether the cut-off is the
Sunday of its own week or that of a later one, and a backfill is a build of several weeks
that is published by week.
"""

from __future__ import annotations

import datetime

from value_props.errors import ValuePropsError
from value_props.parameters import PARAMETERS, is_date

# Rows dated before it are not valid.
FIRST_DAY = datetime.date(2000, 1, 1)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def parameters_of(first_day: str, last_day: str) -> dict[str, str]:
    """The parameters of the build that holds the weeks of a span.

    Args:
        first_day: a Monday, YYYY-MM-DD.
        last_day: a Sunday on or after it, at most as many weeks on as a report may have.

    Returns:
        Texts by name of the var.

    Raises:
        ValuePropsError: a day is none, or another day of the week, or they are no such span.
    """
    first = _day_of_week("--from", first_day, "Monday")
    last = _day_of_week("--to", last_day, "Sunday")
    weeks = ((last - first).days + 1) // 7
    [most] = [parameter.most for parameter in PARAMETERS if parameter.name == "report_weeks"]
    if weeks < 1:
        raise ValuePropsError(
            f"{last} lies before {first}, the day of --from",
            "Parameter --to",
            f"Name a Sunday from {first + datetime.timedelta(days=6)} on",
        )
    if weeks > most:
        raise ValuePropsError(
            f"{first} to {last} are {weeks:,} weeks, and {most} are allowed",
            "Parameters --from and --to",
            f"Name a Sunday up to {first + datetime.timedelta(days=7 * most - 1)}",
        )
    return {
        "as_of_date": last.isoformat(),
        "week_rule": "complete",
        "report_weeks": str(weeks),
    }


def _day_of_week(flag: str, text: str, weekday: str) -> datetime.date:
    where = f"Parameter {flag}"
    allowed = f"a {weekday} from {FIRST_DAY.year} on, written YYYY-MM-DD"
    if not is_date(text) or datetime.date.fromisoformat(text) < FIRST_DAY:
        raise ValuePropsError(f"'{text}' is not allowed", where, f"Allowed is {allowed}")
    day = datetime.date.fromisoformat(text)
    days_since = (day.weekday() - _WEEKDAYS.index(weekday)) % 7
    if days_since:
        before = day.toordinal() - days_since
        near = [
            datetime.date.fromordinal(number).isoformat()
            for number in (before, before + 7)
            if number <= datetime.date.max.toordinal()
        ]
        raise ValuePropsError(
            f"{day} is a {_WEEKDAYS[day.weekday()]}, and weeks are whole",
            where,
            f"Name a {weekday}; the nearest are {' and '.join(near)}",
        )
    return day
