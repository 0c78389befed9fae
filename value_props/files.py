"""Files and folders: write them in one step, sync, hash and remove them."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path


def files_under(folder: Path, name: str) -> list[str]:
    """The file of that name in a folder, or the files below it, by name in that folder."""
    path = folder / name
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file.relative_to(folder).as_posix() for file in files if file.is_file()]


def sync(path: Path) -> None:
    """Have the system write a file or folder out, so that a crash can't leave it half."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a folder, if it is there.

    Raises:
        OSError: it names the folder, and not, as the system does, a file in it without its path.
    """
    if path.is_dir():
        try:
            shutil.rmtree(path)
        except OSError as error:
            error.filename = str(path)
            raise


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    remove_tree(path)
    path.unlink(missing_ok=True)
