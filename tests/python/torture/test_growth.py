"""Years of runs in one folder cost the next run next to nothing."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.attacks import assert_whole, attempt, dose, record, run_to_its_end
from support.harness import CLEAN

from value_props.database import literal, opened, parquet_rows

RECORDS = dose(60, 5 * 365)


def repeat(record_of: Path, days: int) -> None:
    """Records of as many daily runs as that, each like the one there is."""
    first = datetime(2015, 1, 1, 6, tzinfo=UTC)
    with opened(None) as connection:
        for day in range(days):
            run_id = f"{first + timedelta(days=day):%Y%m%dT%H%M%SZ}-{day:06x}"
            folder = record_of.with_name(run_id)
            folder.mkdir()
            (folder / "texts_removed").touch()
            for path in record_of.iterdir():
                if path.suffix != ".parquet":
                    shutil.copyfile(path, folder / path.name)
                    continue
                rows = parquet_rows([path])
                connection.execute(
                    f"copy (select * replace ({literal(run_id)} as run_id) from {rows})"
                    f" to {literal(folder / path.name)} (format parquet)"
                )


def test_the_records_of_years_cost_the_next_run_little(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def build() -> dict[str, float]:
        code, said = attempt(out, CLEAN)
        assert code == 0, said
        assert_whole(out)
        return {step: float(text) for step, text in re.findall(r"step=(\w+) seconds=(\S+)", said)}

    build()
    before = build()
    [record_of, *_] = sorted((out / "quality").iterdir())
    repeat(record_of, RECORDS)
    first, second = build(), build()
    sizes = [path.stat().st_size for path in record_of.iterdir()]
    record(
        "growth",
        records=RECORDS,
        files_per_record=len(sizes),
        kilobytes_per_record=sum(sizes) >> 10,
        history_seconds={"no record": before["history"], "first": first["history"]}
        | {"next": second["history"]},
    )
    assert second["history"] < before["history"] + 0.5 + 0.001 * RECORDS
    code, said = run_to_its_end("history", "--out", out, "--limit", "3")
    assert code == 0, said
