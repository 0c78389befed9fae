"""Sample data is written where nobody put anything, says what it is, and replaces nothing real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.harness import CLEAN, Answer, value_props

from value_props.cli import program as cli
from value_props.sample.raw_files import NOTE, is_sample_data, write_sample

MADE_UP = "This is sample data"


@pytest.fixture
def default_raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A raw path that counts as the default one; samples in it are small."""
    folder = tmp_path / "data" / "raw"
    monkeypatch.setattr(cli, "DEFAULT_RAW", folder)

    def write_small(out: Path, **_: object) -> None:
        write_sample(out, scale=0.001)

    monkeypatch.setattr("value_props.sample.raw_files.write_sample", write_small)
    return folder


def build(raw: Path, out: Path, *options: str) -> Answer:
    return value_props("build", "--raw", raw, "--out", out, *options)


def manifest_of(out: Path) -> Any:
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("is_there", [False, True])
def test_a_missing_or_empty_default_folder_gets_sample_data(
    default_raw: Path, tmp_path: Path, is_there: bool
) -> None:
    if is_there:
        default_raw.mkdir(parents=True)
    answer = build(default_raw, tmp_path / "out", "--sample-if-empty")
    assert answer.returncode == 0, answer.stderr
    assert MADE_UP in answer.stdout
    assert manifest_of(tmp_path / "out")["is_sample_data"] is True
    report = json.loads(value_props("report", "--out", tmp_path / "out").stdout)
    assert report["run"]["is_sample_data"] is True
    assert MADE_UP in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["Prints.json", ".DS_Store", "payments.csv", "week_48/"])
def test_a_default_folder_that_holds_anything_gets_none(
    default_raw: Path, tmp_path: Path, name: str
) -> None:
    (default_raw / name).parent.mkdir(parents=True)
    (default_raw / name).mkdir() if name.endswith("/") else (default_raw / name).touch()
    answer = build(default_raw, tmp_path / "out", "--sample-if-empty")
    assert answer.returncode == 2
    assert [path.name for path in default_raw.iterdir()] == [name.rstrip("/")]


def test_a_mistyped_raw_path_gets_none(default_raw: Path, tmp_path: Path) -> None:
    mistyped = tmp_path / "rwa"
    answer = build(mistyped, tmp_path / "out", "--sample-if-empty")
    assert answer.returncode == 2
    assert f"Raw path {mistyped}: there is no such folder" in answer.text
    assert not mistyped.exists()
    mistyped.mkdir()
    assert build(mistyped, tmp_path / "out", "--sample-if-empty").returncode == 2
    assert list(mistyped.iterdir()) == []
    assert not default_raw.exists()


def test_sample_data_replaces_real_data_only_where_asked(tmp_path: Path) -> None:
    sample, real, out = tmp_path / "sample", tmp_path / "real", tmp_path / "out"
    write_sample(sample, scale=0.001)
    shutil.copytree(CLEAN, real)
    assert build(sample, out).returncode == 0
    # Anything may replace sample data.
    assert build(real, out).returncode == 0
    published = manifest_of(out)
    assert published["raw_path"] == str(real)
    assert published["is_sample_data"] is False
    answer = build(sample, out)
    assert answer.returncode == 0, answer.stderr
    assert "The published run was not made of sample data, so it stays current" in answer.text
    assert manifest_of(out) == published
    # Sample files that were moved are what they were.
    for path in sample.iterdir():
        shutil.copyfile(path, real / path.name)
    assert build(real, out).returncode == 0
    assert manifest_of(out) == published
    assert build(sample, out, "--make-current").returncode == 0
    assert manifest_of(out)["is_sample_data"] is True


def test_other_raw_files_replace_what_is_published_only_where_asked(tmp_path: Path) -> None:
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "out"
    shutil.copytree(CLEAN, first)
    shutil.copytree(CLEAN, second)
    assert build(first, out).returncode == 0
    answer = build(second, out)
    assert answer.returncode == 0, answer.stderr
    assert f"made of other raw files, those in {first}, so it stays current" in answer.text
    assert manifest_of(out)["raw_path"] == str(first)
    # The same folder by another name is no other source.
    link = tmp_path / "link"
    link.symlink_to(first)
    assert "so it stays current" not in build(link, out).text
    assert manifest_of(out)["raw_path"] == str(link)
    assert build(second, out, "--make-current").returncode == 0
    assert manifest_of(out)["raw_path"] == str(second)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"sha256": 7}', b'{"sha256": {"a": "x"}}'])
def test_a_note_that_names_no_raw_file_makes_no_sample(note: bytes) -> None:
    assert not is_sample_data(note, ["y"])


def test_the_note_names_what_was_written(tmp_path: Path) -> None:
    write_sample(tmp_path, scale=0.001)
    note = json.loads((tmp_path / NOTE).read_text(encoding="utf-8"))
    assert set(note["sha256"]) == {"prints.json", "taps.json", "pays.csv"}
    assert is_sample_data((tmp_path / NOTE).read_bytes(), [note["sha256"]["taps.json"]])
