"""A full disk, a failing write, odd names, clocks and surroundings: whole, or told."""

from __future__ import annotations

import ctypes
import gzip
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest
from support.attacks import (
    RUN_DATE,
    assert_recorded_once,
    assert_told,
    assert_whole,
    dose,
    draw,
    record,
    run_to_its_end,
    variant,
)
from support.command_process import Started
from support.harness import CLEAN, sha256

FULL_DISKS = dose(3, 20)
FAILED_CALLS = dose(3, 30)
SMALL_FILES = dose(300, 10_000)
HUGE_MB = dose(20, 300)
# System calls that write, and that a disk may refuse.
WRITES = "write,pwrite64,fsync,ftruncate,rename,renameat,renameat2,mkdir,openat"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """An out path with a published run of other raw files than the next run reads."""
    out = tmp_path / "disk" / "out"
    code, said = run_to_its_end(
        tmp_path / "said", "build", "--raw", variant(tmp_path / "raw_0", 0), "--out", out, *RUN_DATE
    )
    assert code == 0, said
    return out


def build(out: Path, raw: Path, *arguments: str, **options: object) -> tuple[int, str]:
    command = ("build", "--make-current", *RUN_DATE, *arguments)
    return run_to_its_end(
        out.parent.parent / "said", *command, f"--raw={raw}", f"--out={out}", **options
    )


def limit_file_size(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_no_file_may_grow_any_further(published: Path, tmp_path: Path) -> None:
    random, raw = draw("file size"), variant(tmp_path / "raw_1", 1)
    before = sha256(published / "final.csv")
    ended: dict[int, int] = {}
    # The largest file of a run has some megabytes.
    for _ in range(FULL_DISKS):
        size = int(10 ** random.uniform(2, 6.9))
        code, said = build(published, raw, prepare=partial(limit_file_size, size))
        assert_told(code, said)
        assert_whole(published)
        ended[code] = ended.get(code, 0) + 1
        if code != 0:
            assert sha256(published / "final.csv") == before, (size, said)
            code, said = build(published, raw)
            assert code == 0, said
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
            code, said = build(published, raw)
            filling.join()
            assert_told(code, said)
            assert_whole(published)
            ended[code] = ended.get(code, 0) + 1
            if code != 0:
                assert sha256(published / "final.csv") == before
            (folder / "ballast").unlink(missing_ok=True)
            code, said = build(published, raw)
            assert code == 0, said
            assert_whole(published)
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
        code, said = build(published, raw)
        assert code == 0, (case, said)
        assert_whole(published)
    assert_recorded_once(published, set())
    record("system calls", calls=counts, **ended)


ODD_NAMES = [
    "a space",
    "o'brien",
    'say "so"',
    "100%",
    "%s%d",
    "[ab]*",
    "{a,b}",
    "user_id=7",
    "~",
    "~root",
    "$HOME",
    "$(touch canary)",
    "`touch canary`",
    "a;b&c|d",
    "back\\slash",
    "new\nline",
    "tab\there",
    "#hash",
    "-rf",
    "a:b",
    "n" * 200,
    unicodedata.normalize("NFC", "é中😀"),
    unicodedata.normalize("NFD", "é"),
    "\u202eright to left",
    " ends in a space ",
    "...",
    "data.duckdb",
]


def test_folders_may_have_any_name(tmp_path: Path) -> None:
    random = draw("names")
    names = random.sample(ODD_NAMES, dose(2, len(ODD_NAMES)))
    expected = set()
    for name in names:
        folder = tmp_path / name
        # DuckDB takes a backslash for the end of a folder's name, so such an out path is refused.
        raw, out = folder / "raw" / name, tmp_path / "out" / name.replace("\\", "")
        shutil.copytree(CLEAN, raw)
        code, said = run_to_its_end(
            tmp_path / "said", "build", "--raw", raw, "--out", out, *RUN_DATE
        )
        assert code == 0, (name, said)
        assert_whole(out)
        expected.add(sha256(out / "final.csv"))
        for command in ("verify", "history"):
            assert run_to_its_end(tmp_path / "said", command, "--out", out)[0] == 0, name
    assert len(expected) == 1
    assert not list(tmp_path.rglob("canary"))
    assert not (Path.cwd() / "canary").exists()
    record("names", tried=len(names))


def test_surroundings_do_not_change_the_bytes(tmp_path: Path) -> None:
    random = draw("surroundings")
    found = set()
    for number in range(dose(2, 12)):
        environment = {
            "TZ": random.choice(
                ["Pacific/Kiritimati", "America/St_Johns", "UTC", "Asia/Kathmandu"]
            ),
            "LC_ALL": random.choice(["C", "C.UTF-8", "POSIX", "tr_TR.UTF-8", "de_DE"]),
            "HOME": random.choice(["", str(tmp_path / "nowhere"), "/dev/null"]),
            "PYTHONHASHSEED": str(random.randrange(1000)),
        }
        out = tmp_path / f"out_{number}"
        code, said = run_to_its_end(
            *(tmp_path / "said", "build", "--raw", CLEAN, "--out", out, *RUN_DATE),
            environment=environment,
            prepare=partial(os.umask, random.choice([0o000, 0o022, 0o077, 0o177 & 0o077])),
        )
        assert code == 0, (environment, said)
        assert_whole(out)
        found.add((sha256(out / "final.csv"), sha256(out / "final.parquet")))
    assert len(found) == 1
    record("surroundings", tried=dose(2, 12))


def set_clock(seconds: float) -> None:
    """Have the clock of this process show another time: what names a run, and what it notes."""
    import datetime

    real = datetime.datetime

    class Clock(real):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real.now(tz) + datetime.timedelta(seconds=seconds)

    datetime.datetime = Clock  # type: ignore[misc]


def test_a_clock_that_goes_back_loses_no_run(tmp_path: Path) -> None:
    out = tmp_path / "disk" / "out"
    manifests = []
    for number, years in enumerate((0, -10, 0, 5, 0)):
        raw = variant(tmp_path / f"raw_{number}", number)
        code, said = build(out, raw, prepare=partial(set_clock, years * 365 * 86400))
        assert code == 0, said
        manifests.append(assert_whole(out))
        assert manifests[-1]["raw_path"] == str(raw)
    code, said = run_to_its_end(tmp_path / "said", "rollback", "--out", out)
    assert code == 0, said
    assert assert_whole(out)["run_id"] == manifests[-2]["run_id"]
    code, said = run_to_its_end(tmp_path / "said", "history", "--out", out, "--json")
    assert re.findall(r'"status": "([^"]+)"', said) == ["rolled back", *["published"] * 4]


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
            code, said = build(published, raw, prepare=drop_rights)
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
    code, said = build(published, raw, prepare=drop_rights)
    assert code == 0, said
    record("rights", tried=dose(2, len(cases)))


def grow(path: Path, until: threading.Event, random: Random) -> None:
    while not until.is_set():
        with path.open("a", encoding="utf-8") as file:
            file.write("2020-11-10,1.00,5,point\n")
        time.sleep(random.random() / 100)


def test_a_file_that_grows_is_read_whole_or_told(tmp_path: Path) -> None:
    raw, until = variant(tmp_path / "raw", 0), threading.Event()
    growing = threading.Thread(target=grow, args=(raw / "pays.csv", until, draw("growing")))
    growing.start()
    codes = []
    try:
        for _ in range(dose(2, 10)):
            code, said = build(tmp_path / "disk" / "out", raw)
            codes.append(code)
            assert code == 2, said
            assert "changed while the run was reading it" in said
    finally:
        until.set()
        growing.join()
    assert build(tmp_path / "disk" / "out", raw)[0] == 0


def test_many_small_files_a_huge_line_and_a_bomb(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(CLEAN, raw)
    for number in range(SMALL_FILES):
        (raw / f"pays_{number:05}.csv").write_text(
            f"pay_date,total,user_id,value_prop\n2020-11-10,1.00,{number + 1},point\n",
            encoding="utf-8",
        )
    begun = time.monotonic()
    code, said = build(tmp_path / "disk" / "out", raw)
    assert code == 0, said
    small = round(time.monotonic() - begun, 1)
    manifest = assert_whole(tmp_path / "disk" / "out")
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
    code, said = build(tmp_path / "disk" / "out", raw, "--max-quarantine-rate=0.5")
    assert code == 0, said
    manifest = assert_whole(tmp_path / "disk" / "out")
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
