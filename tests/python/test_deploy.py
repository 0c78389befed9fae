"""An image that cannot run is taken back: the script that deploys one, over a false docker."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import ROOT

DEPLOY = ROOT / "orchestration" / "docker" / "deploy"
OLD = f"ghcr.io/owner/value-props@sha256:{'a' * 64}"
NEW = f"ghcr.io/owner/value-props@sha256:{'b' * 64}"

# It answers with the exit code that a variable holds, and notes how it was called.
DOCKER = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
    pull*) exit "$PULL" ;;
    *--version) exit "$VERSION" ;;
    *check) exit "$CHECK" ;;
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
        docker.write_text(DOCKER)
        docker.chmod(0o755)

    @property
    def image(self) -> str | None:
        """What it runs."""
        path = self.folder / "state" / "image"
        return path.read_text().strip() if path.exists() else None

    @property
    def calls(self) -> list[str]:
        """How docker was called."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def deploy(self, image: str, pull: int = 0, version: int = 0, check: int = 0) -> int:
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
                "VERSION": str(version),
                "CHECK": str(check),
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
    runs = [call for call in machine.calls if call.startswith("run ") and NEW in call]
    assert len(runs) == 2
    for call in runs:
        for flag in ("--read-only", "--cap-drop ALL", "no-new-privileges"):
            assert flag in call


def test_data_that_fail_the_gate_are_no_fault_of_the_image(machine: Machine) -> None:
    assert machine.deploy(NEW, check=1) == 0
    assert machine.image == NEW


@pytest.mark.parametrize(("version", "check"), [(1, 0), (0, 2), (0, 137)])
def test_an_image_that_cannot_run_is_taken_back(machine: Machine, version: int, check: int) -> None:
    assert machine.deploy(NEW, version=version, check=check) == 1
    assert machine.image == OLD


def test_an_image_that_cannot_be_pulled_changes_nothing(machine: Machine) -> None:
    assert machine.deploy(NEW, pull=1) != 0
    assert machine.image == OLD


def test_the_first_image_that_cannot_run_leaves_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.deploy(NEW, version=1) == 1
    assert machine.image is None


@pytest.mark.parametrize("image", ["ghcr.io/owner/value-props:latest", "", "x@sha256:abc"])
def test_only_a_digest_is_deployed(machine: Machine, image: str) -> None:
    before = len(machine.calls)
    assert machine.deploy(image) != 0
    assert machine.image == OLD
    assert len(machine.calls) == before


def test_the_variables_of_the_job_are_handed_on(machine: Machine) -> None:
    (machine.folder / "state" / "env").write_text("VALUE_PROPS_RAW=s3://bucket/raw\n")
    assert machine.deploy(NEW) == 0
    assert f"--env-file {machine.folder / 'state' / 'env'}" in machine.calls[-1]
