"""A bucket as out path: a folder of this machine that is brought to its state, and it to that.

    s3://bucket/prefix/
      manifest.json       of the current run, written last; says where each file is
      runs/<run_id>/      the files of a passed run; its manifest.json comes last
      quality/<run_id>/   the record of each run that ended
      .lock.json          while a run goes on

The folder is a cache: what the bucket does not hold is not published. A run works in it as in any
other; its files go up whole before it counts as passed there, and the root manifest is replaced
before the stable names of the folder are. So a failed or killed upload leaves the last good set,
and the next run removes what it left.
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
from value_props.publish.bucket import Bucket, Entry, Lock, in_parallel
from value_props.publish.lock import exclusive
from value_props.publish.out_path import (
    DATABASE,
    MANIFEST,
    MARKS,
    ROLLED_BACK,
    Edition,
    OutPath,
    edition_of,
)
from value_props.publish.places import Place

# The snapshots of the next run go on from the current database.
FOR_A_RUN = (DATABASE,)


@dataclass
class BucketPublisher:
    """The published files in a bucket, and the folder that stands for them; see Publisher.

    Args:
        place: the prefix, as the user named it.
        out: the folder. The caller of any method that changes it holds its lock.
        bucket: where the files are.
        lock: of the bucket, while it is held.
    """

    place: Place
    out: OutPath
    bucket: Bucket
    lock: Lock | None = None

    @contextmanager
    def session(self, run_id: str) -> Iterator[None]:
        """Hold the lock of the bucket, and bring the folder to its state.

        At the end the records of runs go up, that of a failed one too, and old runs are removed.

        Raises:
            RefusedError: another run holds the lock, or another command published there.
            ValuePropsError: the store fails, or what is in it is damaged.
        """
        with self.bucket.locked(run_id) as self.lock:
            self.pull(FOR_A_RUN)
            try:
                yield
            finally:
                try:
                    self.push()
                except ValuePropsError as error:
                    # What is published is whole; the next run brings up the rest.
                    logger.warning("step=push problem=%s", error)

    def pull(self, names: Collection[str]) -> None:
        """Bring the folder to the state of the bucket.

        Args:
            names: of the files of the current run that are wanted here; of the other runs only
                the manifests are.
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
        """Bring the folder to the state of the bucket, with what a command reads.

        Raises:
            RefusedError: a run is under way on this machine (exit code LOCKED).
            ValuePropsError: the store fails, or what is in it is damaged.
        """
        with exclusive(self.out.lock, command):
            self.pull(names)
            for run_id in runs:
                self._pull_mart(run_id)

    def _pull_mart(self, run_id: str) -> None:
        prefix = f"runs/{run_id}/{self.out.edition.mart.partition('/')[0]}"
        entries = self.bucket.entries(f"runs/{run_id}")
        in_parallel(
            self._fetch,
            [entries[each] for each in entries if each == prefix or each.startswith(f"{prefix}/")],
        )

    def add_run(self, run_id: str) -> None:
        """Bring the finished files of the run under way up, its manifest last.

        Raises:
            ValuePropsError: the store fails, or the lock is another's (exit code NOT_PUBLISHED).
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
        """Have the root manifest show a run whose files are there, and then the stable names.

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
                # It is there all the same where only the store's answer was lost.
                if not self._is_current(run_id):
                    raise
            except KeyboardInterrupt:
                if self._is_current(run_id):
                    self.out.switch_to(run_id)
                raise
        self.out.switch_to(run_id)

    def verify(self, run_id: str) -> list[str]:
        """Fetch a passed run's objects and hash them.

        Returns:
            What is wrong, a sentence each; empty where all is as it was published.
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
        """The run that the root manifest shows; None without one.

        Raises:
            ValuePropsError: the manifest is damaged, or names a run that is not there.
        """
        current = self._current_manifest(self.bucket.entries())
        return current["run_id"] if current else None

    def push(self) -> None:
        """Bring up the records that the bucket lacks, and remove the runs that are not kept.

        Raises:
            ValuePropsError: the store fails, or the lock is another's.
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
        # What a mark says of a record has to hold for whoever finds it.
        for files in filter(None, (changed, marks)):
            self.bucket.upload(files)
        kept = set(self.out.run_ids())
        # Also where it is not known here that it came to be current.
        if current := self._current_manifest(entries):
            kept.add(current["run_id"])
        gone = [name for name in entries if name.startswith("runs/") and _second(name) not in kept]
        gone += [
            name for name in entries if name.endswith(f"/{ROLLED_BACK}") and name not in records
        ]
        # A run without its manifest is none, so that comes first.
        self.bucket.remove([name for name in gone if _is_manifest(name)])
        self.bucket.remove([name for name in gone if not _is_manifest(name)])

    def readers_find(self, run_id: str, is_current: bool) -> tuple[str, str, str | None]:
        """The manifest alone has a stable name; it says where the files of its run are."""
        prefix = f"{self.bucket}/runs/{run_id}"
        stay = f"Metrics, and what a failed run leaves, stay here in {self.out.root}."
        return prefix, str(self.bucket) if is_current else prefix, stay

    def _current_manifest(self, entries: dict[str, Entry]) -> dict[str, Any] | None:
        """The root manifest."""
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
        """Whether the root manifest is known to show a run."""
        with suppress(ValuePropsError, FileNotFoundError):
            return bool(_read_manifest(self.bucket, MANIFEST)["run_id"] == run_id)
        return False

    def _manifest_of(self, run_id: str) -> dict[str, Any]:
        return _read_manifest(self.bucket, f"runs/{run_id}/{MANIFEST}")

    def _check_lock(self) -> None:
        if self.lock:
            self.lock.check()

    def _fetch(self, entry: Entry) -> None:
        """Fetch an object, if it is not here; one that changes gets another size."""
        target = self.out.root / entry.name
        if not target.is_file() or target.stat().st_size != entry.size:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.bucket.fetch(entry, target)
            target.chmod(0o444)

    def _name_of(self, path: Path) -> str:
        return path.relative_to(self.out.root).as_posix()


def edition_in(bucket: Bucket) -> Edition | None:
    """What is published in a bucket; None where nothing is.

    Raises:
        ValuePropsError: the store fails, or the root manifest is damaged.
    """
    # Who may list one prefix only is refused an object that is not there, as if it were.
    if MANIFEST not in bucket.files():
        return None
    return edition_of(_read_manifest(bucket, MANIFEST))


def _read_manifest(bucket: Bucket, name: str) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(bucket.read(name))
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
def _errors_as_not_published() -> Iterator[None]:
    try:
        yield
    except ValuePropsError as error:
        if error.exit_code == ExitCode.CANNOT_RUN:
            error.exit_code = ExitCode.NOT_PUBLISHED
        raise
