"""Names in the raw path: what is a raw file is read, or stops the run; what nearly is, is told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import duckdb
import pytest
from support.harness import CLEAN, RUN_DATE, build, manifest_of, value_props

from value_props.errors import ValuePropsError
from value_props.ingest import ingest, reading
from value_props.ingest.find import find_raw_files, ignored_names, modified_at
from value_props.ingest.keep import ParsedFiles


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def looping(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (dangling, "a link to a file that is not there"),
        (looping, "cannot be read"),
        (Path.mkdir, "it is a folder"),
        (os.mkfifo, "it is no file"),
    ],
)
def test_a_name_that_matches_and_cannot_be_read_stops_the_run(
    raw: Path, make: object, fault: str
) -> None:
    assert callable(make)
    make(raw / "pays_b.csv")
    with pytest.raises(ValuePropsError, match=fault) as told:
        find_raw_files(raw)
    assert str(raw / "pays_b.csv") in told.value.where


def test_a_file_that_may_not_be_read_names_its_owner(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "taps.json")
    with pytest.raises(ValuePropsError, match="belongs to") as told:
        find_raw_files(raw)
    assert "taps.json" in told.value.where


def test_a_link_to_a_file_is_read(raw: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.csv"
    (raw / "pays.csv").rename(moved)
    (raw / "pays_b.csv").symlink_to(moved)
    assert [file.path.name for file in find_raw_files(raw)][-1] == "pays_b.csv"


def test_a_name_that_is_not_utf_8_is_named(raw: Path) -> None:
    odd = os.fsencode(raw) + b"/prints_\xff.json"
    try:
        os.close(os.open(odd, os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system takes no such name")
    answer = value_props("check", "--raw", raw, exit_code=2)
    assert r"prints_\xff.json: its name is not UTF-8. Rename the file." in answer.text


@pytest.mark.parametrize("seconds", [4e11, -1e11])
def test_a_time_of_modification_that_is_no_date_is_named(raw: Path, seconds: float) -> None:
    with pytest.raises(ValuePropsError, match="is no date") as told:
        modified_at(raw / "taps.json", seconds)
    assert told.value.where == f"Raw file {raw / 'taps.json'}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "1970-01-01 00:00:00.500000"), (-6e10, "0068-09-03 13:20:00.000000")],
)
def test_a_time_of_modification_is_written_as_utc(raw: Path, seconds: float, text: str) -> None:
    assert modified_at(raw / "taps.json", seconds) == text


@pytest.mark.parametrize(
    "name",
    [
        *("Prints.json", "TAPS.JSON", "pays_2.CSV", "payments.csv", "payments_2020.csv.gz"),
        *(
            "pays.json",
            "prints.csv",
            "taps.json.zip",
            "prints.json.part",
            "tap.json",
            "print_1.json",
        ),
        *("prints", "PrintsA.json", "2020-11_prints.json", " prints.json", "taps.json~"),
    ],
)
def test_names_that_nearly_match_are_ignored_and_told(name: str) -> None:
    assert ignored_names([name]) == [name]


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "sample.json", ".prints.json.x7Qa", "paypal.md", "printer.log", "tape.txt"),
        *("prints.json", "taps_1.ndjson.gz", "pays.csv"),
    ],
)
def test_other_names_are_not_told(name: str) -> None:
    assert ignored_names([name]) == []


def test_ignored_names_stand_in_output_manifest_and_report(raw: Path, tmp_path: Path) -> None:
    shutil.copyfile(raw / "pays.csv", raw / "Pays.csv")
    (raw / "payments\x1b[2J.csv").touch()
    out = tmp_path / "out"
    answer = build(out, raw=raw)
    assert r"Ignored in the raw path: Pays.csv, payments\x1b[2J.csv." in answer.stdout
    manifest = manifest_of(out)
    assert manifest["ignored_files"] == ["Pays.csv", "payments\x1b[2J.csv"]
    assert any("Pays.csv" in warning for warning in manifest["warnings"])
    report = json.loads(value_props("report", "--out", out).stdout)
    assert report["ignored_files"] == manifest["ignored_files"]
    checked = value_props("check", "--raw", raw, "--run-date", RUN_DATE)
    assert "Ignored in the raw path: Pays.csv" in checked.stdout


def test_no_file_for_a_source_names_those_that_nearly_are(raw: Path) -> None:
    (raw / "pays.csv").rename(raw / "payments.csv")
    answer = value_props("check", "--raw", raw, exit_code=2)
    assert "no file for the source pays" in answer.text
    assert "Ignored in the raw path: payments.csv" in answer.text


def test_what_the_engine_refuses_names_the_file_and_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("IO Error: no space left\nOriginal Line: user 98702")

    monkeypatch.setattr(reading, "read_plain", lambda *_: None)
    monkeypatch.setattr(reading, "read_lines", full)
    with pytest.raises(ValuePropsError, match=r"prints\.json.*no space left") as caught:
        ingest(CLEAN, ParsedFiles(tmp_path))
    assert "98702" not in str(caught.value)
