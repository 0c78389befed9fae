"""The commands of `value-props`. Errors become a paragraph on stderr and an exit code."""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import click

from value_props import __version__
from value_props.cli.console import (
    close_streams,
    complain,
    complain_of,
    prepare_streams,
    print_table,
    result_stands,
    say,
    say_json,
    start_in_utf_8,
)
from value_props.cli.options import (
    DEFAULT_BACKFILL,
    DEFAULT_OUT,
    DEFAULT_RAW,
    DEFAULT_STORE,
    WITH_PARAMETERS,
    complete_folder,
    complete_run,
    folder_reader,
    out_option,
    parameter_options,
    place_option,
    raw_option,
    resource_options,
    switch,
    trust_options,
)
from value_props.cli.output import (
    DEBUG_MEANING,
    LOG_MEANING,
    Output,
    ask,
    json_option,
    log_options,
    quiet_option,
    watching,
)
from value_props.errors import (
    ExitCode,
    RefusedError,
    ValuePropsError,
    is_interruption,
    user_error_of,
)
from value_props.parameters import PARAMETERS, check_parameters, find_project, folder_of
from value_props.publish.folder_lock import is_held
from value_props.publish.out_path import DATABASE, PAGE
from value_props.publish.places import Place, place_of
from value_props.publish.publisher import existing_publisher, fetched_out_path, verify_current
from value_props.resources import RESOURCES, Resources, resolve

PROGRAM = "value-props"
# Click answers the script of a shell if this variable is set.
COMPLETION_VARIABLE = "_VALUE_PROPS_COMPLETE"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
@click.option("--log", "has_log", is_flag=True, help=LOG_MEANING)
@click.option("--debug", is_flag=True, help=DEBUG_MEANING)
@click.pass_context
def cli(context: click.Context, has_log: bool, debug: bool) -> None:
    """Build and publish data on which value props were shown, clicked and paid with.

    In a terminal, commands show their progress. Without a terminal, and with --log, they print
    lines of the log to stderr. Every run keeps its log: in current/run.log of the out path, or in
    last_run/run.log if it failed. NO_COLOR turns colours off.

    Exit codes: 0 published, 1 the data failed the gate, 2 cannot run, 3 another run holds the
    lock, 4 passed but not published.
    """
    ask(context, Output(is_debug=debug, has_log=has_log))


@cli.command(context_settings=WITH_PARAMETERS)
@raw_option
@out_option
@parameter_options
@resource_options
@switch(
    "--make-current",
    "Replace the published run even if its week is newer or its raw files differ.",
)
@trust_options
@click.option(
    "--sample-if-empty",
    is_flag=True,
    help=f"Write sample data first if the raw path is {DEFAULT_RAW} and is missing or empty.",
)
@json_option
@quiet_option
@log_options
@click.pass_obj
def build(
    output: Output,
    /,
    raw: Place,
    out: Place,
    make_current: bool,
    rehash: bool,
    full_refresh: bool,
    sample_if_empty: bool,
    **given: Any,
) -> None:
    """Build the marts, run the gate and publish. Read only new and changed raw files.

    Without --json and --quiet, the command prints a summary: for a person in a terminal, and in
    lines that stay the same elsewhere.
    """
    request = replace(
        _request(output, raw, out, given, make_current), trust=_trust(rehash, full_refresh)
    )
    if sample_if_empty:
        _sample_if_empty(raw, request.resources, output)
    _publish(request, output)


@cli.command(context_settings=WITH_PARAMETERS)
@click.option(
    "--from", "first_day", required=True, metavar="MONDAY", help="Start of the first week."
)
@click.option("--to", "last_day", required=True, metavar="SUNDAY", help="End of the last week.")
@raw_option
@place_option("out", DEFAULT_BACKFILL, "Where results are published")
@partial(parameter_options, without=("as_of_date", "week_rule", "report_weeks", "serving_features"))
@resource_options
@json_option
@quiet_option
@log_options
@click.pass_obj
def backfill(
    output: Output, /, first_day: str, last_day: str, raw: Place, out: Place, **given: Any
) -> None:
    """Build a span of weeks in one pass. Publish a Parquet file per week, cut off on its Sunday."""
    from value_props.publish.out_path import BACKFILL
    from value_props.run.backfill import parameters_of

    # Fail here without a project, because its parameters limit the span.
    find_project()
    span = parameters_of(first_day, last_day)
    # The user named the weeks, so they become current even if a newer week is published.
    request = replace(_request(output, raw, out, {**given, **span}, True), edition=BACKFILL)
    _publish(request, output)


@cli.command()
@click.option(
    "--to",
    "store",
    default=str(DEFAULT_STORE),
    envvar="VALUE_PROPS_STORE",
    metavar="FOLDER",
    callback=lambda context, option, text: folder_reader("--to")(
        context, option, text or str(DEFAULT_STORE)
    ),
    help=f"Store to load. Default: {DEFAULT_STORE}. Also VALUE_PROPS_STORE.",
    shell_complete=complete_folder,
)
@raw_option
@place_option("out", DEFAULT_OUT, "Out path of builds, to share their parsed files")
@resource_options
@trust_options
@quiet_option
@log_options
@click.pass_obj
def load(
    output: Output,
    /,
    store: Path,
    raw: Place,
    out: Place,
    rehash: bool,
    full_refresh: bool,
    **given: Any,
) -> None:
    """Parse the raw files like a build and export their rows for Spark. Publish nothing."""
    from value_props.spark import load as job

    request = replace(_request(output, raw, out, given, False), trust=_trust(rehash, full_refresh))
    with watching(output, "Starting"):
        loaded = job.load(request, job.Store(store))
    if output.is_quiet:
        return
    with result_stands():
        for warning in loaded.warnings:
            say(f"Warning: {warning}.")
        say(
            f"{store} holds {loaded.files:,} raw files:"
            f" {loaded.written:,} written, {loaded.removed:,} removed."
        )


@cli.command(context_settings=WITH_PARAMETERS)
@raw_option
@parameter_options
@resource_options
@click.option("--json", "is_json", is_flag=True, help="Print the profile as JSON.")
@log_options
@click.pass_obj
def check(output: Output, /, raw: Place, is_json: bool, **given: Any) -> None:
    """Check parameters and raw files, resolve the window, and print a profile."""
    from value_props.run import build as job

    request = _request(output, raw, place_of(str(DEFAULT_OUT), "out"), given, False)
    with watching(output, "Starting"):
        tables, verdict = job.check(request)
    if is_json:
        say_json(tables)
    else:
        for name, rows in tables.items():
            print_table(name, rows)
    for warning in verdict.warnings:
        # Warnings go to stderr if stdout must stay one JSON document.
        (complain if is_json else say)(f"Warning: {warning}.")
    if verdict.problems:
        raise ValuePropsError(
            "a build would fail the gate",
            "Raw data",
            "Correct the files or change the parameters",
            ExitCode.GATE_FAILED,
            verdict.problems,
        )


@cli.command()
@click.option(
    "--out",
    default=str(DEFAULT_RAW),
    show_default=True,
    metavar="FOLDER",
    callback=folder_reader("--out"),
    shell_complete=complete_folder,
)
@click.option("--scale", default=1.0, show_default=True, help="0.001 to 100 times the public case.")
@click.option("--seed", default=7, show_default=True, help="Random seed of the data.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.pass_obj
def sample(output: Output, out: Path, scale: float, seed: int, overwrite: bool) -> None:
    """Write sample raw data in the shape of the public case."""
    from value_props.sample.raw_files import write_sample

    try:
        with watching(output, "Writing sample data"):
            summary = write_sample(out, scale, seed, overwrite=overwrite)
    except (FileExistsError, ValueError) as error:
        raise ValuePropsError(
            str(error),
            "Sample data",
            "Name another folder in --out, or replace the files with --overwrite"
            if isinstance(error, FileExistsError)
            else "Choose another --scale",
        ) from error
    counts = ", ".join(f"{count:,} {name}" for name, count in summary.rows.items())
    with result_stands():
        say(f"Wrote {counts} of {summary.users:,} users to {out}.")


@cli.command()
@out_option
@click.option(
    "--to",
    "run_id",
    default=None,
    metavar="RUN",
    help="Run to make current, older or newer. Default: the run that was current before.",
    shell_complete=complete_run,
)
@log_options
def rollback(out: Place, run_id: str | None) -> None:
    """Go back to the run before. Readers then see its files."""
    from value_props.cli.summary import command_line, week_of
    from value_props.run import rollback as job

    with out.name_in_errors():
        manifest, before = job.rollback(out, run_id)
    now = manifest["run_id"]
    with result_stands():
        say(f"Run {now} is current: {week_of(manifest)}.")
        if before and before != now:
            say(f"To undo this: {command_line(out.name, 'rollback', '--to', before)}")


def _users(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> set[int]:
    for text in texts:
        if not (re.fullmatch("[0-9]{1,19}", text) and 1 <= int(text) < 2**63):
            raise ValuePropsError(
                f"'{text}' is no user_id",
                "Parameter --user",
                "Allowed is a whole number from 1 to 2^63 - 1",
            )
    return set(map(int, texts))


@cli.command()
@click.option(
    "--user",
    "users",
    required=True,
    multiple=True,
    metavar="ID",
    callback=_users,
    help="A user_id. Repeat the option for several users.",
)
@out_option
@resource_options
@log_options
@click.pass_obj
def forget(output: Output, /, users: set[int], out: Place, **given: Any) -> None:
    """Remove users from everything that is kept. Remove them from the raw files first.

    The command builds and publishes the current run again, with its raw path and parameters. It
    removes older runs, unused parsed files and the raw text in records. Counts and test results of
    all runs stay.
    """
    from value_props.cli.summary import print_published
    from value_props.run import forget as job

    with out.name_in_errors():
        edition = fetched_out_path(out, job.COMMAND).edition
        request = replace(_request(output, out, out, given, True), edition=edition)
        with watching(output, "Starting"):
            published, forgotten = job.forget(request, users)
    with result_stands():
        if published:
            print_published(published, output)
        else:
            say("Nothing is published there, so nothing was built.")
        say(
            f"Removed older runs: {len(forgotten.runs_removed):,}; parsed files:"
            f" {forgotten.parsed_files_removed:,}; raw text in records of runs:"
            f" {forgotten.records_without_text:,}."
        )
        say(
            "Not touched: the raw files, other out paths, the stores of `value-props load` (load"
            " them again), and copies that readers made."
        )


@cli.command()
@out_option
def verify(out: Place) -> None:
    """Hash the published files again and compare them with the manifest.

    Files in a bucket are downloaded for this and not kept.
    """
    with out.name_in_errors():
        run_id = verify_current(existing_publisher(out))
    say(f"Run {run_id}: all files are as they were published.")


@cli.command()
@out_option
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=10,
    metavar="NUMBER",
    help="Number of runs, newest first. Default: 10.",
)
@click.option("--json", "is_json", is_flag=True, help="Print all recorded facts as JSON.")
def history(out: Place, limit: int, is_json: bool) -> None:
    """List the last runs and their results, including failed and killed runs."""
    from value_props.cli.history_table import print_history
    from value_props.record import history as records

    publisher = existing_publisher(out)
    out_path = publisher.out
    try:
        publisher.fetch("history")
    except RefusedError as error:
        if error.exit_code != ExitCode.LOCKED:
            raise
    if is_held(out_path.lock):
        complain("A run is in progress; it is listed once it has ended.")
    runs = records.runs(out_path, limit)
    current, kept = out_path.current_run_id(), out_path.run_ids()
    for run in runs:
        run["is_current"] = run["run_id"] == current
        run["is_kept"] = run["run_id"] in kept
    if is_json:
        say_json(runs)
        return
    print_history(runs, records.forgotten(out_path))
    if not runs:
        say(f"Nothing ran in {out.name} yet, or --out names another folder.")
    elif current and all(run["run_id"] != current for run in runs):
        say(f"The current run is {current}, which is not in this list.")


@cli.command()
@click.argument("run_id", required=False, metavar="[RUN]", shell_complete=complete_run)
@out_option
def report(run_id: str | None, out: Place) -> None:
    """Print the report of RUN, by default the last run, as JSON (report.schema.json)."""
    from value_props.record import report_files as reports

    with out.name_in_errors():
        found = reports.report_of(fetched_out_path(out, "report"), run_id)
    say_json(found)


@cli.command()
@click.argument("run_id", required=False, metavar="[RUN]", shell_complete=complete_run)
@out_option
@click.option(
    "--exit-code",
    type=click.IntRange(-64, 255),
    metavar="N",
    help="Exit code of the build, or minus the signal that killed it; the alert explains it.",
)
@click.option(
    "--line",
    "lines",
    multiple=True,
    metavar="TEXT",
    help="Add a line to the alert; repeat for several lines.",
)
@log_options
def notify(run_id: str | None, out: Place, exit_code: int | None, lines: tuple[str, ...]) -> None:
    """Send the alert of a failed build, for a scheduler that retries builds.

    The scheduler hides VALUE_PROPS_NOTIFY, VALUE_PROPS_SLACK_WEBHOOK and VALUE_PROPS_WEBHOOK from
    the builds, and passes them to this command after the last try. RUN is the failed run; omit it
    if no run began. The alert has the same findings and limits as that of the build itself.
    """
    from value_props.notify import alerts
    from value_props.record import report_files as reports

    facts: dict[str, Any] = {"run": {"run_id": run_id, "status": "failed"}, "problems": []}
    page = None
    if run_id:
        try:
            with out.name_in_errors():
                out_path = fetched_out_path(out, "notify")
                facts = reports.report_of(out_path, run_id)
            # last_run/ holds only the page of the last run.
            page = out_path.last_run / PAGE if facts == reports.last_report(out_path) else None
        except ValuePropsError as error:
            # Send the alert of the failure even without a report.
            complain(str(error))
    deliveries = alerts.notify_of_failure(
        facts, page if page and page.exists() else None, exit_code, lines
    )
    failed = sum(delivery.fault is not None for delivery in deliveries)
    if failed:
        raise ValuePropsError(
            f"{failed} of {len(deliveries)} receivers did not accept it",
            "Alert",
            "Correct what the log names for each of them",
        )
    with result_stands():
        say(f"Alerts sent: {len(deliveries)}.")


@cli.command("open")
@click.argument("run_id", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option("--last", "is_last", is_flag=True, help="Open that of the last run, failed or not.")
@out_option
def open_report(run_id: str | None, is_last: bool, out: Place) -> None:
    """Open the report page of RUN in the browser, by default of the published run.

    Its path is printed. Without a browser, that is all.
    """
    from value_props.cli.pages import open_in_browser, page_of
    from value_props.record import report_files as reports

    if run_id and is_last:
        raise click.UsageError("Give RUN or --last, not both.")
    with out.name_in_errors():
        publisher = existing_publisher(out)
        publisher.fetch("open", () if run_id or is_last else (PAGE,))
        page = page_of(publisher, run_id, is_last)
    with result_stands():
        say(str(page))
    if not open_in_browser(page):
        complain("There is no browser here, so only the path of the page is printed.")
    last = reports.last_report(publisher.out)
    if not (run_id or is_last) and last and last["run"]["status"] == "failed":
        complain("The last run failed: `value-props open --last` opens its report.")


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and run ids in a shell.

    A shell completes only commands that it finds: first `source .venv/bin/activate`.

    \b
    bash: source <(value-props completion bash)
    zsh:  source <(value-props completion zsh)
    fish: value-props completion fish | source

    Add the line to the start file of the shell to have it always.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise AssertionError(f"click completes no {shell}")
    for line in made(cli, {}, PROGRAM, COMPLETION_VARIABLE).source().splitlines():
        say(line)


@cli.command()
@click.argument("before", shell_complete=complete_run)
@click.argument("after", shell_complete=complete_run)
@out_option
def diff(before: str, after: str, out: Place) -> None:
    """Print what changed in fct_prints from run BEFORE to run AFTER, by print_id."""
    from value_props.publish.diff import changes

    with out.name_in_errors():
        found = changes(fetched_out_path(out, "diff", runs=(before, after)), before, after)
    print_table(f"changes from {before} to {after}", found, is_always_table=True)


@cli.command()
def deps() -> None:
    """Install the dbt packages, or the stand-ins if the hub cannot be reached."""
    from value_props.run.packages import install_packages

    done = install_packages(find_project(), os.environ.get("DBT_PACKAGES", ""))
    if done:
        with result_stands():
            say(done)


@cli.command()
@out_option
@click.pass_obj
def docs(output: Output, out: Place) -> None:
    """Write the dbt docs site, the column lineage and the run's report, for offline use."""
    from value_props.docs.site import write_docs

    project = find_project()
    with out.name_in_errors():
        out_path = fetched_out_path(out, "docs", names=(DATABASE, PAGE), may_be_missing=True)
    with watching(output, "Writing the docs"):
        site = write_docs(project, out_path, project / "target" / "docs")
    for name, reason in site.missing.items():
        complain(f"{name}: {reason}")
    with result_stands():
        say(f"Wrote {site.home}")


def main() -> None:
    """Run the command line and exit."""
    start_in_utf_8()
    prepare_streams()
    code = _exit_code_of_command("--debug" in sys.argv)
    if code:
        complain(f"(exit {code})")
    if not close_streams() and code == ExitCode.PUBLISHED:
        code = int(ExitCode.CANNOT_RUN)
    sys.exit(code)


def program() -> None:
    """Run the command line and end the process quickly. Entry point of `value-props`."""
    # Objects live until the end of the command, and garbage collection takes a tenth of the time.
    gc.disable()
    try:
        main()
    except SystemExit as ended:
        if "dbt.cli" in sys.modules and isinstance(ended.code, int):
            # All output is written. Freeing the objects of dbt would take another second.
            atexit._run_exitfuncs()
            os._exit(ended.code)
        raise


def _exit_code_of_command(is_debug: bool) -> int:
    try:
        with _ended_by_signals():
            cli.main(prog_name=PROGRAM, complete_var=COMPLETION_VARIABLE, standalone_mode=False)
        return int(ExitCode.PUBLISHED)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        complain(context.get_usage() if context else "")
        first, *others = error.format_message().expandtabs(2).splitlines() or [""]
        complain(f"Error: {first}", red="Error:")
        for line in others:
            complain(line)
        if context:
            complain(f"`{context.command_path} --help` lists all options.")
        return int(ExitCode.CANNOT_RUN)
    except click.exceptions.Exit as error:
        return error.exit_code
    except BaseException as error:
        if is_interruption(error) or isinstance(error, click.Abort):
            message = "Interrupted. The published files are unchanged; run the command again."
            complain(message, red="Interrupted.")
            return int(ExitCode.CANNOT_RUN)
        if not isinstance(error, Exception):
            raise
        user_error = user_error_of(error)
        lines = (
            user_error.lines() if user_error else [f"Unexpected {type(error).__name__}: {error}"]
        )
        if is_debug:
            for line in traceback.format_exc().splitlines():
                complain(line)
        complain_of(lines)
        return int(user_error.exit_code if user_error else ExitCode.CANNOT_RUN)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Context manager in which SIGTERM and SIGHUP end the command like Ctrl-C.

    So the run is recorded and its lock released. Without a handler, SIGTERM has no effect on the
    first process of a container. SIGHUP is sent when the terminal closes; under nohup it stays
    ignored.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        # Service managers may send it twice. The second must not interrupt the clean-up.
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _request(
    output: Output, raw: Place, out: Place, given: dict[str, Any], make_current: bool
) -> Any:
    from value_props.run.request import Request

    resources = resolve({resource.name: given.pop(resource.name) for resource in RESOURCES})
    for parameter in PARAMETERS:
        if parameter.is_switch:
            given[parameter.name] = "on" if given.get(parameter.name) else ""
    return Request(
        project=find_project(),
        raw=raw,
        out=out,
        parameters=check_parameters(given),
        resources=resources,
        make_current=make_current,
        is_debug=output.is_debug,
    )


def _trust(rehash: bool, full_refresh: bool) -> Any:
    from value_props.ingest import Trust

    return Trust.NOTHING if full_refresh else Trust.CONTENTS if rehash else Trust.STAMPS


def _publish(request: Any, output: Output) -> None:
    """Build and publish, and print what was published."""
    from value_props.cli.summary import print_published
    from value_props.run import build as job

    with request.out.name_in_errors(), watching(output, "Starting"):
        published = job.build(request)
    with result_stands():
        print_published(published, output)


def _sample_if_empty(raw: Place, resources: Resources, output: Output) -> None:
    """Write sample data if the raw path is the default folder and is missing or empty."""
    from value_props.sample.raw_files import write_sample

    is_default = raw.folder == folder_of(str(DEFAULT_RAW), "Raw path")
    if not is_default or (raw.folder.exists() and any(raw.folder.iterdir())):
        return
    with watching(output, "Writing sample data"):
        write_sample(raw.folder, threads=resources.threads, memory_limit=resources.memory_limit)
    if output.is_quiet:
        return
    with result_stands():
        # Stdout must stay one JSON document.
        (complain if output.is_json else say)(
            f"{raw.name} had no raw data: wrote sample data in the shape of the public case."
        )
