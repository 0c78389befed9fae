"""An out folder of version 0.1.0 is read and continued; one of a later format is refused.

The archive holds the out folder that commit e0d0554 left, without its `.cache` and `.lock`:

    value-props build --raw /data/raw --out /data/out --run-date 2020-12-01 \
        --as-of 2020-11-22 --allow-incomplete
    value-props build --raw /data/raw --out /data/out --run-date 2020-12-01
    value-props build --raw /data/dirty --out /data/out --run-date 2020-12-01

/data/raw and /data/dirty are the two folders of tests/fixtures. The third run failed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.harness import (
    CLEAN,
    ROOT,
    build,
    contents,
    history_of,
    manifest_of,
    published_rows,
    value_props,
)
from support.s3_server import BUCKET, S3Server

from value_props.publish.bucket import Bucket
from value_props.publish.out_path import FEATURES, FORMAT_VERSION, MANIFEST
from value_props.publish.places import CACHE

ARCHIVE = ROOT / "tests" / "fixtures" / "out_of_0.1.0.tar.xz"
OLDER, OLD, FAILED = "20261129T145856Z-41a105", "20261129T150019Z-d10195", "20261129T150116Z-4a3ec3"
# A user of the clean fixture.
USER = 30


def unpack(folder: Path) -> tuple[Path, Path]:
    """Unpack the archive, and return its out path and the raw folder of its published runs."""
    shutil.unpack_archive(ARCHIVE, folder, filter="tar")
    out, raw = folder / "out", folder / "raw"
    shutil.copytree(CLEAN, raw)
    for run_id in (OLDER, OLD):
        rewrite(out / "runs" / run_id / MANIFEST, "/data/raw", str(raw))
    return out, raw


def rewrite(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.unlink()
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An out path of version 0.1.0."""
    return unpack(tmp_path)[0]


@pytest.fixture(scope="module")
def continued(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An out path of version 0.1.0 with a new run, and its raw folder. Tests must not change it."""
    out, raw = unpack(tmp_path_factory.mktemp("upgrade"))
    build(out, "--serving-features", raw=raw)
    return out, raw


@pytest.fixture
def upgraded(continued: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the out path of `continued`. Tests may change it."""
    copy = tmp_path / "out"
    shutil.copytree(continued[0], copy, symlinks=True)
    return copy


def report_of(out: Path, *run_id: str) -> dict[str, Any]:
    answer = value_props("report", *run_id, "--out", out, exit_code=0)
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def test_the_old_runs_are_listed_verified_and_compared(old: Path) -> None:
    runs = {run["run_id"]: run for run in history_of(old)}
    assert {run_id: run["status"] for run_id, run in runs.items()} == {
        OLDER: "published", OLD: "published", FAILED: "failed"
    }  # fmt: skip
    assert runs[OLD]["rows_in_mart"] == 120
    assert {run["serving_features"] for run in runs.values()} == {None}
    value_props("history", "--out", old, exit_code=0)
    value_props("verify", "--out", old, exit_code=0)
    assert report_of(old)["run"]["run_id"] == FAILED
    answer = value_props("diff", OLDER, OLD, "--out", old, exit_code=0)
    assert "added" in answer.stdout


def test_a_rollback_between_old_runs_needs_no_new_one(old: Path) -> None:
    (old / "metrics.prom").unlink()
    value_props("rollback", "--out", old, exit_code=0)
    value_props("verify", "--out", old, exit_code=0)
    assert manifest_of(old)["run_id"] == OLDER
    assert "value_props_published_timestamp_seconds" in (old / "metrics.prom").read_text("utf-8")
    assert {run["run_id"]: run["status"] for run in history_of(old)}[OLD] == "rolled back"


def test_a_build_without_new_switches_continues(old: Path) -> None:
    build(old, raw=old.parent / "raw")
    assert manifest_of(old)["run_id"] not in (OLDER, OLD)
    assert [run["status"] for run in history_of(old)] == [
        "published", "failed", "published", "published"
    ]  # fmt: skip
    assert not (old / "last_run").exists()


def test_the_new_run_is_current_and_serves(continued: tuple[Path, Path]) -> None:
    out, _ = continued
    manifest = manifest_of(out)
    assert manifest["run_id"] not in (OLDER, OLD)
    assert manifest["rows_in_features"] > 0
    assert (out / FEATURES).is_file()
    value_props("verify", "--out", out, exit_code=0)


def test_the_new_database_holds_the_old_runs(continued: tuple[Path, Path]) -> None:
    out, _ = continued
    new = manifest_of(out)["run_id"]
    assert published_rows(
        out, "select run_id, status, serving_features from quality.runs order by all"
    ) == [
        (OLDER, "published", None),
        (OLD, "published", None),
        (FAILED, "failed", None),
        (new, "published", True),
    ]
    for table in ("test_results", "source_profiles", "mart_profiles", "week_profiles"):
        found = published_rows(out, f"select distinct run_id from quality.{table} order by all")
        assert found == [(OLDER,), (OLD,), (FAILED,), (new,)], table
    # What the first run saw of the catalogue is still known.
    first = "select value_prop, dbt_valid_from from snapshots.snap_value_props order by all"
    assert published_rows(out, first) == published_rows(out / "runs" / OLD, first) != []


def test_an_old_and_a_new_run_are_compared(continued: tuple[Path, Path]) -> None:
    out, _ = continued
    new = manifest_of(out)["run_id"]
    same = value_props("diff", OLD, new, "--out", out, exit_code=0)
    assert "added" not in same.stdout
    assert "changed" not in same.stdout.partition("\n")[2]
    assert "added" in value_props("diff", OLDER, new, "--out", out, exit_code=0).stdout


def test_a_rollback_to_an_old_run_is_whole(upgraded: Path) -> None:
    new = manifest_of(upgraded)["run_id"]
    value_props("rollback", "--out", upgraded, "--to", OLD, exit_code=0)
    assert manifest_of(upgraded)["run_id"] == OLD
    # The old run has no features, and those of another run must not stand beside its files.
    assert not (upgraded / FEATURES).is_symlink()
    value_props("verify", "--out", upgraded, exit_code=0)
    assert report_of(upgraded, OLD)["run"]["run_id"] == OLD
    value_props("rollback", "--out", upgraded, "--to", new, exit_code=0)
    assert (upgraded / FEATURES).is_file()


def test_users_are_forgotten_while_an_old_run_is_current(upgraded: Path, raw: Path) -> None:
    value_props("rollback", "--out", upgraded, "--to", OLD, exit_code=0)
    manifest = upgraded / "runs" / OLD / MANIFEST
    rewrite(manifest, manifest_of(upgraded)["raw_path"], str(raw))
    removed = 0
    for path in raw.iterdir():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not is_of_user(line)]
        path.write_text("".join(kept), encoding="utf-8")
        removed += len(lines) - len(kept)
    assert removed > 0
    value_props("forget", "--user", str(USER), "--out", upgraded, exit_code=0)
    assert [path.name for path in (upgraded / "runs").iterdir()] == [
        manifest_of(upgraded)["run_id"]
    ]
    assert not (upgraded / "last_run").exists()
    assert (upgraded / "quality" / FAILED / "texts_removed").exists()
    assert {run["run_id"] for run in history_of(upgraded)} >= {OLDER, OLD, FAILED}


def is_of_user(line: str) -> bool:
    return f'"user_id":{USER}}}' in line or f",{USER}," in line


def refuse(where: str, *arguments: str | Path) -> None:
    """Assert that a command refuses a manifest of a later format in one sentence and a remedy."""
    answer = value_props(*arguments, exit_code=2)
    later = FORMAT_VERSION + 1
    assert f"{where}: its format_version is {later}, and value-props" in answer.text
    remedy = "Use the version of value-props that published it, or a newer one."
    assert f"reads none above {FORMAT_VERSION}. {remedy}" in answer.text
    assert "Traceback" not in answer.text


def make_later(path: Path) -> None:
    rewrite(path, f'"format_version": {FORMAT_VERSION}', f'"format_version": {FORMAT_VERSION + 1}')


def test_an_out_path_of_a_later_format_is_refused_and_unchanged(old: Path) -> None:
    make_later(old / "runs" / OLD / MANIFEST)
    before = contents(old), sorted(path.name for path in (old / "quality").iterdir())
    for command in (
        ("build", "--raw", CLEAN),
        ("load", "--raw", CLEAN, "--to", old.parent / "store"),
        ("verify",),
        ("history",),
        ("report",),
        ("rollback",),
        ("diff", OLDER, OLD),
        ("forget", "--user", "1"),
    ):
        refuse(f"Out path {old / MANIFEST}", *command, "--out", old)
    assert (contents(old), sorted(path.name for path in (old / "quality").iterdir())) == before
    assert not (old / ".work").exists()


def test_a_rollback_to_a_run_of_a_later_format_is_refused(upgraded: Path) -> None:
    path = upgraded / "runs" / OLDER / MANIFEST
    make_later(path)
    refuse(f"Published run {path}", "rollback", "--out", upgraded, "--to", OLDER)
    value_props("verify", "--out", upgraded, exit_code=0)


def test_a_bucket_of_a_later_format_is_refused(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    out = Bucket(f"s3://{BUCKET}/later")
    manifest = {"format_version": FORMAT_VERSION + 1, "run_id": OLD, "outputs": []}
    out.write(MANIFEST, json.dumps(manifest).encode())
    for command in (("build", "--raw", CLEAN), ("verify",), ("history",), ("rollback",)):
        refuse(f"Bucket {out}, object {MANIFEST}", *command, "--out", out.address)
    # No record of a run, and no lock.
    assert list(out.entries()) == [MANIFEST]
