"""What the history keeps of a run: its tables, and the queries that profile sources and mart."""

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
    """A history table: its name, description and columns."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        """Its name with schema."""
        return f"quality.{self.name}"


_RUN_ID = Column("run_id", "VARCHAR", "The run: its start in UTC and six random digits.")

TABLES = (
    Table(
        "runs",
        "Every run that began, one row a run, in the order of their start.",
        (
            _RUN_ID,
            Column("started_at", "TIMESTAMP", "When the run began, UTC."),
            Column("ended_at", "TIMESTAMP", "When it ended, UTC; null for a killed run."),
            Column(
                "status",
                "VARCHAR",
                "published; failed; killed (it ended without a word); or rolled back (it was"
                " published, and an older run was made current again).",
            ),
            Column("exit_code", "INTEGER", "Of the command line; null for a killed run."),
            Column("problem", "VARCHAR", "What is wrong; null for a published run."),
            Column(
                "is_made_current",
                "BOOLEAN",
                "Whether the stable names were switched to the run; not so where it failed, and"
                " where a newer week was published.",
            ),
            Column("raw_path", "VARCHAR", "Folder of the raw files, as it was given."),
            Column("run_date", "DATE", "The date of the run, UTC."),
            Column("as_of_date", "DATE", "The cut-off. Rows dated after it are not in the marts."),
            Column("week_rule", "VARCHAR", "complete or latest: which week the report ends with."),
            Column("report_weeks", "INTEGER", "How many consecutive weeks the report holds."),
            Column("lookback_weeks", "INTEGER", "Length of the lookback in weeks."),
            Column("lookback_anchor", "VARCHAR", "week or print: what the lookback ends before."),
            Column("max_quarantine_rate", "DECIMAL(10, 9)", "Highest rate allowed, 0 to 1."),
            Column("allow_incomplete", "BOOLEAN", "Whether missing days were only warned of."),
            Column("first_week_start_date", "DATE", "Monday of the first report week."),
            Column("last_week_start_date", "DATE", "Monday of the last report week."),
            Column("git_commit", "VARCHAR", "Commit of the project; null without git."),
            Column("versions", "MAP(VARCHAR, VARCHAR)", "Version of each tool and dbt package."),
        ),
    ),
    Table(
        "test_results",
        "Every data test of every run, one row a test and run.",
        (
            _RUN_ID,
            Column("test_name", "VARCHAR", "Name of the test, which states its rule."),
            Column("model_name", "VARCHAR", "The model tested; of several, those it reads."),
            Column("column_name", "VARCHAR", "The column tested; null for a test of a table."),
            Column("rule", "VARCHAR", "Kind of the generic test, or singular."),
            Column("description", "VARCHAR", "Why the test is there."),
            Column("severity", "VARCHAR", "error or warn: what a failing row means."),
            Column("status", "VARCHAR", "pass, warn, fail, error or skipped."),
            Column("failures", "BIGINT", "Failing rows."),
            Column("seconds", "DOUBLE", "Wall time."),
            Column("message", "VARCHAR", "What dbt says of it."),
            Column("failures_table", "VARCHAR", "The table of that run with its failing rows."),
        ),
    ),
    Table(
        "source_profiles",
        "The raw files of every run, one row a file and run.",
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
            Column("distinct_users", "BIGINT", "Different users of valid rows."),
            Column(
                "rows_with_missing_field", "BIGINT", "Rows with an absent, null or blank field."
            ),
            Column("unknown_fields", "BIGINT", "Different keys or columns that no rule knows."),
        ),
    ),
    Table(
        "mart_profiles",
        "fct_prints of every run, one row a report week and run.",
        (
            _RUN_ID,
            Column("week_start_date", "DATE", "Monday of the report week."),
            Column("iso_week", "VARCHAR", "Label of the week, such as 2020-W48."),
            Column("row_count", "BIGINT", "Prints."),
            Column("clicked_prints", "BIGINT", "Clicked prints."),
            Column("click_through_rate", "DOUBLE", "Clicked prints by prints, 0 to 1."),
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
    ),
)

SOURCE_PROFILES = """
    with users as (
        select 'prints' as source_name, file_number, count(distinct user_id) as distinct_users
        from staging.base_prints where quarantine_reason is null group by all
        union all
        select 'taps', file_number, count(distinct user_id)
        from staging.base_taps where quarantine_reason is null group by all
        union all
        select 'pays', file_number, count(distinct user_id)
        from staging.base_pays where quarantine_reason is null group by all
    ),
    reasons as (
        select source_name, file_name, quarantine_reason, count(*) as row_count
        from quality.quarantined_rows group by all
    ),
    by_reason as (
        select
            source_name,
            file_name,
            map_from_entries(
                list((quarantine_reason, row_count) order by quarantine_reason)
            ) as quarantined_by_reason,
            sum(row_count) filter (where quarantine_reason = 'missing_field') as missing
        from reasons group by all
    ),
    drift as (
        select source_name, file_name, count(*) as unknown_fields
        from quality.schema_drift group by all
    )
    select
        {run_id} as run_id,
        counts.source_name,
        counts.file_name,
        files.size_bytes,
        files.sha256,
        counts.rows_read,
        counts.rows_kept,
        counts.rows_up_to_cut_off,
        counts.rows_quarantined,
        coalesce(by_reason.quarantined_by_reason, map {{}}) as quarantined_by_reason,
        counts.first_date,
        counts.last_date,
        coalesce(users.distinct_users, 0) as distinct_users,
        coalesce(by_reason.missing, 0) as rows_with_missing_field,
        coalesce(drift.unknown_fields, 0) as unknown_fields
    from quality.row_reconciliation as counts
    inner join staging.raw_files as files using (source_name, file_name)
    left join users using (source_name, file_number)
    left join by_reason using (source_name, file_name)
    left join drift using (source_name, file_name)
    order by counts.source_name, counts.file_name
"""

MART_PROFILES = """
    with shares as (
        select
            week_start_date,
            value_prop,
            count(*) as prints,
            sum(count(*)) over (partition by week_start_date) as prints_of_week
        from marts.fct_prints group by week_start_date, value_prop
    ),
    by_value_prop as (
        select
            week_start_date,
            map_from_entries(
                list((value_prop, cast(prints as double) / prints_of_week) order by value_prop)
            ) as share_by_value_prop
        from shares group by all
    )
    select
        {run_id} as run_id,
        week_start_date,
        prints.iso_week,
        count(*) as row_count,
        count(*) filter (where prints.is_clicked) as clicked_prints,
        cast(count(*) filter (where prints.is_clicked) as double) / count(*)
            as click_through_rate,
        cast(sum(prints.prior_views) as double) / count(*) as mean_prior_views,
        sum(prints.prior_views) as total_prior_views,
        cast(sum(prints.prior_clicks) as double) / count(*) as mean_prior_clicks,
        sum(prints.prior_clicks) as total_prior_clicks,
        cast(sum(prints.prior_payments) as double) / count(*) as mean_prior_payments,
        sum(prints.prior_payments) as total_prior_payments,
        cast(sum(prints.prior_amount) as double) / count(*) as mean_prior_amount,
        sum(prints.prior_amount) as total_prior_amount,
        by_value_prop.share_by_value_prop
    from marts.fct_prints as prints
    inner join by_value_prop using (week_start_date)
    group by all
    order by week_start_date
"""
