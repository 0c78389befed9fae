"""What a user may set: the parameters of a run with their rules, switches, and folders.

`macros/run_parameter.sql` holds the same rules for plain dbt; a test keeps them together.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from value_props.errors import ValuePropsError

SWITCHES = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
ALLOWED_SWITCHES = "1, true, yes or on; or 0, false, no or off"


def switch_of(text: str, where: str) -> bool:
    """Read a switch, in any case; an empty text is off.

    Args:
        text: as the user gave it.
        where: what the error names: a flag or variable.

    Raises:
        ValuePropsError: it is neither on nor off.
    """
    try:
        return SWITCHES[text.strip().lower() or "off"]
    except KeyError:
        raise _refused(text, where, ALLOWED_SWITCHES) from None


def folder_of(text: str, where: str) -> Path:
    """The folder that a user names, as an absolute path; `~` is the home folder.

    Args:
        text: as the user gave it.
        where: what the error names: a flag or variable.

    Raises:
        ValuePropsError: the user whose home it names has none, or the current folder is gone.
    """
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise ValuePropsError(
            f"'{text}' leads to no folder ({error})", where, "Write the whole path of the folder"
        ) from None


def is_date(text: str) -> bool:
    """Whether a text is a calendar date written YYYY-MM-DD."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_whole(first: int, last: int) -> Callable[[str], bool]:
    return lambda text: bool(re.fullmatch(r"[0-9]{1,9}", text)) and first <= int(text) <= last


def _is_rate(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,9}([.][0-9]{1,9})?", text)) and 0 <= float(text) <= 1


def _is_one_of(*choices: str) -> Callable[[str], bool]:
    return lambda text: text in choices


@dataclass(frozen=True)
class Parameter:
    """One dbt var that a run can set.

    Args:
        name: of the var.
        flag: of the command line.
        default: used where the value is empty.
        meaning: one line for the help.
        allowed: what a value may be, in words.
        accepts: whether a text is such a value.
        is_switch: whether it is on or off; the command line takes the bare flag for on.
    """

    name: str
    flag: str
    default: str
    meaning: str
    allowed: str
    accepts: Callable[[str], bool]
    is_switch: bool = False


PARAMETERS = (
    Parameter(
        "as_of_date",
        "--as-of",
        "",
        "Cut-off: rows dated after it do not exist. Default: the latest day with a print.",
        "a calendar date written YYYY-MM-DD",
        is_date,
    ),
    Parameter(
        "week_rule",
        "--week-rule",
        "complete",
        "complete: the last week that is over at the cut-off. latest: the week that holds it.",
        "complete or latest",
        _is_one_of("complete", "latest"),
    ),
    Parameter(
        "report_weeks",
        "--report-weeks",
        "1",
        "How many consecutive weeks, ending with that one.",
        "a whole number from 1 to 520",
        _is_whole(1, 520),
    ),
    Parameter(
        "lookback_weeks",
        "--lookback-weeks",
        "3",
        "Length of the lookback in weeks.",
        "a whole number from 1 to 104",
        _is_whole(1, 104),
    ),
    Parameter(
        "lookback_anchor",
        "--lookback-anchor",
        "week",
        "week: look back from the Monday of the print's week. print: from the print's own day.",
        "week or print",
        _is_one_of("week", "print"),
    ),
    Parameter(
        "max_quarantine_rate",
        "--max-quarantine-rate",
        "0.01",
        "Highest share of quarantined rows that a source may have.",
        "a decimal number from 0 to 1, such as 0.01",
        _is_rate,
    ),
    Parameter(
        "allow_incomplete",
        "--allow-incomplete",
        "false",
        "Warn, and do not fail, where a day has no print or a source ends early.",
        ALLOWED_SWITCHES,
        lambda text: text.lower() in SWITCHES,
        is_switch=True,
    ),
    Parameter(
        "run_date",
        "--run-date",
        "",
        "The date of the run, in UTC. Default: today.",
        "a calendar date written YYYY-MM-DD",
        is_date,
    ),
)


def check_parameters(given: Mapping[str, str]) -> dict[str, str]:
    """Check the values that were given and leave out the empty ones.

    Args:
        given: text by name of the var; empty means the default.

    Returns:
        What to hand to dbt as vars.

    Raises:
        ValuePropsError: a value is not allowed.
    """
    known = {parameter.name: parameter for parameter in PARAMETERS}
    checked = {}
    for name, text in given.items():
        if text == "":
            continue
        parameter = known[name]
        if not parameter.accepts(text):
            raise _refused(text, f"Parameter {name} ({parameter.flag})", parameter.allowed)
        checked[name] = str(SWITCHES[text.lower()]).lower() if parameter.is_switch else text
    return checked


def _refused(text: str, where: str, allowed: str) -> ValuePropsError:
    return ValuePropsError(f"'{text}' is not allowed", where, f"Allowed is {allowed}")
