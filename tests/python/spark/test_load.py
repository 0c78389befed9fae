"""The store of parsed files: whole at any moment, and written only where something is new."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner
from support.harness import CLEAN, folder_request

from value_props.cli.program import cli
from value_props.database import parquet_rows
from value_props.errors import ExitCode, ValuePropsError
from value_props.ingest import Inventory, Trust, ingest
from value_props.ingest.find import SOURCES
from value_props.ingest.keep import ParsedFiles
from value_props.ingest.stage import SHARED
from value_props.publish.folder_lock import exclusive
from value_props.spark.load import LIST, Loaded, Store, load

Seen = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Inventory]:
    """Two inventories of parsed files.

    In `after` the taps of `before` have changed, one file of prints is gone and another has come.
    """
    folder = tmp_path_factory.mktemp("states")
    raw = folder / "raw"
    raw.mkdir()
    lines = (CLEAN / "prints.json").read_text(encoding="utf-8").splitlines()
    (raw / "prints_1.json").write_text("\n".join(lines[:100]), encoding="utf-8")
    # A number of its own where it is not the place: blank lines and a carriage return.
    (raw / "prints_2.json").write_bytes("\n\n".join(lines[100:150]).encode() + b"\r\n[\x00]\n")
    (raw / "taps.json").write_text(
        (CLEAN / "taps.json").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (raw / "pays.csv").write_text(
        (CLEAN / "pays.csv").read_text(encoding="utf-8"), encoding="utf-8"
    )
    inventories = {}
    for name in ("before", "after"):
        if name == "after":
            (raw / "prints_1.json").unlink()
            (raw / "prints_3.json").write_text("\n".join(lines[150:200]), encoding="utf-8")
            (raw / "taps.json").write_text(
                "".join((CLEAN / "taps.json").open(encoding="utf-8").readlines()[:9]),
                encoding="utf-8",
            )
        inventories[name] = ingest(raw, ParsedFiles(folder / "parsed"))
    return inventories


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.prepare()
    return store


def rows_in(store: Store, folder: str) -> str:
    return parquet_rows(sorted((store.root / folder).glob("*.parquet")))


def seen(store: Store) -> Seen:
    """What readers find: the rows and counts of the files that the list names."""
    with duckdb.connect() as connection:
        connection.execute(f"create table listed as from {parquet_rows([store.root / LIST])}")
        listed = connection.execute(
            "select source_name, file_number, row_count, line_count, file_key from listed"
        ).fetchall()
        found = {"listed": sorted(listed)}
        for folder in (*SOURCES, *SHARED):
            query = f"""
                select stored.* from {rows_in(store, folder)} as stored
                semi join listed using (file_key) order by all
            """
            found[folder] = connection.execute(query).fetchall()
    return found


def stamps(store: Store) -> dict[str, tuple[int, int]]:
    """Of each file but the list, what changes when it is written."""
    found = {str(path): path.stat() for path in store.root.glob("*/*.parquet")}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


@pytest.fixture(scope="module")
def expected(
    states: dict[str, Inventory], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Seen]:
    """What readers find of each state, loaded into a store of its own."""
    found = {}
    for name, inventory in states.items():
        store = Store(tmp_path_factory.mktemp(name) / "store")
        store.prepare()
        store.fill(inventory, Trust.STAMPS)
        found[name] = seen(store)
    assert found["before"] != found["after"]
    return found


def test_a_store_holds_each_row_with_its_file_and_line(
    states: dict[str, Inventory], store: Store
) -> None:
    store.fill(states["before"], Trust.STAMPS)
    [found] = duckdb.execute(
        f"""
        select count(*), count(distinct line_number), min(line_number), max(line_number)
        from {rows_in(store, "prints")} as stored
        inner join {parquet_rows([store.root / LIST])} as listed using (file_key)
        where listed.file_name = 'prints_2.json'
        """
    ).fetchall()
    # Fifty lines with a blank one after each but the last; the bad one lies elsewhere.
    assert found == (50, 50, 1, 99)


def test_a_second_load_writes_nothing(states: dict[str, Inventory], store: Store) -> None:
    assert store.fill(states["before"], Trust.STAMPS) == Loaded(files=4, written=4, removed=0)
    before = stamps(store)
    assert store.fill(states["before"], Trust.STAMPS) == Loaded(files=4, written=0, removed=0)
    assert stamps(store) == before
    assert store.fill(states["before"], Trust.NOTHING) == Loaded(files=4, written=4, removed=0)
    assert not set(stamps(store).items()) & set(before.items())


def test_only_what_changed_is_written_and_what_is_gone_is_removed(
    states: dict[str, Inventory], expected: dict[str, Seen], store: Store
) -> None:
    store.fill(states["before"], Trust.STAMPS)
    before = stamps(store)
    assert store.fill(states["after"], Trust.STAMPS) == Loaded(files=4, written=2, removed=2)
    after = stamps(store)
    # Two raw files stayed, each with its four parts; the store holds no other file.
    assert (len(set(before.items()) & set(after.items())), len(after)) == (8, 16)
    assert seen(store) == expected["after"]


@pytest.mark.parametrize("step", range(0, 16, 3))
def test_a_load_that_is_killed_leaves_a_whole_store(
    states: dict[str, Inventory],
    expected: dict[str, Seen],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    """Killed before this step: eight files get their names, then the list, then eight go."""
    store.fill(states["before"], Trust.STAMPS)
    left = iter(range(step))

    def until_killed(change: Callable[..., None]) -> Callable[..., None]:
        def killed(*arguments: Any, **options: Any) -> None:
            if next(left, None) is None:
                raise InterruptedError
            change(*arguments, **options)

        return killed

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", until_killed(os.replace))
        patched.setattr(os, "unlink", until_killed(os.unlink))
        with pytest.raises(InterruptedError):
            store.fill(states["after"], Trust.STAMPS)
    assert seen(store) == expected["before" if step < 9 else "after"]
    store.fill(states["after"], Trust.STAMPS)
    assert seen(store) == expected["after"]
    assert len(stamps(store)) == 16


def test_load_parses_as_a_build_does_and_tells_what_it_did(tmp_path: Path) -> None:
    request = folder_request(CLEAN, tmp_path / "out")
    store = Store(tmp_path / "store")
    assert load(request, store) == Loaded(files=3, written=3, removed=0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [*(".lock", "parsed")]
    with exclusive(tmp_path / "out" / ".lock", "another"), pytest.raises(ValuePropsError) as caught:
        load(request, store)
    assert caught.value.exit_code == ExitCode.LOCKED


def test_a_raw_file_that_stops_a_build_stops_a_load(raw: Path, tmp_path: Path) -> None:
    (raw / "pays.csv").write_text("pay_date,total\n", encoding="utf-8")
    request = folder_request(raw, tmp_path / "out")
    with pytest.raises(ValuePropsError, match="lacks the column user_id"):
        load(request, Store(tmp_path / "store"))
    assert not (tmp_path / "store" / LIST).exists()
    assert not (tmp_path / "out" / ".work").exists()


@pytest.mark.parametrize(
    ("folder", "complaint"),
    [
        ("s3://bucket/store", "is no folder of this machine"),
        ("taken", "Move the file out of the store"),
    ],
)
def test_a_folder_that_is_no_store_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken" / "prints").mkdir(parents=True)
    (tmp_path / "taken" / "prints" / "mine.parquet").touch()
    arguments = ["load", "--raw", str(CLEAN), "--out", str(tmp_path / "out"), "--to", folder]
    outcome = CliRunner().invoke(cli, arguments)
    assert isinstance(outcome.exception, ValuePropsError)
    assert complaint in str(outcome.exception)
    assert (tmp_path / "taken" / "prints" / "mine.parquet").exists()
