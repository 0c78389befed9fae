"""A newcomer on a fresh Debian 13 clones the project and types the two commands of the README.

debootstrap makes the root folder of the system. It has Python 3.13, python3-venv, make and git: no
compiler, no pip, and nothing of this machine but its certificates and what pip must know.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.harness import ROOT, manifest_of, published_rows, sha256

pytestmark = pytest.mark.debian

SUITE = "trixie"
PACKAGES = ("python3", "python3-venv", "make", "git")
USER, USER_ID = "newcomer", 1000
HOME = f"/home/{USER}"
PROJECT = f"{HOME}/value-props"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# What pip may have been told on this machine.
PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "https_proxy", "NO_PROXY")
LOG_LINE = re.compile(r"20\d\d-\d\d-\d\dT[\d:.]+Z INFO step=\w+ .*")
PUBLISHED = ("final.csv", "final.parquet", "value_props.duckdb", "report.html", "manifest.json")


def call(*command: str | Path) -> str:
    """Run a command of this machine; returns its output, and fails with it."""
    answer = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-4000:]
    return answer.stdout


@dataclass(frozen=True)
class Debian:
    """A Debian system with a user.

    Args:
        root: its root folder.
    """

    root: Path

    def type(self, line: str, folder: str = PROJECT) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell as the user; stderr follows stdout."""
        variables = {"HOME": HOME, "USER": USER, "PATH": "/usr/local/bin:/usr/bin:/bin"}
        variables |= {name: os.environ[name] for name in PIP_SETTINGS if name in os.environ}
        # The hub may answer here and not there.
        variables["DBT_PACKAGES"] = "standin"
        if CERTIFICATES.exists():
            variables["PIP_CERT"] = str(CERTIFICATES)
        return subprocess.run(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(f"--root={self.root}", f"--setuid={USER_ID}", f"--setgid={USER_ID}"),
                *(f"--wd={folder}", "/bin/sh", "-c", f"exec 2>&1; {line}"),
            ],
            env=variables,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )

    def at(self, path: str) -> Path:
        """Return where a path of the system is on this machine."""
        return self.root / path.lstrip("/")


def mount_terminals(system: Debian) -> None:
    """Give a system its own terminals, as one that was started has; some tests open one."""
    options = "newinstance,ptmxmode=0666,mode=0620"
    call("mount", "-t", "devpts", "-o", options, "devpts", system.at("/dev/pts"))
    ptmx = system.at("/dev/ptmx")
    ptmx.unlink(missing_ok=True)
    ptmx.symlink_to("pts/ptmx")


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """A fresh system, in which the user has cloned the project; removed afterwards."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap")
    system = Debian(tmp_path_factory.mktemp("debian") / "root")
    try:
        packages = f"--include={','.join(PACKAGES)}"
        call("debootstrap", "--variant=minbase", packages, SUITE, system.root)
        call("chroot", system.root, "useradd", "--create-home", f"--uid={USER_ID}", USER)
        # A started system mounts a file system for everybody here; dbt's locks lie in it.
        system.at("/dev/shm").chmod(0o1777)
        mount_terminals(system)
        if CERTIFICATES.exists():
            shutil.copyfile(CERTIFICATES, system.at(str(CERTIFICATES)))
        call("git", "clone", "--quiet", "--bare", ROOT, system.at("/srv/value-props.git"))
        call("chroot", system.root, "chown", "-R", f"{USER}:", "/srv/value-props.git")
        cloned = system.type(f"git clone --quiet /srv/value-props.git {PROJECT}", "/")
        assert (cloned.returncode, cloned.stdout) == (0, "")
        yield system
    finally:
        subprocess.run(["umount", system.at("/dev/pts")], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(system.root, ignore_errors=True)


@pytest.fixture(scope="module")
def printed(debian: Debian) -> list[str]:
    """What the first `make build` prints, by line."""
    answer = debian.type("make build")
    assert answer.returncode == 0, answer.stdout
    return answer.stdout.splitlines()


def test_the_system_is_as_it_is_sold(debian: Debian) -> None:
    for tool in ("cc", "gcc", "pip", "pip3", "uv"):
        assert debian.type(f"command -v {tool}", "/").returncode != 0, tool
    assert debian.type("python3 --version", "/").stdout.startswith("Python 3.13.")


def test_make_build_says_what_it_does_and_nothing_else(printed: list[str]) -> None:
    lines = [line for line in printed if not LOG_LINE.fullmatch(line)]
    assert re.fullmatch(r"Making \.venv with Python 3\.13\.\d+", lines[0])
    assert lines[1:4] == [
        "Installing into .venv",
        "dbt packages: the stand-ins in packages/, as asked",
        f"{PROJECT}/data/raw had no raw data: wrote sample data in the shape of the public case.",
    ]
    summary = "\n".join(lines[4:])
    assert "2020-W48" in summary
    assert "sample data" in summary
    for name in PUBLISHED:
        assert name in summary, name
    assert not re.search(r"warn|error|deprecat|traceback|refus|not found", summary, re.IGNORECASE)


def test_the_published_files_are_whole(debian: Debian, printed: list[str]) -> None:
    out = debian.at(f"{PROJECT}/data/out")
    manifest = manifest_of(out)
    assert manifest["versions"]["python"].startswith("3.13.")
    assert manifest["git_commit"] == call("git", "-C", ROOT, "rev-parse", "HEAD").strip()
    assert set(PUBLISHED) - {"manifest.json"} == {each["name"] for each in manifest["outputs"]}
    for output in manifest["outputs"]:
        assert sha256(out / output["name"]) == output["sha256"], output["name"]
    [[rows, clicks]] = published_rows(
        out, "select count(*), count(*) filter (is_clicked) from marts.fct_prints"
    )
    assert rows > clicks > 0
    changed = debian.type("git status --porcelain")
    assert (changed.returncode, changed.stdout) == (0, "")


def test_the_second_build_installs_nothing(debian: Debian, printed: list[str]) -> None:
    answer = debian.type("make build")
    assert answer.returncode == 0
    assert "Published week " in answer.stdout
    assert not re.search(r"^(Making|Installing) ", answer.stdout, re.M)


def test_make_test_passes(debian: Debian, printed: list[str]) -> None:
    answer = debian.type("make test")
    assert answer.returncode == 0, answer.stdout[-20_000:]
    closing = answer.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"=+ \d+ passed, .* =+", closing), closing


def test_without_python3_venv_one_sentence_says_what_to_install(
    debian: Debian, printed: list[str]
) -> None:
    call("chroot", debian.root, "dpkg", "--remove", "python3-venv", "python3.13-venv")
    answer = debian.type("make build VENV=.other")
    assert answer.returncode == 2
    sentence, closing = answer.stdout.splitlines()
    assert "sudo apt install python3-venv" in sentence
    assert closing.startswith("make: *** ")
    assert not debian.at(f"{PROJECT}/.other").exists()
