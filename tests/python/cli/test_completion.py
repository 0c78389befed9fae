"""Completion in the shell, with real shells where they are installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from support.harness import ROOT, manifest_of, value_props
from support.terminal import run_in_terminal

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command under its name."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "value-props"
    code = "from value_props.cli.program import program; program()"
    program.write_text(
        f'#!/bin/sh\nexec {shlex.join([sys.executable, "-c", code])} "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    return folder


def with_program(
    programs: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The variables of a shell that finds the command."""
    path = f"{programs}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **variables}


def completed(
    programs: Path, line: str, variables: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Return what bash offers for the last word of a line."""
    words = line.split(" ")
    script = (
        'source <(value-props completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
        ' compopt() { printf "compopt %s %s\\n" "$@"; }; _value_props_completion value-props;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    answer = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        env=with_program(programs, variables),
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=ROOT,
    )
    assert answer.stderr == ""
    return answer.stdout.split("\n")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_is_printed_and_is_valid(shell: str) -> None:
    answer = value_props("completion", shell, exit_code=0)
    assert answer.stderr == ""
    assert f"_VALUE_PROPS_COMPLETE={shell}_complete" in answer.stdout
    assert "\\x" not in answer.stdout
    if program := shutil.which(shell):
        subprocess.run(
            [program, *(["--no-config"] if shell == "fish" else []), "-n"],
            input=answer.stdout,
            encoding="utf-8",
            check=True,
        )


def test_bash_completes_commands_options_values_and_runs(programs: Path, out: Path) -> None:
    assert completed(programs, "value-props roll") == ["rollback"]
    assert {"bash", "zsh", "fish"} == set(completed(programs, "value-props completion "))
    assert completed(programs, "value-props build --sample-if") == ["--sample-if-empty"]
    assert completed(programs, "value-props build --week-rule ") == ["complete", "latest"]
    assert completed(programs, "value-props build --raw t") == ["compopt -o dirnames", ""]
    run_id = manifest_of(out)["run_id"]
    # `completed` takes the words of a line from between its spaces, and the path may have some.
    there = {"VALUE_PROPS_OUT": str(out)}
    for line in ("rollback --to ", "open ", "diff 2"):
        assert completed(programs, f"value-props {line}", there) == [run_id], line
    # What is typed so far may be wrong.
    assert completed(programs, "value-props build --quiet --json --ver") == [""]
    assert completed(programs, "value-props --log build --out x://y --make") == ["--make-current"]


def test_completion_works_in_a_locale_that_is_not_utf_8(programs: Path) -> None:
    """There the command restarts itself."""
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert completed(programs, "value-props roll", variables) == ["rollback"]


def test_a_person_presses_tab_in_bash(programs: Path, tmp_path: Path) -> None:
    settings = tmp_path / "bashrc"
    settings.write_text(
        "bind 'set enable-bracketed-paste off'\nsource <(value-props completion bash)\n"
        "PS1='ready> '\n",
        encoding="utf-8",
    )
    answer = run_in_terminal(
        ["bash", "--rcfile", settings, "-i"],
        variables=with_program(programs),
        keys=(
            ("ready> ", "value-props verif\t"),
            ("value-props verify ", "--hel\t"),
            ("value-props verify --help ", "\n"),
            ("Usage: value-props verify", "exit\n"),
        ),
    )
    assert answer.exit_code == 0
    assert "Hash the published files again" in answer.written
