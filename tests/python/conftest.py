"""What all tests share."""

from __future__ import annotations

import os

import pytest

FAIL_SKIPS = "VALUE_PROPS_FAIL_SKIPS"
RECEIVERS = (
    "OPENLINEAGE_",
    "VALUE_PROPS_NOTIFY",
    "VALUE_PROPS_PUSHGATEWAY",
    "VALUE_PROPS_SLACK_WEBHOOK",
    "VALUE_PROPS_WEBHOOK",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    """Where nothing may be skipped, a skip is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and FAIL_SKIPS in os.environ:
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be skipped here: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_usage_stats() -> None:
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"


@pytest.fixture(scope="session", autouse=True)
def _nobody_is_told() -> None:
    """A test that wants a receiver names its own."""
    for name in list(os.environ):
        if name.startswith(RECEIVERS):
            del os.environ[name]
