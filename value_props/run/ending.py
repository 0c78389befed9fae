"""End a run: write its record, report and metrics, and notify receivers.

What a failed run leaves besides is in failed_run.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from value_props.files import replace_text
from value_props.logs import log_and_continue, logger, step
from value_props.notify import alerts, lineage, metrics
from value_props.publish.out_path import DATABASE, METRICS, PAGE, REPORT, OutPath
from value_props.record import history, report, report_files
from value_props.record.facts import Verdict
from value_props.record.page import write_page
from value_props.run.gate import drift_warnings
from value_props.run.request import Run


def stage_record(run: Run, out: OutPath) -> None:
    """Stage the record of the run and add its drift checks to the warnings."""
    history.stage(out, run.record, run.database)
    # After a failed publish this is the second call. Do not add the same drift again.
    drift = drift_warnings(run.database, run.run_id)
    warnings = run.record.warnings
    warnings.extend(text for text in drift if text not in warnings)


def write_report(run: Run, out: OutPath, path: Path | None) -> None:
    """Write report.json to the staged record, and report.html to the files of the run.

    Args:
        run: the ended run. Its record must be staged.
        out: the out path of the run.
        path: the database of the run, or None if it cannot be read.
    """
    run.report = report.compose(run.record, path)
    report.write(run.report, out.work / history.RECORD, out.work)
    write_page(run.report, path, run.folder / "files" / PAGE)


def emit_lineage(run: Run, out: OutPath, verdict: Verdict | None) -> None:
    """Send OpenLineage events of the dbt run, if configured. No verdict means that dbt failed."""
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
    """Replace metrics.prom with the metrics of the ended run. The caller holds the lock.

    Args:
        run: the ended run. If it has no report, metrics.prom is removed.
        out: the out path of the run.
        report_before: the report of the run that was current before, or None.
    """
    if run.report is None:
        # Stale metrics would look healthy. Missing metrics raise an alert in Prometheus.
        with log_and_continue("ending"):
            (out.root / METRICS).unlink(missing_ok=True)
        return
    with log_and_continue("ending"):
        run.metrics = metrics.text_of(run.report, report_before)
        _write_metrics(run.metrics, out.root)
        if run.record.problems:
            _write_metrics(run.metrics, out.last_run)


def replace_metrics_after_rollback(out: OutPath) -> None:
    """Update metrics.prom after a rollback changed the current run. The caller holds the lock."""
    last = report_files.last_report(out)
    if last is None:
        return
    # The published metrics must come from the current report, not from the last run.
    ended = {**last, "run": {**last["run"], "is_made_current": False}}
    with log_and_continue("ending"):
        _write_metrics(metrics.text_of(ended, report_files.current_report(out)), out.root)


def _write_metrics(text: str, folder: Path) -> None:
    # node-exporter reads *.prom files and may run as another user.
    replace_text(folder / METRICS, text, mode=0o644)


def notify(run: Run, out: OutPath, status_before: str | None) -> None:
    """Push metrics and send alerts about the ended run. Errors are only logged.

    Args:
        run: the ended run. A refused run has no report and no problems, and nobody is notified.
        out: the out path of the run.
        status_before: the status of the run recorded before, or None without one.
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
        # Alert rules judge the age of the weekly build, so a backfill must not push metrics.
        if run.metrics is not None and out.edition == REPORT:
            metrics.push(run.metrics, os.environ)
        alerts.notify(facts, page if page.exists() else None, status_before)
    except KeyboardInterrupt:
        # The run has ended, so an interruption must not change its result.
        logger.warning("step=ending problem=interrupted before all notifications were sent")
