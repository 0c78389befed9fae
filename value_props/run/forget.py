"""Forget users: remove their rows from an out path, once the raw files no longer hold them.

Their rows are in kept runs, in last_run/, in parsed files and in the samples of records. Cutting
rows out of a published run would change what was published, and could miss a copy. So the current
run is built again from the raw files, and everything older is deleted: files of runs, parsed files
and raw text. Counts, test results and hashes of all runs stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from value_props.errors import ExitCode, ValuePropsError, user_error_of
from value_props.files import remove_tree
from value_props.ingest import Trust
from value_props.ingest.keep import ParsedFiles
from value_props.logs import step
from value_props.parameters import PARAMETERS
from value_props.publish.folder_lock import exclusive
from value_props.publish.out_path import OutPath
from value_props.publish.places import place_of
from value_props.publish.publisher import publisher_of
from value_props.record import history, report
from value_props.record.facts import utc_now
from value_props.run import build
from value_props.run.request import Request

COMMAND = "forget"


@dataclass(frozen=True)
class Forgotten:
    """What was removed. It is also recorded, so it has no user_id.

    Args:
        forgotten_at: end of the removal, UTC, ISO 8601.
        users: number of users.
        runs_removed: ids of the passed runs whose files were removed.
        records_without_text: number of records whose raw text was removed.
        parsed_files_removed: number of Parquet files that were removed.
    """

    forgotten_at: str
    users: int
    runs_removed: tuple[str, ...]
    records_without_text: int
    parsed_files_removed: int


def forget(request: Request, users: Collection[int]) -> tuple[build.Published | None, Forgotten]:
    """Publish the current run again without some users, and remove everything older.

    Args:
        request: out path and resources. Raw path and parameters come from the current run.
        users: user_ids, 1 to 2^63 - 1.

    Returns:
        The run that was published, or None if nothing was current; and what was removed.

    Raises:
        ValuePropsError: the raw files still hold one of the users, or the build failed. Nothing
            was removed. With exit code NOT_PUBLISHED: not everything could be removed.
    """
    out = OutPath(request.out_path, request.edition)
    current = out.current_run_id()
    published = None
    if current is not None:
        published = build.build(_again(request, out.manifest_of(current), users))
    run_id = published.manifest["run_id"] if published else None
    return published, _remove_older(request, run_id, len(users))


def _again(request: Request, manifest: dict[str, Any], users: Collection[int]) -> Request:
    """Return the request that builds the run of a manifest again."""
    given = manifest["parameters"]
    return replace(
        request,
        raw=place_of(manifest["raw_path"], "raw"),
        parameters={
            parameter.name: str(given[parameter.name]).lower()
            for parameter in PARAMETERS
            if parameter.name in given
        },
        # Without it, the run would be kept back if its week is now older.
        make_current=True,
        # A tool that removed the users may have kept size and times of a file.
        trust=Trust.CONTENTS,
        users_gone=frozenset(users),
    )


def _remove_older(request: Request, run_id: str | None, user_count: int) -> Forgotten:
    """Remove everything older than a run; without a run_id, everything."""
    publisher = publisher_of(request.out, request.edition)
    out = publisher.out
    with (
        exclusive(out.lock, COMMAND),
        publisher.session(COMMAND),
        _errors_as_not_all_removed(),
        step("forget", {}) as fields,
    ):
        history.settle(out)
        older = tuple(each for each in out.run_ids() if run_id is None or each < run_id)
        for each in older:
            remove_tree(out.runs / each)
        for folder in (out.last_run, out.work, out.cache):
            remove_tree(folder)
        records = report.remove_texts(out, besides=out.run_ids())
        remove_tree(out.work)
        parsed = ParsedFiles(out.parsed).keep_only(build.parsed_in_use(out))
        publisher.push()
        forgotten = Forgotten(utc_now(), user_count, older, records, parsed)
        history.note_forgotten(out, run_id, asdict(forgotten))
        publisher.push()
        fields.update(asdict(forgotten))
    return forgotten


@contextmanager
def _errors_as_not_all_removed() -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValuePropsError) as error:
        user_error = user_error_of(error)
        cause = user_error.fault if user_error else f"a manifest lacks {error}"
        raise ValuePropsError(
            "the published files no longer hold the users, but not all older files, which may hold"
            f" them, could be removed ({cause})",
            "Forgetting",
            user_error.remedy if user_error else "Remove the run of that manifest, and run again",
            ExitCode.NOT_PUBLISHED,
        ) from error
