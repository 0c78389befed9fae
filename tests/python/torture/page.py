"""Write the figures of the last long run into docs/reliability.md, between its two marks."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
FIGURES, PAGE = ROOT / "target" / "torture.jsonl", ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- torture -->\n", "<!-- /torture -->"


def total(figures: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The figures of an attack that ran in several parts."""
    for name, value in more.items():
        is_count = isinstance(value, int) and name in figures
        figures[name] = figures[name] + value if is_count else value
    return figures


def spoken(figure: tuple[str, Any]) -> tuple[str, str]:
    """Name and value of a figure, for the table."""
    name, value = figure
    return name.replace("_", " "), spelled(value)


def spelled(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {spelled(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " and ".join(map(spelled, value))
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> None:
    """Replace the table."""
    by_attack: dict[str, dict[str, Any]] = {}
    for line in FIGURES.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        total(by_attack.setdefault(found.pop("attack"), {}), found)
    commit = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout.strip()
    rows = [
        f"| {attack} | {'; '.join(map(': '.join, map(spoken, found.items())))} |"
        for attack, found in sorted(by_attack.items())
    ]
    head = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, Python {platform.python_version()}"
    table = "\n".join([f"Last full run: {head}.", "", "| attack | figures |", "|---|---|", *rows])
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()
