"""The gate: decide whether a run may be published, and if not, say what the user can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from value_props import database
from value_props.errors import ExitCode, ValuePropsError, remedy_of
from value_props.record.facts import NodeOutcome, Verdict

# Where a quality table already reports a problem, the failure of these tests is left out: the table
# gives more detail.
_REPORTED_BY_TABLES = {
    "assert_quarantine_rate_is_allowed",
    "assert_report_weeks_have_prints",
    "assert_report_days_have_prints",
    "assert_sources_reach_the_report_end",
}

# The same for warnings.
_WARNED_BY_TABLES = {"assert_run_has_no_warnings", "assert_mart_agrees_with_served_features"}


def judge(
    outcomes: Sequence[NodeOutcome], work_database: Path, *, needs_lookbacks: bool = False
) -> Verdict:
    """Judge the outcomes of a dbt run and the quality tables that it filled.

    Args:
        outcomes: the outcome of each node that dbt ran.
        work_database: the DuckDB file of the run.
        needs_lookbacks: if true, a lookback that begins before the data is a problem unless
            allow_incomplete accepts it; if false, it is only a warning.

    Raises:
        ValuePropsError: a node could not be built (exit code CANNOT_RUN).
    """
    refuse_errors(outcomes)
    problems = [*_high_rates(work_database), *_missing(work_database, "error")]
    if needs_lookbacks:
        problems += _short_lookbacks(work_database)
    problems += [
        _test_sentence(outcome)
        for outcome in outcomes
        if outcome.status == "fail" and (outcome.name not in _REPORTED_BY_TABLES or not problems)
    ]
    warnings = [
        *_missing(work_database, "warn"),
        *_warnings(work_database),
        *_short_features(work_database),
        *_feature_skew(work_database),
    ]
    warnings += [
        _test_sentence(outcome)
        for outcome in outcomes
        if outcome.status == "warn" and outcome.name not in _WARNED_BY_TABLES
    ]
    return Verdict(problems, warnings)


def drift_warnings(path: Path, run_id: str) -> list[str]:
    """Return a sentence for each drift check that warns. Call history.stage first."""
    found = database.rows(
        path,
        "select message from quality.drift_checks where status = 'warn'"  # nosec B608
        f" and run_id = {database.literal(run_id)} order by check_name, subject",
    )
    return [f"Drift: {row['message']}" for row in found]


def refuse_errors(outcomes: Sequence[NodeOutcome]) -> None:
    """Refuse a run with a node that could not be built.

    Raises:
        ValuePropsError: names the first such node (exit code CANNOT_RUN).
    """
    errors = [outcome for outcome in outcomes if outcome.status == "error"]
    if errors:
        first = errors[0]
        message = " ".join(first.message.split())
        raise ValuePropsError(
            f"it could not be built: {message[:600]}",
            f"{first.kind.replace('_', ' ').capitalize()} {first.name}",
            remedy_of(message),
            ExitCode.CANNOT_RUN,
        )


def _test_sentence(outcome: NodeOutcome) -> str:
    look = f", see `from {outcome.table}`" if outcome.table and outcome.kind == "test" else ""
    meaning = " ".join(outcome.description.split()).rstrip(".")
    rule = f". The rule: {meaning}" if meaning else ""
    return f"Test {outcome.name}: {_rows(outcome.failures)}{look}{rule}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _high_rates(path: Path) -> list[str]:
    sentences = [
        f"Source {row['source_name']}: {row['rows_bad']:,} of {row['rows_read']:,} rows are"
        f" quarantined, not counting duplicates ({row['quarantine_rate']:.2%}, and"
        f" {float(row['max_quarantine_rate']):.2%} is allowed): {row['reasons']}"
        for row in database.rows(path, database.sql("run", "high_rates"))
    ]
    return _with_remedy(
        sentences,
        "The rows are in the table quality.quarantined_rows, each with its file and line. Have the"
        " files corrected, or raise --max-quarantine-rate",
    )


def _with_remedy(sentences: list[str], remedy: str) -> list[str]:
    """Add the remedy of all sentences to the last one."""
    return [*sentences[:-1], f"{sentences[-1]}. {remedy}"] if sentences else []


def _missing(path: Path, severity: str) -> list[str]:
    """Return a sentence for each rule and source with a finding; of errors, also the remedy."""
    rows = database.rows(path, database.sql("run", "missing"))
    found = [row for row in rows if row["severity"] == severity]
    sentences = [_missing_sentence(row, path) for row in found]
    if severity == "warn":
        return sentences
    # A build and a backfill use the gate.
    remedy = (
        "Have it delivered, choose a week that has data, with --as-of (backfill: --from and --to)"
    )
    if all(row["rule"] != "report_week_without_prints" for row in found):
        remedy += ", or accept it with --allow-incomplete"
    return _with_remedy(sentences, remedy)


def _missing_sentence(row: Mapping[str, Any], path: Path) -> str:
    days = [day for day in row["days"] if day]
    if row["rule"] == "report_week_without_prints":
        weeks = f"the report week of {_listed(days)}" if days else "any week"
        what = f"no print in {weeks}{_days_of_prints(path)}"
    elif row["rule"] == "report_day_without_prints":
        what = f"no print on {_listed(days)}"
    else:
        events = {"taps": "taps", "pays": "payments"}[row["source_name"]]
        what = (
            f"no row from {_listed(days)} to the end of the report, so these days count as days"
            f" without {events}"
        )
    return f"Source {row['source_name']}: {what}"


def _days_of_prints(path: Path) -> str:
    [span] = database.rows(
        path,
        "select min(first_date) as first_day, max(last_date) as last_day"
        " from quality.row_reconciliation where source_name = 'prints'",
    )
    return (
        f"; there are prints from {span['first_day']} to {span['last_day']}"
        if span["first_day"]
        else ""
    )


def _short_lookbacks(path: Path) -> list[str]:
    """Return one sentence on short lookbacks; none if all are covered or accepted."""
    weeks = database.rows(path, database.sql("run", "short_lookbacks"))
    if not weeks:
        return []
    found = [f"{week['iso_week']} ({week['days']})" for week in weeks]
    first = weeks[0]["first_covered_week"]
    remedy = (
        f"Begin with --from {first}"
        if first
        else "Have older files delivered, or shorten --lookback-weeks"
    )
    return [
        f"The data does not cover all {weeks[0]['days_in_lookback']} days of these lookbacks (days"
        f" covered): {_listed(found)}. {remedy}, or accept it with --allow-incomplete"
    ]


def _warnings(path: Path) -> list[str]:
    query = (
        "select message, cast(sum(row_count) as bigint) as row_count"
        " from quality.run_warnings group by message order by min(rule), message"
    )
    return [
        f"{row['message']} ({_rows(row['row_count'])})" if row["row_count"] else row["message"]
        for row in database.rows(path, query)
    ]


def _short_features(path: Path) -> list[str]:
    return [
        f"The features for {row['feature_date']} look back over {row['days_in_lookback']} days, of"
        f" which the data covers fewer: {row['days']}"
        for row in database.rows(path, database.sql("run", "short_features"))
    ]


def _feature_skew(path: Path) -> list[str]:
    """Return a sentence for each day from which features served, if the mart differs from them."""
    return [
        f"Skew by late data: {row['skewed_prints']:,} of {row['prints']:,} prints have other"
        f" features than those that run {row['run_id']} published for {row['feature_date']}"
        f" ({row['by_value_prop']}), because rows from before that day came or went later, see"
        " `from quality.feature_skew`"
        for row in database.rows(path, database.sql("run", "feature_skew"))
    ]


def _listed(days: list[str]) -> str:
    shown = ", ".join(days[:7])
    return shown if len(days) <= 7 else f"{shown} and {len(days) - 7} more"
