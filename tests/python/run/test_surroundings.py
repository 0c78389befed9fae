"""What surrounds a run changes nothing: environment, current folder, locale, account."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from support.harness import (
    CLEAN,
    COMMAND,
    ROOT,
    RUN_DATE,
    build,
    manifest_of,
    sha256,
    value_props,
)

from value_props.errors import ExitCode, ValuePropsError, user_error_of
from value_props.parameters import find_project, folder_of, switch_of
from value_props.record.facts import NodeOutcome
from value_props.run.dbt import Dbt
from value_props.run.versions import git_commit

FINAL_CSV = "final.csv"


def run(
    *arguments: str | Path, cwd: Path = ROOT, variables: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        check=False,
    )


def test_no_variable_of_dbt_changes_what_a_run_builds_and_tests(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        "DBT_RESOURCE_TYPES": "model seed snapshot",
        "DBT_EMPTY": "1",
        "DBT_TARGET": "dev",
        "DBT_TARGET_PATH": str(tmp_path / "elsewhere"),
        "DBT_WARN_ERROR": "1",
        "DBT_FULL_REFRESH": "1",
        "DBT_ENGINE_DEFER": "1",
        "DBT_PROFILES_DIR": str(tmp_path),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "out"
    build(out)
    assert sha256(out / FINAL_CSV) == sha256(published / FINAL_CSV)
    assert sum(manifest_of(out)["tests"].values()) >= 35
    assert not (tmp_path / "elsewhere").exists()
    assert {name: os.environ[name] for name in variables} == variables


def test_a_run_without_all_of_its_tests_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dbt = Dbt.build

    def without_tests(dbt: Dbt, options: tuple[str, ...], on_event: object) -> list[NodeOutcome]:
        return run_dbt(dbt, (*options, "--exclude-resource-type", "test"), on_event)  # type: ignore[arg-type]

    monkeypatch.setattr(Dbt, "build", without_tests)
    answer = build(tmp_path, exit_code=2)
    assert re.search(
        r"dbt left out \d+ of its models and tests: assert_clicks_match_taps", answer.text
    )
    assert not (tmp_path / "current").exists()


@pytest.mark.parametrize(
    ("text", "is_on"),
    [
        *((text, True) for text in ("Yes", "ON", " on ", "True", "1")),
        *((text, False) for text in ("no", "OFF", "", "False", "0")),
    ],
)
def test_switches_are_read_in_any_case(text: str, is_on: bool) -> None:
    assert switch_of(text, "Parameter x") is is_on


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--allow-incomplete=maybe"),
        ("build", "--full-refresh=2"),
        ("build", "--rehash=ja"),
    ],
)
def test_a_switch_that_is_neither_on_nor_off_stops_the_run(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    command, flag = arguments
    where = ("--out", tmp_path) if command == "build" else ()
    answer = value_props(command, "--raw", CLEAN, *where, flag, exit_code=2)
    name, _, value = flag.partition("=")
    assert (
        f"Parameter {name}: '{value}' is not allowed. Allowed is 1, true, yes or on" in answer.text
    )


def test_a_receiver_switch_that_cannot_be_read_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE_PROPS_NOTIFY_ON_WARN", "perhaps")
    answer = build(tmp_path, exit_code=2)
    assert "VALUE_PROPS_NOTIFY_ON_WARN: 'perhaps' is not allowed" in answer.text


@pytest.mark.usefixtures("raw")
def test_relative_paths_are_those_of_the_current_folder(tmp_path: Path, published: Path) -> None:
    before = set(ROOT.iterdir())
    answer = run(
        *("build", "--raw", "raw", "--out", "res", "--temp-dir", "tmp"),
        *("--run-date", RUN_DATE),
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr.decode()
    assert sha256(tmp_path / "res" / FINAL_CSV) == sha256(published / FINAL_CSV)
    assert (tmp_path / "res" / ".cache" / "dbt").is_dir()
    assert set(ROOT.iterdir()) == before


def test_a_tilde_is_the_home_folder(tmp_path: Path) -> None:
    sample = ("sample", "--scale", "0.001", "--out", "~/pub")
    answer = run(*sample, cwd=tmp_path, variables={"HOME": str(tmp_path)})
    assert answer.returncode == 0, answer.stderr.decode()
    assert (tmp_path / "pub" / "prints.json").is_file()
    assert not (tmp_path / "~").exists()
    with pytest.raises(ValuePropsError, match="names no folder"):
        folder_of("~nobody-of-that-name/x", "Parameter --out")


def test_an_address_is_no_folder(tmp_path: Path) -> None:
    answer = run("sample", "--out", "s3://lake/raw", cwd=tmp_path)
    assert answer.returncode == 2
    assert b"is no folder of this machine" in answer.stderr
    assert list(tmp_path.iterdir()) == []


LOCALE = "es_ES.ISO-8859-1"


@pytest.fixture(scope="module")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a locale whose encoding is not UTF-8."""
    folder = tmp_path_factory.mktemp("locales")
    compiler = shutil.which("localedef")
    made = compiler and subprocess.run(
        [compiler, "-i", "es_ES", "-f", "ISO-8859-1", folder / LOCALE],
        capture_output=True,
        check=False,
    )
    # Without the character map it leaves an empty folder.
    if not made or not (folder / LOCALE / "LC_CTYPE").is_file():
        pytest.skip("no source of locales here: install the package locales")
    return {"LC_ALL": LOCALE, "LANG": LOCALE, "LOCPATH": str(folder)}


def test_files_are_utf_8_in_any_locale(tmp_path: Path, latin_1: dict[str, str]) -> None:
    raw, out = tmp_path / "ráw 中", tmp_path / "públished 中"
    shutil.copytree(CLEAN, raw)
    # Value props that the terminal can't show, and one that it can.
    line = '{"day":"2020-11-28","event_data":{"position":0,"value_prop":"%s"},"user_id":7}\n'
    with (raw / "prints_ñ_中.json").open("w", encoding="utf-8") as prints:
        prints.writelines(line % name for name in ("préstamo", "贷款", "\u202e"))
    for output in ("", "ascii", "latin-1"):
        variables = {**latin_1, **({"PYTHONIOENCODING": output} if output else {})}
        given = ("--raw", raw, "--out", out, "--run-date", RUN_DATE)
        answer = run("build", *given, variables=variables)
        assert answer.returncode == 0, answer.stderr
        final = (out / FINAL_CSV).read_text(encoding="utf-8")
        assert "préstamo" in final
        assert "贷款" in final
        manifest = manifest_of(out)
        assert manifest["raw_path"] == str(raw)
        assert any("贷款" in warning for warning in manifest["warnings"])
        assert "贷款" in (out / "report.html").read_text(encoding="utf-8")
        (out / "current" / "run.log").read_text(encoding="utf-8")
        assert rb'\u202e" is not in the catalogue' in answer.stdout
        assert run("verify", "--out", out, variables=variables).returncode == 0
        told = run("report", "--out", out, variables=variables)
        assert told.returncode == 0
        report = json.loads(told.stdout.decode(output or "latin-1"))
        assert report["run"]["raw_path"] == str(raw)


def test_a_run_that_closes_its_files_to_others_says_so(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        answer = build(tmp_path)
    finally:
        os.umask(umask)
    assert "Only the user of this run can read the files" in answer.stdout
    assert "Only the user" not in build(tmp_path).stdout


def test_the_system_refuses_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    system_open = os.open

    def refused(path: str | Path, *options: int) -> int:
        if str(path).endswith(".lock"):
            raise PermissionError(13, "Permission denied", str(path))
        return system_open(path, *options)

    monkeypatch.setattr("value_props.publish.folder_lock.os.open", refused)
    answer = build(out, exit_code=2)
    assert f"Path {out / '.lock'}: permission denied: {out} belongs to the user " in answer.text
    assert "and this process runs as " in answer.text
    assert "Run as its owner, or have the owner give you permission." in answer.text


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(28, "No space left on device", "/x"), "Free some room"),
        (OSError(30, "Read-only file system", "/x"), "a folder that can be written"),
        (FileNotFoundError(2, "No such file or directory", b"/x"), "Check that it exists"),
        (BlockingIOError(), "Check that it exists"),
    ],
)
def test_every_refusal_of_the_system_has_a_remedy(error: OSError, remedy: str) -> None:
    told = user_error_of(error)
    assert told is not None
    assert told.exit_code == ExitCode.CANNOT_RUN
    assert remedy in told.remedy
    assert user_error_of(KeyError("x")) is None


def test_a_repository_that_git_refuses_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".git").mkdir()
    assert git_commit(tmp_path) is None
    assert "git cannot name the commit: fatal: " in caplog.text


def test_the_project_is_the_one_of_the_package_and_of_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # That of the package comes before the one that the user is in.
    (tmp_path / "other" / "value_props").mkdir(parents=True)
    shutil.copyfile(ROOT / "dbt_project.yml", tmp_path / "other" / "dbt_project.yml")
    monkeypatch.chdir(tmp_path / "other")
    assert find_project() == ROOT
    monkeypatch.chdir(tmp_path)
    assert find_project() == ROOT
    # As if the package were installed by copy.
    installed = str(tmp_path / "site-packages/value_props/parameters.py")
    monkeypatch.setattr("value_props.parameters.__file__", installed)
    with pytest.raises(ValuePropsError, match=r"no dbt_project\.yml here"):
        find_project()
    (tmp_path / "dbt_project.yml").write_text("version: 9.9.9\n", encoding="utf-8")
    # A dbt project of another kind.
    with pytest.raises(ValuePropsError, match=r"no dbt_project\.yml here"):
        find_project()
    (tmp_path / "value_props").mkdir()
    with pytest.raises(ValuePropsError, match=r"version 9\.9\.9, and the installed command is"):
        find_project()
    monkeypatch.chdir(ROOT)
    assert find_project() == ROOT


def test_without_a_project_the_command_says_so_and_looks_back_all_the_same(tmp_path: Path) -> None:
    # As if the package were installed by copy.
    shutil.copytree(ROOT / "value_props", tmp_path / "value_props")
    for arguments, code, told in (
        (("build", "--week-rule=latest"), 2, "there is no dbt_project.yml here"),
        (("backfill", "--from=2020-11-02", "--to=2020-11-08"), 2, "no dbt_project.yml here"),
        (("history", "--out", str(tmp_path)), 0, "Nothing ran in"),
    ):
        answer = run(*arguments, cwd=tmp_path, variables={"PYTHONPATH": str(tmp_path)})
        said = " ".join((answer.stdout + answer.stderr).decode().split())
        assert (answer.returncode, told in said) == (code, True), said
