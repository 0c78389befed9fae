"""`make build` finds a Python, and nothing in the Makefile or the command is for Linux alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from support.harness import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# A stand-in for a Python: `-c` is the question whether it fits, the first `-m` makes the venv.
PYTHON = """#!/bin/sh
case "$1$2" in
    -c*) exit {misfit} ;;
    --version) echo "{name}" ;;
    -mvenv) [ {broken} = 0 ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
"""
# What the make 3.81, the sed, the awk or the bash 3.2 of macOS lacks, or reads in another way.
NOT_ON_MACOS = re.compile(
    r"override export|export override|^\.ONESHELL|&:|^\w+ *(!|::)=|^(undefine|define \w+ *=)"
    r"|\$\((file|let|intcmp|guile) |(?<!\.)\b(realpath|tac|nproc|setsid|timeout|flock)\b"
    r"|\b(sha256|md5)sum\b|\breadlink -f|\bdate (-d|--)|\bstat (-c|--)|\bgrep -\w*P"
    r"|\bxargs -\w*[rd]|\bcp (-a|--)|\bsed -\w*[irz]|\bsed --|\bsed [^|]*\\t"
    r"|\bmktemp --|/proc/|/dev/shm|\bwait -n|\bmapfile\b|\bdeclare -A|\$\{\w+(,,|\^\^|@)",
    re.MULTILINE,
)


def make_venv(folder: Path, pythons: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Make .venv where only these Pythons are.

    Args:
        folder: an empty folder.
        pythons: `good`, `misfit` or `broken` (it cannot make a virtual environment), by name.
        arguments: of make.

    Returns:
        Exit code, stdout and stderr.
    """
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for tool in ("cp", "make", "mkdir", "rm"):
        (bin_folder / tool).symlink_to(str(shutil.which(tool)))
    for name, kind in pythons.items():
        program = bin_folder / name
        text = PYTHON.format(
            name=f"the {name}", misfit=int(kind == "misfit"), broken=int(kind == "broken")
        )
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    (folder / "requirements-pip.txt").touch()
    answer = subprocess.run(
        ["make", f"--makefile={ROOT / 'Makefile'}", *arguments, ".venv/bin/python"],
        cwd=folder,
        env={"PATH": str(bin_folder)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return answer.returncode, answer.stdout, answer.stderr


@pytest.mark.parametrize(
    ("pythons", "arguments", "taken"),
    [
        ({"python3.11": "good", "python3.12": "good", "python3.13": "good"}, (), "python3.13"),
        # Debian's python3 without python3-venv.
        ({"python3.13": "misfit", "python3": "misfit", "python3.12": "good"}, (), "python3.12"),
        ({"python3": "good", "python3.14": "good"}, (), "python3"),
        ({"python3.13": "good", "python3.11": "good"}, ("PYTHON=python3.11",), "python3.11"),
        ({"python3.13": "good", "mine": "good"}, ("PYTHON=bin/mine",), "mine"),
    ],
)
def test_make_takes_the_newest_python_that_works_or_the_one_that_is_named(
    tmp_path: Path, pythons: dict[str, str], arguments: tuple[str, ...], taken: str
) -> None:
    code, stdout, stderr = make_venv(tmp_path, pythons, *arguments)
    assert (code, stderr) == (0, "")
    assert f"Making .venv with the {taken}\n" in stdout
    made = (tmp_path / ".venv" / "bin" / "python").read_text(encoding="utf-8")
    assert f"the {taken}" in made


@pytest.mark.parametrize(
    ("pythons", "arguments", "who"),
    [
        ({}, (), "This machine has"),
        ({"python3": "misfit", "python3.10": "good", "python3.14": "good"}, (), "This machine has"),
        ({"old": "misfit", "python3.13": "good"}, ("PYTHON=old",), "old is"),
        ({"python3.13": "good"}, ("PYTHON=nowhere",), "nowhere is"),
    ],
)
def test_make_says_in_one_sentence_which_python_to_install(
    tmp_path: Path, pythons: dict[str, str], arguments: tuple[str, ...], who: str
) -> None:
    code, stdout, stderr = make_venv(tmp_path, pythons, *arguments)
    assert (code, stdout) == (2, "")
    sentence, closing = stderr.splitlines()
    assert sentence.startswith(f"{who} no Python 3.11, 3.12 or 3.13 that can make a virtual")
    for remedy in ("apt install python3-venv", "brew install python@3.13", "PYTHON=python3.12"):
        assert remedy in sentence
    assert ". " not in sentence
    assert closing.startswith("make: *** ")
    assert not (tmp_path / ".venv").exists()


def test_a_venv_that_could_not_be_made_is_not_left(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    code, stdout, _ = make_venv(tmp_path, {"python3.13": "broken", "python3.12": "good"})
    assert (code, stdout) == (2, "Making .venv with the python3.13\n")
    assert not (tmp_path / ".venv").exists()


def test_the_question_of_make_is_one_that_this_python_answers_with_yes() -> None:
    [question] = re.findall(r"^FITS := (.*)$", MAKEFILE, re.M)
    subprocess.run([sys.executable, "-c", question], check=True)
    too_new = question.replace("sys.version_info", "(3, 14, 0)")
    assert subprocess.run([sys.executable, "-c", too_new], capture_output=True).returncode == 1


def test_every_place_names_the_same_pythons() -> None:
    versions = ["3.11", "3.12", "3.13"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    classified = [text.rpartition(" ")[2] for text in project["classifiers"] if ":: 3." in text]
    assert classified == versions
    assert "(3, 11) <= sys.version_info < (3, 14)" in MAKEFILE
    [names] = re.findall(r"^PYTHONS := (.*) python3$", MAKEFILE, re.M)
    assert names.split() == [f"python{version}" for version in reversed(versions)]
    assert MAKEFILE.count("3.11, 3.12 or 3.13") == 1
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["pythons"]["strategy"]["matrix"]["python"] == versions
    for page, sentence in (
        ("README.md", "[Python 3.11 to 3.13](docs/systems.md)"),
        ("docs/systems.md", "Python 3.11, 3.12 or 3.13"),
    ):
        assert sentence in (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["Makefile", "orchestration/airflow/up"])
def test_no_line_of_a_shell_or_of_make_is_for_linux_alone(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if not line.lstrip().startswith("#")]
    assert [line for line in code if NOT_ON_MACOS.search(line)] == []
