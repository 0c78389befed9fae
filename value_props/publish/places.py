"""Resolve the paths that users name: a local folder, or the cache folder of a bucket prefix.

Raw files of a bucket are mirrored to its cache folder. Runs for a bucket are built in its cache
folder; see bucket_publisher.py.

    <cache>/raw/<name>/    the raw files of a prefix
    <cache>/out/<name>/    an out path, laid out as in out_path.py
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from value_props.errors import ValuePropsError, refused_by_system
from value_props.logs import step
from value_props.parameters import folder_of
from value_props.publish.out_path import METRICS

# The command line imports this module at its start, and most runs use no bucket.
if TYPE_CHECKING:
    from value_props.publish.bucket import Bucket, Entry

CACHE = "VALUE_PROPS_CACHE"
# Entries of an out path that exist only on this machine, never in the bucket.
_ONLY_HERE = rf"last_run|parsed|\.lock|\.work|{re.escape(METRICS)}"


@dataclass(frozen=True)
class Place:
    """A path as the user named it, and its folder on this machine.

    Args:
        name: name for messages: the full path of the folder, or the address of the bucket.
        folder: the folder itself, or the cache folder of the bucket prefix.
        bucket: the bucket prefix; None for a folder.
    """

    name: str
    folder: Path
    bucket: Bucket | None = None

    @contextmanager
    def name_in_errors(self) -> Iterator[None]:
        """Context manager in which errors name the bucket prefix instead of its cache folder."""
        try:
            yield
        except ValuePropsError as error:
            error.what, error.where = self._with_name(error.what), self._with_name(error.where)
            error.remedy = self._with_name(error.remedy)
            error.details = [self._with_name(detail) for detail in error.details]
            raise

    def names(self) -> list[str]:
        """List the names in the folder or prefix. Deeper folders of a bucket are left out.

        Raises:
            ValuePropsError: the store failed.
        """
        if self.bucket:
            return list(self.bucket.files())
        return [path.name for path in self.folder.iterdir()]

    def read(self, name: str) -> bytes:
        """Return the bytes of a small file.

        Raises:
            ValuePropsError: the store failed.
            OSError: the file is missing or cannot be read.
        """
        return self.bucket.read(name) if self.bucket else (self.folder / name).read_bytes()

    def is_at(self, name: str) -> bool:
        """Return whether another name means the same place."""
        return name == self.name or (
            self.bucket is None and os.path.realpath(name) == os.path.realpath(self.folder)
        )

    def mirrored(self, seconds: dict[str, float]) -> dict[str, Entry]:
        """Mirror the raw files of a bucket to the cache folder. Only changed ones are downloaded.

        Args:
            seconds: dictionary that gets the wall time of the step `mirror`.

        Returns:
            The raw files by object name; empty for a folder.

        Raises:
            ValuePropsError: the store failed, or a source has no file.
        """
        if self.bucket is None:
            return {}
        from value_props.ingest.find import PATTERNS, SOURCES, endings_of, is_raw_file
        from value_props.publish.bucket import mirror

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.folder.with_name(f"{self.folder.name}.lock").open(
                "w", encoding="utf-8"
            ) as lock:
                # Two runs may read the same prefix. The second waits and uses the same files.
                fcntl.flock(lock, fcntl.LOCK_EX)
                with step("mirror", seconds) as fields:
                    found = mirror(self.bucket, is_raw_file, self.folder)
                    fields["files"] = len(found)
        except OSError as error:
            refusal = refused_by_system(error)
            raise ValuePropsError(
                f"the raw files cannot be stored there ({refusal.what})",
                f"Cache {cache_root()}",
                f"{refusal.remedy}; or name another folder in {CACHE}",
            ) from error
        for source in SOURCES:
            if not any(PATTERNS[source].fullmatch(entry.name) for entry in found):
                raise ValuePropsError(
                    f"no file for the source {source}",
                    f"Raw path {self.name}",
                    f"Put one there that is named {source}{endings_of(source)}, or the same with"
                    " .gz",
                )
        return {entry.name: entry for entry in found}

    def _with_name(self, text: str) -> str:
        if self.bucket is None:
            return text
        return re.sub(rf"{re.escape(str(self.folder))}(?!/({_ONLY_HERE}))", self.name, text)


def place_of(text: str, kind: Literal["raw", "out"]) -> Place:
    """Resolve a path of the user.

    Args:
        text: a folder, or an address such as s3://bucket/prefix.
        kind: raw files or results. A prefix used for both has two cache folders.

    Raises:
        ValuePropsError: the address has another scheme, or holds credentials.
    """
    if not is_address(text):
        folder = folder_of(text, f"Parameter --{kind}")
        return Place(str(folder), folder)
    from value_props.publish.bucket import Bucket

    bucket = Bucket(text.rstrip("/"))
    key = hashlib.sha256(bucket.address.encode()).hexdigest()[:12]
    readable = re.sub(r"[^\w.-]+", "_", bucket.address)[:60]
    return Place(bucket.address, cache_root() / kind / f"{readable}_{key}", bucket)


def is_address(text: str) -> bool:
    """Return whether a path is an address. Path() must not be used on one: it drops a slash."""
    return bool(re.match(r"\w+://", text))


def cache_root() -> Path:
    """Return the folder with the caches of buckets.

    Raises:
        ValuePropsError: no folder is configured, and the user has no home folder.
    """
    if named := os.environ.get(CACHE):
        return folder_of(named, f"Environment variable {CACHE}")
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "value-props"
    try:
        return Path.home() / ".cache" / "value-props"
    except RuntimeError:
        raise ValuePropsError(
            "this user has no home folder to keep it in",
            "Cache of buckets",
            f"Name a folder in {CACHE}",
        ) from None
