"""A full disk, a failing write, a missing right: what is published stays whole, or is told."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from support.attacks import (
    RUN_DATE,
    assert_recorded_once,
    assert_told,
    assert_whole,
    attempt,
    build_whole,
    dose,
    draw,
    record,
    variant,
)
from support.command_process import Started
from support.harness import sha256

FULL_DISKS = dose(3, 20)
FAILED_CALLS = dose(3, 30)
# System calls that write, and that a disk may refuse.
WRITES = "write,pwrite64,fsync,ftruncate,rename,renameat,renameat2,mkdir,openat"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """An out path with a published run of other raw files than the next run reads."""
    out = tmp_path / "disk" / "out"
    build_whole(out, variant(tmp_path / "raw_0", 0))
    return out


def limit_file_size(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_no_file_may_grow_any_further(published: Path, tmp_path: Path) -> None:
    random, raw = draw("file size"), variant(tmp_path / "raw_1", 1)
    before = sha256(published / "final.csv")
    ended: dict[int, int] = {}
    # The largest file of a run has some megabytes.
    for _ in range(FULL_DISKS):
        size = int(10 ** random.uniform(2, 6.9))
        code, said = attempt(published, raw, prepare=partial(limit_file_size, size))
        assert_told(code, said)
        assert_whole(published)
        ended[code] = ended.get(code, 0) + 1
        if code != 0:
            assert sha256(published / "final.csv") == before, (size, said)
            build_whole(published, raw)
        before = sha256(published / "final.csv")
        raw = variant(tmp_path / f"raw_{len(ended)}_{size}", size)
    record("file size", **{f"exit {code}": count for code, count in ended.items()})
    assert_recorded_once(published, set())


@contextmanager
def disk_of(folder: Path, kilobytes: int) -> Iterator[None]:
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.torture
def test_a_disk_that_is_full_at_any_time(published: Path, tmp_path: Path) -> None:
    random = draw("full disk")
    kept = tmp_path / "kept"
    published.parent.rename(kept)
    size = sum(path.lstat().st_size for path in kept.rglob("*") if path.is_file())
    folder = tmp_path / "disk"
    folder.mkdir()
    ended: dict[int, int] = {}
    for number in range(FULL_DISKS):
        raw = variant(tmp_path / f"raw_full_{number}", number + 1)
        # The run itself asks for 200 MiB; they are given, and taken away while it works.
        with disk_of(folder, (size >> 10) + 400_000):
            shutil.copytree(kept / "out", published, symlinks=True)
            before = sha256(published / "final.csv")
            room = random.randrange(0, 16_000) << 10
            filling = threading.Timer(random.random() * 7, fill, (folder, room))
            filling.start()
            code, said = attempt(published, raw)
            filling.join()
            assert_told(code, said)
            assert_whole(published)
            ended[code] = ended.get(code, 0) + 1
            if code != 0:
                assert sha256(published / "final.csv") == before
            (folder / "ballast").unlink(missing_ok=True)
            build_whole(published, raw)
    record("full disk", **{f"exit {code}": count for code, count in ended.items()})


def fill(folder: Path, room: int) -> None:
    """Leave only some bytes of a disk free."""
    free = shutil.disk_usage(folder).free - room
    with (folder / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free, 1))


def wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)


def traced(out: Path, raw: Path, folder: Path, injected: str) -> tuple[int, str, str]:
    """A build under strace: its exit code, what it said, and its system calls."""
    go, calls = folder / "go", folder / "calls"
    for path in (go, calls):
        path.unlink(missing_ok=True)
    started = Started(
        ("build", "--raw", raw, "--out", out, *RUN_DATE, "--make-current"),
        folder / "said",
        prepare=partial(wait_for, str(go)),
    )
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-qq", "-p", str(started.process.pid), "-o", str(calls)),
            *("-e", f"trace={WRITES}", *(("-e", injected) if injected else ())),
        ],
        stderr=subprocess.PIPE,
    )
    time.sleep(0.5)
    go.touch()
    code = started.wait()
    tracer.wait(60)
    return code, started.said, calls.read_text(encoding="utf-8", errors="replace")


@pytest.mark.torture
def test_any_system_call_that_writes_may_fail(published: Path, tmp_path: Path) -> None:
    random = draw("system calls")
    code, said, calls = traced(published, variant(tmp_path / "raw_1", 1), tmp_path, "")
    assert code == 0, said
    counts = {name: len(re.findall(rf"^\d+ +{name}\(", calls, re.M)) for name in WRITES.split(",")}
    names = [name for name, count in counts.items() if count]
    ended: dict[str, int] = {}
    for number in range(FAILED_CALLS):
        name = random.choice(names)
        error = random.choice(["ENOSPC", "EIO", "EACCES"])
        when = f"{random.randint(1, counts[name])}{random.choice(['', '+'])}"
        raw = variant(tmp_path / f"raw_call_{number}", number + 2)
        before = sha256(published / "final.csv")
        case = f"{name} {error} {when}"
        code, said, _ = traced(published, raw, tmp_path, f"inject={name}:error={error}:when={when}")
        # DuckDB ends the process where its own clean-up after such a failure fails as well.
        is_aborted = code == -signal.SIGABRT and "duckdb::" in said
        # Where no write succeeds any more, it can say nothing.
        is_mute = name == "write" and when.endswith("+")
        if not (is_mute or is_aborted):
            assert_told(code, said)
        assert_whole(published)
        if code != 0:
            assert sha256(published / "final.csv") == before, case
        end = "aborted in DuckDB" if is_aborted else f"exit {code}"
        ended[end] = ended.get(end, 0) + 1
        build_whole(published, raw)
    assert_recorded_once(published, set())
    record("system calls", calls=counts, **ended)


def drop_rights() -> None:
    """Have root keep to the modes of files, as others do."""
    if os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0


def test_what_may_not_be_read_or_written_is_named(published: Path, tmp_path: Path) -> None:
    raw = variant(tmp_path / "raw_1", 1)
    cases = [
        (raw / "prints.json", 0o000),
        (raw, 0o000),
        (published, 0o555),
        (published / "quality", 0o555),
        (published / "runs", 0o555),
        (published / "parsed", 0o000),
        (published / ".cache", 0o000),
    ]
    draw("rights").shuffle(cases)
    before = sha256(published / "final.csv")
    for path, mode in cases[: dose(2, len(cases))]:
        kept = path.stat().st_mode
        path.chmod(mode)
        try:
            code, said = attempt(published, raw, prepare=drop_rights)
        finally:
            path.chmod(kept)
        assert_told(code, said)
        assert str(path) in said, (path, said)
        assert assert_whole(published)
        # A run without its record is published; the next run adds it.
        is_published = path.name == "quality"
        assert (code == 0) == is_published, (path, said)
        assert (sha256(published / "final.csv") == before) != is_published
        before = sha256(published / "final.csv")
    build_whole(published, raw, prepare=drop_rights)
    record("rights", tried=dose(2, len(cases)))
