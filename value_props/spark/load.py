"""Load a store: Parquet files of the parsed raw files, which engines other than DuckDB can read.

    store/
      raw_files.parquet               the list: one row per raw file; replaced last
      prints/<file_key>.parquet       valid rows of one raw file, with file_key and line_number;
                                      the same for taps/ and pays/
      row_counts/<file_key>.parquet   its row counts by day, value prop and quarantine reason
      rejected_lines/, unusual_lines/ likewise; a file without such lines has no rows here
      .unfinished/                    drafts of the current load; the next load removes them

A file_key names the parser version, the source and the content, so the content of a file does not
change. Readers use only the files on the list. Until the list is replaced, they see the old files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from value_props import database
from value_props.database import literal
from value_props.errors import ExitCode, ValuePropsError
from value_props.files import remove_tree, replacing, sync
from value_props.ingest import Inventory, RawFile, Trust
from value_props.ingest.find import SOURCES
from value_props.ingest.keep import ParsedFiles, parser_version
from value_props.ingest.stage import SHARED, rows_query, shared_query, stage
from value_props.logs import step
from value_props.publish.folder_lock import exclusive
from value_props.publish.out_path import REPORT, OutPath, edition_at
from value_props.record import history
from value_props.run import build
from value_props.run.request import Request, new_run

LIST = "raw_files.parquet"
_FILE_NAME = re.compile(rf"[0-9a-f]+_({'|'.join(SOURCES)})_[0-9a-f]{{64}}\.parquet")
_LIST_QUERY = """
    select *, {version} || '_' || source_name || '_' || content_sha256 as file_key
    from raw.files
    order by source_name, file_number
"""


@dataclass(frozen=True)
class Loaded:
    """The result of a load.

    Args:
        files: number of raw files in the store after the load.
        written: number of raw files that this load exported.
        removed: number of raw files that it removed from the store.
        warnings: warnings about the raw files, one sentence each.
    """

    files: int
    written: int
    removed: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """The folder of a store.

    Args:
        root: path of the folder.
    """

    root: Path

    @property
    def unfinished(self) -> Path:
        """The folder for drafts of files. Readers ignore it."""
        return self.root / ".unfinished"

    @property
    def lock(self) -> Path:
        """The lock file. It is needed because runs of several out paths may load one store."""
        return self.root / ".lock"

    def prepare(self) -> None:
        """Create the folders.

        Raises:
            ValuePropsError: they cannot be created, or they contain a file that no load wrote.
        """
        try:
            for folder in self._folders():
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValuePropsError(
                f"the folder cannot be made ({error.strerror})",
                f"Store {self.root}",
                "Name a folder that can be written in --to",
            ) from error
        for path in self._files():
            if not _FILE_NAME.fullmatch(path.name):
                raise ValuePropsError(
                    f"no load wrote {path}, and readers would take it for rows",
                    f"Store {self.root}",
                    "Move the file out of the store, or name another folder in --to",
                )

    def fill(self, inventory: Inventory, trust: Trust) -> Loaded:
        """Export the parsed raw files, and remove files that are not needed any more.

        The caller holds the lock.

        Args:
            inventory: the raw files that the store will contain.
            trust: NOTHING also rewrites files that exist.
        """
        remove_tree(self.unfinished)
        self.unfinished.mkdir()
        with database.opened(None) as connection:
            stage(connection, inventory)
            exports = {
                path: query
                for file in inventory.files
                for path, query in self._exports(file).items()
            }
            new = [path for path in exports if trust == Trust.NOTHING or not path.exists()]
            for path in new:
                self._write(connection, exports[path], path)
            # The files on the list must be on disk before the list itself.
            for folder in self._folders():
                sync(folder)
            version = literal(parser_version())
            self._write(connection, _LIST_QUERY.format(version=version), self.root / LIST)
            sync(self.root)
        old = [path for path in self._files() if path not in exports]
        for path in old:
            path.unlink()
        remove_tree(self.unfinished)
        return Loaded(len(inventory.files), _count_keys(new), _count_keys(old))

    def _exports(self, file: RawFile) -> dict[Path, str]:
        """Return the query for each file of the store that a raw file needs, by path."""
        source = file.found.source_name
        key = f"{parser_version()}_{source}_{file.facts.content_sha256}"
        queries = {source: rows_query(source, [file])} | {
            view: shared_query(view, source, [file]) for view in SHARED
        }
        return {
            self.root / folder / f"{key}.parquet": (
                f"select {literal(key)} as file_key, * exclude (file_number) from ({query})"  # nosec B608
            )
            for folder, query in queries.items()
        }

    def _folders(self) -> list[Path]:
        return [self.root / name for name in (*SOURCES, *SHARED)]

    def _files(self) -> list[Path]:
        """Return the files that readers see. They skip hidden files."""
        found = [path for folder in self._folders() for path in folder.iterdir()]
        return [path for path in found if not path.name.startswith(".")]

    def _write(self, connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
        with replacing(target, scratch=self.unfinished, mode=0o444) as draft:
            connection.execute(
                f"copy ({query}) to {literal(draft)} (format parquet, compression zstd)"
            )


@contextmanager
def _exporting(store: Store) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise ValuePropsError(
            f"the parsed files could not be exported ({error})",
            f"Store {store.root}",
            "See that the folder can be written and has room, and run again; what readers find"
            " is whole",
            ExitCode.NOT_PUBLISHED,
        ) from error


def _count_keys(files: Sequence[Path]) -> int:
    """Return the number of raw files to which the files of the store belong."""
    return len({path.name for path in files})


def load(request: Request, store: Store) -> Loaded:
    """Find and parse the raw files as a build does, and update the store to match them.

    Raises:
        ValuePropsError: the raw files cannot be read, or the store cannot be written. Readers then
            see a complete store.
    """
    out = OutPath(request.out_path, edition_at(request.out_path) or REPORT)
    out.prepare()
    store.prepare()
    run = new_run(request, out.work)
    with (
        exclusive(out.lock, run.run_id),
        exclusive(store.lock, run.run_id),
        request.resources.in_force(out.work),
    ):
        history.settle(out)
        out.sweep()
        out.work.mkdir(parents=True)
        try:
            with request.raw.name_in_errors():
                inventory = build.ingest_raw_files(run, ParsedFiles(out.parsed))
            with step("load", run.record.seconds) as fields, _exporting(store):
                loaded = store.fill(inventory, request.trust)
                fields.update(vars(loaded))
        finally:
            remove_tree(out.work)
    return replace(loaded, warnings=tuple(run.record.warnings))
