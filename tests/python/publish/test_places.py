"""Which folder stands for a path, and which name the user is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from value_props.errors import ValuePropsError
from value_props.publish.places import CACHE, place_of


def test_a_folder_stands_for_itself_whatever_the_current_folder_is_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    raw = place_of("data/raw", "raw")
    home = place_of("~/pub", "out")
    monkeypatch.chdir("/")
    assert (raw.name, raw.folder, raw.bucket) == (
        str(tmp_path / "data/raw"),
        tmp_path / "data/raw",
        None,
    )
    assert raw.mirrored({}) == {}
    assert home.folder == tmp_path / "home" / "pub"


def test_a_user_without_a_home_is_told_to_name_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (CACHE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ValuePropsError, match=CACHE):
        place_of("s3://lake/raw", "raw")


def test_each_address_has_a_folder_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    raw = place_of("s3://lake/a/", "raw")
    assert raw.name == "s3://lake/a"
    assert raw.folder.parent == Path("/var/cache/value-props/raw")
    assert raw.folder.name.startswith("s3_lake_a_")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert place_of("gs://lake/a", "out").folder.parent == (
        Path.home() / ".cache" / "value-props" / "out"
    )
    monkeypatch.setenv(CACHE, "/scratch")
    addresses = ("s3://lake/a/b", "s3://lake/a_b", "gs://lake/a/b")
    places = [
        place for text in addresses for place in (place_of(text, "raw"), place_of(text, "out"))
    ]
    folders = {place.folder for place in places}
    assert len(folders) == 6
    assert {folder.parents[1] for folder in folders} == {Path("/scratch")}


def test_errors_name_the_address_and_where_only_this_machine_has_it_the_folder() -> None:
    place = place_of("s3://lake/out", "out")
    folder = place.folder
    with pytest.raises(ValuePropsError) as told, place.name_in_errors():
        raise ValuePropsError(
            f"{folder}/runs/1 is missing",
            f"Out path {folder}",
            f"Look at {folder}/last_run",
            details=[f"{folder}/runs/2 too"],
        )
    assert told.value.lines() == [
        "Out path s3://lake/out: s3://lake/out/runs/1 is missing.",
        "- s3://lake/out/runs/2 too.",
        f"Look at {folder}/last_run.",
    ]
