"""A run may be killed, stopped or hung up on at any moment."""

from __future__ import annotations

import json
import re
import signal
import time
from dataclasses import dataclass, field
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
from support.harness import manifest_of, sha256, value_props
from support.s3_server import BUCKET, S3Server

from value_props.database import opened, parquet_rows
from value_props.publish.bucket import Bucket
from value_props.publish.bucket_lock import LOCK
from value_props.publish.places import CACHE, place_of

PARTS = dose(1, 5)
KILLS = dose(4, 41)
OTHERS = dose(2, 8)
UPLOADS = dose(2, 40)
NOBODY = "4611686018427387904"
STEP = re.compile(r"step=(\w+) seconds=([\d.]+)")


@dataclass
class Folder:
    """An out path that is attacked, and all that the commands use beside it.

    Args:
        root: of everything.
        random: draws the moments.
        expected: sha256 of final.csv by raw folder.
        seconds: of a whole run by command, and of its steps.
        started: ids of the runs that began, by out path.
    """

    root: Path
    random: Random
    expected: dict[Path, str] = field(default_factory=dict)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    started: dict[Path, set[str]] = field(default_factory=dict)
    turn: int = 0

    @property
    def raw(self) -> Path:
        """The raw files of this turn: not those of the one before."""
        return self.root / f"raw_{self.turn % 2}"

    def out_of(self, command: str) -> Path:
        return self.root / ("backfill" if command == "backfill" else "out")

    def arguments(self, command: str) -> tuple[str | Path, ...]:
        raw = ("--raw", self.raw)
        out = ("--out", self.out_of(command))
        return {
            "build": ("build", *raw, *out, *RUN_DATE, "--make-current"),
            "backfill": (
                *("backfill", *raw, *out, *RUN_DATE, "--allow-incomplete"),
                *("--from", "2020-11-16", "--to", "2020-11-29"),
            ),
            "load": ("load", *raw, *out, "--to", self.root / "store"),
            "rollback": ("rollback", *out),
            "forget": ("forget", "--user", NOBODY, *out),
        }[command]

    def log_of(self, command: str) -> Path:
        return self.out_of(command) / ".work" / "run.log"

    def whole(self, command: str) -> None:
        """A run that nobody disturbs."""
        begun = time.monotonic()
        code, said = run_to_its_end(*self.arguments(command))
        assert code == 0, said
        steps = {name: float(seconds) for name, seconds in STEP.findall(said)}
        self.seconds[command] = {"": time.monotonic() - begun, **steps}
        self.check(command)
        if command == "build":
            found = sha256(self.out_of(command) / "final.csv")
            assert self.expected.setdefault(self.raw, found) == found
            assert len(set(self.expected.values())) == len(self.expected)

    def check(self, command: str) -> None:
        """What has to hold at any time."""
        if command == "load":
            self.check_store()
            return
        out = self.out_of(command)
        manifest = assert_whole(out)
        assert_recorded_once(out, self.started.get(out, set()))
        if command != "backfill":
            found = sha256(out / "final.csv")
            assert found == self.expected.get(Path(manifest["raw_path"]), found)

    def check_store(self) -> None:
        """That a reader of the store finds every file that its list names, and all their rows."""
        store = self.root / "store"
        with opened(None) as connection:
            files = parquet_rows([store / "raw_files.parquet"])
            listed = connection.execute(
                f"select source_name, file_key, row_count from {files}"
            ).fetchall()
            assert len(listed) == 3
            for source, key, rows in listed:
                path = store / source / f"{key}.parquet"
                [(found,)] = connection.execute(
                    f"select count(*) from {parquet_rows([path])}"
                ).fetchall()
                assert found == rows

    def attack(self, command: str, number: signal.Signals) -> int:
        """Start a run, and send it a signal at a moment that is drawn.

        Half of the moments lie in a step that is drawn: else few would hit the short ones.
        """
        seconds = self.seconds[command]
        step = self.random.choice(["", *list(seconds)[1:]])
        log = self.log_of(command)
        log.unlink(missing_ok=True)
        started = Started(self.arguments(command), self.root / "said")
        if step:
            wanted = f"step={step} status=started"
            while started.process.is_alive() and wanted not in text_of(log):
                time.sleep(0.002)
        time.sleep(self.random.random() * seconds[step])
        begun = re.findall(r"step=start run_id=(\S+)", text_of(log))
        self.started.setdefault(self.out_of(command), set()).update(begun)
        if number == signal.SIGSTOP:
            started.send(number)
            time.sleep(0.3)
            number = signal.SIGCONT
        started.send(number)
        code = started.wait()
        if code not in (0, -signal.SIGKILL):
            assert_told(code, started.said)
            assert number != signal.SIGCONT
        return code


@pytest.mark.parametrize("part", range(PARTS))
def test_a_signal_at_any_moment_harms_nothing(tmp_path: Path, part: int) -> None:
    random = draw(f"kills {part}")
    folder = Folder(tmp_path, random)
    for number in (0, 1):
        variant(tmp_path / f"raw_{number}", number)
    for command in ("build", "backfill", "load"):
        folder.whole(command)
    folder.turn += 1
    for command in ("build", "rollback", "build", "forget"):
        folder.whole(command)
    others = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGSTOP]
    numbers = [signal.SIGKILL] * KILLS + random.choices(others, k=OTHERS)
    random.shuffle(numbers)
    ended: dict[str, int] = {}
    for number in numbers:
        [command] = random.choices(
            ["build", "backfill", "load", "rollback", "forget"], weights=[6, 2, 1, 1, 1]
        )
        folder.turn += 1
        if command == "rollback":
            folder.whole("build")
            folder.turn += 1
            folder.whole("build")
        code = folder.attack(command, number)
        name = f"{command}: {'ended before' if code == 0 else signal.Signals(number).name}"
        ended[name] = ended.get(name, 0) + 1
        folder.check(command)
        # Else the next attack is the next run.
        if random.random() < 0.4:
            folder.whole("build" if command == "rollback" else command)
    folder.whole("build")
    record("kills", **ended)
    assert sum(ended.values()) == len(numbers)
    assert manifest_of(tmp_path / "out")["status"] == "published"


@pytest.fixture
def bucket(
    tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> tuple[Bucket, dict[str, str]]:
    """A prefix of a real store, and the variables that lead there."""
    environment = {**server.environment, CACHE: str(tmp_path / "cache")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Bucket(f"s3://{BUCKET}/kills/out"), environment


def test_a_kill_at_any_moment_of_an_upload_leaves_the_last_good_set(
    tmp_path: Path, bucket: tuple[Bucket, dict[str, str]]
) -> None:
    remote, environment = bucket
    random = draw("uploads")
    raws = [variant(tmp_path / f"raw_{number}", number) for number in (0, 1)]
    log = place_of(remote.address, "out").folder / ".work" / "run.log"

    def start(raw: Path) -> Started:
        return Started(
            ("build", "--raw", raw, "--out", remote.address, *RUN_DATE, "--make-current"),
            tmp_path / "said",
            environment=environment,
        )

    def whole(raw: Path) -> None:
        # The lock of a killed run ends after two minutes; nobody waits for that here.
        remote.write(LOCK, b'{"expires_at": 0}')
        started = start(raw)
        assert started.wait() == 0, started.said
        assert json.loads(remote.read("manifest.json"))["raw_path"] == str(raw)

    for raw in raws:
        whole(raw)
    ended: dict[str, int] = {}
    for number in range(UPLOADS):
        before = json.loads(remote.read("manifest.json"))["run_id"]
        remote.write(LOCK, b'{"expires_at": 0}')
        log.unlink(missing_ok=True)
        started = start(raws[number % 2])
        step = random.choice(["step=upload status", "step=publish status", "step=history status"])
        while started.process.is_alive() and step not in text_of(log):
            time.sleep(0.001)
        time.sleep(random.random() * 0.4)
        started.send(signal.SIGKILL)
        code = started.wait()
        shown = json.loads(remote.read("manifest.json"))["run_id"]
        name = f"{'new' if shown != before else 'old'} set, {'ended' if code == 0 else 'killed'}"
        ended[name] = ended.get(name, 0) + 1
        value_props("verify", "--out", remote.address, exit_code=0)
        if random.random() < 0.5:
            whole(raws[number % 2])
    whole(raws[UPLOADS % 2])
    names = {name.split("/")[1] for name in remote.entries() if name.startswith("runs/")}
    recorded = {name.split("/")[1] for name in remote.entries() if name.startswith("quality/")}
    assert names <= recorded
    record("uploads", **ended)


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
