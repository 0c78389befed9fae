"""The main job: ingest, build in a work folder, judge, publish; and `check`, which only judges."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from value_props import database
from value_props.errors import ExitCode, RefusedError, ValuePropsError, user_error_of
from value_props.files import remove_tree
from value_props.ingest import Inventory, ingest
from value_props.ingest.find import FoundFile, find_raw_files, ignored_names, ignored_sentence
from value_props.ingest.keep import ParsedFiles
from value_props.ingest.stage import stage
from value_props.ingest.users import refuse_users
from value_props.logs import log_and_continue, log_file, log_node, logger, step
from value_props.notify import alerts, lineage
from value_props.publish.folder_lock import exclusive
from value_props.publish.out_path import BACKFILL, DATABASE, FEATURES, PAGE, OutPath
from value_props.publish.places import is_address
from value_props.publish.publisher import Publisher, publisher_of
from value_props.record import history, report, report_files
from value_props.record.facts import Ended, NodeOutcome, Verdict
from value_props.record.manifest import write_manifest
from value_props.run.dbt import DATA_ONLY, MODELS_ONLY, Dbt
from value_props.run.ending import (
    emit_lineage,
    notify,
    replace_metrics,
    stage_record,
    write_report,
)
from value_props.run.failed_run import kept_on_failure
from value_props.run.gate import judge
from value_props.run.packages import are_installed
from value_props.run.published_features import drops_features, shown_to_dbt
from value_props.run.request import Request, Run, new_run
from value_props.sample import raw_files as sample

# `check` builds only what the gate reads and what it prints.
CHECK_OPTIONS = (
    *MODELS_ONLY,
    "--select",
    "+quarantined_rows",
    "+completeness_findings",
    "+quarantine_rates",
    "+schema_drift",
    "+lookback_coverage",
)
# A run writes less than it reads. Unpacked, a gzip file is about ten times as large.
GZIP_FACTOR = 10
DISK_FLOOR_BYTES = 200 << 20


@dataclass(frozen=True)
class Published:
    """A passed run, as the command line reports it.

    Args:
        manifest: the content of its manifest.json.
        publisher: the publisher of its out path.
        kept_back: why the run is not current, a sentence without full stop; None if it is.
    """

    manifest: dict[str, Any]
    publisher: Publisher
    kept_back: str | None

    @property
    def is_current(self) -> bool:
        """Whether the run became the current one."""
        return self.kept_back is None


def build(request: Request) -> Published:
    """Build the marts and publish them. If anything fails, the published files stay unchanged.

    Raises:
        ValuePropsError: its exit code says what failed; see ExitCode.
    """
    alerts.check_settings()
    publisher = publisher_of(request.out, request.edition)
    out = publisher.out
    out.prepare(optional=[FEATURES] if request.serves_features else [])
    run = new_run(request, out.work, history.run_ids(out))
    finished: list[Published] = []
    try:
        with (
            ExitStack() as released,
            exclusive(out.lock, run.run_id),
            request.resources.in_force(out.work),
            _publisher_session(run, publisher, released),
            _recorded(run, out, released),
            request.raw.name_in_errors(),
        ):
            verdict = None
            try:
                verdict = _build_and_judge(run, publisher)
            finally:
                emit_lineage(run, out, verdict)
            if verdict.problems:
                raise _gate_error(run.run_id, verdict, publisher)
            with _errors_as_not_published():
                finished.append(_finish(run, publisher))
                _publish(run, publisher, finished[0])
            with log_and_continue("ending"):
                _clean_up(run, out)
    except BaseException as fault:
        # A failure after the files were published does not change the result.
        if not finished or not _is_published(run, out):
            raise
        logger.warning("step=ending problem=%s: %s", type(fault).__name__, fault)
    return finished[0]


@contextmanager
def _publisher_session(run: Run, publisher: Publisher, released: ExitStack) -> Iterator[None]:
    """Context manager for the publisher's session. If it cannot begin, record a failed run."""
    with ExitStack() as stack:
        try:
            stack.enter_context(publisher.session(run.run_id))
        except RefusedError:
            raise
        except ValuePropsError:
            with _recorded(run, publisher.out, released):
                raise
        yield


@contextmanager
def _recorded(run: Run, out: OutPath, released: ExitStack) -> Iterator[None]:
    """Context manager that records how a run begins and ends, and notifies the receivers.

    Args:
        run: the run that begins. The caller holds the lock.
        out: the out path of the run.
        released: callbacks to run after the lock is released.
    """
    history.settle(out)
    # Receivers may be slow, so they are notified after the lock is released.
    released.callback(notify, run, out, history.last_status(out))
    report_before = report_files.current_report(out)
    try:
        out.sweep()
        (run.folder / "files").mkdir(parents=True)
        history.begin(out, run.record.begun)
        with log_file(run.folder / "run.log"), kept_on_failure(run, out):
            logger.info("step=start run_id=%s raw_path=%s", run.run_id, run.request.raw.name)
            yield
    finally:
        replace_metrics(run, out, report_before)


def check(request: Request) -> tuple[dict[str, list[dict[str, Any]]], Verdict]:
    """Judge the raw data and resolve the window in a temporary folder.

    Returns:
        The rows of each table to print, by table name; and the verdict of the gate.

    Raises:
        ValuePropsError: a raw file stops the run, or a model could not be built.
    """
    with (
        tempfile.TemporaryDirectory(prefix="value_props_check_") as scratch,
        request.resources.in_force(Path(scratch)),
        request.raw.name_in_errors(),
    ):
        run = new_run(request, Path(scratch))
        run.database.parent.mkdir()
        dbt = _dbt(run, Path(scratch) / "target")
        _ingest_and_parse(run, dbt, ParsedFiles(Path(scratch) / "parsed"))
        outcomes = _run_dbt(run, dbt, CHECK_OPTIONS)
        verdict = judge(outcomes, run.database)
        verdict.warnings.extend(run.record.warnings)
        queries = {
            "window": database.WINDOW_QUERY,
            "files": "select * from quality.row_reconciliation order by source_name, file_name",
            "quarantine": "select source_name, quarantine_reason, count(*) as row_count"
            " from quality.quarantined_rows group by all order by all",
            "drift": "select * from quality.schema_drift order by all",
            "lookback": "select * from quality.lookback_coverage order by all",
        }
        return {name: database.rows(run.database, sql) for name, sql in queries.items()}, verdict


def ingest_raw_files(run: Run, parsed_files: ParsedFiles, stop: Event | None = None) -> Inventory:
    """Fetch raw files from a bucket if needed, and ingest them.

    Args:
        run: the run. Its record gets timings, ignored files and warnings.
        parsed_files: the store of parsed files.
        stop: event that another thread sets to cancel the reading.

    Raises:
        ValuePropsError: a raw file stops the run.
    """
    request = run.request
    run.objects = request.raw.mirrored(run.record.seconds)
    _refuse_full_disk(run, find_raw_files(request.raw_path))
    with step("ingest", run.record.seconds) as fields:
        inventory = ingest(request.raw_path, parsed_files, request.trust, stop)
        files = inventory.files
        fields["files"] = len(files)
        fields["read"] = sum(file.is_read for file in files)
        fields["parsed"] = sum(file.is_parsed_now for file in files)
        fields["plain"] = sum(file.content.is_plain for file in files)
        fields["bytes"] = sum(file.facts.size_bytes for file in files)
        fields["rows"] = sum(file.content.row_count for file in files)
    _look_around(run, inventory)
    return inventory


def _build_and_judge(run: Run, publisher: Publisher) -> Verdict:
    out = publisher.out
    dbt = _dbt(run, out.cache / "dbt")
    inventory = _ingest_and_parse(run, dbt, ParsedFiles(out.parsed))
    with step("carry_over", run.record.seconds) as fields:
        folders = [out.current, *(out.runs / run_id for run_id in reversed(out.run_ids()))]
        published = [folder / DATABASE for folder in folders]
        fields["tables"] = database.carry_over_snapshots(published, run.database)
    record = run.record
    with shown_to_dbt(run, publisher):
        record.outcomes = _run_dbt(run, dbt, DATA_ONLY)
    inventory.check_unchanged()
    with step("judge", record.seconds) as fields, database.loaded(run.database):
        verdict = judge(record.outcomes, run.database, needs_lookbacks=out.edition == BACKFILL)
        dbt.refuse_left_out(record.outcomes)
        record.warnings.extend(verdict.warnings)
        fields.update(problems=len(verdict.problems), warnings=len(record.warnings))
    return verdict


def _dbt(run: Run, target_path: Path) -> Dbt:
    request = run.request
    if not are_installed(request.project):
        raise ValuePropsError(
            "they are not installed",
            f"dbt packages in {request.project / 'dbt_packages'}",
            "Run `value-props deps`",
        )
    # Only debugging and lineage need artifacts, and writing them takes noticeable time.
    writes_artifacts = request.is_debug or lineage.is_configured(request.project)
    return Dbt(
        *(request.project, run.database, target_path, request.parameters, request.is_debug),
        writes_artifacts=writes_artifacts,
    )


def _ingest_and_parse(run: Run, dbt: Dbt, parsed_files: ParsedFiles) -> Inventory:
    """Ingest raw files in a thread while dbt parses, then stage them as dbt's sources."""
    if run.request.raw.bucket is None:
        # Parsing takes seconds. Without raw files it need not begin.
        find_raw_files(run.request.raw_path)
    stop = Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        ingestion = pool.submit(ingest_raw_files, run, parsed_files, stop)
        try:
            with step("parse", run.record.seconds):
                dbt.parse()
            inventory = ingestion.result()
        except BaseException:
            stop.set()
            raise
    if run.request.users_gone:
        refuse_users(inventory, run.request.users_gone)
    with database.opened(run.database) as connection:
        stage(connection, inventory)
    return inventory


def _look_around(run: Run, inventory: Inventory) -> None:
    """Warn of files with names close to those of raw files, and detect sample data."""
    raw, record = run.request.raw, run.record
    names = raw.names()
    record.ignored_files = ignored_names(names)
    if record.ignored_files:
        record.warnings.append(ignored_sentence(record.ignored_files))
    if sample.NOTE in names:
        record.is_sample_data = sample.is_sample_data(
            raw.read(sample.NOTE), {file.facts.content_sha256 for file in inventory.files}
        )


def _run_dbt(run: Run, dbt: Dbt, options: tuple[str, ...]) -> list[NodeOutcome]:
    seconds = run.record.seconds
    with step("dbt", seconds) as fields:
        outcomes = dbt.build(options, log_node)
        fields["nodes"] = len(outcomes)
    for kind in ("model", "test"):
        seconds[f"dbt_{kind}s"] = round(
            sum(item.seconds for item in outcomes if kind in item.kind), 3
        )
    return outcomes


def _is_published(run: Run, out: OutPath) -> bool:
    """Return whether the run is current, or is kept and recorded as passed."""
    is_kept = run.run_id in out.run_ids() and history.has_record(out, run.run_id)
    return is_kept or out.current_run_id() == run.run_id


def _finish(run: Run, publisher: Publisher) -> Published:
    """Write all files that a passed run publishes, the manifest last."""
    request, record, out = run.request, run.record, publisher.out
    files = run.folder / "files"
    with database.loaded(run.database):
        with step("export", record.seconds):
            _export(run, out, files)
        kept_back = None if request.make_current else _why_kept_back(run, out)
        is_current = kept_back is None
        if is_current and drops_features(run, out):
            record.warnings.append(
                f"The run before published {FEATURES}, and this one does not. To publish it, build"
                " with --serving-features"
            )
        record.ended = Ended("published", int(ExitCode.PUBLISHED), is_made_current=is_current)
        with step("history", record.seconds):
            stage_record(run, out)
        with step("report", record.seconds):
            write_report(run, out, run.database)
    with step("manifest", record.seconds):
        manifest = write_manifest(files, out.edition, record, run.objects)
    return Published(manifest, publisher, kept_back)


def _publish(run: Run, publisher: Publisher, finished: Published) -> None:
    """Add a finished run to the passed runs, and make it current unless it is kept back."""
    with step("publish", run.record.seconds) as fields:
        shutil.copyfile(run.folder / "run.log", run.folder / "files" / "run.log")
        publisher.add_run(run.run_id)
        if finished.is_current:
            publisher.make_current(run.run_id)
        history.commit(publisher.out, run.run_id)
        fields.update(run_id=run.run_id, current=finished.is_current)


def _clean_up(run: Run, out: OutPath) -> None:
    """After publishing, remove the files that no kept run needs (retention)."""
    if out.current_run_id() == run.run_id:
        remove_tree(out.last_run)
    out.prune(history.runs_made_current(out))
    report.remove_texts(out, besides=report_files.runs_with_files(out))
    _prune_parsed(out)
    remove_tree(out.work)


def _prune_parsed(out: OutPath) -> None:
    """Remove the parsed files that neither a kept run nor the next run reads."""
    try:
        used = parsed_in_use(out)
    except (ValuePropsError, KeyError) as error:
        logger.warning("step=publish problem=parsed files are not removed: %s", error)
        return
    ParsedFiles(out.parsed).prune(used)


def parsed_in_use(out: OutPath) -> set[str]:
    """Return the parsed files that kept runs read, as paths relative to `parsed/`.

    Raises:
        ValuePropsError, KeyError: the manifest of a run cannot be read.
    """
    return {row["parsed"] for run_id in out.run_ids() for row in out.manifest_of(run_id)["inputs"]}


def _export(run: Run, out: OutPath, files: Path) -> None:
    if out.edition == BACKFILL:
        database.export_weeks(run.database, files / out.edition.mart)
    else:
        database.export(run.database, files, FEATURES if run.request.serves_features else None)


def _why_kept_back(run: Run, out: OutPath) -> str | None:
    """Return why the run may not replace the current one, or None if it may.

    The reason is a sentence without full stop.
    """
    current = out.current_run_id()
    if current is None:
        return None
    try:
        manifest = out.manifest_of(current)
        week, source = manifest["window"]["last_week_start_date"], manifest["raw_path"]
    except (ValuePropsError, KeyError):
        logger.warning("step=publish problem=the current manifest is unreadable and is replaced")
        return None
    # Any run may replace sample data.
    if manifest.get("is_sample_data", False):
        return None
    if run.record.is_sample_data:
        return "The published run was not made of sample data"
    # Earlier versions recorded relative paths, which cannot be compared.
    if (is_address(source) or Path(source).is_absolute()) and not run.request.raw.is_at(source):
        return f"The published run was made of other raw files, those in {source}"
    [window] = database.rows(run.database, database.WINDOW_QUERY)
    return "The published week is newer" if str(window["last_week_start_date"]) < week else None


@contextmanager
def _errors_as_not_published() -> Iterator[None]:
    """Context manager that turns any error after the gate into exit code NOT_PUBLISHED."""
    try:
        yield
    except Exception as error:
        user_error = user_error_of(error)
        cause = user_error.fault if user_error else f"{type(error).__name__}: {error}"
        raise ValuePropsError(
            f"the run passed, but its files could not be published ({cause}); those that were"
            " published before are unchanged",
            "Publishing",
            user_error.remedy
            if user_error
            else "Run again with --debug, and report what it shows as a fault of value-props",
            ExitCode.NOT_PUBLISHED,
        ) from error


def _gate_error(run_id: str, verdict: Verdict, publisher: Publisher) -> ValuePropsError:
    folder = publisher.out.last_run
    # Their number is not known yet: the record adds the warnings of drift.
    warned = " and its warnings" if verdict.warnings else ""
    return ValuePropsError(
        "the data failed the gate, the checks that a run must pass to be published. The published"
        " files are unchanged",
        f"Run {run_id}",
        f"To read its report{warned}: `value-props open --last --out"
        f" {shlex.quote(publisher.place.name)}`."
        f" To look at its tables: `duckdb -readonly {shlex.quote(str(folder / DATABASE))}`. Its"
        f" {PAGE} and run.log are in the same folder",
        ExitCode.GATE_FAILED,
        verdict.problems,
    )


def _refuse_full_disk(run: Run, found: list[FoundFile]) -> None:
    needed = DISK_FLOOR_BYTES
    for file in found:
        needed += file.size_bytes * (GZIP_FACTOR if file.is_gzip else 1)
    free = shutil.disk_usage(run.folder).free
    if free < needed:
        raise ValuePropsError(
            f"{free >> 20:,} MiB are free, and the run may need {needed >> 20:,} MiB",
            f"Disk of {run.folder}",
            "Free disk space, or name another out path",
        )
