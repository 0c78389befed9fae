"""What Feast serves: the published features, zeros without a row, and nothing of another week."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feast_runs import (
    FEATURES,
    FOLDER,
    PYTHON,
    FeastProject,
    FeastService,
    as_served,
    features_of,
)
from support.harness import build, manifest_of, value_props

pytestmark = pytest.mark.feast
DAY = timedelta(days=1)
# The mart of the week after holds the prints of 2020-11-23 to 2020-11-29.
CUT_OFFS = {"week": "2020-11-22", "print": "2020-11-25"}
SUNDAY = "2020-11-29"
ZEROS = (0, 0, 0, 0.0)


@dataclass(frozen=True)
class Run:
    """A published run with features, and a later one of the same raw files.

    Args:
        out: out path of the run.
        next_out: out path of the run whose mart the features are for.
        days: days on which the features serve.
    """

    out: Path
    next_out: Path
    days: list[date]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample data, in which some users see a value prop twice on a day of the last week."""
    folder = tmp_path_factory.mktemp("feast") / "raw"
    value_props("sample", "--scale", "0.02", "--out", folder, exit_code=0)
    with (folder / "prints.json").open(encoding="utf-8") as file:
        prints = [json.loads(line) for line in file]
    seen_again = [row for row in prints if "2020-11-23" <= row["day"] <= SUNDAY][::5]
    for row in seen_again:
        row["event_data"]["position"] += 4
    lines = "".join(json.dumps(row) + "\n" for row in seen_again)
    (folder / "prints_again.json").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def runs(raw: Path) -> dict[str, Run]:
    """Runs by lookback anchor."""
    assert PYTHON.exists(), "Feast is not in .venv-feast; make test-feast installs it"
    found = {}
    for anchor, cut_off in CUT_OFFS.items():
        out, next_out = raw.parent / anchor, raw.parent / f"{anchor} next"
        given_ = ("--lookback-anchor", anchor, "--serving-features")
        build(out, "--as-of", cut_off, *given_, raw=raw)
        build(next_out, "--as-of", SUNDAY, *given_, raw=raw)
        first = date.fromisoformat(manifest_of(out)["window"]["feature_date"])
        count = 7 if anchor == "week" else 1
        found[anchor] = Run(out, next_out, [first + number * DAY for number in range(count)])
    return found


@pytest.fixture(scope="module")
def run(runs: dict[str, Run]) -> Run:
    """The run with the anchor that is the default."""
    return runs["week"]


def refreshed(folder: Path, out: Path) -> FeastProject:
    """A project that serves a run."""
    # Quotes and the like in the path change nothing.
    project = FeastProject(folder / "o'brien [1] #1")
    assert project.refresh(out / "features.parquet").startswith("Feast serves ")
    return project


@pytest.fixture(scope="module")
def projects(
    runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, FeastProject]:
    """Projects that serve the runs, by lookback anchor. Tests must not change them."""
    folder = tmp_path_factory.mktemp("projects")
    return {anchor: refreshed(folder / anchor, run.out) for anchor, run in runs.items()}


@pytest.fixture(scope="module")
def services(projects: dict[str, FeastProject]) -> Iterator[dict[str, FeastService]]:
    """Services of the runs, by lookback anchor."""
    with projects["week"].service() as week, projects["print"].service() as of_print:
        yield {"week": week, "print": of_print}


@pytest.fixture
def project(projects: dict[str, FeastProject], tmp_path: Path) -> FeastProject:
    """A project that serves the run. The test may change what it serves."""
    return FeastProject(Path(shutil.copytree(projects["week"].folder, tmp_path / "project")))


def some_key(run: Run) -> tuple[int, str]:
    """A user and value prop whose four features are above zero."""
    return next(key for key, values in features_of(run.out).items() if all(values))


def test_online_features_are_those_of_the_file_or_zeros(
    run: Run, services: dict[str, FeastService]
) -> None:
    expected = features_of(run.out)
    with_row = st.sampled_from(sorted(expected))
    other_users = st.tuples(st.integers(1, 2**63 - 1), st.sampled_from(["point", "transport"]))
    other_value_props = st.tuples(with_row.map(lambda key: key[0]), st.text(min_size=1))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(with_row | other_users | other_value_props, min_size=1, max_size=40))
    def check(keys: list[tuple[int, str]]) -> None:
        found = services["week"].online(keys)
        assert found == [as_served(expected[key]) if key in expected else ZEROS for key in keys]

    check()


@pytest.mark.parametrize("anchor", CUT_OFFS)
def test_a_historical_request_returns_what_the_next_mart_holds(
    anchor: str, runs: dict[str, Run], services: dict[str, FeastService]
) -> None:
    path = str(runs[anchor].next_out / "final.parquet")
    mart = [
        dict(zip(("print_id", "user_id", "value_prop", "print_date", *FEATURES), row, strict=True))
        for row in duckdb.read_parquet(path, hive_partitioning=False)
        .select(f"print_id, user_id, value_prop, print_date, {', '.join(FEATURES)}")
        .fetchall()
    ]
    rows = [row for row in mart if row["print_date"] in runs[anchor].days]
    entities = [(row["user_id"], row["value_prop"], row["print_date"]) for row in rows]
    # What would go unseen if it were not in the rows.
    assert len(set(entities)) < len(entities)
    assert all(any(row[name] for row in rows) for name in FEATURES)
    assert any(not any(row[name] for name in FEATURES) for row in rows)
    asked = [
        {name: row[name] for name in ("print_id", "user_id", "value_prop")}
        | {"event_timestamp": str(row["print_date"])}
        for row in rows
    ]
    found = services[anchor].ask("historical", asked)
    by_print = {row["print_id"]: [row[name] for name in FEATURES] for row in found}
    assert len(by_print) == len(found) == len(rows)
    for row in rows:
        values = by_print[row["print_id"]]
        assert values == list(as_served([row[name] for name in FEATURES]))
        # No cent is lost in the float.
        assert Decimal(str(values[3])) == row["prior_amount"]


@pytest.mark.parametrize("anchor", CUT_OFFS)
def test_a_row_serves_on_its_days_and_on_no_other(
    anchor: str, runs: dict[str, Run], services: dict[str, FeastService]
) -> None:
    run, service = runs[anchor], services[anchor]
    key = some_key(run)
    expected = as_served(features_of(run.out)[key])
    # The day after is the next Monday in one case: Feast compares with <=.
    days = [run.days[0] - DAY, *run.days, run.days[-1] + DAY]
    assert service.on_days(key, days) == [ZEROS, *[expected] * len(run.days), ZEROS]
    assert service.ask("serves_until") == f"{run.days[-1]} 23:59:59+00:00"


def test_a_historical_request_with_times_of_day_is_refused(
    run: Run, services: dict[str, FeastService]
) -> None:
    """The TTL ends with the first moment of Sunday, so the rest of it would have zeros."""
    with pytest.raises(ValueError, match="must be the day of the print"):
        services["week"].on_days(some_key(run), [run.days[0], f"{run.days[-1]} 00:00:01"])


def test_a_running_service_sees_the_next_run_and_only_that(run: Run, project: FeastProject) -> None:
    now, then = features_of(run.out), features_of(run.next_out)
    gone, new = sorted(now.keys() - then.keys()), sorted(then.keys() - now.keys())
    changed = sorted(key for key in now.keys() & then.keys() if now[key] != then[key])
    assert min(len(gone), len(new), len(changed)) > 10
    with project.service() as service:
        assert service.online([*gone, *changed]) == [as_served(now[k]) for k in [*gone, *changed]]
        assert service.online(new) == [ZEROS] * len(new)
        project.refresh(run.next_out / "features.parquet")
        assert service.online(gone) == [ZEROS] * len(gone)
        kept = [*new, *changed]
        assert service.online(kept) == [as_served(then[key]) for key in kept]
        assert service.ask("serves_until") == "2020-12-06 23:59:59+00:00"


def test_feast_itself_serves_rows_of_a_past_week(
    run: Run, services: dict[str, FeastService]
) -> None:
    """If this fails, Feast has begun to apply the TTL online, and README.md here is wrong."""
    user_id, name = some_key(run)
    found = services["week"].ask("online_rows", [{"user_id": user_id, "value_prop": name}])
    assert found["prior_views_or_null"] == [features_of(run.out)[user_id, name][0]]
    assert run.days[-1] < date.today()


def without_features(folder: Path, out: Path) -> Path:
    """Return the path of a run without features."""
    return folder / out.name / "features.parquet"


def below_a_partition(folder: Path, out: Path) -> Path:
    """Return the features in a folder that looks like a Hive partition."""
    return Path(shutil.copytree(out / "current", folder / "user_id=7")) / "features.parquet"


def of_two_days(folder: Path, out: Path) -> Path:
    """Return features of which one row is of another day."""
    path = Path(shutil.copytree(out / "current", folder / "broken")) / "features.parquet"
    path.chmod(0o644)
    rows = duckdb.read_parquet(str(out / "features.parquet"), hive_partitioning=False)
    day = "if(row_number() over () = 5, feature_date - 1, feature_date) as feature_date"
    rows.select(f"{day}, * exclude (feature_date)").write_parquet(str(path))
    return path


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (without_features, "make build SERVING=1"),
        (below_a_partition, "would read key=value"),
        (of_two_days, "Feast took"),
    ],
)
def test_a_failed_refresh_changes_nothing(
    run: Run, project: FeastProject, tmp_path: Path, broken: Any, message: str
) -> None:
    before = (project.state / "registry.db").read_bytes()
    assert message in project.refresh(broken(tmp_path, run.next_out), exit_code=1)
    assert (project.state / "registry.db").read_bytes() == before
    with project.service() as service:
        key = some_key(run)
        assert service.online([key]) == [as_served(features_of(run.out)[key])]


def test_a_killed_refresh_changes_nothing(run: Run, project: FeastProject) -> None:
    key = some_key(run)
    refresh = project.start_refresh(run.next_out / "features.parquet")
    begun = time.monotonic()
    while not (project.state / "draft" / "online.db").exists():
        assert time.monotonic() < begun + 120
        time.sleep(0.01)
    refresh.kill()
    refresh.communicate()
    with project.service() as service:
        assert service.online([key]) == [as_served(features_of(run.out)[key])]
        project.refresh(run.next_out / "features.parquet")
        assert service.online([key]) == [as_served(features_of(run.next_out).get(key, ZEROS))]


def test_the_default_is_the_out_path_of_the_project(run: Run, tmp_path: Path) -> None:
    project = FeastProject(tmp_path)
    files = {path.name for path in project.repository.iterdir()}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "out").symlink_to(run.out)
    assert str(len(features_of(run.out))) in project.refresh().replace(",", "")
    assert {path.name for path in project.state.iterdir()} == {"lock", "online.db", "registry.db"}
    assert {path.name for path in project.repository.iterdir()} == files
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"feast", "out"}


def test_the_snippet_of_the_readme_works(run: Run, project: FeastProject, tmp_path: Path) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = snippet.replace("/srv/value-props", str(project.folder).replace("'", "\\'"))
    assert code != snippet
    script = tmp_path / "service.py"
    script.write_text(code + "\nprint(features)\n", encoding="utf-8")
    output, errors = project.start(script).communicate(timeout=300)
    assert "'prior_amount': [0.0" in output.decode(), errors.decode()
