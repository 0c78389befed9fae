"""A backfill: build all weeks of a span in one pass and publish a file per week.

Each file is identical to a build cut off on that week's Sunday. A lookback ends before its
print, so a later cut-off does not change the row of the print.
"""

from __future__ import annotations

import datetime

from value_props.errors import ValuePropsError
from value_props.parameters import PARAMETERS, is_date

# The row rules reject earlier dates.
FIRST_DAY = datetime.date(2000, 1, 1)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def parameters_of(first_day: str, last_day: str) -> dict[str, str]:
    """Return the parameters of the build that covers a span of weeks.

    Args:
        first_day: a Monday, YYYY-MM-DD.
        last_day: a later Sunday, YYYY-MM-DD. The span has at most as many weeks as report_weeks
            allows.

    Returns:
        Parameter values by dbt var.

    Raises:
        ValuePropsError: a date is not valid or falls on the wrong weekday, or the span is empty or
            too long.
    """
    first = _day_of_week("--from", first_day, "Monday")
    last = _day_of_week("--to", last_day, "Sunday")
    weeks = ((last - first).days + 1) // 7
    [most] = [parameter.most for parameter in PARAMETERS if parameter.name == "report_weeks"]
    if weeks < 1:
        raise ValuePropsError(
            f"{last} is before {first}, the day of --from",
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
