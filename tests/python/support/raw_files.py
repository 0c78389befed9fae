"""Make raw files as bytes for raw_data.py: names, layouts, and faults that stop a run."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from random import Random

from support.reference import SOURCES

STOPS = (
    "no_file",
    "empty_folder",
    "folder_named_as_a_file",
    "lacking_column",
    "repeated_column",
    "column_in_other_case",
    "column_with_space",
    "malformed_header",
    "truncated_gzip",
    "corrupt_gzip",
    "garbage_as_gzip",
    "utf16_with_bom",
    "utf16_without_bom",
    "same_content",
    "same_content_gzipped",
    "beside_its_gzip",
)
FILE_SUFFIXES = (
    "",
    "_1",
    "_2",
    "_10",
    "-2020-11",
    ".part1",
    "B",
    "b",
    " copy",
    "\u00e9",
    "\uff5e",
    "\U0001f600",
    "[1]",
    "'s",
    "%20",
    "#1",
    ".json",
)
JSON_EXTENSIONS = (".json", ".jsonl", ".ndjson")
IGNORED_FILES = {
    "Prints.json": b'{"day":1}\n',
    "TAPS.JSON": b"{}\n",
    "print.json": b"{}\n",
    "old_prints.json": b"{}\n",
    "prints.txt": b"no json",
    "prints.JSON": b"{}\n",
    "prints.json.bak": b"{}\n",
    "prints.json.gz.tmp": b"\x1f\x8b",
    "prints.csv": b"day\n",
    "taps": b"",
    "pays.json": b"{}\n",
    "pays.csv.zip": b"PK",
    "README.md": b"# raw\n",
    ".prints.json.swp": b"\x00",
    "prints/prints.json": b"{}\n",
    "archive/pays.csv": b"total\n",
}


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder. Create the folder if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def layout_of(code: int) -> Random | None:
    """Return the random choices for a file's layout; None for a plain file."""
    return Random(code) if code else None


def file_name(source: str, layout: Random | None, taken: set[str]) -> str:
    extensions = (".csv",) if source == "pays" else JSON_EXTENSIONS
    suffixes = [suffix for suffix in FILE_SUFFIXES if source + suffix not in taken]
    suffix = layout.choice(suffixes) if layout and layout.random() < 0.8 else suffixes[0]
    taken.add(source + suffix)
    if layout is None:
        return source + suffix + extensions[0]
    return source + suffix + layout.choice(extensions) + layout.choice(("", "", ".gz"))


def to_file(lines: list[bytes], layout: Random | None, *, is_gzip: bool) -> bytes:
    if layout is None:
        return b"".join(line + b"\n" for line in lines)
    style = layout.choice((b"\n", b"\n", b"\r\n", b"\r", None))
    blank_share = layout.choice((0.0, 0.0, 0.1))
    parts = [b"\xef\xbb\xbf"] if layout.random() < 0.2 else []
    for line in lines:
        while layout.random() < blank_share:
            parts += [layout.choice((b"", b" ", b"\t", b" \t  ", b" " * 5000)), _end(style, layout)]
        parts += [line, _end(style, layout)]
    if layout.random() < 0.3 and lines:
        parts.pop()
    content = b"".join(parts)
    return _gzip(content, layout) if is_gzip else content


def _end(style: bytes | None, layout: Random) -> bytes:
    return layout.choice((b"\n", b"\r\n", b"\r")) if style is None else style


def _gzip(content: bytes, layout: Random | None = None) -> bytes:
    """Compress bytes to one gzip member, or, if the layout says so, to several cut anywhere."""
    cuts = [0, len(content)]
    if layout and layout.random() < 0.4:
        cuts += [layout.randint(0, len(content)) for _ in range(layout.randint(1, 3))]
    cuts.sort()
    members = [content[start:end] for start, end in pairwise(cuts)]
    return b"".join(gzip.compress(member, mtime=0) for member in members)


def add_odd_files(files: dict[str, bytes], rng: Random) -> None:
    """Add files without rows, and files that belong to no source."""
    if rng.random() < 0.3:
        for name in rng.sample(list(IGNORED_FILES), 2):
            files[name] = IGNORED_FILES[name]
    if rng.random() < 0.2:
        empty = rng.choice((b"", b"\n", b" \t\r\n\r", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"))
        header = b"pay_date,total,user_id,value_prop"
        no_payment = rng.choice((empty, empty + header, header + b"\n" + b" \n"))
        files |= {"prints_none.json": empty, "taps_none.jsonl.gz": _gzip(empty)}
        files |= {"pays_none.csv": no_payment, "pays_no more.csv": no_payment}


def spoil(files: dict[str, bytes], stop: str, rng: Random) -> None:
    """Change the folder so that no run can start on it."""
    source = rng.choice(SOURCES)
    extension = ".csv" if source == "pays" else ".json"
    text = "{}" if source != "pays" else "pay_date,total,user_id,value_prop\n2020-11-01,1,5,point"
    content, packed = text.encode(), gzip.compress(text.encode() * 20, mtime=0)
    bad_header = rng.choice((b'"pay_date,total,user_id,value_prop', b"\x00", b"\xff"))
    encoding, mark = rng.choice((("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")))
    name, again = f"{source}_spoiled{extension}", f"{source}_spoiled_again{extension}"
    headers = {
        "lacking_column": b"pay_date,total,user_id",
        "repeated_column": b"pay_date,total,user_id,value_prop,total",
        "column_in_other_case": b"pay_date,Total,user_id,value_prop",
        "column_with_space": b"pay_date, total,user_id,value_prop",
        "malformed_header": bad_header,
    }
    added = {
        "folder_named_as_a_file": {f"{name}/{source}{extension}": content},
        "truncated_gzip": {f"{name}.gz": packed[: rng.randrange(1, len(packed))]},
        "corrupt_gzip": {f"{name}.gz": packed[:-8] + b"\x00\x01\x02\x03" + packed[-4:]},
        "garbage_as_gzip": {f"{name}.gz": content},
        "utf16_with_bom": {name: mark + text.encode(encoding)},
        "utf16_without_bom": {name: text.encode(encoding)},
        "same_content": {name: content, again: content},
        "same_content_gzipped": {name: content, f"{again}.gz": gzip.compress(content, mtime=0)},
        "beside_its_gzip": {name: content, f"{name}.gz": packed},
    }
    if stop == "empty_folder":
        files.clear()
    elif stop == "no_file":
        for each in [each for each in files if each.startswith(source)]:
            del files[each]
    elif stop in headers:
        files["pays_spoiled.csv"] = headers[stop] + b"\n2020-11-01,7.04,5,point,7.04\n"
    else:
        files |= added[stop]
