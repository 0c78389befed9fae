"""The end of a run: what it leaves where it failed, and who is told of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from value_props.errors import ExitCode, ValuePropsError, user_error_of
from value_props.files import move, remove, remove_tree, replace_text
from value_props.logs import log_and_continue, logger, step
from value_props.notify import alerts, lineage, metrics
from value_props.publish.out_path import DATABASE, METRICS, PAGE, REPORT, OutPath
from value_props.record import history, report
from value_props.record.facts import Ended, Record, Verdict
from value_props.record.page import write_page
from value_props.run.gate import drift_warnings
from value_props.run.request import Run


@contextmanager
def kept_on_failure(run: Run, out: OutPath) -> Iterator[None]:
    """Record a failed run, and keep its work, so that its rows can be looked at."""
    try:
        yield
    except BaseException as fault:
        error = user_error_of(fault) or fault
        # The terminal gets it at the end, as a paragraph.
        logger.debug("step=failed error=%s", _message_of(error))
        run.record.ended = _ended_by(error)
        with log_and_continue("ending"):
            history.note_end(out, run.record.ended)
        with log_and_continue("ending"):
            _record_failure(run, out, error)
            remove_tree(out.last_run)
            files = out.work / "files"
            for name in out.edition.exports:
                remove(files / name)
            move(files, out.last_run)
            move(out.work / "run.log", out.last_run / "run.log")
            report.remove_texts(out, besides=report.runs_with_files(out))
            remove_tree(out.work)
        if error is fault:
            raise
        raise error from fault


def _ended_by(error: BaseException) -> Ended:
    code = error.exit_code if isinstance(error, ValuePropsError) else ExitCode.CANNOT_RUN
    return Ended("failed", int(code), _message_of(error))


def _record_failure(run: Run, out: OutPath, error: BaseException) -> None:
    if history.is_recorded(out, run.run_id):
        return
    run.record.problems, run.report = _problems(run.record, error), None
    # Where publishing failed, the files may be gone.
    run.database.parent.mkdir(exist_ok=True)
    path: Path | None = run.database
    try:
        stage_record(run, out)
    except duckdb.Error as fault:
        # Whatever is wrong with the database, that the run failed is recorded.
        logger.warning("step=history problem=%s", fault)
        path = None
        history.stage(out, run.record)
    with log_and_continue("ending"):
        write_report(run, out, path)
    history.commit(out, run.run_id)


def stage_record(run: Run, out: OutPath) -> None:
    """Stage the record of the run, and add the drift that it shows to its warnings."""
    history.stage(out, run.record, run.database)
    # Where publishing failed, they are told already.
    drift = drift_warnings(run.database, run.run_id)
    warnings = run.record.warnings
    warnings.extend(text for text in drift if text not in warnings)


def _message_of(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "The run was interrupted"
    return str(error) or type(error).__name__


def _problems(record: Record, error: BaseException) -> list[str]:
    """What is wrong, in words that hold nothing of the raw data; the log has the rest."""
    errors = [outcome for outcome in record.outcomes if outcome.status == "error"]
    if errors:
        return [
            f"{outcome.kind.replace('_', ' ').capitalize()} {outcome.name} could not be built,"
            " see the log of the run"
            for outcome in errors
        ]
    if isinstance(error, ValuePropsError):
        return list(error.details) or [f"{error.where}: {error.what}. {error.remedy}"]
    if isinstance(error, KeyboardInterrupt):
        return [_message_of(error)]
    return [f"Unexpected {type(error).__name__}, see the log of the run"]


def write_report(run: Run, out: OutPath, path: Path | None) -> None:
    """Write report.json into the record of the run, and the page among its files.

    Args:
        run: that ended.
        out: where it worked; its record is staged.
        path: of its database; None where it can't be read.
    """
    run.report = report.compose(run.record, path)
    report.write(run.report, out.work / history.RECORD, out.work)
    write_page(run.report, path, run.folder / "files" / PAGE)


def emit_lineage(run: Run, out: OutPath, verdict: Verdict | None) -> None:
    """Tell OpenLineage of the dbt run, if it is configured; None is the verdict of an error."""
    if not lineage.is_configured(run.request.project):
        return
    ended = lineage.DbtRun(
        project=str(run.request.project),
        target_path=str((out.cache / "dbt").absolute()),
        database=str(run.database.absolute()),
        published=f"{run.request.out.name}/{DATABASE}",
        run_id=run.run_id,
        started_at=run.record.begun.started_at,
        is_passed=verdict is not None and not verdict.problems,
    )
    with log_and_continue("ending"), step("lineage", run.record.seconds) as fields:
        fields["events"] = lineage.emit(ended)


def replace_metrics(run: Run, out: OutPath, report_before: Mapping[str, Any] | None) -> None:
    """Replace metrics.prom by that of the ended run. Call it under the lock.

    Args:
        run: that ended; where its report could not be made, there are no metrics.
        out: where it worked.
        report_before: the report of the run that the stable names showed before.
    """
    if run.report is None:
        # Old metrics would tell that all is well; that there are none is an alert.
        with log_and_continue("ending"):
            (out.root / METRICS).unlink(missing_ok=True)
        return
    with log_and_continue("ending"):
        run.metrics = metrics.text_of(run.report, report_before)
        _write_metrics(run.metrics, out.root)
        if run.record.problems:
            _write_metrics(run.metrics, out.last_run)


def replace_metrics_after_rollback(out: OutPath) -> None:
    """Let metrics.prom say what is published now. Call it under the lock, after a rollback."""
    last = report.last_report(out)
    if last is None:
        return
    # What it made current is not so any more, or is told by the second report.
    ended = {**last, "run": {**last["run"], "is_made_current": False}}
    with log_and_continue("ending"):
        _write_metrics(metrics.text_of(ended, report.current_report(out)), out.root)


def _write_metrics(text: str, folder: Path) -> None:
    # node-exporter, which may be another user's, reads what ends in .prom.
    replace_text(folder / METRICS, text, mode=0o644)


def notify(run: Run, out: OutPath, status_before: str | None) -> None:
    """Tell who is configured of the ended run; what goes wrong with it is only logged.

    Args:
        run: that ended; of one that was refused nobody is told.
        out: where it worked.
        status_before: of the run recorded before it.
    """
    problems = run.record.problems
    if run.report is None and not problems:
        return
    facts = run.report or {
        "run": {"run_id": run.run_id, "status": "failed"},
        "problems": problems,
    }
    folder = out.last_run if problems else out.runs / run.run_id
    page = folder / PAGE
    try:
        # The pushed metrics are those of the weekly build, and the alert rules judge its age.
        if run.metrics is not None and out.edition == REPORT:
            metrics.push(run.metrics, os.environ)
        alerts.notify(facts, page if page.exists() else None, status_before)
    except KeyboardInterrupt:
        # The run has ended, so its result stands.
        logger.warning("step=ending problem=interrupted before everybody was told")
