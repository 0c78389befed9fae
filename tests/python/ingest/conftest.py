"""What tests of reading share."""

from __future__ import annotations

from pathlib import Path

import pytest

from value_props.ingest import keep
from value_props.ingest.keep import ParsedFiles


@pytest.fixture
def store(tmp_path: Path) -> ParsedFiles:
    """A store of parsed files that is empty."""
    return ParsedFiles(tmp_path / "parsed")


@pytest.fixture(autouse=True)
def _files_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file that was just written count as one that is over."""
    monkeypatch.setattr(keep, "SETTLED_NANOSECONDS", -(10**18))
