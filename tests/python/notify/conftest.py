"""Fixtures of tests that send to receivers: a receiver, all that is logged, and no proxy."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from support.http_receiver import Receiver, receiving

from value_props.logs import logger


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    """What any logger of this process logs, at any level."""
    # A run of the command in this process may have left it off.
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger=logger.name)
    return caplog


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
