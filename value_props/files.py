"""Files and folders: replace atomically, sync, hash and remove."""

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
    """Context manager that replaces a file atomically, also if the system crashes.

    If the block fails, the old file stays.

    Args:
        path: the file to replace or create.
        scratch: folder on the same disk for the draft; by default the folder of the file.
        mode: file mode, such as 0o644; by default that of the umask.

    Yields:
        The path of the draft to write.
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
    """Replace a file with UTF-8 text atomically; see replacing."""
    with replacing(path, scratch=scratch, mode=mode) as draft:
        draft.write_text(text, encoding="utf-8")


def move(source: Path, target: Path) -> None:
    """Rename a file or folder atomically, and sync the target folder."""
    source.replace(target)
    sync(target.parent)


def replace_link(link: Path, target: Path) -> None:
    """Create or replace a symbolic link atomically, and sync its folder."""
    draft = link.with_name(f".{link.name}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    move(draft, link)


def files_under(folder: Path, name: str) -> list[str]:
    """List a file, or all files below a folder.

    Args:
        folder: the folder that names are relative to.
        name: name of a file or folder in it.

    Returns:
        Relative names; empty if there is no such file or folder.
    """
    path = folder / name
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file.relative_to(folder).as_posix() for file in files if file.is_file()]


def sync(path: Path) -> None:
    """Sync a file or folder to disk (fsync), so that it survives a crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a folder and everything in it, if it exists.

    Raises:
        OSError: the error names the folder. The system would name a file without its path.
    """
    if path.is_dir():
        try:
            shutil.rmtree(path)
        except OSError as error:
            error.filename = str(path)
            raise


def remove(path: Path) -> None:
    """Remove a file or folder, if it exists."""
    remove_tree(path)
    path.unlink(missing_ok=True)
