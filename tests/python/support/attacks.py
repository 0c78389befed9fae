"""What the attacks share: how long they last, what they leave as figures, and what has to hold."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from random import Random
from typing import Any

import duckdb
from support.command_process import Started
from support.harness import CLEAN, ROOT, sha256, value_props

from value_props.publish.out_path import edition_at

# `make torture` sets it; else each attack is a short one.
IS_LONG = "VALUE_PROPS_TORTURE" in os.environ
FIGURES = ROOT / "target" / "torture.jsonl"
RUN_DATE = ("--run-date", "2020-12-01")
UNEXPECTED = re.compile(r"Unexpected \w+|Traceback \(most recent")


def dose(short: int, full: int) -> int:
    """How often an attack is tried."""
    return full if IS_LONG else short


def draw(name: str) -> Random:
    """The random numbers of an attack, the same in each run."""
    return Random(name)


def record(attack: str, **figures: object) -> None:
    """Keep the figures of a long run for the page on reliability."""
    if IS_LONG:
        FIGURES.parent.mkdir(exist_ok=True)
        with FIGURES.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"attack": attack, **figures}, default=str) + "\n")


def variant(folder: Path, number: int) -> Path:
    """Raw files that give a mart of their own: the clean ones, and some payments of a user."""
    folder.mkdir(parents=True)
    for path in CLEAN.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.name == "pays.csv":
            text += "".join(f"2020-11-10,{number}.25,{user},point\n" for user in range(1, 100))
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


def assert_told(code: int, said: str) -> None:
    """That a run ended with an exit code that is documented, and a sentence where it failed."""
    assert code in (0, 1, 2, 3, 4), said
    assert not UNEXPECTED.search(said), said
    told = (f"(exit {code})", "Interrupted", "Error: ")
    assert code == 0 or any(text in said for text in told), said


def assert_whole(out: Path) -> dict[str, Any]:
    """That what readers find is the files of one run, as its manifest describes them.

    Returns:
        The manifest.
    """
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for output in manifest["outputs"]:
        assert sha256(out / output["name"]) == output["sha256"], output["name"]
    edition = edition_at(out)
    assert edition
    assert {path.name for path in out.iterdir() if path.is_symlink()} == {
        "current", *edition.stable_names
    }  # fmt: skip
    with duckdb.connect(str(out / "value_props.duckdb"), read_only=True) as connection:
        [(rows,)] = connection.execute("select count(*) from marts.fct_prints").fetchall()
    assert rows == manifest["rows_in_mart"]
    return manifest


def assert_recorded_once(out: Path, started: set[str]) -> None:
    """That each run that began is told once by the history."""
    answer = value_props("history", "--out", out, "--limit", "100000", "--json")
    assert answer.returncode == 0, answer.text
    told = [run["run_id"] for run in json.loads(answer.stdout)]
    assert len(told) == len(set(told))
    assert started <= set(told), started - set(told)


def run_to_its_end(output: Path, *arguments: str | Path, **options: Any) -> tuple[int, str]:
    """Run the command to its end: its exit code, and what it said."""
    started = Started(arguments, output, **options)
    return started.wait(), started.said
