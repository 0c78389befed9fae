"""What a failed run leaves: its record with the problems, and its files in last_run/."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from value_props.errors import ExitCode, ValuePropsError, is_interruption, user_error_of
from value_props.files import move, remove, remove_tree
from value_props.logs import log_and_continue, logger
from value_props.publish.out_path import OutPath
from value_props.record import history, report, report_files
from value_props.record.facts import Ended, Record
from value_props.run.ending import stage_record, write_report
from value_props.run.request import Run


@contextmanager
def kept_on_failure(run: Run, out: OutPath) -> Iterator[None]:
    """Context manager that records a failed run and moves its work files to last_run/.

    Its exports are deleted. Its database stays, so the user can query the rows that failed a test.

    Raises:
        ValuePropsError: whatever the block raised, if the user can fix it.
    """
    try:
        yield
    except BaseException as fault:
        error = user_error_of(fault) or fault
        # DEBUG, because the command line prints the error to the terminal at the end.
        logger.debug("step=failed error=%s", _message_of(error))
        run.record.ended = _ended_by(error)
        with log_and_continue("ending"):
            history.note_end(out, run.record.ended)
        with log_and_continue("ending"):
            _record_failure(run, out, error)
            remove_tree(out.last_run)
            files = out.work / "files"
            for name in (*out.edition.exports, *out.edition.optional):
                remove(files / name)
            move(files, out.last_run)
            move(out.work / "run.log", out.last_run / "run.log")
            report.remove_texts(out, besides=report_files.runs_with_files(out))
            remove_tree(out.work)
        if error is fault:
            raise
        raise error from fault


def _ended_by(error: BaseException) -> Ended:
    code = error.exit_code if isinstance(error, ValuePropsError) else ExitCode.CANNOT_RUN
    details = error.details if isinstance(error, ValuePropsError) else ()
    # The remedy of an error with details leads to last_run/, which later holds another run.
    problem = "; ".join(details) or _message_of(error)
    return Ended("failed", int(code), problem)


def _record_failure(run: Run, out: OutPath, error: BaseException) -> None:
    if history.recover_record(out, run.run_id):
        return
    run.record.problems, run.report = _problems(run.record, error), None
    # Publishing may have moved the files away before it failed.
    run.database.parent.mkdir(exist_ok=True)
    path: Path | None = run.database
    try:
        stage_record(run, out)
    except duckdb.Error as fault:
        # The failure must be recorded even if the database cannot be read.
        logger.warning("step=history problem=%s", fault)
        path = None
        history.stage(out, run.record)
    with log_and_continue("ending"):
        write_report(run, out, path)
    history.commit(out, run.run_id)


def _message_of(error: BaseException) -> str:
    if is_interruption(error):
        return "The run was interrupted"
    return str(error) or type(error).__name__


def _problems(record: Record, error: BaseException) -> list[str]:
    """List what is wrong, without rows or user ids, because alerts send these sentences out."""
    errors = [outcome for outcome in record.outcomes if outcome.status == "error"]
    if errors:
        return [
            f"{outcome.kind.replace('_', ' ').capitalize()} {outcome.name} could not be built,"
            " see the log of the run"
            for outcome in errors
        ]
    if isinstance(error, ValuePropsError):
        return list(error.details) or [f"{error.fault}. {error.remedy}"]
    if is_interruption(error):
        return [_message_of(error)]
    return [f"Unexpected {type(error).__name__}, see the log of the run"]
