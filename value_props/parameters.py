"""Read what users set: the parameters of a run, switches and folders.

Names, defaults and limits of the parameters are in dbt_project.yml (vars.parameters), because plain
dbt reads them too.
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
    """Parse a switch. Case does not matter, and an empty text is off.

    Args:
        text: the text that the user gave.
        where: the flag or variable, for the error.

    Raises:
        ValuePropsError: the text is neither on nor off.
    """
    try:
        return SWITCHES[text.strip().lower() or "off"]
    except KeyError:
        raise _refused(text, where, ALLOWED_SWITCHES) from None


def folder_of(text: str, where: str) -> Path:
    """Return the absolute path of a folder that the user names; `~` is the home folder.

    Args:
        text: the text that the user gave.
        where: the flag or variable, for the error.

    Raises:
        ValuePropsError: there is no such home folder, or the current folder was removed.
    """
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise ValuePropsError(
            f"'{text}' names no folder ({error})", where, "Write the full path of the folder"
        ) from None


def is_date(text: str) -> bool:
    """Return whether a text is a calendar date written YYYY-MM-DD."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Parameter:
    """A parameter: a dbt var that a run can set, as described in dbt_project.yml.

    Args:
        name: name of the dbt var.
        meaning: one line for the help.
        flag: flag of the command line.
        default: value used if the given one is empty.
        kind: date, integer, rate or switch; empty if `choices` are given.
        choices: the allowed texts; empty if `kind` is given.
        least: lowest allowed integer or rate.
        most: highest allowed integer or rate.
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
        """Whether the parameter is a switch; a bare flag on the command line means on."""
        return self.kind == "switch"

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        return {
            "": " or ".join(self.choices),
            "date": "a calendar date written YYYY-MM-DD",
            "integer": f"a whole number from {self.least} to {self.most}",
            "rate": f"a decimal number from {self.least} to {self.most}, such as 0.01",
            "switch": ALLOWED_SWITCHES,
        }[self.kind]

    def accepts(self, text: str) -> bool:
        """Return whether a text is an allowed value."""
        if self.kind == "date":
            return is_date(text)
        if self.kind == "switch":
            return text.lower() in SWITCHES
        pattern = {"integer": r"[0-9]{1,9}", "rate": r"[0-9]{1,9}([.][0-9]{1,9})?"}.get(self.kind)
        if pattern:
            return bool(re.fullmatch(pattern, text)) and self.least <= float(text) <= self.most
        return text in self.choices


def find_project() -> Path:
    """Return the folder of dbt_project.yml: the repository of this package, or the current folder.

    A package that was installed by copy is in no repository. The project must have the version of
    the package, because its models and the package belong together.

    Raises:
        ValuePropsError: neither folder holds a project of this version.
    """
    return _project()[0]


def _project() -> tuple[Path, dict[str, Any]]:
    """Return the folder and the content of dbt_project.yml; see find_project."""
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
    """Return the parameters of the project; none without one, so that other commands work."""
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
    """Check the values that the user gave, and leave out empty ones.

    Args:
        given: values by dbt var; an empty one means the default.

    Returns:
        The values for dbt's --vars.

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
