"""Odd names of folders, surroundings and clocks: the same bytes, and the same order of runs."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from functools import partial
from pathlib import Path

from support.attacks import assert_whole, build_whole, dose, draw, record, run_to_its_end, variant
from support.harness import CLEAN, sha256

ODD_NAMES = [
    "a space",
    "o'brien",
    'say "so"',
    "100%",
    "%s%d",
    "[ab]*",
    "{a,b}",
    "user_id=7",
    "~",
    "~root",
    "$HOME",
    "$(touch canary)",
    "`touch canary`",
    "a;b&c|d",
    "back\\slash",
    "new\nline",
    "tab\there",
    "#hash",
    "-rf",
    "a:b",
    "n" * 200,
    unicodedata.normalize("NFC", "é中😀"),
    unicodedata.normalize("NFD", "é"),
    "\u202eright to left",
    " ends in a space ",
    "...",
    "data.duckdb",
]


def test_folders_may_have_any_name(tmp_path: Path) -> None:
    random = draw("names")
    names = random.sample(ODD_NAMES, dose(2, len(ODD_NAMES)))
    expected = set()
    for name in names:
        folder = tmp_path / name
        # DuckDB takes a backslash for the end of a folder's name, so such an out path is refused.
        raw, out = folder / "raw" / name, tmp_path / "out" / name.replace("\\", "")
        shutil.copytree(CLEAN, raw)
        build_whole(out, raw)
        expected.add(sha256(out / "final.csv"))
        for command in ("verify", "history"):
            assert run_to_its_end(command, "--out", out)[0] == 0, name
    assert len(expected) == 1
    assert not list(tmp_path.rglob("canary"))
    assert not (Path.cwd() / "canary").exists()
    record("names", tried=len(names))


def test_surroundings_do_not_change_the_bytes(tmp_path: Path) -> None:
    random = draw("surroundings")
    found = set()
    for number in range(dose(2, 12)):
        environment = {
            "TZ": random.choice(
                ["Pacific/Kiritimati", "America/St_Johns", "UTC", "Asia/Kathmandu"]
            ),
            "LC_ALL": random.choice(["C", "C.UTF-8", "POSIX", "tr_TR.UTF-8", "de_DE"]),
            "HOME": random.choice(["", str(tmp_path / "nowhere"), "/dev/null"]),
            "PYTHONHASHSEED": str(random.randrange(1000)),
        }
        out = tmp_path / f"out_{number}"
        umask = partial(os.umask, random.choice([0o000, 0o022, 0o077]))
        build_whole(out, CLEAN, environment=environment, prepare=umask)
        found.add((sha256(out / "final.csv"), sha256(out / "final.parquet")))
    assert len(found) == 1
    record("surroundings", tried=dose(2, 12))


def set_clock(seconds: float) -> None:
    """Have the clock of this process show another time: what names a run, and what it notes."""
    import datetime

    real = datetime.datetime

    class Clock(real):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real.now(tz) + datetime.timedelta(seconds=seconds)

    datetime.datetime = Clock  # type: ignore[misc]


def test_a_clock_that_goes_back_loses_no_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifests = []
    for number, years in enumerate((0, -10, 0, 5, 0)):
        raw = variant(tmp_path / f"raw_{number}", number)
        clock = partial(set_clock, years * 365 * 86400)
        manifests.append(build_whole(out, raw, prepare=clock))
    code, said = run_to_its_end("rollback", "--out", out)
    assert code == 0, said
    assert assert_whole(out)["run_id"] == manifests[-2]["run_id"]
    code, said = run_to_its_end("history", "--out", out, "--json")
    assert re.findall(r'"status": "([^"]+)"', said) == ["rolled back", *["published"] * 4]
