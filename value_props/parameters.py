"""What a user may set: the parameters of a run, switches, and folders.

The parameters and their limits stand in dbt_project.yml, where plain dbt reads them as well.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from value_props import __version__
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


@dataclass(frozen=True)
class Parameter:
    """One dbt var that a run can set, as dbt_project.yml has it.

    Args:
        name: of the var.
        meaning: one line for the help.
        flag: of the command line.
        default: used where the value is empty.
        kind: date, integer, rate or switch; empty where there are choices.
        choices: the texts that are allowed, if they are so few.
        least: of an integer or a rate.
        most: of an integer or a rate.
    """

    name: str
    meaning: str
    flag: str
    default: str = ""
    kind: str = ""
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off; the command line takes the bare flag for on."""
        return self.kind == "switch"

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        return {
            "": " or ".join(self.choices),
            "date": "a calendar date written YYYY-MM-DD",
            "integer": f"a whole number from {self.least} to {self.most}",
            "rate": f"a decimal number from {self.least} to {self.most}, such as 0.01",
            "switch": ALLOWED_SWITCHES,
        }[self.kind]

    def accepts(self, text: str) -> bool:
        """Whether a text is an allowed value."""
        if self.kind == "date":
            return is_date(text)
        if self.kind == "switch":
            return text.lower() in SWITCHES
        pattern = {"integer": r"[0-9]{1,9}", "rate": r"[0-9]{1,9}([.][0-9]{1,9})?"}.get(self.kind)
        if pattern:
            return bool(re.fullmatch(pattern, text)) and self.least <= float(text) <= self.most
        return text in self.choices


def find_project() -> Path:
    """The folder of dbt_project.yml: the one this package lies in, or else the current one.

    A package that was installed by copy lies in none; the models of another version than its own
    would not go with it.

    Raises:
        ValuePropsError: neither holds a project of this version.
    """
    return _project()[0]


def _project() -> tuple[Path, dict[str, Any]]:
    """The folder of the project, and what its dbt_project.yml says; see find_project."""
    for folder in (Path(__file__).resolve().parents[1], Path.cwd()):
        path = folder / "dbt_project.yml"
        if path.is_file() and (folder / "value_props").is_dir():
            settings: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            if settings["version"] != __version__:
                raise ValuePropsError(
                    f"it is version {settings['version']}, and the installed command is"
                    f" {__version__}",
                    f"Project {folder}",
                    "Install the command from the project: `pip install --editable .`",
                )
            return folder, settings
    raise ValuePropsError(
        "there is no dbt_project.yml here",
        f"Folder {Path.cwd()}",
        "Change to the root of the value-props repository: the package alone has no models",
    )


def _parameters() -> tuple[Parameter, ...]:
    """Those of the project; none where there is no project, so that other commands work."""
    try:
        listed = _project()[1]["vars"]["parameters"]
    except (ValuePropsError, OSError):
        return ()
    return tuple(
        Parameter(
            name=name,
            meaning=rule["meaning"],
            flag=rule.get("flag", f"--{name.replace('_', '-')}"),
            default=rule.get("default", ""),
            kind=rule.get("kind", ""),
            choices=tuple(rule.get("choices", ())),
            least=rule.get("from", 0),
            most=rule.get("to", 0),
        )
        for name, rule in listed.items()
    )


PARAMETERS = _parameters()


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
