"""Install the dbt packages from the hub, or the stand-ins if the hub cannot be reached."""

from __future__ import annotations

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


def install_packages(project: Path, wanted: str) -> str:
    """Fill dbt_packages/.

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
    if wanted == "standin":
        reason = "as asked"
    elif not (fault := _hub_fault()):
        is_new = _install_from_hub(project)
        return "dbt packages: from the hub, as package-lock.yml pins them" if is_new else ""
    elif wanted == "hub":
        raise ValuePropsError(
            f"it cannot be reached ({fault})",
            "dbt package hub",
            "Try again later, or use the stand-ins with DBT_PACKAGES=standin",
        )
    else:
        reason = f"since the hub does not answer ({fault})"
    is_new = _install_stand_ins(project)
    return f"dbt packages: the stand-ins in packages/, {reason}" if is_new else ""


def are_installed(project: Path) -> bool:
    """Return whether dbt_packages/ holds every package of package-lock.yml."""
    return all(
        (project / "dbt_packages" / package["name"] / "dbt_project.yml").is_file()
        for package in locked_packages(project)
    )


def locked_packages(project: Path) -> list[dict[str, str]]:
    """Return the entries of package-lock.yml, each with `name` and `version`."""
    text = (project / "package-lock.yml").read_text(encoding="utf-8")
    found: list[dict[str, str]] = yaml.safe_load(text)["packages"]
    return found


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


def _install_from_hub(project: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=project, prefix=".dbt_deps_") as scratch:
        folder = Path(scratch)
        for name in ("packages.yml", "package-lock.yml"):
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
        return _replace_packages(project, folder / "dbt_packages")


def _install_stand_ins(project: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=project, prefix=".dbt_deps_") as scratch:
        copies = Path(scratch) / "dbt_packages"
        shutil.copytree(project / "packages", copies, ignore=shutil.ignore_patterns("README.md"))
        return _replace_packages(project, copies)


def _replace_packages(project: Path, filled: Path) -> bool:
    """Return whether it was necessary."""
    installed = project / "dbt_packages"
    # Between the two renames there is no folder, so skip them if nothing changed.
    if _contents_of(installed) == _contents_of(filled):
        return False
    if installed.is_symlink():
        installed.unlink()
    elif installed.exists():
        move(installed, filled.parent / "old")
    move(filled, installed)
    return True


def _contents_of(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
