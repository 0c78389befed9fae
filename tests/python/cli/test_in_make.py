"""Who builds with make gives parameters by other names, and messages say them too."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.harness import DIRTY, ROOT, build, value_props

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def asked(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Have make show what it would run."""
    return subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=ROOT,
        env={**os.environ, "MAKEFLAGS": "", **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_a_message_under_make_says_how_make_spells_its_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("check", "--raw", DIRTY, "--lookback-weeks", "three")
    assert "With make" not in value_props(*arguments, exit_code=2).text
    monkeypatch.setenv("MAKELEVEL", "1")
    answer = value_props(*arguments, exit_code=2)
    assert answer.text.endswith("With make, write LOOKBACK=… for --lookback-weeks. (exit 2)")
    # The command line in this message has --out, and is to be used as it stands.
    answer = build(tmp_path, "--as-of", "2020-12-14", exit_code=1)
    assert "`value-props open --last --out " in answer.text
    # Neither is --to here, which two commands of make call by two names.
    assert answer.text.endswith("With make, write AS_OF=… for --as-of, FROM=… for --from. (exit 1)")


def test_a_summary_under_make_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKELEVEL", "1")
    assert "With make" not in build(tmp_path, "--serving-features").stdout
    lines = build(tmp_path).stdout.splitlines()
    said = lines.index("With make, write SERVING=1 for --serving-features.")
    assert lines[said - 1].startswith("Warning: The run before published features.parquet,")
    assert (
        build(tmp_path, "--as-of", "2020-11-22")
        .stdout.rstrip()
        .endswith(
            " or build with --make-current. With make, write MAKE_CURRENT=1 for --make-current."
        )
    )


def test_every_parameter_of_make_that_is_a_flag_can_be_said() -> None:
    [values] = re.findall(r"^VALUES := ((?:.*\\\n)*.*)$", MAKEFILE, re.M)
    said = re.findall(r'--[a-z-]+[ =]"\$\$([A-Z_]+)"', MAKEFILE)
    assert set(values.replace("\\", "").split()) - set(said) == {"SCALES"}


@pytest.mark.parametrize("name", ["LOOKBACKS", "lookback", "PYTHONS_"])
def test_make_refuses_a_parameter_that_it_does_not_know(name: str) -> None:
    answer = asked("build", f"{name}=2", "LOOKBACK=2")
    assert answer.returncode == 2
    assert f"*** {name}: no parameter has this name. Parameters are PYTHON RAW OUT" in answer.stderr
    assert answer.stdout == ""
    # Anybody's environment has names that are not ours.
    assert (
        asked("build", "LOOKBACK=2", "DBT_PACKAGES=hub", "VENV=.v", **{name: "2"}).returncode == 0
    )
