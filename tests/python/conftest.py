"""Fixtures and hooks for all tests."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.browser import chromium
from support.harness import CLEAN, Pipeline, build
from support.s3_server import S3Server, s3_server

from value_props.run.dbt import Dbt

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
    """Turn a skipped test into a failure where no test may be skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and FAIL_SKIPS in os.environ:
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be skipped here: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _processes_start_in_the_locale() -> None:
    """Unset PYTHONUTF8, so that processes start in the locale of the machine.

    .ci/run sets it, so that the tests run in UTF-8 mode as the command does.
    """
    os.environ.pop("PYTHONUTF8", None)


@pytest.fixture(scope="session", autouse=True)
def _interrupts_are_heard() -> None:
    """Stop ignoring Ctrl-C. A shell makes background jobs and their processes ignore it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_usage_stats() -> None:
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"


@pytest.fixture(scope="session", autouse=True)
def _paths_are_given() -> None:
    """Remove the user's paths from the environment. A test that needs one sets it."""
    for name in ("VALUE_PROPS_RAW", "VALUE_PROPS_OUT", "VALUE_PROPS_CACHE"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def _make_is_not_heard_of() -> None:
    """`make test` starts the tests, and messages to a user of make have a sentence more."""
    os.environ.pop("MAKELEVEL", None)


@pytest.fixture(scope="session", autouse=True)
def _project_is_parsed_once() -> Iterator[None]:
    """Parse the dbt project once for all tests, because parsing takes as long as the models.

    The result depends only on the project, the name of the database and whether the run builds
    features. A test that starts the
    command in a separate process still parses the project, as users do.
    """
    parsed = {}
    parse = Dbt.parse

    def parse_once(dbt: Dbt) -> None:
        key = dbt.project, dbt.database.name, dbt.dbt_vars.get("serving_features") == "true"
        if key not in parsed:
            parse(dbt)
            parsed[key] = dbt.manifest
        dbt.manifest = parsed[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Dbt, "parse", parse_once)
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server. A test that stops it must start it again."""
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _nobody_is_told() -> None:
    """Remove the receivers of notifications from the environment. A test sets its own."""
    for name in list(os.environ):
        if name.startswith(RECEIVERS):
            del os.environ[name]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A copy of the clean fixture as raw folder. Tests may change it."""
    folder = tmp_path / "raw"
    shutil.copytree(CLEAN, folder)
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An out path with a published run of the clean fixture. Tests must not change it."""
    out = tmp_path_factory.mktemp("published") / "out"
    build(out)
    return out


@pytest.fixture
def out(published: Path, tmp_path: Path) -> Path:
    """A copy of `published`. Tests may change it."""
    copy = tmp_path / "out"
    shutil.copytree(published, copy, symlinks=True)
    return copy


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline that runs the models on raw files that the test writes."""
    return Pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's browser. Two of them can't run in a process, so it ends with its file."""
    with chromium() as running:
        yield running
