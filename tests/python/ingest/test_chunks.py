"""What is counted in the bytes of a raw file does not depend on how they are divided in chunks."""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from value_props.ingest import fingerprint
from value_props.ingest.find import FoundFile, find_raw_files, stamp_of
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


def test_a_compressed_file_has_a_hash_of_its_bytes_and_one_of_its_content(tmp_path: Path) -> None:
    path = tmp_path / "prints.json.gz"
    path.write_bytes(gzip.compress(EVENT))
    file = FoundFile("prints", 1, path, str(path), stamp_of(path))
    bytes_of = fingerprint.fingerprint(file)
    assert bytes_of.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert bytes_of.content_sha256 == hashlib.sha256(EVENT).hexdigest()
