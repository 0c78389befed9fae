"""The history: each run that began is recorded once, however it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import duckdb
import pytest
from support.harness import begun
from support.kills import is_killed_at

from value_props.database import literal, parquet_rows
from value_props.errors import ValuePropsError
from value_props.files import remove_tree
from value_props.publish.diff import changes
from value_props.publish.out_path import REPORT, OutPath
from value_props.record import history
from value_props.record.facts import Ended, NodeOutcome, Record

TEST = NodeOutcome(
    name="fct_prints__one_row_per_print",
    kind="test",
    status="pass",
    failures=0,
    seconds=0.1,
    message="",
    table="test_failures.fct_prints__one_row_per_print",
    model_name="fct_prints",
    column_name="print_id",
    rule="unique",
    severity="error",
    description="It's the key.",
)


def stage(out: OutPath, run_id: str, ended: Ended) -> None:
    history.stage(out, Record(begun(run_id), ended, outcomes=[TEST]))


@contextmanager
def begin(out: OutPath, run_id: str) -> Iterator[None]:
    """The start of a run, as a build does it."""
    out.prepare()
    history.settle(out)
    out.sweep()
    out.work.mkdir()
    history.begin(out, begun(run_id))
    yield
    out.sweep()


def publish(out: OutPath, run_id: str, is_made_current: bool = True) -> None:
    """A passed run, as a build does it, with files that say which run they are of."""
    ended = Ended("published", 0, is_made_current=is_made_current)
    with begin(out, run_id):
        stage(out, run_id, ended)
        files = out.work / "files"
        files.mkdir()
        for name in REPORT.stable_names:
            (files / name).write_text(run_id, encoding="utf-8")
        out.add_run(files, run_id)
        if is_made_current:
            out.switch_to(run_id)
        history.commit(out, run_id)
        out.prune(history.runs_made_current(out))


def fail(out: OutPath, run_id: str) -> None:
    with begin(out, run_id):
        stage(out, run_id, Ended("failed", 1, "It failed"))
        history.commit(out, run_id)


def statuses(out: OutPath) -> list[tuple[str, str]]:
    """Run and status of all runs, the oldest first."""
    return [(run["run_id"], run["status"]) for run in reversed(history.runs(out, 100))]


def test_a_kill_at_any_step_neither_loses_nor_doubles_a_run(tmp_path: Path) -> None:
    seen = set()
    for wanted in count():
        out = OutPath(tmp_path / str(wanted))
        publish(out, "1")
        fail(out, "2")
        is_killed = is_killed_at(wanted, partial(publish, out, "3"))
        was_begun = (out.work / history.BEGUN).exists() or (out.history / "3").exists()
        shown = (out.root / REPORT.stable_names[0]).read_text(encoding="utf-8")
        publish(out, "4")
        expected = [("1", "published"), ("2", "failed"), ("4", "published")]
        if was_begun:
            expected.insert(2, ("3", "published" if shown == "3" else "killed"))
        assert statuses(out) == expected
        # A run that was killed before its files were switched to is no run to go back to.
        assert out.run_ids() == [run_id for run_id, status in expected if status == "published"]
        seen.add(tuple(expected))
        if not is_killed:
            break
    assert len(seen) == 3


def test_a_run_that_fails_before_the_switch_is_no_run_to_go_back_to(tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")
    publish(out, "1")
    with begin(out, "2"):
        stage(out, "2", Ended("published", 0, is_made_current=True))
        (out.runs / "2").mkdir()
        assert not history.recover_record(out, "2")
        stage(out, "2", Ended("failed", 4, "The disk is full"))
        history.commit(out, "2")
        # Asked twice, it is recorded once.
        assert history.recover_record(out, "2")
    assert out.run_ids() == ["1"]
    assert statuses(out) == [("1", "published"), ("2", "failed")]


def test_weeks_that_were_built_afterwards_are_no_runs_to_go_back_to(tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")
    publish(out, "1")
    with pytest.raises(ValuePropsError, match="no earlier published run is kept"):
        history.run_before(out)
    for number in range(2, 9):
        publish(out, str(number), is_made_current=False)
    publish(out, "9")
    assert history.run_before(out) == "1"
    assert out.run_ids() == ["1", "5", "6", "7", "8", "9"]
    for letter in "abcd":
        publish(out, letter)
    assert history.run_before(out) == "c"
    assert out.run_ids() == ["9", "a", "b", "c", "d"]


def test_a_rollback_is_recorded_and_survives_later_runs(tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")
    publish(out, "1")
    publish(out, "2")
    out.switch_to("1")
    # Before anybody settles it, as after a kill.
    assert statuses(out) == [("1", "published"), ("2", "rolled back")]
    publish(out, "3")
    assert statuses(out) == [("1", "published"), ("2", "rolled back"), ("3", "published")]
    # Whoever rolled 2 back had found it wrong.
    assert history.run_before(out) == "1"
    out.switch_to("2")
    history.settle(out)
    assert statuses(out) == [("1", "published"), ("2", "published"), ("3", "rolled back")]


def test_a_rollback_to_a_run_that_was_kept_back_is_recorded(tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")

    def seen_by_readers() -> list[bool]:
        return [run["is_made_current"] for run in reversed(history.runs(out, 100))]

    publish(out, "1")
    publish(out, "2", is_made_current=False)
    assert seen_by_readers() == [True, False]
    out.switch_to("2")
    history.settle(out)
    assert seen_by_readers() == [True, True]
    assert history.run_before(out) == "1"
    out.switch_to("1")
    publish(out, "3")
    assert statuses(out) == [("1", "published"), ("2", "rolled back"), ("3", "published")]
    assert seen_by_readers() == [True, True, True]


def test_a_record_keeps_what_was_told(tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")
    publish(out, "1")
    [run] = history.runs(out, 10)
    assert run["raw_path"] == "it's raw"
    assert run["versions"] == {"duckdb": "2.0.0"}
    assert (run["tests_failed"], run["rows_read"], run["problem"]) == (0, None, None)
    [found] = duckdb.execute(
        "select test_name, column_name, rule, description"
        " from read_parquet(?, hive_partitioning = false)",
        [str(out.history / "1" / "test_results.parquet")],
    ).fetchall()
    assert found == (TEST.name, "print_id", "unique", "It's the key.")


def test_diff_counts_by_key_and_column(tmp_path: Path) -> None:
    out = OutPath(tmp_path)
    for run_id, values in {
        "a": "('1', 0, 1), ('2', 0, 2), ('3', 0, 3)",
        "b": "('2', 0, 2), ('3', 1, 4), ('4', 0, 0), ('5', 0, 0)",
    }.items():
        path = out.runs / run_id / "final.parquet"
        path.parent.mkdir(parents=True)
        duckdb.execute(
            f"copy (select * from (values {values}) as rows (print_id, position, prior_views))"
            f" to {literal(path)} (format parquet)"
        )
    assert changes(out, "a", "b") == [
        {"change": "added", "column_name": None, "rows": 2},
        {"change": "lost", "column_name": None, "rows": 1},
        {"change": "changed", "column_name": "position", "rows": 1},
        {"change": "changed", "column_name": "prior_views", "rows": 1},
    ]
    assert changes(out, "a", "a") == []
    with pytest.raises(ValuePropsError, match="runs are kept: a"):
        changes(out, "a", "c")


def test_a_note_that_was_not_finished_is_no_run(tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")
    publish(out, "1")
    out.work.mkdir()
    (out.work / f".{history.BEGUN}.draft").write_text(json.dumps({})[:1], encoding="utf-8")
    publish(out, "2")
    assert statuses(out) == [("1", "published"), ("2", "published")]


def test_a_damaged_record_tells_no_status(tmp_path: Path) -> None:
    out = OutPath(tmp_path / "out")
    assert history.last_status(out) is None
    publish(out, "1")
    fail(out, "2")
    assert history.last_status(out) == "failed"
    (out.history / "2" / "runs.parquet").write_bytes(b"damaged")
    assert history.last_status(out) is None


def test_records_that_are_put_together_tell_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = OutPath(tmp_path / "out")
    publish(out, "1")
    fail(out, "2")
    publish(out, "3")
    plain = history.runs(out, 100)
    monkeypatch.setattr(history, "MOST_UNCACHED", 1)
    fail(out, "4")
    folded = out.cache / "history"
    # They are read from there, and those that came since from their records.
    (out.history / "1" / "runs.parquet").unlink()
    assert history.runs(out, 100)[1:] == plain
    out.switch_to("1")
    assert dict(statuses(out))["3"] == "rolled back"
    out.switch_to("3")
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"PAR1")):
        spoil(folded / "runs.parquet")
        assert statuses(out) == [("2", "failed"), ("3", "published"), ("4", "failed")]
    fail(out, "5")
    assert len(statuses(out)) == 4
    # A record that somebody removed is not told any more.
    remove_tree(out.history / "2")
    assert statuses(out) == [("3", "published"), ("4", "failed"), ("5", "failed")]


@pytest.mark.parametrize("spoil", ["empty", "cut", "another table", "another run"])
def test_a_damaged_record_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: str
) -> None:
    out = OutPath(tmp_path / "out")
    for run_id in "123":
        publish(out, run_id)
    path = out.history / "2" / "runs.parquet"
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "another table": (out.history / "2" / "test_results.parquet").read_bytes(),
            "another run": (out.history / "1" / "runs.parquet").read_bytes(),
        }[spoil]
    )
    with caplog.at_level("WARNING", logger="value_props"):
        assert statuses(out) == [("1", "published"), ("3", "published")]
        assert history.run_before(out) == "1"
    assert (str(path) in caplog.text) == (spoil != "another run")
    publish(out, "4")
    assert statuses(out)[-1] == ("4", "published")


def test_a_record_of_a_later_version_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = OutPath(tmp_path / "out")
    for run_id in "12":
        publish(out, run_id)
    plain = history.runs(out, 100)

    def add_a_column(path: Path) -> None:
        draft = tmp_path / "later.parquet"
        duckdb.execute(
            f"copy (select *, 1 as of_later from {parquet_rows([path])})"
            f" to {literal(draft)} (format parquet)"
        )
        draft.replace(path)

    for path in out.history.glob("*/*.parquet"):
        add_a_column(path)
    assert history.runs(out, 100) == plain
    monkeypatch.setattr(history, "MOST_UNCACHED", 1)
    publish(out, "3")
    for path in (out.cache / "history").iterdir():
        add_a_column(path)
    assert history.runs(out, 100)[1:] == plain
