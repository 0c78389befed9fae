"""What a person sees in a real terminal: progress that is erased, a summary, no line of the log."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from types import MappingProxyType

import pytest
from support.harness import (
    CLEAN,
    COMMAND,
    DIRTY,
    ROOT,
    RUN_DATE,
    files_of_project,
    history_of,
    manifest_of,
)
from support.terminal import COLOUR, SEQUENCE, Shown, run_in_terminal, screen_of

from value_props.cli.progress import STEPS

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+ ")
# Wide enough that no path of a test is wrapped.
WIDE = 250
RED = "\x1b[31m"
# The dirty fixture, which has rows to leave out and to warn of.
TOLERANT = ("--max-quarantine-rate", "1", "--allow-incomplete", "--serving-features")


def shown(
    *arguments: str | Path,
    columns: int = WIDE,
    variables: Mapping[str, str | None] = MappingProxyType({}),
    keys: tuple[tuple[str, str | None], ...] = (),
) -> Shown:
    """Run the command in a terminal. NO_COLOR is what the test says."""
    known = {"NO_COLOR": None, "PYTHONPATH": str(ROOT), **variables}
    command = [*COMMAND, *map(str, arguments)]
    return run_in_terminal(command, columns=columns, variables=known, keys=keys, cwd=ROOT)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The out path of the runs of this file."""
    return tmp_path_factory.mktemp("terminal") / "out"


@pytest.fixture(scope="module")
def built(out: Path) -> Shown:
    """A build of the dirty fixture."""
    return shown("build", "--raw", DIRTY, "--out", out, "--run-date", RUN_DATE, *TOLERANT)


def test_progress_appears_and_is_erased(built: Shown) -> None:
    assert built.exit_code == 0, built.screen
    drawn = re.findall(r"[|/\\-] 0:\d\d  ([^\r\n]+)", built.written)
    texts = list(dict.fromkeys(drawn))
    assert texts[0] == "Starting"
    assert "Parsing the project" in texts
    counts = [re.fullmatch(r"Models and tests: (\d+) of (\d+)", text) for text in texts]
    ended = [(int(count[1]), int(count[2])) for count in counts if count]
    assert len(ended) > 3
    assert ended == sorted(ended)
    assert all(number <= total for number, total in ended)
    assert built.screen.startswith("Published week")
    for text in texts:
        assert text not in built.screen


def test_the_summary_says_what_came_of_the_rows(built: Shown, out: Path) -> None:
    manifest = manifest_of(out)
    assert "Published week 2020-W48 (2020-11-23 to 2020-11-29)." in built.text
    counts = {
        name: sum(row[f"rows_{name}"] for row in manifest["inputs"])
        for name in ("read", "kept", "quarantined")
    }
    assert counts["quarantined"] > 0
    for count, text in (
        (counts["read"], "read"),
        (counts["kept"], "kept"),
        (counts["quarantined"], "quarantined"),
        (manifest["rows_in_mart"], "in the mart"),
        (manifest["rows_in_features"], "in features.parquet, for ranking from 2020-11-30 on"),
    ):
        assert f" {count:,} {text}" in built.text
    for row in manifest["inputs"]:
        assert f"{row['source']}: " in built.text
        for reason, count in row["quarantined_by_reason"].items():
            assert f"{count} {reason}" in built.text
    assert len(manifest["warnings"]) > 2
    for warning in manifest["warnings"]:
        assert f"- {warning}." in built.text
    assert "Drift does not stop a run." in built.text


def test_the_summary_says_where_the_files_are_and_how_to_read_them(built: Shown, out: Path) -> None:
    names = [output["name"] for output in manifest_of(out)["outputs"]]
    assert f"Files in {out} {' '.join(names)} manifest.json" in built.text
    # Neither is wrapped, so that it can be copied.
    assert f"\r\n  value-props open --out {quote(str(out))}\r\n" in built.written
    database = quote(str(out / "value_props.duckdb"))
    assert f"\r\n  duckdb -readonly {database}\r\n" in built.written


def test_lines_of_the_log_are_in_its_file_only(built: Shown, out: Path) -> None:
    log = (out / "current" / "run.log").read_text(encoding="utf-8")
    assert len(LOG_LINE.findall(log)) > 50
    assert not LOG_LINE.search(built.written)
    assert "step=" not in built.written


def test_colours_are_shown_and_the_cursor_is_never_hidden(built: Shown) -> None:
    assert COLOUR.search(built.written)
    # A killed command could not show it again.
    assert "\x1b[?25l" not in built.written


def test_a_run_that_is_kept_back_says_so_on_a_narrow_screen_without_colours(
    built: Shown, out: Path
) -> None:
    assert built.exit_code == 0
    answer = shown(
        *("build", "--raw", CLEAN, "--out", out, "--run-date", RUN_DATE),
        *("--as-of", "2020-11-29"),
        columns=40,
        variables={"NO_COLOR": "any"},
    )
    assert answer.exit_code == 0, answer.screen
    assert not COLOUR.search(answer.written)
    assert answer.screen.startswith("Built week 2020-W48")
    assert "so it stays current. This run is only kept. To make it current:" in answer.text
    assert " of them ignored, because they are dated after 2020-11-29 " in answer.text
    drawn = re.findall(r"[|/\\-] 0:\d\d  ([^\r\n]+)", answer.written)
    assert any(text.startswith("Models and tests: ") for text in drawn)
    kept_back = sorted(path.name for path in (out / "runs").iterdir())[-1]
    assert f"\r\n  value-props open {kept_back} --out {quote(str(out))}\r\n" in answer.written
    database = quote(str(out / "runs" / kept_back / "value_props.duckdb"))
    assert f"{database}\r\n" in answer.written
    for line in answer.written.replace("\r\n", "\n").split("\n"):
        is_command = line.startswith(("  value-props", "  duckdb"))
        assert is_command or len(line.rpartition("\x1b[2K")[2]) <= 40, line


def test_an_error_is_a_paragraph_with_a_red_beginning(built: Shown, out: Path) -> None:
    assert built.exit_code == 0
    answer = shown("build", "--raw", DIRTY, "--out", out, "--run-date", RUN_DATE)
    assert answer.exit_code == 1
    run_id = history_of(out)[0]["run_id"]
    assert f"{RED}Run {run_id}:\x1b[0m the data failed the gate" in answer.written
    assert answer.screen.strip().startswith(f"Run {run_id}: the data failed the gate")
    assert f"`value-props open --last --out {quote(str(out))}`" in answer.text
    assert answer.screen.endswith("(exit 1)\n")
    assert not LOG_LINE.search(answer.written)
    assert (out / "last_run" / "run.log").is_file()
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = shown("verify", "--out", out / "none", variables=variables)
        assert plain.exit_code == 2
        assert "there is no such folder" in plain.text
        assert "\x1b" not in plain.written


def test_ctrl_c_leaves_a_clean_screen(tmp_path: Path) -> None:
    answer = shown(
        *("build", "--raw", CLEAN, "--out", tmp_path, "--run-date", RUN_DATE),
        keys=(("Models and", "\x03"),),
        columns=24,
    )
    assert answer.exit_code == 2
    # The terminal adds it to the line, which must have room for it.
    assert "^C" in answer.written
    message = "Interrupted. The published files are unchanged; run the command again.(exit 2)"
    # Wrapped by a terminal, a line may lose the space at its end.
    assert "".join(answer.text.split()) == "".join(message.split())
    assert "interrupted" in (tmp_path / "last_run" / "run.log").read_text(encoding="utf-8")


def test_progress_is_cut_to_a_terminal_that_is_narrower_still(raw: Path, tmp_path: Path) -> None:
    answer = shown(
        *("load", "--raw", raw, "--to", tmp_path / "store", "--out", tmp_path / "out"), columns=18
    )
    assert answer.exit_code == 0
    drawn = re.findall(r"[|/\\-] 0:\d\d  [^\r\n]*", answer.written)
    assert max(map(len, drawn)) == 14
    assert answer.screen.startswith(str(tmp_path)[:18])


def test_log_prints_the_lines_in_place_of_progress(raw: Path, tmp_path: Path) -> None:
    for place in (("--log", "load"), ("load", "--log"), ("load", "--debug")):
        answer = shown(*place, "--raw", raw, "--to", tmp_path / "store", "--out", tmp_path / "out")
        assert answer.exit_code == 0, answer.screen
        assert len(LOG_LINE.findall(answer.written)) >= 2
        assert " INFO step=ingest " in answer.text
        assert (" DEBUG " in answer.text) == ("--debug" in place)
        assert not SEQUENCE.search(answer.written)


def test_a_terminal_that_cannot_erase_gets_lines_of_the_log(raw: Path, tmp_path: Path) -> None:
    answer = shown(
        *("load", "--raw", raw, "--to", tmp_path / "store", "--out", tmp_path / "out"),
        variables={"TERM": "dumb"},
    )
    assert LOG_LINE.search(answer.written)
    assert "\x1b" not in answer.written


@pytest.mark.parametrize(
    ("variables", "written"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "\N{REPLACEMENT CHARACTER}"),
        # In this locale the command restarts itself.
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, r"\xf1"),
    ],
)
def test_progress_needs_no_utf_8(
    raw: Path, tmp_path: Path, variables: dict[str, str], written: str
) -> None:
    store = tmp_path / "ñ"
    answer = shown(
        *("load", "--raw", raw, "--to", store, "--out", tmp_path / "out"), variables=variables
    )
    assert answer.exit_code == 0, answer.screen
    assert re.search(r"[|/\\-] 0:00  Starting", answer.written)
    assert f"{tmp_path}/{written} holds 3 raw files" in answer.screen
    assert "Starting" not in answer.screen


def test_a_warning_of_the_log_is_a_sentence_above_the_progress(raw: Path, tmp_path: Path) -> None:
    given = ("load", "--raw", raw, "--to", tmp_path / "store", "--out", tmp_path / "out")
    assert shown(*given).exit_code == 0
    for parsed in (tmp_path / "out" / "parsed").rglob("*.parquet"):
        parsed.chmod(0o644)
        parsed.write_bytes(b"damaged")
    answer = shown(*given)
    assert answer.exit_code == 0, answer.screen
    assert "Warning: ingest: the parsed file " in answer.text
    assert "step=" not in answer.text
    assert "Starting" not in answer.screen


def test_a_closed_terminal_ends_the_command_as_an_interrupt_does(tmp_path: Path) -> None:
    answer = shown(
        *("build", "--raw", CLEAN, "--out", tmp_path, "--run-date", RUN_DATE),
        keys=(("Parsing the project", None),),
    )
    assert answer.exit_code == 2
    [run] = history_of(tmp_path)
    assert run["problem"] == "The run was interrupted"


def test_a_run_that_outlives_its_terminal_is_published(tmp_path: Path) -> None:
    build = [*COMMAND, "build", "--raw", str(CLEAN), "--out", str(tmp_path), "--run-date", RUN_DATE]
    answer = run_in_terminal(
        ["sh", "-c", f"trap '' HUP; exec {shlex.join(build)}"],
        keys=(("Parsing the project", None),),
        variables={"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    assert answer.exit_code == 0
    assert [run["status"] for run in history_of(tmp_path)] == ["published"]


def test_progress_has_words_for_every_step() -> None:
    steps = {
        node.args[0].value
        for path in files_of_project("value_props/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "step"
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(steps) > 10
    assert steps == set(STEPS)


def test_the_screen_of_these_tests_is_that_of_a_terminal() -> None:
    assert screen_of("ab\r\ncd", 80) == ["ab", "cd"]
    assert screen_of("abcdef\rxy", 4) == ["abcd", "xy"]
    assert screen_of("one\r\x1b[2Ktwo\r\n\r\x1b[1A\x1b[2Kthree", 80) == ["three", ""]
    with pytest.raises(AssertionError):
        screen_of("\x1b[5n", 80)
