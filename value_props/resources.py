"""Limits of a run: memory, threads, and size and folder of temporary files.

Flags win over VALUE_PROPS_ variables, and these over the defaults, which are those of profiles.yml.
During a run the variables hold the resolved values in one spelling, because dbt parses the project
again when the text of a variable changes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from value_props.errors import ValuePropsError
from value_props.files import remove_tree
from value_props.parameters import folder_of

_UNITS = {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
_BY_LOWER = {unit.lower(): unit for unit in _UNITS}
# With less memory, DuckDB cannot join even the smallest tables.
_LEAST_BYTES = 50 * 1000**2
_MOST_THREADS = 256


@dataclass(frozen=True)
class Resource:
    """A limit that the user can set.

    Args:
        name: name of the field of Resources.
        default: value used if neither flag nor variable is set.
        meaning: one line for the help.
        metavar: placeholder for the value in the help.
    """

    name: str
    default: str
    meaning: str
    metavar: str

    @property
    def flag(self) -> str:
        """The flag of the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"VALUE_PROPS_{self.name.upper()}"


RESOURCES = (
    Resource("memory_limit", "2GB", "Memory that DuckDB takes before it writes to disk.", "SIZE"),
    Resource(
        "threads", "2", "How many models and tests run at a time, and DuckDB's threads.", "NUMBER"
    ),
    Resource(
        "temp_dir", "", "Folder for DuckDB's temporary files. Default: the out path.", "FOLDER"
    ),
    Resource("max_temp_size", "20GB", "Size of the temporary files at which a run fails.", "SIZE"),
)


@dataclass(frozen=True)
class Resources:
    """The checked limits of a run.

    Args:
        memory_limit: memory of DuckDB, such as 2GB.
        threads: threads of dbt and of DuckDB, 1 to 256.
        temp_dir: folder of temporary files; None for the work folder of the run.
        max_temp_size: total size of temporary files, such as 20GB.
    """

    memory_limit: str
    threads: int
    temp_dir: Path | None
    max_temp_size: str

    def settings(self) -> dict[str, str]:
        """Return the settings for DuckDB when it opens a database."""
        found = {
            "memory_limit": self.memory_limit,
            "threads": str(self.threads),
            "max_temp_directory_size": self.max_temp_size,
        }
        return {**found, "temp_directory": str(self.temp_dir)} if self.temp_dir else found

    def variables(self, temp_dir: Path) -> dict[str, str]:
        """Return the environment variables that profiles.yml reads.

        Args:
            temp_dir: folder of temporary files if the user gave none.
        """
        return {
            "VALUE_PROPS_MEMORY_LIMIT": self.memory_limit,
            "VALUE_PROPS_THREADS": str(self.threads),
            "VALUE_PROPS_TEMP_DIR": str(self.temp_dir or temp_dir),
            "VALUE_PROPS_MAX_TEMP_SIZE": self.max_temp_size,
        }

    @contextmanager
    def in_force(self, work: Path) -> Iterator[None]:
        """Context manager that applies the limits to every connection of a run.

        At the end it removes the temporary files.

        Args:
            work: work folder of the run; no other run uses it at the same time.

        Raises:
            ValuePropsError: the folder for temporary files cannot be written.
        """
        work = work.absolute()
        own = work / "duckdb_temp"
        if self.temp_dir:
            # Several out paths may share the folder, so each run needs its own subfolder.
            key = hashlib.sha256(str(work).encode()).hexdigest()[:12]
            own = self.temp_dir / f"value_props_{key}"
            _check_folder(self.temp_dir)
            # A killed run may have left files.
            remove_tree(own)
        bounded = Resources(self.memory_limit, self.threads, own, self.max_temp_size)
        try:
            with environment(**bounded.variables(own)):
                yield
        finally:
            remove_tree(own)


def resolve(given: Mapping[str, str] | None = None) -> Resources:
    """Return the limits from flags, else the environment, else the defaults.

    Args:
        given: texts of flags by name of the resource; an empty one means not given.

    Raises:
        ValuePropsError: a value is not allowed.
    """
    texts = {
        resource.name: (given or {}).get(resource.name, "").strip()
        or os.environ.get(resource.variable, "").strip()
        or resource.default
        for resource in RESOURCES
    }
    return Resources(
        memory_limit=_size("memory_limit", texts, _LEAST_BYTES),
        threads=_threads(texts),
        temp_dir=folder_of(texts["temp_dir"], _name_of("temp_dir")) if texts["temp_dir"] else None,
        max_temp_size=_size("max_temp_size", texts, 0),
    )


def _size(name: str, texts: Mapping[str, str], least: int) -> str:
    """Parse a size and spell it as a whole number of the largest possible unit."""
    match = re.fullmatch(r"([0-9]{1,15}(?:[.][0-9]{1,9})?) ?([A-Za-z]{2,3})", texts[name])
    unit = _BY_LOWER.get(match[2].lower()) if match else None
    size = Decimal(match[1]) * _UNITS[unit] if match and unit else Decimal(-1)
    if size < least or size >= 2**63:
        floor = f", {_spelled(least)} at least" if least else ""
        raise _refused(
            name, texts[name], f"a number with KB, MB, GB, TB, KiB, MiB, GiB or TiB{floor}"
        )
    return _spelled(int(size))


def _spelled(size: int) -> str:
    for unit, factor in sorted(_UNITS.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size // 1000}KB"


def _threads(texts: Mapping[str, str]) -> int:
    text = texts["threads"]
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= _MOST_THREADS:
        raise _refused("threads", text, f"a whole number from 1 to {_MOST_THREADS}")
    return int(text)


def _refused(name: str, text: str, allowed: str) -> ValuePropsError:
    return ValuePropsError(f"'{text}' is not allowed", _name_of(name), f"Allowed is {allowed}")


def _name_of(name: str) -> str:
    [resource] = [resource for resource in RESOURCES if resource.name == name]
    return f"Parameter {name} ({resource.flag} or {resource.variable})"


def _check_folder(folder: Path) -> None:
    reason = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
    if reason is None and not os.access(folder, os.W_OK | os.X_OK):
        reason = "it cannot be written"
    if reason is not None:
        raise ValuePropsError(
            f"'{folder}' cannot hold temporary files ({reason})",
            _name_of("temp_dir"),
            "Name a folder that can be written",
        )


@contextmanager
def environment(*, without: str | None = None, **values: str) -> Iterator[None]:
    """Context manager that changes environment variables and restores them at the end.

    Args:
        without: prefix of the variables to remove; None removes none.
        values: variables to set, by name.
    """
    gone = [name for name in os.environ if without and name.startswith(without)]
    before = {name: os.environ.get(name) for name in (*gone, *values)}
    for name in gone:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
