"""The history tables: columns, descriptions, and the queries in sql/ that fill them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a history table: its name, DuckDB type and description."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """A history table.

    Args:
        name: name without schema.
        description: what the table holds, and what a row is.
        columns: the columns in order.
        queries: names of queries in sql/ that return the rows of a run, with the parameter run_id;
            empty if history.py makes the rows.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    queries: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The name with schema."""
        return f"quality.{self.name}"


_RUN_ID = Column("run_id", "VARCHAR", "The run: its start in UTC and six random hex digits.")

RUNS = Table(
    "runs",
    "Every run that began, one row per run, ordered by start.",
    (
        _RUN_ID,
        Column("started_at", "TIMESTAMP", "When the run began, UTC."),
        Column("ended_at", "TIMESTAMP", "When it ended, UTC; null for a killed run."),
        Column(
            "status",
            "VARCHAR",
            "published; failed; killed (the process ended without recording a result); or rolled"
            " back (published until a rollback to an older run).",
        ),
        Column("exit_code", "INTEGER", "Exit code of the command; null for a killed run."),
        Column("problem", "VARCHAR", "What is wrong; null for a published run."),
        Column(
            "is_made_current",
            "BOOLEAN",
            "Whether the run became the current one, when it ended or by a rollback to it. A failed"
            " run does not, nor a run that is kept back, such as one of an older week.",
        ),
        Column("raw_path", "VARCHAR", "Folder or bucket of the raw files."),
        Column("run_date", "DATE", "Date of the run, UTC."),
        Column("as_of_date", "DATE", "The cut-off. Later rows are ignored."),
        Column("week_rule", "VARCHAR", "complete or latest: which week the report ends with."),
        Column("report_weeks", "INTEGER", "How many consecutive weeks the report holds."),
        Column("lookback_weeks", "INTEGER", "Length of the lookback in weeks."),
        Column("lookback_anchor", "VARCHAR", "week or print: what the lookback ends before."),
        Column("max_quarantine_rate", "DECIMAL(10, 9)", "Highest allowed quarantine rate, 0 to 1."),
        Column("allow_incomplete", "BOOLEAN", "Whether missing days were only a warning."),
        Column("serving_features", "BOOLEAN", "Whether the run built fct_user_features."),
        Column("first_week_start_date", "DATE", "Monday of the first report week."),
        Column("last_week_start_date", "DATE", "Monday of the last report week."),
        Column("git_commit", "VARCHAR", "Commit of the project; null without git."),
        Column("versions", "MAP(VARCHAR, VARCHAR)", "Version of each tool and dbt package."),
    ),
)

TABLES = (
    RUNS,
    Table(
        "test_results",
        "Every data test of every run, one row per test and run.",
        (
            _RUN_ID,
            Column("test_name", "VARCHAR", "Name of the test, which states its rule."),
            Column(
                "model_name",
                "VARCHAR",
                "The model tested, or the models that a singular test reads.",
            ),
            Column("column_name", "VARCHAR", "The column tested; null for a test of a table."),
            Column("rule", "VARCHAR", "Kind of the generic test, or singular."),
            Column("description", "VARCHAR", "Why the test is there."),
            Column("severity", "VARCHAR", "error or warn: what a failing row means."),
            Column("status", "VARCHAR", "pass, warn, fail, error or skipped."),
            Column("failures", "BIGINT", "Failing rows."),
            Column("seconds", "DOUBLE", "Wall time."),
            Column("message", "VARCHAR", "Message of dbt."),
            Column(
                "failures_table",
                "VARCHAR",
                "Table with the failing rows in the database of the run.",
            ),
        ),
    ),
    Table(
        "source_profiles",
        "The raw files of every run, one row per file and run.",
        (
            _RUN_ID,
            Column("source_name", "VARCHAR", "prints, taps or pays."),
            Column("file_name", "VARCHAR", "Name of the raw file."),
            Column("size_bytes", "BIGINT", "Bytes on disk."),
            Column("sha256", "VARCHAR", "SHA-256 of the bytes on disk, in lower-case hex."),
            Column("rows_read", "BIGINT", "Rows of the file, counted by Python."),
            Column("rows_kept", "BIGINT", "Valid rows."),
            Column("rows_up_to_cut_off", "BIGINT", "Valid rows dated up to the cut-off."),
            Column("rows_quarantined", "BIGINT", "Rows that broke a rule."),
            Column(
                "quarantined_by_reason", "MAP(VARCHAR, BIGINT)", "Rows by the first rule broken."
            ),
            Column("first_date", "DATE", "First day of a valid row."),
            Column("last_date", "DATE", "Last day of a valid row."),
            Column("distinct_users", "BIGINT", "Distinct users of valid rows."),
            Column(
                "rows_with_missing_field", "BIGINT", "Rows with an absent, null or blank field."
            ),
            Column("unknown_fields", "BIGINT", "Number of distinct unknown keys or columns."),
        ),
        ("source_profiles",),
    ),
    Table(
        "mart_profiles",
        "fct_prints of every run, one row per report week and run.",
        (
            _RUN_ID,
            Column("week_start_date", "DATE", "Monday of the report week."),
            Column("iso_week", "VARCHAR", "Label of the week, such as 2020-W48."),
            Column("row_count", "BIGINT", "Prints."),
            Column("clicked_prints", "BIGINT", "Clicked prints."),
            Column("click_through_rate", "DOUBLE", "Clicked prints divided by prints, 0 to 1."),
            *(
                column
                for feature in ("views", "clicks", "payments")
                for column in (
                    Column(f"mean_prior_{feature}", "DOUBLE", f"Mean of prior_{feature}."),
                    Column(f"total_prior_{feature}", "BIGINT", f"Total of prior_{feature}."),
                )
            ),
            Column("mean_prior_amount", "DOUBLE", "Mean of prior_amount."),
            Column("total_prior_amount", "DECIMAL(38, 2)", "Total of prior_amount."),
            Column(
                "share_by_value_prop",
                "MAP(VARCHAR, DOUBLE)",
                "Share of the week's prints by value prop, 0 to 1.",
            ),
        ),
        ("mart_profiles",),
    ),
    Table(
        "week_profiles",
        "The last report week of every run and up to twelve weeks before it, as far as the raw"
        " files reach; one row per run, week and value prop.",
        (
            _RUN_ID,
            Column("week_start_date", "DATE", "Monday of the week."),
            Column("value_prop", "VARCHAR", "The value prop."),
            Column("prints", "BIGINT", "Prints up to the cut-off."),
            Column("clicked_prints", "BIGINT", "Clicked prints up to the cut-off."),
            Column("taps", "BIGINT", "Taps up to the cut-off."),
            Column("payments", "BIGINT", "Payments up to the cut-off."),
            Column("amount", "DECIMAL(38, 2)", "Money paid, in the currency of the app."),
            Column(
                "is_complete_week",
                "BOOLEAN",
                "Whether the week was over at the cut-off and has prints on each day.",
            ),
        ),
        ("week_profiles",),
    ),
    Table(
        "drift_checks",
        "The last report week of every run compared with earlier weeks, one row per run, check and"
        " subject. Drift is a warning and does not stop a run.",
        (
            _RUN_ID,
            Column(
                "check_name",
                "VARCHAR",
                "rows_per_day, value_prop_share, click_through_rate, payment_amount,"
                " quarantine_rate, new_value_prop, missing_day or source_ends_early.",
            ),
            Column("subject", "VARCHAR", "The source or value prop."),
            Column("status", "VARCHAR", "pass, warn, or unknown (too few earlier weeks)."),
            Column("value", "DOUBLE", "Value of this run; shares and rates are 0 to 1."),
            Column("lowest", "DOUBLE", "Lower end of the usual range."),
            Column("highest", "DOUBLE", "Upper end of the usual range."),
            Column("typical", "DOUBLE", "Mean of the earlier weeks."),
            Column("weeks_compared", "BIGINT", "Number of earlier weeks compared, at most 12."),
            Column("message", "VARCHAR", "What was compared, as a sentence."),
        ),
        # This table comes last, because its queries read the others.
        ("drift_of_numbers", "drift_of_days"),
    ),
)
