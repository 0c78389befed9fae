"""Where a path that the user names is on this machine.

A folder stands for itself. A prefix of a bucket has a folder in the cache: the raw files are
mirrored there, and what is published in the bucket is built there; see bucket_publisher.py.

    <cache>/raw/<name>/    the raw files of a prefix
    <cache>/out/<name>/    an out path, with all that a folder to publish to holds
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

# The command line begins with this module, and most of its runs name no bucket.
if TYPE_CHECKING:
    from value_props.publish.bucket import Bucket, Entry

CACHE = "VALUE_PROPS_CACHE"
# What lies in the folder of an out path and in no bucket.
_ONLY_HERE = rf"last_run|parsed|\.lock|\.work|{re.escape(METRICS)}"


@dataclass(frozen=True)
class Place:
    """A path as the user named it, and where it is on this machine.

    Args:
        name: what the user is told: the whole path of the folder, or the address.
        folder: the folder itself, or what stands for the prefix of a bucket.
        bucket: the prefix; None for a folder.
    """

    name: str
    folder: Path
    bucket: Bucket | None = None

    @contextmanager
    def name_in_errors(self) -> Iterator[None]:
        """Have errors name the prefix of the bucket, and not the folder that stands for it."""
        try:
            yield
        except ValuePropsError as error:
            error.what, error.where = self._with_name(error.what), self._with_name(error.where)
            error.remedy = self._with_name(error.remedy)
            error.details = [self._with_name(detail) for detail in error.details]
            raise

    def names(self) -> list[str]:
        """The names of what lies in it, without deeper folders of a bucket.

        Raises:
            ValuePropsError: the store fails.
        """
        if self.bucket:
            return list(self.bucket.files())
        return [path.name for path in self.folder.iterdir()]

    def read(self, name: str) -> bytes:
        """A small file that lies in it.

        Raises:
            ValuePropsError: the store fails.
            OSError: it is gone, or cannot be read.
        """
        return self.bucket.read(name) if self.bucket else (self.folder / name).read_bytes()

    def is_at(self, name: str) -> bool:
        """Whether another name is one of the same place."""
        return name == self.name or (
            self.bucket is None and os.path.realpath(name) == os.path.realpath(self.folder)
        )

    def mirrored(self, seconds: dict[str, float]) -> dict[str, Entry]:
        """Bring the raw files of a prefix to its folder; only what changed is fetched.

        Args:
            seconds: where the wall time of the step `mirror` goes.

        Returns:
            The objects by name; none where it is a folder.

        Raises:
            ValuePropsError: the store fails, or has no file for a source.
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
                # Two runs may read the same prefix; the second finds what the first fetched.
                fcntl.flock(lock, fcntl.LOCK_EX)
                with step("mirror", seconds) as fields:
                    found = mirror(self.bucket, is_raw_file, self.folder)
                    fields["files"] = len(found)
        except OSError as error:
            refusal = refused_by_system(error)
            raise ValuePropsError(
                f"the raw files cannot be kept there ({refusal.what})",
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
    """Where a path is that the user gave.

    Args:
        text: a folder, or an address such as s3://bucket/prefix.
        kind: what it is for; a prefix may be both, and its folders differ.

    Raises:
        ValuePropsError: it is an address of another kind, or holds credentials.
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
    """Whether a path is written as an address; a Path made of it would lose a slash."""
    return bool(re.match(r"\w+://", text))


def cache_root() -> Path:
    """The folder of what stands for buckets.

    Raises:
        ValuePropsError: none is named, and the user has no home.
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
            "Cache of what is in buckets",
            f"Name a folder in {CACHE}",
        ) from None
