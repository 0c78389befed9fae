"""Install the dbt packages from the hub, or the stand-ins if the hub cannot be reached."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess  # nosec B404
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from value_props.errors import ValuePropsError
from value_props.files import move

HUB = "https://hub.getdbt.com/"
TIMEOUT_SECONDS = 3
LOCK = "package-lock.yml"
# It stands beside the stand-ins.
NO_PACKAGE = "README.md"


def install_packages(project: Path, wanted: str) -> str:
    """Fill dbt_packages/, unless it is filled: asking the hub takes longer than a small build.

    `dbt deps` empties the folder before it contacts the hub. So the hub is tried first, and dbt
    installs into a temporary folder that is then renamed.

    Args:
        project: root of the dbt project.
        wanted: `hub`, `standin`, or empty for the hub with the stand-ins as fallback.

    Returns:
        A line that says what was installed; empty if it was there already.

    Raises:
        ValuePropsError: `wanted` is not allowed, or the hub was wanted and cannot be reached.
    """
    if wanted not in ("", "hub", "standin"):
        raise ValuePropsError(
            f"'{wanted}' is not allowed",
            "Environment variable DBT_PACKAGES",
            "Set hub or standin, or leave it empty",
        )
    if wanted != "standin" and _holds_locked(project):
        return ""
    if wanted != "hub" and _holds_stand_ins(project):
        return ""
    if wanted == "standin":
        reason = "as asked"
    elif not (fault := _hub_fault()):
        _install_from_hub(project)
        return "dbt packages: from the hub, as package-lock.yml pins them"
    elif wanted == "hub":
        raise ValuePropsError(
            f"it cannot be reached ({fault})",
            "dbt package hub",
            "Try again later, or use the stand-ins with DBT_PACKAGES=standin",
        )
    else:
        reason = f"since the hub does not answer ({fault})"
    _install_stand_ins(project)
    return f"dbt packages: the stand-ins in packages/, {reason}"


def are_installed(project: Path) -> bool:
    """Return whether dbt_packages/ holds every package of package-lock.yml."""
    return all(
        (project / "dbt_packages" / package["name"] / "dbt_project.yml").is_file()
        for package in locked_packages(project)
    )


def locked_packages(project: Path) -> list[dict[str, str]]:
    """Return the entries of package-lock.yml, each with `name` and `version`."""
    text = (project / LOCK).read_text(encoding="utf-8")
    found: list[dict[str, str]] = yaml.safe_load(text)["packages"]
    return found


def _holds_locked(project: Path) -> bool:
    """Return whether dbt_packages/ was filled from the hub, as package-lock.yml is now."""
    copy = project / "dbt_packages" / LOCK
    return copy.is_file() and filecmp.cmp(copy, project / LOCK, shallow=False)


def _holds_stand_ins(project: Path) -> bool:
    """Return whether dbt_packages/ holds the stand-ins as they are now."""
    return _contents_of(project / "dbt_packages") == _contents_of(project / "packages")


def _hub_fault() -> str:
    hub = os.environ.get("DBT_PACKAGE_HUB_URL", HUB)
    url = hub.rstrip("/") + "/api/v1/dbt-labs/dbt_utils.json"
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return f"{hub} is no https address"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # nosec B310
            return "" if answer.status == 200 else f"status {answer.status}"
    except (OSError, urllib.error.URLError) as error:
        return str(getattr(error, "reason", error))


def _install_from_hub(project: Path) -> None:
    with tempfile.TemporaryDirectory(dir=project, prefix=".dbt_deps_") as scratch:
        folder = Path(scratch)
        for name in ("packages.yml", LOCK):
            shutil.copyfile(project / name, folder / name)
        (folder / "dbt_project.yml").write_text(
            "name: value_props_packages\nprofile: value_props\n"
            "flags: {send_anonymous_usage_stats: false}\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "dbt.cli.main", "deps", "--project-dir", scratch]
        profiles = ["--profiles-dir", str(project / "profiles")]
        answer = subprocess.run(  # nosec B603
            [*command, *profiles],
            capture_output=True,
            errors="replace",
            check=False,
            cwd=scratch,
            encoding="utf-8",
        )
        if answer.returncode:
            last_lines = "\n".join(answer.stdout.strip().splitlines()[-3:])
            raise ValuePropsError(
                f"dbt deps failed: {last_lines}",
                "dbt package hub",
                "Try again later, or use the stand-ins with DBT_PACKAGES=standin",
            )
        # It says what is in the folder; see _holds_locked.
        shutil.copyfile(project / LOCK, folder / "dbt_packages" / LOCK)
        _replace_packages(project, folder / "dbt_packages")


def _install_stand_ins(project: Path) -> None:
    with tempfile.TemporaryDirectory(dir=project, prefix=".dbt_deps_") as scratch:
        copies = Path(scratch) / "dbt_packages"
        shutil.copytree(project / "packages", copies, ignore=shutil.ignore_patterns(NO_PACKAGE))
        _replace_packages(project, copies)


def _replace_packages(project: Path, filled: Path) -> None:
    installed = project / "dbt_packages"
    if installed.is_symlink():
        installed.unlink()
    elif installed.exists():
        move(installed, filled.parent / "old")
    move(filled, installed)


def _contents_of(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != NO_PACKAGE
    }
