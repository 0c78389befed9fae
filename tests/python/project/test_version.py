"""The version is the same wherever it stands, and CHANGELOG.md tells of it."""

from __future__ import annotations

import re
import tomllib

import yaml
from support.harness import ROOT, value_props

from value_props import __version__


def test_package_project_and_changelog_have_one_version() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert settings["project"]["version"] == project["version"] == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(
        r"^## (\d+\.\d+\.\d+)(?: \(unreleased\)| - \d{4}-\d\d-\d\d)?$", changelog, re.M
    )
    assert versions[0] == __version__
    assert versions == sorted(set(versions), key=lambda text: [*map(int, text.split("."))])[::-1]
    assert len(versions) == len(re.findall("^## ", changelog, re.M))


def test_the_command_prints_its_version() -> None:
    assert __version__ in value_props("--version", exit_code=0).stdout
