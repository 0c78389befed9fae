"""Compose and write the report of a run: report.json and report.parquet."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from value_props.database import (
    MART,
    USER_FEATURES,
    WINDOW_QUERY,
    literal,
    opened,
    rows_of,
    sql,
)
from value_props.errors import printable
from value_props.files import replace_text, replacing
from value_props.publish.out_path import TEXTS_REMOVED, OutPath
from value_props.record.facts import NodeOutcome, Record
from value_props.record.report_files import JSON_NAME, read_report
from value_props.record.shapes import (
    SAMPLE_LENGTH,
    SAMPLES_PER_REASON,
    Column,
    Dataset,
    DriftCheck,
    FeatureSkew,
    Reason,
    Report,
    Rows,
    RunFacts,
    Sample,
    TestResult,
    WrongType,
    duckdb_type,
)

PARQUET_NAME = "report.parquet"

_EVENT_FIELDS = {
    "day": "date",
    "event_data.position": "whole number",
    "event_data.value_prop": "text",
    "user_id": "whole number",
}
# Expected fields of a raw row, and their types.
SOURCE_FIELDS = {
    "prints": _EVENT_FIELDS,
    "taps": _EVENT_FIELDS,
    "pays": {
        "pay_date": "date",
        "total": "decimal number",
        "user_id": "whole number",
        "value_prop": "text",
    },
}


def compose(record: Record, database: Path | None) -> dict[str, Any]:
    """Compose the report of an ended run.

    Args:
        record: the facts of the run.
        database: the database of the run with the history; None if it cannot be read.

    Returns:
        The report as JSON values, in the shape of shapes.Report.
    """
    with opened(database) as connection:
        tests = [_test(outcome) for outcome in record.tests]
        tables = _tables(connection)
        spelled = _spelled_types(connection, record.outcomes)
        report = Report(
            format_version=1,
            run=_run(record),
            window=next(iter(rows_of(connection, WINDOW_QUERY)), None),
            problems=[printable(problem) for problem in record.problems],
            warnings=[printable(warning) for warning in record.warnings],
            ignored_files=list(record.ignored_files),
            seconds=dict(record.seconds),
            rows_in_mart=_count(connection, MART),
            tests=record.test_counts,
            datasets=[
                *(_source(connection, name, tests) for name in SOURCE_FIELDS),
                *(
                    _table(outcome, tests, tables, spelled)
                    for outcome in record.outcomes
                    if outcome.kind in ("model", "seed", "snapshot")
                ),
            ],
            rows_in_features=_count(connection, USER_FEATURES),
            feature_skew=[FeatureSkew(**row) for row in rows_of(connection, _SKEW)],
            drift=[DriftCheck(**row) for row in rows_of(connection, _DRIFT, [record.begun.run_id])],
        )
    plain: dict[str, Any] = json.loads(json.dumps(asdict(report), default=_as_json))
    return plain


def _run(record: Record) -> RunFacts:
    known = {**asdict(record.begun), **asdict(record.ended), **vars(record)}
    return RunFacts(**{field.name: known[field.name] for field in fields(RunFacts)})


def write(report: Mapping[str, Any], folder: Path, scratch: Path) -> None:
    """Write report.json, and report.parquet with one row per dataset. Each write is atomic.

    Args:
        report: the report; see compose.
        folder: the folder of the run's record.
        scratch: folder on the same disk for drafts.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False)
    replace_text(folder / JSON_NAME, text + "\n", scratch=scratch)
    with replacing(folder / PARQUET_NAME, scratch=scratch) as draft:
        _write_parquet(report, draft)


def remove_texts(out: OutPath, besides: Collection[str]) -> int:
    """Remove the raw text of quarantined rows from the records of runs. Counts stay.

    Args:
        out: the out path. The caller holds its lock.
        besides: ids of the runs that keep their text: those whose files are kept.

    Returns:
        The number of records changed.
    """
    removed = 0
    for path in sorted(out.history.glob(f"*/{JSON_NAME}")):
        folder = path.parent
        if folder.name in besides or (folder / TEXTS_REMOVED).exists():
            continue
        if report := read_report(path):
            for dataset in report["datasets"]:
                for reason in dataset["quarantine"]:
                    for sample in reason["samples"]:
                        sample["text"] = None
            out.work.mkdir(exist_ok=True)
            write(report, folder, out.work)
        else:
            # A damaged report may hold raw text.
            path.unlink()
            (folder / PARQUET_NAME).unlink(missing_ok=True)
        # The mark comes last, so that an interrupted removal is repeated.
        (folder / TEXTS_REMOVED).touch()
        removed += 1
    return removed


def _write_parquet(report: Mapping[str, Any], path: Path) -> None:
    structure = json.dumps([duckdb_type(Dataset)])
    run_id = literal(report["run"]["run_id"])
    with opened(None) as connection:
        connection.execute(
            f"create table datasets as select {run_id} as run_id,"  # nosec B608
            f" unnest(from_json(cast(? as json), {literal(structure)}), max_depth := 2)",
            [json.dumps(report["datasets"])],
        )
        connection.execute(f"copy datasets to {literal(path)} (format parquet)")


_SKEW = """
    select
        cast(feature_date as varchar) as feature_date,
        run_id,
        value_prop,
        prints,
        skewed_prints
    from quality.feature_skew order by feature_date, value_prop
"""

_DRIFT = """
    select check_name as check, * exclude (check_name, run_id)
    from quality.drift_checks where run_id = ? order by check_name, subject
"""


def _source(
    connection: duckdb.DuckDBPyConnection, name: str, tests: Sequence[TestResult]
) -> Dataset:
    rows = _rows_of_source(connection, name)
    unknown = rows_of(
        connection,
        "select distinct field_name from quality.schema_drift where source_name = ? order by all",
        [name],
    )
    quarantine = rows_of(
        connection,
        sql("record", "quarantine_samples"),
        {"source": name, "samples": SAMPLES_PER_REASON, "length": SAMPLE_LENGTH},
    )
    return Dataset(
        name=name,
        kind="source",
        description=f"The raw files of {name}, one row an event.",
        status="missing" if rows.read is None else "read",
        seconds=None,
        expected_columns=[Column(field, kind) for field, kind in SOURCE_FIELDS[name].items()],
        missing_columns=_missing_fields(connection, name),
        new_columns=[row["field_name"] for row in unknown],
        wrong_types=[],
        rows=rows,
        quarantine=[
            Reason(row["reason"], row["row_count"], [Sample(**sample) for sample in row["samples"]])
            for row in quarantine
        ],
        tests=[
            test
            for test in tests
            if {f"base_{name}", f"stg_{name}"} & set(test.model_name.split(", "))
        ],
    )


def _rows_of_source(connection: duckdb.DuckDBPyConnection, name: str) -> Rows:
    """Count the rows of a source that were read, kept and quarantined; None without a file."""
    [read] = rows_of(
        connection,
        "select sum(row_count) as n from staging.raw_files where source_name = ?",
        [name],
    ) or [{"n": None}]
    [judged] = rows_of(
        connection,
        "select sum(rows_kept) as kept, sum(rows_quarantined) as quarantined"
        " from quality.row_reconciliation where source_name = ?",
        [name],
    ) or [{"kept": None, "quarantined": None}]
    return Rows(read["n"], judged["kept"], judged["quarantined"])


def _missing_fields(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    query = (
        "select distinct unnest(missing_fields) as field_name"
        " from raw.rejected_lines where source_name = ?"
    )
    missing = {row["field_name"] for row in rows_of(connection, query, [name])}
    return [field for field in SOURCE_FIELDS[name] if field in missing]


@dataclass
class _Table:
    """A table or view of the database.

    Args:
        columns: DuckDB types by column name.
        rows: number of rows; None for a view.
    """

    columns: dict[str, str]
    rows: int | None = None


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, _Table]:
    """Return the tables and views of the database by `schema.name`."""
    tables: dict[str, _Table] = {}
    for row in rows_of(
        connection,
        "select schema_name || '.' || table_name as path, column_name, data_type"
        " from duckdb_columns() where database_name = current_database() order by column_index",
    ):
        tables.setdefault(row["path"], _Table({})).columns[row["column_name"]] = row["data_type"]
    counts = [
        f"select {literal(path)}, count(*) from {path}"  # nosec B608
        for (path,) in connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables()"
            " where database_name = current_database()"
        ).fetchall()
    ]
    for path, rows in connection.execute(" union all ".join(counts)).fetchall() if counts else ():
        tables[path].rows = rows
    return tables


def _spelled_types(
    connection: duckdb.DuckDBPyConnection, outcomes: Sequence[NodeOutcome]
) -> dict[str, str]:
    """Return DuckDB's spelling of each declared type, such as INTEGER for int."""
    kinds = sorted({kind for outcome in outcomes for kind in outcome.columns.values() if kind})
    if not kinds:
        return {}
    spelled = connection.execute(
        f"select {', '.join(f'typeof(cast(null as {kind}))' for kind in kinds)}"  # nosec B608
    ).fetchall()[0]
    return dict(zip(kinds, spelled, strict=True))


def _table(
    outcome: NodeOutcome,
    tests: Sequence[TestResult],
    tables: Mapping[str, _Table],
    spelled: Mapping[str, str],
) -> Dataset:
    table = tables.get(outcome.table, _Table({}))
    found, rows = table.columns, table.rows
    expected = dict(outcome.columns)
    return Dataset(
        name=outcome.name,
        kind=outcome.kind,
        description=outcome.description,
        status=outcome.status,
        seconds=outcome.seconds,
        expected_columns=[Column(name, kind) for name, kind in expected.items()],
        missing_columns=[name for name in expected if found and name not in found],
        # dbt adds columns named dbt_… to a snapshot.
        new_columns=[
            name for name in found if name not in expected and not name.startswith("dbt_")
        ],
        wrong_types=[
            WrongType(name, kind, found[name])
            for name, kind in expected.items()
            if kind and name in found and spelled[kind] != found[name]
        ],
        rows=Rows(read=rows, kept=rows, quarantined=None if rows is None else 0),
        quarantine=[],
        tests=[test for test in tests if outcome.name in test.model_name.split(", ")],
    )


def _test(outcome: NodeOutcome) -> TestResult:
    return TestResult(**{field.name: getattr(outcome, field.name) for field in fields(TestResult)})


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int | None:
    found = rows_of(connection, f"select count(*) as n from {table}")  # nosec B608
    return found[0]["n"] if found else None


def _as_json(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else str(value)
