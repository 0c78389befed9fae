"""An image that cannot run is not switched to: the script that deploys one, over a false docker."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.harness import ROOT

DEPLOY = ROOT / "orchestration" / "docker" / "deploy"
OLD = f"ghcr.io/owner/value-props@sha256:{'a' * 64}"
NEW = f"registry.example:5000/owner/value-props@sha256:{'b' * 64}"

# It answers with the exit code that a variable holds, and notes how it was called.
DOCKER = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
    pull*) exit "$PULL" ;;
    run*) cat "$IMAGE" >> "$CALLS" 2>&1; exit "$RUN" ;;
esac
exit 99
"""


@dataclass
class Machine:
    """A machine that images are deployed to.

    Args:
        folder: for its state and for docker.
    """

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        docker = self.folder / "bin" / "docker"
        docker.write_text(DOCKER, encoding="utf-8")
        docker.chmod(0o755)

    @property
    def image(self) -> str | None:
        """What it runs."""
        path = self.folder / "state" / "image"
        return path.read_text(encoding="utf-8").strip() if path.exists() else None

    @property
    def calls(self) -> list[str]:
        """How docker was called."""
        path = self.folder / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def deploy(self, image: str, pull: int = 0, run: int = 0) -> int:
        """Deploy an image whose docker ends so; returns the exit code of the script."""
        answer = subprocess.run(
            [str(DEPLOY), image],
            check=False,
            capture_output=True,
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "VALUE_PROPS_STATE": str(self.folder / "state"),
                "CALLS": str(self.folder / "calls"),
                "PULL": str(pull),
                "RUN": str(run),
                "IMAGE": str(self.folder / "state" / "image"),
            },
        )
        return answer.returncode


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that runs the old image."""
    found = Machine(tmp_path)
    assert found.deploy(OLD) == 0
    assert found.image == OLD
    return found


def test_an_image_that_runs_takes_the_place_of_the_one_before(machine: Machine) -> None:
    assert machine.deploy(NEW) == 0
    assert machine.image == NEW
    # While it was tried, the other one was there for the timer.
    *_, call, meanwhile = machine.calls
    assert meanwhile == OLD
    assert call.startswith("run ")
    for part in ("--read-only", "--cap-drop ALL", "no-new-privileges", "--network none", NEW):
        assert part in call
    assert "--env-file" not in call
    assert "--volume" not in call


@pytest.mark.parametrize(("pull", "run"), [(1, 0), (0, 1), (0, 2), (0, 137)])
def test_an_image_that_cannot_run_changes_nothing(machine: Machine, pull: int, run: int) -> None:
    assert machine.deploy(NEW, pull=pull, run=run) == 1
    assert machine.image == OLD
    assert machine.deploy("back") == 2


def test_the_first_image_that_cannot_run_leaves_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.deploy(NEW, run=1) == 1
    assert machine.image is None


def test_one_can_go_back_to_the_image_before(machine: Machine) -> None:
    assert machine.deploy(NEW) == machine.deploy(NEW) == 0
    assert machine.deploy("back") == 0
    assert machine.image == OLD
    assert machine.deploy("back") == 0
    assert machine.image == NEW


@pytest.mark.parametrize("image", ["ghcr.io/owner/value-props:latest", "", "x@sha256:abc"])
def test_only_a_digest_is_deployed(machine: Machine, image: str) -> None:
    before = len(machine.calls)
    assert machine.deploy(image) != 0
    assert machine.image == OLD
    assert len(machine.calls) == before
