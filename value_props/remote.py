"""A bucket as out path: a folder of this machine that is brought to its state, and it to that.

    s3://bucket/prefix/
      manifest.json       of the current run, written last; says where each file is
      runs/<run_id>/      the files of a passed run; its manifest.json comes last
      quality/<run_id>/   the record of each run that ended
      .lock.json          while a run goes on

The folder is a cache: what the bucket does not hold is not published. A run builds and publishes
into it as into any other; then its files go up whole, and the root manifest is replaced. So a
failed or killed upload leaves the last good set, and the next run removes what it left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from value_props.bucket import Bucket, Entry, Lock
from value_props.errors import ExitCode, ValuePropsError
from value_props.published import DATABASE, MANIFEST, OutPath, remove_tree


def cache_of(bucket: Bucket, root: Path) -> Path:
    """The folder of this machine that stands for a prefix of a bucket."""
    key = hashlib.sha256(bucket.address.rstrip("/").encode()).hexdigest()[:16]
    return root / key


@dataclass
class RemoteOut:
    """The published files in a bucket, and the folder that stands for them.

    Args:
        bucket: where they are.
        out: the folder.
    """

    bucket: Bucket
    out: OutPath

    @contextmanager
    def opened(self, run_id: str) -> Iterator[None]:
        """Bring the folder to the state of the bucket, and the bucket to that of the folder.

        What the block published, and the record of a failed run, go up; the lock is held.

        Raises:
            ValuePropsError: another run holds the lock, or the store fails; if it does so
                after the block, nothing is published (exit code NOT_PUBLISHED).
        """
        with self.bucket.locked(run_id) as lock:
            self.pull()
            try:
                yield
            finally:
                with _not_published():
                    self.push(lock)

    def pull(self) -> None:
        """Bring the folder to the state of the bucket; files of older runs stay there."""
        entries = self.bucket.entries()
        kept = _run_ids(entries)
        for run_id in self.out.run_ids():
            if run_id not in kept:
                remove_tree(self.out.runs / run_id)
        for run_id in kept:
            self._fetch(entries[f"runs/{run_id}/{MANIFEST}"])
        for name, entry in entries.items():
            if name.startswith("quality/"):
                self._fetch(entry)
        current = self.current_run_id(entries)
        if current:
            # The snapshots of the next run go on from its database.
            self._fetch(entries[f"runs/{current}/{DATABASE}"])
            self.out.switch_to(current)

    def pull_run(self, run_id: str) -> None:
        """Bring all files of a passed run to the folder."""
        for name, entry in self.bucket.entries(f"runs/{run_id}").items():
            if name.startswith(f"runs/{run_id}/"):
                self._fetch(entry)

    def push(self, lock: Lock) -> None:
        """Bring the bucket to the state of the folder, the root manifest last.

        Raises:
            ValuePropsError: the store fails, or the lock is another's by now.
        """
        lock.check()
        entries = self.bucket.entries()
        kept = _run_ids(entries)
        for run_id in self.out.run_ids():
            if run_id not in kept:
                self._upload(self.out.runs / run_id)
        for record in sorted(self.out.history.glob("*")):
            missing = [path for path in _files_of(record) if self._name_of(path) not in entries]
            if missing:
                self.bucket.upload({self._name_of(path): path for path in missing})
        current = self.out.current_run_id()
        if current and current != self.current_run_id(entries):
            lock.check()
            manifest = self.out.manifest_of(current)
            for output in manifest["outputs"]:
                output["path"] = f"runs/{current}/{output['name']}"
            text = json.dumps(manifest, indent=2, ensure_ascii=False)
            self.bucket.write(MANIFEST, text.encode())
        here = set(self.out.run_ids())
        gone = [name for name in entries if name.startswith("runs/") and _second(name) not in here]
        # A run without its manifest is none, so that comes first.
        self.bucket.remove([name for name in gone if _is_manifest(name)])
        self.bucket.remove([name for name in gone if not _is_manifest(name)])

    def current_run_id(self, entries: dict[str, Entry]) -> str | None:
        """The run that the root manifest shows.

        Raises:
            ValuePropsError: the manifest is damaged, or names a run that is not there.
        """
        if MANIFEST not in entries:
            return None
        try:
            manifest: dict[str, Any] = json.loads(self.bucket.read(MANIFEST))
            run_id = str(manifest["run_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged("it is no manifest") from error
        if f"runs/{run_id}/{DATABASE}" not in entries:
            raise self._damaged(f"the files of run {run_id}, which it names, are not there")
        return run_id

    def _upload(self, folder: Path) -> None:
        files = _files_of(folder)
        manifest = folder / MANIFEST
        self.bucket.upload({self._name_of(path): path for path in files if path != manifest})
        self.bucket.upload({self._name_of(manifest): manifest})

    def _fetch(self, entry: Entry) -> None:
        """Fetch an object that never changes, if it is not here."""
        target = self.out.root / entry.name
        if not target.is_file() or target.stat().st_size != entry.size:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.bucket.fetch(entry, target)
            target.chmod(0o444)

    def _name_of(self, path: Path) -> str:
        return path.relative_to(self.out.root).as_posix()

    def _damaged(self, what: str) -> ValuePropsError:
        return ValuePropsError(
            what,
            f"Bucket {self.bucket.address}, object {MANIFEST}",
            "Remove the object, and publish again with `value-props build`",
        )


def _run_ids(entries: dict[str, Entry]) -> list[str]:
    """The runs that are whole, oldest first."""
    return sorted(
        _second(name) for name in entries if name.startswith("runs/") and _is_manifest(name)
    )


def _second(name: str) -> str:
    return PurePosixPath(name).parts[1]


def _is_manifest(name: str) -> bool:
    return PurePosixPath(name).name == MANIFEST


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def _not_published() -> Iterator[None]:
    try:
        yield
    except ValuePropsError as error:
        if error.exit_code == ExitCode.CANNOT_RUN:
            error.exit_code = ExitCode.NOT_PUBLISHED
        raise
