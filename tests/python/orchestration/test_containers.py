"""The image and the demo stack: what they name exists, and nothing in them is open or secret."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.harness import ROOT

FOLDER = ROOT / "orchestration" / "docker"
DOCKERFILE = FOLDER / "Dockerfile"
COMPOSE = FOLDER / "compose.yaml"
STANDINS = ROOT / "tests" / "demo"
TOOLS = Path(sys.executable).parent
SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|CREDENTIAL")
# `${NAME:?why}` or `${NAME:-default}`.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:?[-?])(?P<text>[^}]*))?\}")


def run(*command: str | Path) -> str:
    """Run a tool; returns what it says, and fails with it."""
    answer = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        errors="replace",
        check=False,
        cwd=ROOT,
        encoding="utf-8",
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file, its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services by name."""
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def instructions(name: str) -> list[str]:
    """What follows each instruction of that name in the Dockerfile."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{name}\s+(.+)$", text, re.M)


def mounts(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Source, target and mode of each volume."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return [(source, target, "".join(mode)) for source, target, *mode in parts]


def environment(service: dict[str, Any]) -> dict[str, str]:
    """The variables of a service."""
    found: dict[str, str] = service.get("environment", {})
    return found


def example() -> dict[str, str]:
    """The variables of .env.example."""
    lines = (FOLDER / ".env.example").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last pattern that fits decides."""
    sent = True
    folders = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        fits = [
            fnmatch.fnmatch(folder, pattern.removeprefix("**/"))
            or (pattern.startswith("**/") and fnmatch.fnmatch(folder, f"*/{pattern[3:]}"))
            for folder in folders
        ]
        if any(fits):
            sent = line.startswith("!")
    return sent


@pytest.mark.parametrize("path", [DOCKERFILE, STANDINS / "Dockerfile"])
def test_a_dockerfile_keeps_the_rules_of_hadolint(path: Path) -> None:
    run(TOOLS / "hadolint", "--failure-threshold", "style", path)


@pytest.mark.parametrize("path", [COMPOSE, STANDINS / "standins.yaml"])
def test_a_compose_file_keeps_its_schema(path: Path) -> None:
    run(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)


def test_what_the_dockerfile_copies_exists_and_is_sent() -> None:
    copied = [words.split() for words in instructions("COPY") if "--from" not in words]
    sources = [source for words in copied for source in words[:-1]]
    assert len(sources) > 10
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source), source


def test_the_image_holds_what_the_project_needs() -> None:
    copied = " ".join(words for words in instructions("COPY") if "--from" not in words).split()
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    paths = [path for key, value in project.items() if key.endswith("-paths") for path in value]
    assert len(paths) > 4
    for path in [*paths, "value_props", "profiles", "packages", "package-lock.yml"]:
        assert path in copied, path


@pytest.mark.parametrize(
    "path",
    [".git/config", ".env", "orchestration/docker/.env", "data/raw/pays.csv", ".venv/bin/python"],
)
def test_what_is_private_is_not_sent(path: str) -> None:
    assert not is_sent(path)


def test_the_image_runs_the_python_of_the_project() -> None:
    [image] = re.findall(r"^FROM (\S+) AS pinned$", DOCKERFILE.read_text(encoding="utf-8"), re.M)
    [version] = re.findall(r"/python:(\d+\.\d+)\.\d+-", image)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"].startswith(f">={version},")
    assert f"--python-version {version} " in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_image_runs_as_a_fixed_user_that_is_not_root() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(encoding="utf-8"), flags=re.M)
    final = [stage for stage in stages if "ENTRYPOINT" in stage]
    assert len(final) == 2
    for stage in final:
        assert re.findall(r"^USER (\d+):(\d+)$", stage, re.M) == [("10001", "10001")]
        assert "HEALTHCHECK" in stage
        assert "org.opencontainers.image.title" in stage
    [job] = [stage for stage in final if stage.startswith("runtime AS job\n")]
    assert 'ENTRYPOINT ["value-props"]\nCMD ["build"]' in job
    # What a build makes that names no target.
    assert stages[-1].strip() == "job"


def test_every_image_has_a_tag_and_a_digest(services: dict[str, dict[str, Any]]) -> None:
    own = [service["image"] for service in services.values() if "build" in service]
    # Built by several at once, the second would find it made.
    assert len(own) == len(set(own)) == 2
    foreign = [service["image"] for service in services.values() if service["image"] not in own]
    for service in services.values():
        assert service["image"] in foreign or service["pull_policy"] == "never"
    images = [
        *foreign,
        *re.findall(r"^FROM (\S+) AS pinned$", DOCKERFILE.read_text(encoding="utf-8"), re.M),
    ]
    assert len(images) == 6
    for image in images:
        assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}", image), image


def test_services_wait_for_what_exists(services: dict[str, dict[str, Any]]) -> None:
    waits = [
        (name, target, wait["condition"])
        for name, service in services.items()
        for target, wait in service.get("depends_on", {}).items()
    ]
    assert len(waits) > 8
    for name, target, condition in waits:
        assert target in services, (name, target)
        # A service of a profile is not started for one that has none.
        assert "profiles" not in services[target], (name, target)
        if condition == "service_healthy":
            assert "healthcheck" in services[target], (name, target)
        else:
            assert condition == "service_completed_successfully"
            assert services[target]["restart"] == "no", (name, target)
    for name, service in services.items():
        assert service["restart"] == "unless-stopped" or "healthcheck" not in service, name


def test_volumes_are_declared_and_used(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    sources = [source for service in services.values() for source, _, _ in mounts(service)]
    assert {source for source in sources if not source.startswith(".")} == set(compose["volumes"])
    used = {network for service in services.values() for network in service["networks"]}
    assert used == set(compose["networks"])


def test_no_service_has_a_volume_without_a_name(services: dict[str, dict[str, Any]]) -> None:
    # Each start would make another one, and `down` leaves them.
    job, airflow = map(json.loads, instructions("VOLUME"))
    declared = {"value-props:local": job, "value-props-airflow:local": airflow}
    ours = [service for service in services.values() if service["image"] in declared]
    assert len(ours) == 6
    for service in ours:
        given = {*service["tmpfs"], *(target for _, target, _ in mounts(service))}
        assert given >= set(declared[service["image"]])


def test_what_is_mounted_from_the_repository_exists(services: dict[str, dict[str, Any]]) -> None:
    bound = [
        mount
        for service in services.values()
        for mount in mounts(service)
        if mount[0].startswith(".")
    ]
    assert len(bound) > 4
    for source, _, mode in bound:
        assert (FOLDER / source).resolve().is_relative_to(ROOT)
        assert (FOLDER / source).exists(), source
        assert mode == "ro", source
    for service in services.values():
        if build := service.get("build"):
            assert (FOLDER / build["context"]).resolve() == ROOT
            assert ROOT / build["dockerfile"] == DOCKERFILE
            assert f"AS {build['target']}\n" in DOCKERFILE.read_text(encoding="utf-8")
            assert set(build["args"]) <= {words.partition("=")[0] for words in instructions("ARG")}


def test_what_a_service_starts_is_in_its_image(services: dict[str, dict[str, Any]]) -> None:
    started = re.findall(r"/app/(\S+?)[\],\s]", COMPOSE.read_text(encoding="utf-8"))
    assert len(started) == 2
    for path in started:
        assert f"COPY {path} {path}" in DOCKERFILE.read_text(encoding="utf-8")
    assert (FOLDER / "airflow_init").stat().st_mode & stat.S_IXUSR


def test_ports_are_for_this_machine_only_and_no_two_alike(
    services: dict[str, dict[str, Any]],
) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    outer = [re.fullmatch(r"127\.0\.0\.1:(\d+):\d+", port) for port in ports]
    assert all(outer), ports
    assert len({match[1] for match in outer if match}) == len(ports) == 3
    for name, service in services.items():
        assert "ports" not in service or "outside" in service["networks"], name


def test_services_can_do_little(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        for key in ("privileged", "cap_add", "network_mode", "pid"):
            assert key not in service, name
        assert not any("docker.sock" in source for source, _, _ in mounts(service)), name


def test_every_variable_is_in_the_example_and_the_other_way_round() -> None:
    found = {match["name"] for match in VARIABLE.finditer(COMPOSE.read_text(encoding="utf-8"))}
    assert found == set(example())


def test_no_secret_has_a_default(services: dict[str, dict[str, Any]]) -> None:
    for match in VARIABLE.finditer(COMPOSE.read_text(encoding="utf-8")):
        if SECRET.search(match["name"]):
            assert match["kind"] == ":?", match[0]
    for name, value in example().items():
        assert not (SECRET.search(name) and value), name
    secrets = [
        (name, variable, value)
        for name, service in services.items()
        for variable, value in environment(service).items()
        if SECRET.search(variable) and not variable.endswith("_FILE")
    ]
    assert len(secrets) > 10
    for name, variable, value in secrets:
        assert VARIABLE.fullmatch(value), (name, variable)
    values = [value for service in services.values() for value in environment(service).values()]
    for value in values:
        # user:password@host
        assert not re.search(r"://[^/@]*:[^/@]+@", VARIABLE.sub("", value)), value
    assert not re.search(
        r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN)", DOCKERFILE.read_text(encoding="utf-8"), re.M
    )


def test_hosts_in_the_configuration_are_services(services: dict[str, dict[str, Any]]) -> None:
    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))[
        "scrape_configs"
    ]
    targets = [
        target for job in scraped for entry in job["static_configs"] for target in entry["targets"]
    ]
    sources = yaml.safe_load(
        (FOLDER / "grafana/datasources/prometheus.yml").read_text(encoding="utf-8")
    )
    urls = [source["url"] for source in sources["datasources"]]
    told = [value for service in services.values() for value in environment(service).values()]
    urls += [value for value in told if re.match(r"(http|postgresql\S*)://", value)]
    hosts = [target.partition(":")[0] for target in targets]
    hosts += re.findall(r"://(?:\S+@)?([\w.-]+):\d+", "\n".join(VARIABLE.sub("x", u) for u in urls))
    assert len(hosts) == len(targets) + len(urls)
    assert set(hosts) == {
        *("airflow-api", "objects", "postgres", "prometheus", "pushgateway", "127.0.0.1")
    }
    assert {host for host in hosts if host != "127.0.0.1"} <= set(services)


def test_the_stores_are_those_that_the_job_names(services: dict[str, dict[str, Any]]) -> None:
    objects = services["objects"]
    [bucket] = re.findall(r"-bucket=(\S+)", "\n".join(objects["command"]))
    for name in ("job", "sample", "airflow-scheduler"):
        told = environment(services[name])
        assert told["VALUE_PROPS_RAW"].startswith(f"s3://{bucket}/")
        assert told["VALUE_PROPS_OUT"].startswith(f"s3://{bucket}/")
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            assert told[key] == environment(objects)[key]
        assert f"-s3.port={told['AWS_ENDPOINT_URL'].rpartition(':')[2]}" in objects["command"]
    for name in ("job", "airflow-scheduler"):
        cache = environment(services[name])["VALUE_PROPS_CACHE"]
        assert cache in [target for _, target, _ in mounts(services[name])]


def test_the_monitoring_is_the_one_that_is_shipped(services: dict[str, dict[str, Any]]) -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    mounted = {
        target: (FOLDER / source).resolve()
        for name in ("prometheus", "grafana")
        for source, target, mode in mounts(services[name])
        if mode == "ro"
    }
    [rules] = config["rule_files"]
    assert mounted[rules] == ROOT / "orchestration/monitoring/alert_rules.yml"
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == "pushgateway"]
    assert job["honor_labels"] is True
    [provider] = yaml.safe_load(
        (FOLDER / "grafana/dashboards/value_props.yml").read_text(encoding="utf-8")
    )["providers"]
    dashboards = [path for target, path in mounted.items() if provider["options"]["path"] in target]
    assert dashboards == [ROOT / "orchestration/monitoring/dashboard.json"]
    assert "prometheus" in {
        variable.get("query")
        for variable in json.loads(dashboards[0].read_text(encoding="utf-8"))["templating"]["list"]
    }


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_reads_its_configuration() -> None:
    run("promtool", "check", "config", "--syntax-only", FOLDER / "prometheus.yml")


def test_a_new_env_file_has_every_secret_and_is_private(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for target in (first, second):
        run(sys.executable, FOLDER / "write_env", target)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    pairs = [
        dict(
            line.split("=", 1)
            for line in path.read_text(encoding="utf-8").splitlines()
            if not line.startswith("#")
        )
        for path in (first, second)
    ]
    assert set(pairs[0]) == set(example())
    for name, value in example().items():
        if value:
            assert pairs[0][name] == value
        else:
            assert len(pairs[0][name]) >= 44, name
            assert pairs[0][name] != pairs[1][name], name
    again = subprocess.run(
        [sys.executable, str(FOLDER / "write_env"), str(first)],
        capture_output=True,
        errors="replace",
        encoding="utf-8",
    )
    assert again.returncode != 0
    assert "remove it first" in again.stderr


@pytest.mark.containers
def test_the_image_builds_and_runs_as_it_is_meant_to() -> None:
    said = run(FOLDER / "smoke")
    assert re.search(r"uid=10001\S* gid=10001", said), said
    assert re.search(r"[1-9][\d,]* rows in final.parquet", said), said
    assert said.rstrip().endswith("smoke: passed")
