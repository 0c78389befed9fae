"""Values that nobody means well by are refused by name, and nothing in them is executed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import click
import pytest
from support.attacks import assert_told, dose, draw, record
from support.harness import ROOT, value_props

from value_props.cli import program as cli
from value_props.parameters import PARAMETERS
from value_props.resources import RESOURCES
from value_props.run.dbt import Dbt

ARABIC = "\u0661\u0662"
HOSTILE = (
    "maybe",
    "1e400",
    "9" * 400,
    "-" + "9" * 40,
    "1; drop table marts.fct_prints",
    "1' or '1'='1",
    "'",
    "{{ 7 * 7 }}",
    "{% do run_query('create table canary as select 1') %}",
    "$(touch canary)",
    "`touch canary`",
    "../../../etc/passwd",
    "0x10",
    "nan",
    ARABIC,
    "1\n2",
    "%s%n",
    "\x1b[31mred",
    "x" * 100_000,
)
# What a command wants besides.
NEEDED: dict[str, tuple[str, ...]] = {
    "backfill": ("--from", "2020-11-23", "--to", "2020-11-29"),
    "sample": ("--scale", "0.001"),
    "diff": ("a", "b"),
    "forget": ("--user", "1"),
}


def cases() -> list[tuple[str, str, str]]:
    """Each flag of each command that takes a value, with each hostile one."""
    found = []
    for name, command in sorted(cli.cli.commands.items()):
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag:
                continue
            # Click reads the digits of any script.
            is_number = isinstance(
                option.type, click.types.IntParamType | click.types.FloatParamType
            )
            found += [
                (name, option.opts[0], value)
                for value in HOSTILE
                if not (is_number and value == ARABIC)
            ]
    return found


def test_every_flag_refuses_hostile_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, raw = tmp_path / "out", tmp_path / "raw"
    (out / "runs").mkdir(parents=True)
    tried = cases()
    draw("flags").shuffle(tried)
    tried = tried[: dose(100, 1000)]
    for number, (command, flag, value) in enumerate(tried):
        options = {option.opts[0] for option in cli.cli.commands[command].params}
        arguments: dict[str, str] = {
            **(
                {"--out": f"{out}_{number}" if command == "sample" else str(out)}
                if "--out" in options
                else {}
            ),
            **({"--raw": str(raw)} if "--raw" in options else {}),
            **({"--to": str(tmp_path / "store")} if command == "load" else {}),
        }
        needed = NEEDED.get(command, ())
        arguments |= dict(zip(needed[::2], needed[1::2], strict=True)) if command != "diff" else {}
        is_path = flag in ("--raw", "--out", "--temp-dir") or (command, flag) == ("load", "--to")
        arguments[flag] = str(tmp_path / f"path_{number}" / value) if is_path else value
        answer = value_props(
            *(command, *(needed if command == "diff" else ())),
            *(f"{name}={text}" for name, text in arguments.items()),
        )
        case = (command, flag, value[:50])
        assert_told(answer.returncode, answer.text)
        # There are no raw files, so no run can come to its end.
        is_harmless = command in ("history", "sample", "docs", "forget", "notify")
        takes_any = flag in ("--seed", "--limit", "--line")
        assert answer.returncode != 0 or (is_harmless and is_path) or takes_any, case
        if not is_path and answer.returncode:
            said = answer.text.replace("'", "").replace('"', "")
            refused = ("there is no run", "no report of run", "No such option -9")
            assert flag in said or any(text in said for text in refused), (
                case,
                said,
            )
        assert not list(tmp_path.rglob("canary"))
        assert not (ROOT / "canary").exists()
    record("flags", tried=len(tried), of=len(cases()))


def test_every_variable_of_resources_refuses_hostile_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = [each.variable for each in RESOURCES if "DIR" not in each.variable]
    variables += ["VALUE_PROPS_NOTIFY", "VALUE_PROPS_NOTIFY_ON_WARN"]
    tried = [(name, value) for name in variables for value in HOSTILE]
    draw("variables").shuffle(tried)
    for name, value in tried[: dose(20, len(tried))]:
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            answer = value_props("build", "--raw", tmp_path / "raw", "--out", tmp_path / "out")
        assert_told(answer.returncode, answer.text)
        assert answer.returncode == 2
        assert name in answer.text, (name, value[:50], answer.text)
    record("variables", tried=dose(20, len(tried)))


def test_dbt_refuses_hostile_vars(tmp_path: Path) -> None:
    dbt = Dbt(ROOT, tmp_path / "value_props.duckdb", tmp_path / "target", {})
    dbt.parse()
    tried = [(each.name, value) for each in PARAMETERS for value in HOSTILE]
    draw("vars").shuffle(tried)
    tried = tried[: dose(8, len(tried))]
    for name, value in tried:
        dbt.dbt_vars = {name: value}
        [outcome] = dbt.build(("--select", "run_parameters", "--exclude-resource-type", "test"))
        assert outcome.status == "error", (name, value[:50])
        assert f"Parameter {name} is" in outcome.message, outcome.message
    record("vars", tried=len(tried))


def test_make_hands_every_value_on_as_it_is(tmp_path: Path) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    [listed] = re.findall(r"^VALUES := ((?:.*\\\n)*.*)$", text, re.M)
    names = listed.replace("\\", " ").split()
    # A variable that is read by make, or stands outside quotes of the shell, could be executed.
    recipes = text.replace(listed, "")
    for name in names:
        assert f"$({name})" not in recipes, name
    # These are for developers, and several words.
    names = [name for name in names if name not in ("WORKERS", "SCALES")]
    told = tmp_path / "value-props"
    told.write_text(
        "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    told.chmod(0o755)
    installed = tmp_path / ".venv" / "run"
    installed.parent.mkdir()
    installed.touch()
    hostile = [
        "$(shell touch canary)",
        '"; touch canary; "',
        "'; touch canary; '",
        "`touch canary`",
        "$(touch canary)",
        "$HOME",
        "$$",
        "a b",
        "#",
        "\\",
        "*",
        "${shell touch canary}",
    ]
    draw("make").shuffle(hostile)
    values = {name: hostile[number % len(hostile)] for number, name in enumerate(names)}
    for target in ("build", "backfill", "load", "check", "sample"):
        for as_variables in (True, False):
            answer = subprocess.run(
                [
                    *("make", "--silent", f"--makefile={ROOT / 'Makefile'}"),
                    *("--old-file=.venv/run", target, "BIN=."),
                    *(f"{name}={value}" for name, value in values.items() if as_variables),
                ],
                cwd=tmp_path,
                capture_output=True,
                encoding="utf-8",
                check=True,
                env={"PATH": "/usr/bin:/bin", **({} if as_variables else values)},
            )
            arguments = json.loads(answer.stdout.splitlines()[-1])
            assert arguments[0] == target
            handed = {text for each in arguments for text in (each, each.partition("=")[2])}
            known = [name for name in names if f"${name}" in _recipe_of(text, target)]
            assert known
            assert {values[name] for name in known} <= handed, (target, arguments)
    assert not (tmp_path / "canary").exists()
    record("make", variables=len(names))


def _recipe_of(text: str, target: str) -> str:
    """The lines of a target, with the variables of make that they use in full."""
    [recipe] = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.M)
    for _ in range(3):
        for name in ("PARAMETERS", "TRUST", "ANY_WEEKS", "RESOURCES"):
            [meaning] = re.findall(rf"^{name} = ((?:.*\\\n)*.*)$", text, re.M)
            recipe = recipe.replace(f"$({name})", meaning)
    return str(recipe).replace("$$", "$").replace("${", "$")
