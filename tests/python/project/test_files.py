"""Files are whole for whoever reads them, at any moment and after any fault."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from value_props import files
from value_props.files import remove_tree, replace_link, replace_text, replacing
from value_props.logs import log_file, logger


def test_a_reader_finds_a_whole_file_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "metrics.prom"
    texts = ["value_props_a 1\n" * 20_000, "value_props_b 2\n" * 20_000]
    umask = os.umask(0o077)
    replace_text(path, texts[0], mode=0o644)
    os.umask(umask)
    # node-exporter runs as somebody else.
    assert path.stat().st_mode & 0o777 == 0o644
    is_over = threading.Event()

    def rewrite() -> None:
        for number in range(50):
            replace_text(path, texts[number % 2])
        is_over.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    while not is_over.is_set():
        assert path.read_text(encoding="utf-8") in texts
    writer.join()


@pytest.mark.parametrize("scratch", [None, "scratch"])
def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: str | None
) -> None:
    path = tmp_path / "metrics.prom"
    folder = tmp_path / scratch if scratch else None
    if folder:
        folder.mkdir()
    replace_text(path, "old\n", scratch=folder)

    def fail(_: Path) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(OSError, match="full"):
        replace_text(path, "new\n", scratch=folder)
    with suppress(KeyError), replacing(path) as draft:
        draft.write_text("half", encoding="utf-8")
        raise KeyError
    assert path.read_text(encoding="utf-8") == "old\n"
    # node-exporter would tell a draft beside it as well.
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_what_is_replaced_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    synced: list[tuple[str, bool]] = []
    monkeypatch.setattr(files, "sync", lambda each: synced.append((each.name, path.exists())))
    replace_text(path, "text")
    assert synced == [(".a.draft", False)]
    replace_link(tmp_path / "link", Path("a"))
    assert synced[1:] == [(tmp_path.name, True)]
    replace_link(tmp_path / "link", Path("b"))
    assert (tmp_path / "link").readlink() == Path("b")


def test_a_folder_that_cannot_be_removed_is_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        # So the system tells of a file in a folder that is open.
        raise PermissionError(13, "Permission denied", "report.html")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(PermissionError) as told:
        remove_tree(tmp_path)
    assert told.value.filename == str(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_log_on_a_full_disk_does_not_change_how_a_run_ends() -> None:
    with suppress(KeyError), log_file(Path("/dev/full")):
        logger.warning("what the disk does not take")
        raise KeyError
