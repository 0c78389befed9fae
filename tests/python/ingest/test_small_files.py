"""Many small files are read as one, and each is kept as if it had been read by itself."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.harness import ingest_in_every_way

from value_props import database
from value_props.errors import ValuePropsError
from value_props.ingest import Inventory, Trust, ingest, together
from value_props.ingest.find import find_raw_files
from value_props.ingest.keep import ParsedFiles
from value_props.ingest.stage import stage

HEADER = b"pay_date,total,user_id,value_prop\n"
COUNT = 9


def event(user: int) -> bytes:
    text = '{"day":"2020-11-01","event_data":{"position":1,"value_prop":"point"},"user_id":%d}\n'
    return (text % user).encode()


def payment(user: int) -> bytes:
    return f"2020-11-01,{user}.50,{user},point\n".encode()


def write(raw: Path, number: int, rows: int = 3) -> None:
    """One file a source; no two have an equal line."""
    users = range(1000 * number + 1, 1000 * number + 1 + rows)
    for source in ("prints", "taps"):
        (raw / f"{source}_{number:02}.json").write_bytes(b"".join(map(event, users)))
    (raw / f"pays_{number:02}.csv").write_bytes(HEADER + b"".join(map(payment, users)))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(1, COUNT + 1):
        write(folder, number, rows=number)
    return folder


def rows_of(inventory: Inventory, source: str) -> list[tuple[Any, ...]]:
    """file_number, line_number and user_id of the valid rows."""
    with database.opened(None) as connection:
        stage(connection, inventory)
        query = f"select file_number, line_number, user_id from raw.{source} order by all"
        return connection.execute(query).fetchall()


def kept_rows(store: ParsedFiles) -> list[Path]:
    return [path for path in store.folder.rglob("*.parquet") if ".counts" not in path.name]


def test_they_share_one_parsed_file_a_source(raw: Path, store: ParsedFiles) -> None:
    inventory = ingest(raw, store)
    assert len(kept_rows(store)) == 3
    assert all(file.content.is_plain for file in inventory.files)
    for source, first_line in (("prints", 1), ("taps", 1), ("pays", 2)):
        assert rows_of(inventory, source) == [
            (number, first_line + row, 1000 * number + 1 + row)
            for number in range(1, COUNT + 1)
            for row in range(number)
        ]
    for file in inventory.files:
        rows = file.found.file_number
        lines = rows + (file.found.source_name == "pays")
        content = file.content
        assert (content.row_count, content.line_count, content.distinct_users) == (
            *(rows, lines, rows),
        )


# What may become of one of the files, and whether the others are still read as one.
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a bad line": lambda content: content + b"?\n",
    "a line that is spelled otherwise": lambda content: content.replace(b"point", b"p\\u006fint"),
    "no last line end": lambda content: content.removesuffix(b"\n"),
    "a blank line": lambda content: content + b"\n",
    "a repeated line": lambda content: content + content.splitlines(keepends=True)[-1],
    "carriage returns": lambda content: content.replace(b"\n", b"\r\n"),
    "a quote": lambda content: content.replace(b"point", b'"point"'),
    "no rows": lambda content: content[: len(HEADER)] if content.startswith(HEADER) else b"",
    "a shorter line beside a longer": lambda content: (
        content.replace(b"2020-11-01", b"2020-11-1", 1) + b"\n"
    ),
    "keys in another order": lambda content: content.replace(
        b'"position":1,"value_prop":"point"', b'"value_prop":"point","position":1'
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_that_is_not_plain_changes_nothing_of_the_others(
    raw: Path, store: ParsedFiles, change: str
) -> None:
    number = 6
    before = ingest(raw, store)
    for source, ending in (("prints", "json"), ("pays", "csv")):
        path = raw / f"{source}_{number:02}.{ending}"
        path.write_bytes(CHANGES[change](path.read_bytes()))
    ingest_in_every_way(raw)
    after = ingest(raw, store, Trust.NOTHING)
    for source in ("prints", "taps", "pays"):
        others = [row for row in rows_of(after, source) if row[0] != number]
        assert others == [row for row in rows_of(before, source) if row[0] != number]
    plain = [file.content.is_plain for file in after.files if file.found.file_number != number]
    assert all(plain)


def test_compressed_ones_are_read_too(raw: Path, store: ParsedFiles) -> None:
    plain = ingest(raw, store)
    for path in list(raw.iterdir()):
        (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    zipped = ingest(raw, store)
    assert not any(file.is_parsed_now for file in zipped.files)
    again = ingest(raw, store, Trust.NOTHING)
    assert all(file.is_parsed_now for file in again.files)
    for source in ("prints", "taps", "pays"):
        assert rows_of(again, source) == rows_of(zipped, source) == rows_of(plain, source)


def test_one_that_is_large_when_it_is_unzipped_is_read_alone(
    raw: Path, store: ParsedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "SMALL_BYTES", 1000)
    large = raw / "prints_05.json"
    (raw / "prints_05.json.gz").write_bytes(gzip.compress(large.read_bytes() * 50))
    large.unlink()
    inventory = ingest(raw, store)
    assert [file.content.content_number for file in inventory.files[:6]] == [1, 2, 3, 4, 0, 5]


def test_rows_of_a_file_that_is_gone_are_not_shown(raw: Path, store: ParsedFiles) -> None:
    before = ingest(raw, store)
    for source, ending in (("prints", "json"), ("taps", "json"), ("pays", "csv")):
        (raw / f"{source}_04.{ending}").unlink()
    write(raw, 99, rows=5)
    after = ingest(raw, store)
    assert [file.is_parsed_now for file in after.files] == ([False] * (COUNT - 1) + [True]) * 3
    for source in ("prints", "taps", "pays"):
        users = {row[2] for row in rows_of(before, source)} - set(range(4001, 4005))
        assert {row[2] for row in rows_of(after, source)} == users | set(range(99001, 99006))
        # The numbers of files are those of this run.
        assert {row[0] for row in rows_of(after, source)} == set(range(1, COUNT + 1))
    with database.opened(None) as connection:
        stage(connection, after)
        [(counted,)] = connection.execute("select sum(row_count) from raw.row_counts").fetchall()
    assert counted == sum(len(rows_of(after, source)) for source in ("prints", "taps", "pays"))


def test_the_last_file_that_is_left_shows_no_rows_of_the_others(
    raw: Path, store: ParsedFiles
) -> None:
    ingest(raw, store)
    for path in raw.iterdir():
        if "_01" not in path.name:
            path.unlink()
    for source in ("prints", "taps", "pays"):
        assert [row[2] for row in rows_of(ingest(raw, store), source)] == [1001]


def test_a_damaged_one_makes_all_its_files_be_read_again(raw: Path, store: ParsedFiles) -> None:
    before = ingest(raw, store)
    damaged = before.files[0].parsed_path
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    after = ingest(raw, store)
    assert [file.is_parsed_now for file in after.files] == [True] * COUNT + [False] * COUNT * 2
    assert rows_of(after, "prints") == rows_of(before, "prints")


def test_it_stays_as_long_as_one_of_its_files_is_there(raw: Path, store: ParsedFiles) -> None:
    inventory = ingest(raw, store)
    for path in raw.glob("*_0[2-9]*"):
        path.unlink()
    ingest(raw, store)
    store.prune([])
    assert set(kept_rows(store)) == {file.parsed_path for file in inventory.files}
    for path in raw.iterdir():
        path.write_bytes(path.read_bytes().replace(b"2020-11-01", b"2020-11-02"))
    changed = ingest(raw, store)
    store.prune([])
    assert set(kept_rows(store)) == {file.parsed_path for file in changed.files}


def test_equal_contents_are_refused(raw: Path, store: ParsedFiles) -> None:
    (raw / "taps_08.json").write_bytes((raw / "taps_03.json").read_bytes())
    with pytest.raises(ValuePropsError, match=r"taps_08\.json.*same content.*taps_03\.json"):
        ingest(raw, store)


def test_one_that_changes_while_they_are_read_leaves_nothing(
    raw: Path, store: ParsedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(*arguments: Any) -> Any:
        if arguments[1][0].found.source_name == "taps":
            (raw / "taps_05.json").write_text("another", encoding="utf-8")
        return read_together(*arguments)

    read_together = together.read_together
    monkeypatch.setattr("value_props.ingest.reading.read_together", changing)
    with pytest.raises(ValuePropsError, match=r"taps_05\.json.*changed"):
        ingest(raw, store)
    assert not list((store.folder / "taps").glob("*.json"))


def test_batches_hold_small_files_of_one_source(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def batches() -> list[tuple[str, list[int]]]:
        return [
            (batch[0].source_name, [file.file_number for file in batch])
            for batch in together.batches_of(find_raw_files(raw))
        ]

    everything = list(range(1, COUNT + 1))
    assert batches() == [("prints", everything), ("taps", everything), ("pays", everything)]
    size = (raw / "prints_08.json").stat().st_size
    # A large one is by itself, and may come before the others.
    monkeypatch.setattr(together, "SMALL_BYTES", size)
    assert batches()[:2] == [("prints", [9]), ("prints", everything[:8])]
    monkeypatch.setattr(together, "BATCH_BYTES", size * 2)
    monkeypatch.setattr(together, "FEWEST", 2)
    assert batches()[:3] == [
        ("prints", [1, 2, 3, 4, 5, 6]),
        ("prints", [9]),
        ("prints", [7, 8]),
    ]
    monkeypatch.setattr(together, "FEWEST", 3)
    assert batches()[1:4] == [("prints", [9]), ("prints", [7]), ("prints", [8])]
