"""Raw files of any size and number, and one that grows: read whole in bounded memory, or told."""

from __future__ import annotations

import gzip
import shutil
import threading
import time
from pathlib import Path
from random import Random

from support.attacks import attempt, build_whole, dose, draw, record, variant
from support.harness import CLEAN

SMALL_FILES = dose(300, 10_000)
HUGE_MB = dose(20, 300)


def grow(path: Path, until: threading.Event, random: Random) -> None:
    while not until.is_set():
        with path.open("a", encoding="utf-8") as file:
            file.write("2020-11-10,1.00,5,point\n")
        time.sleep(random.random() / 100)


def test_a_file_that_grows_is_read_whole_or_told(tmp_path: Path) -> None:
    out, raw, until = tmp_path / "out", variant(tmp_path / "raw", 0), threading.Event()
    growing = threading.Thread(target=grow, args=(raw / "pays.csv", until, draw("growing")))
    growing.start()
    try:
        for _ in range(dose(2, 10)):
            code, said = attempt(out, raw)
            assert code == 2, said
            assert "changed while the run was reading it" in said
    finally:
        until.set()
        growing.join()
    build_whole(out, raw)


def test_many_small_files_a_huge_line_and_a_bomb(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(SMALL_FILES):
        (raw / f"pays_{number:05}.csv").write_text(
            f"pay_date,total,user_id,value_prop\n2020-11-10,1.00,{number + 1},point\n",
            encoding="utf-8",
        )
    begun = time.monotonic()
    manifest = build_whole(out, raw)
    small = round(time.monotonic() - begun, 1)
    assert len(manifest["inputs"]) == SMALL_FILES + 3
    shutil.rmtree(raw)
    shutil.copytree(CLEAN, raw)
    with (raw / "prints_huge.json").open("w", encoding="utf-8") as file:
        for _ in range(HUGE_MB):
            file.write("x" * (1 << 20))
    with gzip.open(raw / "taps_bomb.json.gz", "wb", compresslevel=1) as packed:
        for _ in range(HUGE_MB * 3):
            packed.write(bytes(1 << 20))
    begun = time.monotonic()
    manifest = build_whole(out, raw, "--max-quarantine-rate=0.5")
    bad = {
        Path(row["path"]).name: row["quarantined_by_reason"]
        for row in manifest["inputs"]
        if row["rows_quarantined"]
    }
    assert bad == {"prints_huge.json": {"malformed": 1}, "taps_bomb.json.gz": {"malformed": 1}}
    record(
        "sizes",
        small_files=SMALL_FILES,
        small_files_seconds=small,
        line_mb=HUGE_MB,
        bomb_mb=HUGE_MB * 3,
        line_and_bomb_seconds=round(time.monotonic() - begun, 1),
    )
