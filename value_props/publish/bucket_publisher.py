"""Publish to a bucket: synchronize a local folder with it before and after a run.

    s3://bucket/prefix/
      manifest.json       root manifest: the current run and where each file is; written last
      runs/<run_id>/      the files of a passed run; its manifest.json is uploaded last
      quality/<run_id>/   the record of each run that ended
      .lock.json          the lock, while a run goes on

The folder is a cache; only what is in the bucket is published. The root manifest is replaced only
after every file of the run is uploaded. So an interrupted upload leaves the last release intact,
and the next run deletes the leftovers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from value_props.errors import ExitCode, ValuePropsError
from value_props.files import remove_tree
from value_props.logs import logger, step
from value_props.publish.bucket import Bucket, Entry, in_parallel
from value_props.publish.bucket_lock import Lock, locked
from value_props.publish.folder_lock import exclusive
from value_props.publish.out_path import (
    DATABASE,
    MANIFEST,
    MARKS,
    ROLLED_BACK,
    Edition,
    OutPath,
    edition_of,
    parsed_manifest,
)
from value_props.publish.places import Place

# A run continues the snapshot tables of the current database, so it needs this file.
FOR_A_RUN = (DATABASE,)


@dataclass
class BucketPublisher:
    """Publisher for a bucket and the local folder that is its cache; see Publisher.

    Args:
        place: the prefix, as the user named it.
        out: the folder. Callers of methods that change it hold its lock.
        bucket: the bucket to publish to.
        lock: the lock of the bucket; None while it is not held.
    """

    place: Place
    out: OutPath
    bucket: Bucket
    lock: Lock | None = None

    @contextmanager
    def session(self, run_id: str) -> Iterator[None]:
        """Context manager that holds the lock of the bucket and downloads its state first.

        At the end it uploads the records of runs, also of a failed run, and removes old runs.

        Raises:
            RefusedError: another run holds the lock, or another command or a later version of
                value-props published there.
            ValuePropsError: the store fails, or what is in it is damaged.
        """
        with locked(self.bucket, run_id) as self.lock:
            self.pull(FOR_A_RUN)
            try:
                yield
            finally:
                try:
                    self.push()
                except ValuePropsError as error:
                    # The release is complete; the next run uploads the missing records.
                    logger.warning("step=push problem=%s", error)

    def pull(self, names: Collection[str]) -> None:
        """Download the state of the bucket: records, manifests and some files.

        Args:
            names: files of the current run to download. Other runs have only their manifest here.
        """
        entries = self.bucket.entries()
        current = self._current_manifest(entries)
        self.out.refuse_other_edition(edition_of(current) if current else None)
        kept = _run_ids(entries)
        for run_id in self.out.run_ids():
            if run_id not in kept:
                remove_tree(self.out.runs / run_id)
        for mark in (mark for name in MARKS for mark in self.out.history.glob(f"*/{name}")):
            if self._name_of(mark) not in entries:
                mark.unlink()
        wanted = [f"runs/{run_id}/{MANIFEST}" for run_id in kept]
        wanted += [name for name in entries if name.startswith("quality/")]
        if current:
            wanted += [f"runs/{current['run_id']}/{name}" for name in names]
        for name in wanted:
            if name not in entries:
                raise _damaged(self.bucket, MANIFEST, f"{name}, which it names, is not there")
        in_parallel(self._fetch, [entries[name] for name in wanted])
        if current:
            self.out.switch_to(current["run_id"])
        else:
            self.out.clear_current()

    def fetch(self, command: str, names: Collection[str] = (), runs: Collection[str] = ()) -> None:
        """Download the state of the bucket and the files that a command reads.

        Raises:
            RefusedError: a run is under way on this machine (exit code LOCKED).
            ValuePropsError: the store fails, or what is in it is damaged.
        """
        with exclusive(self.out.lock, command):
            self.pull(names)
            for run_id in runs:
                self.pull_file(run_id, self.out.edition.mart.partition("/")[0])

    def pull_file(self, run_id: str, name: str) -> None:
        """Download a file or folder of a kept run, if it is not in the local folder."""
        prefix = f"runs/{run_id}/{name}"
        entries = self.bucket.entries(f"runs/{run_id}")
        in_parallel(
            self._fetch,
            [entries[each] for each in entries if each == prefix or each.startswith(f"{prefix}/")],
        )

    def add_run(self, run_id: str) -> None:
        """Upload the finished files of the run, its manifest last.

        Raises:
            ValuePropsError: the store failed, or the lock was lost (exit code NOT_PUBLISHED).
        """
        files = self.out.work / "files"
        paths = {f"runs/{run_id}/{path.relative_to(files)}": path for path in _files_of(files)}
        manifest = f"runs/{run_id}/{MANIFEST}"
        with _errors_as_not_published(), step("upload", {}):
            self._check_lock()
            self.bucket.upload({name: path for name, path in paths.items() if name != manifest})
            self.bucket.upload({manifest: paths[manifest]})
        self.out.add_run(files, run_id)

    def make_current(self, run_id: str) -> None:
        """Replace the root manifest, then switch the stable names of the folder.

        Raises:
            ValuePropsError: as add_run.
        """
        with _errors_as_not_published():
            self._check_lock()
            manifest = self._manifest_of(run_id)
            for output in manifest["outputs"]:
                output["path"] = f"runs/{run_id}/{output['name']}"
            text = json.dumps(manifest, indent=2, ensure_ascii=False)
            try:
                self.bucket.write(MANIFEST, f"{text}\n".encode())
            except ValuePropsError:
                # If only the answer of the store was lost, the manifest was written.
                if not self._is_current(run_id):
                    raise
            except KeyboardInterrupt:
                if self._is_current(run_id):
                    self.out.switch_to(run_id)
                raise
        self.out.switch_to(run_id)

    def verify(self, run_id: str) -> list[str]:
        """Download and hash the files of a passed run.

        Returns:
            A sentence for each missing or changed file; empty if all are as published.
        """
        faults = []
        entries = self.bucket.entries(f"runs/{run_id}")
        for output in self._manifest_of(run_id)["outputs"]:
            name = f"runs/{run_id}/{output['name']}"
            if name not in entries:
                faults.append(f"{self.bucket}/{name} is missing")
            elif self.bucket.sha256_of(name) != output["sha256"]:
                faults.append(
                    f"{self.bucket}/{name} has changed since it was published (its sha256 differs)"
                )
        return faults

    def current_run_id(self) -> str | None:
        """Return the run of the root manifest; None without a manifest.

        Raises:
            ValuePropsError: the manifest is damaged, or the files of its run are missing.
        """
        current = self._current_manifest(self.bucket.entries())
        return current["run_id"] if current else None

    def push(self) -> None:
        """Upload new records, and remove runs that are no longer kept (retention).

        Raises:
            ValuePropsError: the store failed, or the lock was lost.
        """
        self._check_lock()
        entries = self.bucket.entries()
        records = {self._name_of(path): path for path in _files_of(self.out.history)}
        changed = {
            name: path
            for name, path in records.items()
            if name not in entries or entries[name].size != path.stat().st_size
        }
        marks = {name: changed.pop(name) for name in list(changed) if Path(name).name in MARKS}
        # A mark describes its record, so the record must be uploaded first.
        for files in filter(None, (changed, marks)):
            self.bucket.upload(files)
        kept = set(self.out.run_ids())
        # The folder may not know yet that this run became current.
        if current := self._current_manifest(entries):
            kept.add(current["run_id"])
        gone = [name for name in entries if name.startswith("runs/") and _second(name) not in kept]
        gone += [
            name for name in entries if name.endswith(f"/{ROLLED_BACK}") and name not in records
        ]
        # Remove manifests first: a run without a manifest does not count as a run.
        self.bucket.remove([name for name in gone if _is_manifest(name)])
        self.bucket.remove([name for name in gone if not _is_manifest(name)])

    def readers_find(self, run_id: str, is_current: bool) -> tuple[str, str, str | None]:
        """See Publisher. Only the manifest has a stable name; it holds the paths of the files."""
        prefix = f"{self.bucket}/runs/{run_id}"
        stay = f"Metrics and the files of a failed run stay on this machine, in {self.out.root}."
        return prefix, str(self.bucket) if is_current else prefix, stay

    def _current_manifest(self, entries: dict[str, Entry]) -> dict[str, Any] | None:
        """Return the root manifest; None without one.

        Raises:
            ValuePropsError: it is damaged, or the files of its run are missing.
        """
        if MANIFEST not in entries:
            return None
        current = _read_manifest(self.bucket, MANIFEST)
        if f"runs/{current['run_id']}/{MANIFEST}" not in entries:
            raise _damaged(
                self.bucket,
                MANIFEST,
                f"the files of run {current['run_id']}, which it names, are not there",
            )
        return current

    def _is_current(self, run_id: str) -> bool:
        """Return whether the root manifest names this run; False if it cannot be read."""
        with suppress(ValuePropsError, FileNotFoundError):
            return bool(_read_manifest(self.bucket, MANIFEST)["run_id"] == run_id)
        return False

    def _manifest_of(self, run_id: str) -> dict[str, Any]:
        return _read_manifest(self.bucket, f"runs/{run_id}/{MANIFEST}")

    def _check_lock(self) -> None:
        if self.lock:
            self.lock.check()

    def _fetch(self, entry: Entry) -> None:
        """Download an object unless a file of the same size is here.

        The size is enough, because each change of a record or manifest changes it.
        """
        target = self.out.root / entry.name
        if not target.is_file() or target.stat().st_size != entry.size:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.bucket.fetch(entry, target)
            target.chmod(0o444)

    def _name_of(self, path: Path) -> str:
        return path.relative_to(self.out.root).as_posix()


def edition_in(bucket: Bucket) -> Edition | None:
    """Return the edition published in a bucket; None if nothing is published.

    Raises:
        ValuePropsError: the store failed, or the root manifest is damaged.
        RefusedError: a later version of value-props published there.
    """
    # Users who may list only one prefix get "forbidden" for a missing object, so list first.
    if MANIFEST not in bucket.files():
        return None
    return edition_of(_read_manifest(bucket, MANIFEST))


def _read_manifest(bucket: Bucket, name: str) -> dict[str, Any]:
    try:
        manifest = parsed_manifest(bucket.read(name), f"Bucket {bucket}, object {name}")
        if isinstance(manifest["run_id"], str) and isinstance(manifest["outputs"], list):
            return manifest
    except (ValueError, KeyError, TypeError):
        pass
    raise _damaged(bucket, name, "it is no manifest")


def _damaged(bucket: Bucket, name: str, what: str) -> ValuePropsError:
    return ValuePropsError(
        what,
        f"Bucket {bucket}, object {name}",
        "Remove the object, and publish again with `value-props build`",
    )


def _run_ids(entries: dict[str, Entry]) -> list[str]:
    """Return the ids of completely uploaded runs, oldest first."""
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
def _errors_as_not_published() -> Iterator[None]:
    try:
        yield
    except ValuePropsError as error:
        if error.exit_code == ExitCode.CANNOT_RUN:
            error.exit_code = ExitCode.NOT_PUBLISHED
        raise
