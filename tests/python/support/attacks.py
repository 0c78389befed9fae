"""Shared by the attacks: their length, the record of their figures, and the assertions."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from support.command_process import Started
from support.harness import CLEAN, ROOT, manifest_of, published_rows, sha256, value_props

from value_props.publish.out_path import edition_at

# `make torture` sets the variable. Without it, attacks are short.
IS_LONG = "VALUE_PROPS_TORTURE" in os.environ
FIGURES = ROOT / "target" / "torture.jsonl"
RUN_DATE = ("--run-date", "2020-12-01")
UNEXPECTED = re.compile(r"Unexpected \w+|Traceback \(most recent")


def dose(short: int, full: int) -> int:
    """Return the number of tries of an attack: `full` in a long run, else `short`."""
    return full if IS_LONG else short


def draw(name: str) -> Random:
    """Return the random numbers of an attack. They are the same in each run."""
    return Random(name)


def record(attack: str, **figures: object) -> None:
    """Save the figures of a long run for the page on reliability. Short runs save nothing."""
    if IS_LONG:
        FIGURES.parent.mkdir(exist_ok=True)
        with FIGURES.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"attack": attack, **figures}, default=str) + "\n")


def variant(folder: Path, number: int) -> Path:
    """Write raw files whose mart is unlike others: the clean ones, with more payments."""
    folder.mkdir(parents=True)
    for path in CLEAN.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.name == "pays.csv":
            text += "".join(f"2020-11-10,{number}.25,{user},point\n" for user in range(1, 100))
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


def assert_told(code: int, said: str) -> None:
    """Assert that a run ended with a documented exit code, and explained a failure."""
    assert code in (0, 1, 2, 3, 4), said
    assert not UNEXPECTED.search(said), said
    told = (f"(exit {code})", "Interrupted", "Error: ")
    assert code == 0 or any(text in said for text in told), said


def assert_whole(out: Path) -> dict[str, Any]:
    """Assert that readers find the files of one run, as its manifest describes them.

    Returns:
        The manifest.
    """
    manifest = manifest_of(out)
    for output in manifest["outputs"]:
        assert sha256(out / output["name"]) == output["sha256"], output["name"]
    edition = edition_at(out)
    assert edition
    assert {path.name for path in out.iterdir() if path.is_symlink()} == {
        "current", *edition.stable_names
    }  # fmt: skip
    [(rows,)] = published_rows(out, "select count(*) from marts.fct_prints")
    assert rows == manifest["rows_in_mart"]
    return manifest


def assert_recorded_once(out: Path, started: set[str]) -> None:
    """Assert that the history lists each started run exactly once."""
    answer = value_props("history", "--out", out, "--limit", "100000", "--json", exit_code=0)
    told = [run["run_id"] for run in json.loads(answer.stdout)]
    assert len(told) == len(set(told))
    assert started <= set(told), started - set(told)


def run_to_its_end(*arguments: str | Path, **options: Any) -> tuple[int, str]:
    """Run the command to its end, and return its exit code and output.

    Args:
        arguments: arguments of `value-props`.
        options: other fields of `Started`.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = Started(arguments, Path(folder) / "said", **options)
        return started.wait(), started.said


def attempt(out: Path, raw: Path, *arguments: str, **options: Any) -> tuple[int, str]:
    """Try to build, and return the exit code and output of the run."""
    command = ("build", "--raw", raw, "--out", out, *RUN_DATE, "--make-current")
    return run_to_its_end(*command, *arguments, **options)


def build_whole(out: Path, raw: Path, *arguments: str, **options: Any) -> dict[str, Any]:
    """Build, and assert that readers find the files of this run.

    Returns:
        The manifest.
    """
    code, said = attempt(out, raw, *arguments, **options)
    assert code == 0, said
    manifest = assert_whole(out)
    assert manifest["raw_path"] == str(raw)
    return manifest
