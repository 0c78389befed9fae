"""`value-props deps` asks the package hub once, and again when the lock changes."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.harness import ROOT
from support.http_receiver import Receiver, receiving, with_body, with_json, with_status

from value_props.errors import ValuePropsError
from value_props.run.packages import LOCK, are_installed, install_packages, locked_packages
from value_props.run.versions import packages_origin

FROM_HUB = "dbt packages: from the hub, as package-lock.yml pins them"
MARK = "# Served by the hub of this test.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with what names the packages."""
    for name in ("packages.yml", LOCK):
        shutil.copy2(ROOT / name, tmp_path)
    for name in ("packages", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A hub that serves the stand-ins, each with a line more, as the packages of the lock."""
    packages = {entry["package"]: entry for entry in locked_packages(ROOT)}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.removesuffix(".json").removesuffix(".tar.gz")
        if name == "/api/v1/index":
            with_json(json.dumps(sorted(packages)).encode())(handler)
        elif package := packages.get(name.removeprefix("/api/v1/")):
            with_json(json.dumps(_described(package, receiver.url)).encode())(handler)
        elif package := packages.get(name.removeprefix("/tarball/")):
            with_body(_tarball(package["name"]), "application/gzip")(handler)
        else:
            with_status(404)(handler)

    with receiving() as receiver:
        receiver.answer = answer
        monkeypatch.setenv("DBT_PACKAGE_HUB_URL", f"{receiver.url}/")
        yield receiver


def _described(package: dict[str, str], url: str) -> dict[str, object]:
    name, version = package["name"], package["version"]
    tarball = f"{url}/tarball/{package['package']}.tar.gz"
    described = {
        "name": name,
        "version": version,
        "packages": [],
        "require_dbt_version": [],
        "downloads": {"tarball": tarball, "format": "tgz", "sha1": None},
    }
    return {"name": name, "latest": version, "versions": {version: described}}


def _tarball(name: str) -> bytes:
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        shutil.copytree(ROOT / "packages" / name, folder)
        with (folder / "dbt_project.yml").open("a", encoding="utf-8") as file:
            file.write(MARK)
        with tarfile.open(fileobj=packed, mode="w:gz", encoding="utf-8") as archive:
            archive.add(folder, f"{name}-1")
    return packed.getvalue()


def test_the_hub_is_asked_again_only_when_the_lock_changes(project: Path, hub: Receiver) -> None:
    assert install_packages(project, "") == FROM_HUB
    assert are_installed(project)
    assert packages_origin(project) == "hub"
    hub.requests.clear()
    assert install_packages(project, "") == install_packages(project, "hub") == ""
    assert hub.requests == []
    lock = project / LOCK
    lock.write_text(lock.read_text(encoding="utf-8") + "# newer\n", encoding="utf-8")
    assert install_packages(project, "") == FROM_HUB
    assert install_packages(project, "") == ""


def test_stand_ins_stay_until_they_change_or_the_hub_is_wanted(
    project: Path, hub: Receiver
) -> None:
    served, hub.answer = hub.answer, with_status(503)
    said = install_packages(project, "")
    assert said.startswith(
        "dbt packages: the stand-ins in packages/, since the hub does not answer"
    )
    assert packages_origin(project) == "standin"
    hub.answer = served
    hub.requests.clear()
    assert install_packages(project, "") == install_packages(project, "standin") == ""
    assert hub.requests == []
    assert install_packages(project, "hub") == FROM_HUB
    assert install_packages(project, "standin").endswith("the stand-ins in packages/, as asked")
    with (project / "packages" / "dbt_date" / "dbt_project.yml").open(
        "a", encoding="utf-8"
    ) as file:
        file.write("# changed\n")
    assert install_packages(project, "") == FROM_HUB


def test_packages_that_are_wanted_and_cannot_be_had_are_an_error(
    project: Path, hub: Receiver
) -> None:
    install_packages(project, "standin")
    hub.answer = with_status(503)
    with pytest.raises(ValuePropsError, match="Service Unavailable"):
        install_packages(project, "hub")
    assert packages_origin(project) == "standin"
