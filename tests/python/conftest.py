"""What all tests share."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    """Where nothing may be skipped, a skip is a failure."""
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and "VALUE_PROPS_FAIL_SKIPS" in os.environ
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be skipped here: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_usage_stats() -> None:
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
