"""The versions of tools and dbt packages that compute a run, and the git commit."""

from __future__ import annotations

import filecmp
import importlib.metadata
import platform
import shutil
import subprocess  # nosec B404
from pathlib import Path

from value_props.logs import logger
from value_props.record.facts import PACKAGE
from value_props.run.packages import locked_packages

DISTRIBUTIONS = ("value-props", "dbt-core", "dbt-duckdb", "duckdb")


def versions(project: Path) -> dict[str, str]:
    """Return versions by name.

    Names of dbt packages, and the entry for their origin, begin with PACKAGE.
    """
    packages = {package["name"]: package["version"] for package in locked_packages(project)}
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in DISTRIBUTIONS},
        f"{PACKAGE}installed_from": packages_origin(project),
        **{f"{PACKAGE}{name}": version for name, version in packages.items()},
    }


def packages_origin(project: Path) -> str:
    """Return `hub` or `standin`: which packages are in dbt_packages/."""
    stand_in, installed = (
        folder / "dbt_utils" / "dbt_project.yml"
        for folder in (project / "packages", project / "dbt_packages")
    )
    is_stand_in = installed.is_file() and filecmp.cmp(stand_in, installed, shallow=False)
    return "standin" if is_stand_in else "hub"


def git_commit(project: Path) -> str | None:
    """Return the commit, with `-dirty` if files differ from it; None without git."""
    git = shutil.which("git")
    if not git or not (project / ".git").exists():
        return None
    command = [git, "-C", str(project), "describe", "--always", "--dirty", "--abbrev=40"]
    answer = subprocess.run(  # nosec B603
        [*command, "--exclude", "*"],
        capture_output=True,
        errors="replace",
        check=False,
        encoding="utf-8",
    )
    if answer.returncode:
        # For example, git refuses a repository that another user owns.
        fault = " ".join(answer.stderr.split()) or f"it exits with {answer.returncode}"
        logger.warning("step=start problem=git cannot name the commit: %s", fault)
    return answer.stdout.strip() or None
