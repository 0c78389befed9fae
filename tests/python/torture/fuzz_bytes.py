"""A fuzzer of what reads the bytes of raw files: any bytes are counted as the reference does.

Arguments are those of libFuzzer, such as -runs=100000 -seed=1.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path

import atheris
from support.reference_files import Stopped, read_files

with atheris.instrument_imports(include=["value_props.ingest"]):
    from value_props.errors import ValuePropsError
    from value_props.ingest import fingerprint, lines
    from value_props.ingest.find import FoundFile, find_raw_files

HEADER = b"pay_date,total,user_id,value_prop\n"
EVENT = b'{"day":"2020-11-01","event_data":{"position":1,"value_prop":"point"},"user_id":7}\n'
FOLDER = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


def found_file(source: str, ending: str, content: bytes) -> FoundFile:
    for path in FOLDER.iterdir():
        path.unlink()
    for name, plain in (("prints.json", b""), ("taps.json", b""), ("pays.csv", HEADER)):
        if not name.startswith(source):
            (FOLDER / name).write_bytes(plain)
    suffix = "csv" if source == "pays" else "json"
    (FOLDER / f"{source}.{suffix}{ending}").write_bytes(content)
    return next(file for file in find_raw_files(FOLDER) if file.source_name == source)


def try_bytes(data: bytes) -> None:
    """Read some bytes as a raw file, by both."""
    choices = atheris.FuzzedDataProvider(data)
    source = ("prints", "pays")[choices.ConsumeIntInRange(0, 1)]
    ending = ("", "", "", ".gz")[choices.ConsumeIntInRange(0, 3)]
    fingerprint.CHUNK_BYTES = choices.ConsumeIntInRange(40, 300)
    lines.LONG_LINE_BYTES = choices.ConsumeIntInRange(50, 400)
    start = (b"", HEADER, EVENT * 3)[choices.ConsumeIntInRange(0, 2)]
    content = start + choices.ConsumeBytes(sys.maxsize)
    file = found_file(source, ending, content)
    try:
        [expected] = read_files(FOLDER, source)
    except Stopped:
        expected = None
    try:
        bytes_of = fingerprint.fingerprint(file)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as scratch:
            counted = lines.count_lines(file, bytes_of.is_odd, Path(scratch))
            copy = counted.read_path.read_bytes()
    except ValuePropsError:
        assert expected is None
        return
    assert expected is not None
    assert bytes_of.sha256 == hashlib.sha256(content).hexdigest()
    assert bytes_of.content_sha256 == hashlib.sha256(expected.content).hexdigest()
    assert counted.content.row_count == len(expected.rows)
    assert counted.content.columns == expected.header
    assert {line.line_number for line in counted.hard_lines} <= {
        number for number, _ in expected.rows
    }
    unreadable = {number for number, line in expected.rows if not is_text(line)}
    assert {line.line_number for line in counted.hard_lines if not line.is_readable} == unreadable
    if counted.read_path != file.path.absolute():
        # The engine reads the copy: each row stands on its line, the hard ones aside.
        hard = {line.line_number for line in counted.hard_lines}
        shown = copy.split(b"\n")
        for number, line in expected.rows:
            assert shown[number - 1] == (b"" if number in hard else line)
    elif not bytes_of.is_odd:
        assert not re.search(rb"[\r\0\1]", expected.content)


def is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in line


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_bytes)
    atheris.Fuzz()
