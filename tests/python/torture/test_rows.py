"""A million rows, many of them broken, and any bytes: judged as the reference judges them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

from support.attacks import dose, draw, record
from support.comparison import compare
from support.harness import ROOT, Pipeline
from support.raw_data import RawCase, big_case

CASES = dose(1, 34)
ROWS = dose(2_000, 14_000)
RUNS = dose(3_000, 150_000)


def spoilt(case: RawCase, random: Random) -> RawCase:
    """The case with bytes of some lines changed, lost or doubled; headers and gzip stay."""
    files = {}
    for name, content in case.files.items():
        # With the ends of the lines, which differ.
        lines = re.split(rb"(?<=[\n\r])", content)
        for place in range(0 if name.endswith(".gz") else len(lines)):
            if random.random() < 0.05 and b"pay_date" not in lines[place] and place > 3:
                lines[place] = _changed(lines[place], random)
        files[name] = b"".join(lines)
    return replace(case, files=files)


def _changed(line: bytes, random: Random) -> bytes:
    content = bytearray(line)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(content) + 1)
        other = random.randrange(len(content) + 1)
        change = random.randrange(5)
        if change == 0:
            content[place:place] = bytes([random.randrange(256)])
        elif change == 1:
            content[place : place + 1] = random.choice(
                [b'"', b",", b"{", b"}", b":", b"\\", b"0", b"-", b"\n", b"\r", b"\0", b"\1", b" "]
            )
        elif change == 2:
            del content[min(place, other) : max(place, other)]
        elif change == 3:
            content[place:place] = content[min(place, other) : max(place, other)]
        elif place < len(content):
            content[place] ^= 1 << random.randrange(8)
    return bytes(content)


def test_rows_of_any_kind_are_judged_as_the_reference_judges_them(pipeline: Pipeline) -> None:
    random = draw("rows")
    read = kept = quarantined = 0
    for _ in range(CASES):
        case = big_case(random.randrange(10**9), ROWS, broken_share=0.2)
        compare(pipeline, spoilt(case, random), in_every_way=False)
        [counts] = pipeline.query(
            "select sum(rows_read), sum(rows_kept), sum(rows_quarantined)"
            " from quality.row_reconciliation"
        )
        assert counts[0] == counts[1] + counts[2]
        read, kept, quarantined = read + counts[0], kept + counts[1], quarantined + counts[2]
    assert quarantined > read / 20
    record("rows", folders=CASES, read=read, kept=kept, quarantined=quarantined)


def test_bytes_of_any_kind_are_counted_as_the_reference_counts_them(tmp_path: Path) -> None:
    folder = Path(__file__).parent
    answer = subprocess.run(
        [
            *(sys.executable, folder / "fuzz_bytes.py", f"-runs={RUNS}", "-seed=7"),
            *("-max_len=1500", "-len_control=0", f"-artifact_prefix={tmp_path}/"),
        ],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder.parent), str(ROOT)])},
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:] + answer.stdout[-3000:]
    assert f"Done {RUNS} runs" in answer.stderr
    [coverage] = re.findall(r"DONE +cov: (\d+)", answer.stderr)
    record("bytes", inputs=RUNS, branches=int(coverage))
