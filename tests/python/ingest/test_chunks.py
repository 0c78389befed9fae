"""What is counted in the bytes of a raw file does not depend on how they are divided in chunks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from value_props.ingest import fingerprint
from value_props.ingest.find import FoundFile, find_raw_files
from value_props.ingest.lines import count_lines

EVENT = b'{"day":"2020-11-01","event_data":{"position":1,"value_prop":"point"},"user_id":7}'
LINES = st.lists(st.sampled_from([EVENT, b"", b" ", b"\t ", b" {}", b"{", '{"día"}'.encode()]))


def found_file(folder: Path, content: bytes) -> FoundFile:
    for name in ("prints.json", "taps.json", "pays.csv"):
        (folder / name).write_bytes(content)
    return next(file for file in find_raw_files(folder) if file.source_name == "prints")


@given(lines=LINES, end=st.sampled_from([b"", b"\n"]), chunk_bytes=st.integers(30, 200))
def test_lines_and_marks_are_counted_across_chunks(
    lines: list[bytes], end: bytes, chunk_bytes: int
) -> None:
    content = b"\n".join(lines) + (end if lines else b"")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "CHUNK_BYTES", chunk_bytes)
        file = found_file(Path(folder), content)
        counted = count_lines(file, False, Path(folder))
        bytes_of = fingerprint.fingerprint(file)
    assert counted.content.line_count == content.count(b"\n") + (
        not content.endswith(b"\n") and content != b""
    )
    assert counted.content.row_count == sum(line.strip() != b"" for line in lines)
    assert bytes_of.events_in_order == lines.count(EVENT)
    assert bytes_of.content_bytes == len(content)
    assert not bytes_of.is_odd
