"""The shape of report.json: dataclasses that define its JSON Schema and report.parquet's columns.

After a change, run `.venv/bin/python -m value_props.record.shapes` to write report.schema.json.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

SCHEMA_NAME = "report.schema.json"
SAMPLES_PER_REASON = 20
SAMPLE_LENGTH = 300


def one_of(*texts: str, description: str | None = None) -> Any:
    """Return a field whose value is one of a few texts."""
    return Field(description=description, json_schema_extra={"enum": list(texts)})


Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Sentence = Annotated[str, Field(min_length=1)]
Time = Annotated[
    str,
    Field(
        description="UTC.",
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    ),
]
TestStatus = Annotated[str, one_of("pass", "warn", "fail", "error", "skipped")]
Window = Annotated[
    dict[str, str | int | float | bool | None],
    Field(
        json_schema_extra={
            "required": [
                "as_of_date",
                "first_week_start_date",
                "last_week_start_date",
                "report_end_date",
                "first_lookback_date",
            ]
        }
    ),
]


@dataclass(frozen=True)
class RunFacts:
    """Start, end, status, inputs and parameters of a run."""

    run_id: Annotated[str, Field(pattern="^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}$")]
    started_at: Time
    ended_at: Time
    status: Annotated[str, one_of("published", "failed")]
    exit_code: Annotated[int, Field(ge=0, le=4, description="Exit code of the command.")]
    is_made_current: Annotated[
        bool, Field(description="Whether the run became the current one when it ended.")
    ]
    raw_path: Annotated[
        str, Field(description="Full path of the raw folder, or the address of the bucket.")
    ]
    is_sample_data: Annotated[
        bool, Field(description="Whether `value-props sample` made one of the raw files.")
    ]
    parameters: Annotated[
        dict[str, str],
        Field(description="Parameters as the user gave them. The others had their defaults."),
    ]
    git_commit: str | None
    versions: dict[str, str]


@dataclass(frozen=True)
class Column:
    """A column or field that a dataset is expected to have."""

    name: str
    type: Annotated[
        str | None, Field(description="Null where only the name is part of the contract.")
    ]


@dataclass(frozen=True)
class WrongType:
    """A column of a table whose type is not the expected one."""

    name: str
    expected: str
    found: str


@dataclass(frozen=True)
class Rows:
    """How many rows a dataset has: read = kept + quarantined."""

    read: Annotated[
        Count | None,
        Field(
            description="Source: rows in its files, counted by Python. Table: its rows. Null for"
            " a view, and where it was not built."
        ),
    ]
    kept: Count | None
    quarantined: Count | None


@dataclass(frozen=True)
class Sample:
    """A quarantined line."""

    file_name: str
    line_number: Annotated[int, Field(ge=1)]
    text: Annotated[
        str | None,
        Field(
            max_length=SAMPLE_LENGTH + 1,
            description=f"The first {SAMPLE_LENGTH} characters of the raw line. Null once the"
            " files of the run are removed.",
        ),
    ]


@dataclass(frozen=True)
class Reason:
    """The quarantined rows of a source for one reason: the first rule that they broke."""

    reason: str
    rows: Annotated[int, Field(ge=1)]
    samples: Annotated[list[Sample], Field(max_length=SAMPLES_PER_REASON)]


@dataclass(frozen=True)
class TestResult:
    """The result of a data test."""

    name: str
    model_name: str
    column_name: str | None
    rule: str
    severity: Annotated[str, one_of("error", "warn")]
    is_sampled: Annotated[
        bool,
        Field(
            description="Whether the test checks only a sample of users. Such a test checks the"
            " code rather than the data."
        ),
    ]
    status: TestStatus
    failures: Count
    seconds: Seconds
    message: str
    description: str
    query: Annotated[
        str | None,
        Field(description="SQL that shows the failing rows in the database of the run."),
    ]


@dataclass(frozen=True)
class Dataset:
    """A raw source, or a table that the project builds."""

    name: str
    kind: Annotated[str, one_of("source", "model", "seed", "snapshot")]
    description: str
    status: Annotated[
        str,
        one_of(
            *("read", "missing", "success", "error", "skipped", "not run"),
            description="Source: read or missing. Table: the status that dbt gives it, or not run.",
        ),
    ]
    seconds: Annotated[Seconds | None, Field(description="Build time; null for a source.")]
    expected_columns: list[Column]
    missing_columns: Annotated[
        list[str],
        Field(
            description="Table: expected columns that it does not have. Source: fields that are"
            " missing in at least one quarantined row."
        ),
    ]
    new_columns: Annotated[list[str], Field(description="Unexpected columns.")]
    wrong_types: Annotated[
        list[WrongType],
        Field(
            description="Always empty for a source: a row with a value of the wrong type is"
            " quarantined."
        ),
    ]
    rows: Rows
    quarantine: Annotated[
        list[Reason], Field(description="Quarantined rows of a source; most rows first.")
    ]
    tests: Annotated[
        list[TestResult],
        Field(description="A test that reads several datasets is listed with each of them."),
    ]


@dataclass(frozen=True)
class DriftCheck:
    """A drift check: the last report week compared with the weeks before it."""

    check: Annotated[
        str,
        one_of(
            "rows_per_day",
            "value_prop_share",
            "click_through_rate",
            "payment_amount",
            "quarantine_rate",
            "new_value_prop",
            "missing_day",
            "source_ends_early",
        ),
    ]
    subject: Annotated[str, Field(description="The source or value prop.")]
    status: Annotated[
        str,
        one_of(
            *("pass", "warn", "unknown"),
            description="unknown: too few earlier weeks to compare with. It is no warning.",
        ),
    ]
    value: float | None
    lowest: float | None
    highest: float | None
    typical: float | None
    weeks_compared: Count
    message: Annotated[str, Field(description="A sentence without its full stop.")]


@dataclass(frozen=True)
class FeatureSkew:
    """How the mart differs from the features that an earlier run published, for a value prop."""

    feature_date: Annotated[str, Field(description="The day from which the features served.")]
    run_id: Annotated[str, Field(description="The run that published them.")]
    value_prop: str
    prints: Annotated[Count, Field(description="Prints for which they served.")]
    skewed_prints: Annotated[
        Count, Field(description="Prints of which at least one feature differs.")
    ]


@dataclass(frozen=True)
class Report:
    """The report of a run of value-props: what it read, checked and decided.

    It is report.json in the run's folder under quality/. Samples of quarantined rows are the only
    raw data in it.
    """

    format_version: Literal[1]
    run: RunFacts
    window: Annotated[
        Window | None,
        Field(
            description="The row of int_run_window: dates and parameters of the run. Null where"
            " the run failed before it."
        ),
    ]
    problems: Annotated[
        list[Sentence], Field(description="Most important first. Empty for a published run.")
    ]
    warnings: list[Sentence]
    ignored_files: Annotated[
        list[str], Field(description="Files whose names nearly match those of raw files.")
    ]
    seconds: Annotated[
        dict[str, Seconds],
        Field(
            description="Wall time of each step. dbt_models and dbt_tests are sums over threads."
        ),
    ]
    rows_in_mart: Annotated[
        Count | None, Field(description="Rows of fct_prints; null where it was not built.")
    ]
    tests: Annotated[
        dict[TestStatus, Count], Field(description="How many data tests have each status.")
    ]
    datasets: Annotated[
        list[Dataset], Field(description="First the raw sources, then the tables of the project.")
    ]
    drift: list[DriftCheck]
    rows_in_features: Annotated[
        Count | None,
        Field(description="Rows of fct_user_features; null where it was not built."),
    ] = None
    feature_skew: Annotated[
        list[FeatureSkew],
        Field(
            description="Skew by late data. Empty where the features of no earlier run served the"
            " prints of this one."
        ),
    ] = field(default_factory=list)


_DUCKDB_TYPES = {str: "VARCHAR", bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}


def duckdb_type(shape: Any) -> Any:
    """Return the structure of a dataclass, list or scalar for DuckDB's from_json."""
    if dataclasses.is_dataclass(shape):
        hints = get_type_hints(shape)
        return {field.name: duckdb_type(hints[field.name]) for field in dataclasses.fields(shape)}
    if get_origin(shape) is list:
        return [duckdb_type(*get_args(shape))]
    if get_origin(shape) in (Union, UnionType):
        return duckdb_type(get_args(shape)[0])
    return _DUCKDB_TYPES[shape]


class _Closed(GenerateJsonSchema):
    """Schema generator that allows no fields besides those of the dataclass."""

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a dataclass, without additional properties."""
        return {**super().dataclass_schema(schema), "additionalProperties": False}

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False, because a title would only repeat the name of the field."""
        return False


def schema() -> dict[str, Any]:
    """Return the JSON Schema of report.json."""
    head = {"$schema": _Closed.schema_dialect, "$id": "urn:value-props:report:1"}
    made = TypeAdapter(Report).json_schema(schema_generator=_Closed)
    # Put the report first and its parts last, for readers of the file.
    parts = made.pop("$defs")
    return {**head, **made, "$defs": parts}


def schema_text() -> str:
    """Return the content of report.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / SCHEMA_NAME).write_text(schema_text(), encoding="utf-8")
