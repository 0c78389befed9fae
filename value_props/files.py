"""Files and folders: write them in one step, sync, hash and remove them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(
    path: Path, *, scratch: Path | None = None, mode: int | None = None
) -> Iterator[Path]:
    """Write a file so that readers, and whoever comes after a crash, find it whole or the old one.

    Args:
        path: of the file. It is as it was where the block fails.
        scratch: folder of the same disk for what is not whole yet; by default that of the file.
        mode: of the file; by default what the umask leaves.

    Yields:
        The path to write.
    """
    draft = (scratch or path.parent) / f".{path.name}.draft"
    try:
        yield draft
        if mode is not None:
            draft.chmod(mode)
        sync(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def replace_text(
    path: Path, text: str, *, scratch: Path | None = None, mode: int | None = None
) -> None:
    """Write a text as UTF-8; see replacing."""
    with replacing(path, scratch=scratch, mode=mode) as draft:
        draft.write_text(text, encoding="utf-8")


def move(source: Path, target: Path) -> None:
    """Rename a file or folder in one step, and bring its new name to the disk."""
    source.replace(target)
    sync(target.parent)


def replace_link(link: Path, target: Path) -> None:
    """Have a symbolic link lead to a target, in one step, and bring that to the disk."""
    draft = link.with_name(f".{link.name}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    move(draft, link)


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
