"""The example that ranks carousels gives the model the features as published, and no others."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.harness import ROOT, build, sha256, value_props

pytestmark = pytest.mark.ranking

PYTHON = ROOT / ".venv-ranking" / "bin" / "python"
SCRIPT = ROOT / "examples" / "ranking" / "rank.py"
FEATURES = {
    "prior_views": "bigint",
    "prior_clicks": "bigint",
    "prior_payments": "bigint",
    "prior_amount": "decimal(18, 2)",
}
FILES = ("final.parquet", "features.parquet")
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def rank(out: Path, ranking: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a user does."""
    return subprocess.run(
        [PYTHON, SCRIPT, out, ranking],
        env={**os.environ, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def rows_of(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on the Parquet file, which the query calls `rows`."""
    with duckdb.connect() as connection:
        connection.read_parquet(str(path), hive_partitioning=False).create_view("rows")
        return connection.execute(query).fetchall()


def rewrite(path: Path, query: str) -> None:
    """Replace the Parquet file by the rows of a query on it."""
    new = path.with_suffix(".new")
    with duckdb.connect() as connection:
        connection.read_parquet(str(path), hive_partitioning=False).create_view("rows")
        connection.sql(query).write_parquet(str(new))
    new.replace(path)


@dataclass(frozen=True)
class Ranked:
    """A published run and its ranking.

    Args:
        out: the out path of the run.
        ranking: the ranking.
        printed: what the script printed.
    """

    out: Path
    ranking: Path
    printed: str


@pytest.fixture(scope="module")
def published_ranking(tmp_path_factory: pytest.TempPathFactory) -> Ranked:
    """Sample data of 2,000 users, in a folder whose name means something to readers of files."""
    if not PYTHON.exists():
        pytest.fail("scikit-learn is not in .venv-ranking; `make test-ranking` installs it")
    folder = tmp_path_factory.mktemp("ranking") / "user_id=7" / "o'brien [x]"
    raw, out, ranking = folder / "raw", folder / "out", folder / "ranking.parquet"
    value_props("sample", "--scale", "0.02", "--out", raw, exit_code=0)
    build(out, "--serving-features", raw=raw)
    answer = rank(out, ranking)
    assert (answer.returncode, answer.stderr) == (0, "")
    return Ranked(out, ranking, answer.stdout)


@pytest.fixture
def files(published_ranking: Ranked, tmp_path: Path) -> Path:
    """A folder with copies of the two files, to change."""
    for name in FILES:
        shutil.copyfile(published_ranking.out / name, tmp_path / name)
    return tmp_path


def auc_of(printed: str) -> list[float]:
    """Return the three values of AUC: baseline, model, model at position 0."""
    return [float(area) for area in re.findall(r" \d\.\d{4} (\d\.\d{4})$", printed, re.M)]


def scores_of(ranking: Path) -> dict[tuple[int, str], float]:
    """Return the score of each user and value prop."""
    rows = rows_of(ranking, "select user_id, value_prop, score from rows")
    return {(user, value_prop): score for user, value_prop, score in rows}


def test_each_user_has_a_rank_for_each_value_prop(published_ranking: Ranked) -> None:
    features, ranking = published_ranking.out / "features.parquet", published_ranking.ranking
    columns = rows_of(ranking, "select column_name, column_type from (describe from rows)")
    assert columns == [
        ("user_id", "BIGINT"),
        ("value_prop", "VARCHAR"),
        ("rank", "BIGINT"),
        ("score", "DOUBLE"),
    ]
    users, value_props_shown = (
        [key for (key,) in rows_of(features, f"select distinct {column} from rows order by all")]
        for column in ("user_id", "value_prop")
    )
    assert len(users) > 1_000
    rows = rows_of(ranking, "select user_id, rank, value_prop, score from rows")
    assert [row[:2] for row in rows] == [
        (user, place) for user in users for place in range(1, len(value_props_shown) + 1)
    ]
    for first in range(0, len(rows), len(value_props_shown)):
        carousel = rows[first : first + len(value_props_shown)]
        assert sorted(row[2] for row in carousel) == value_props_shown
        assert carousel == sorted(carousel, key=lambda row: (-row[3], row[2]))
    assert all(0 < row[3] < 1 for row in rows)


def test_the_same_files_give_the_same_bytes(published_ranking: Ranked, files: Path) -> None:
    """Through the published names, from a folder with the two files, and with one thread."""
    for out, variables in ((published_ranking.out, ONE_THREAD), (files, {})):
        answer = rank(out, files / "again.parquet", **variables)
        assert answer.stdout == published_ranking.printed
        assert sha256(files / "again.parquet") == sha256(published_ranking.ranking)
    assert sorted(path.name for path in files.iterdir()) == sorted((*FILES, "again.parquet"))


def test_the_days_and_figures_are_printed(published_ranking: Ranked) -> None:
    counts = """
        select count(*), count(*) filter (is_clicked)
        from rows
        group by print_date > date '2020-11-27'
        order by min(print_date)
    """
    lines = [line.split() for line in published_ranking.printed.splitlines()]
    days = (("earlier", "23", "27"), ("held-out", "28", "29"))
    rows = rows_of(published_ranking.out / "final.parquet", counts)
    for line, (name, first, last), (prints, clicks) in zip(lines[:2], days, rows, strict=True):
        assert line == [
            *(name, f"2020-11-{first}", "to", f"2020-11-{last}"),
            *(f"{prints:,}", "prints", f"{clicks:,}", "clicked"),
        ]
    figures = [float(word) for line in lines[4:7] for word in line[-2:]]
    assert len(figures) == 6
    assert all(math.isfinite(figure) and figure > 0 for figure in figures)


def test_the_held_out_clicks_are_unknown_to_model_and_baseline(
    published_ranking: Ranked, files: Path
) -> None:
    """Scores that saw no held-out click are as wrong about the opposite as right about them."""
    flipped = "select * replace (is_clicked <> (print_date > date '2020-11-27') as is_clicked)"
    rewrite(files / "final.parquet", f"{flipped} from rows")
    answer = rank(files, files / "ranking.parquet")
    assert answer.returncode == 0
    for flipped_auc, auc in zip(
        auc_of(answer.stdout), auc_of(published_ranking.printed), strict=True
    ):
        assert abs(auc - 0.5) > 0.01
        assert flipped_auc == pytest.approx(1 - auc, abs=0.00011)


def test_the_model_reads_exactly_the_features_of_the_mart(published_ranking: Ranked) -> None:
    mart = rows_of(
        published_ranking.out / "final.parquet", "select column_name from (describe from rows)"
    )
    features = [name for (name,) in mart if name.startswith("prior_")]
    assert features == list(FEATURES)
    names = ", ".join(["value_prop", "position", *features])
    assert f"\nThe model reads {names}.\n" in published_ranking.printed


def test_features_have_no_meaning_to_the_script(published_ranking: Ranked, files: Path) -> None:
    """Other names in both files, one of them new, change nothing but the names."""
    for name in FILES:
        rewrite(
            files / name,
            "select * rename (prior_views as prior_x, prior_amount as prior_y) from rows",
        )
    answer = rank(files, files / "ranking.parquet")
    assert "position, prior_x, prior_clicks, prior_payments, prior_y." in answer.stdout
    assert sha256(files / "ranking.parquet") == sha256(published_ranking.ranking)


@pytest.mark.parametrize(
    ("feature", "low", "high"),
    [
        ("prior_views", 2, 3),
        ("prior_clicks", 0, 1),
        ("prior_payments", 1, 5),
        ("prior_amount", 50, 200),
    ],
)
def test_a_value_means_the_same_in_training_and_serving(
    files: Path, feature: str, low: float, high: float
) -> None:
    """If the clicks are the prints above a limit, high scores are above it too.

    The model finds the limit roughly, so values near it do not count.
    """
    clicks = f"select * replace ({feature} > {(low + high) / 2} as is_clicked) from rows"
    rewrite(files / "final.parquet", clicks)
    assert rank(files, files / "ranking.parquet").returncode == 0
    scores = scores_of(files / "ranking.parquet")
    values = {
        (user, value_prop): value
        for user, value_prop, value in rows_of(
            files / "features.parquet", f"select user_id, value_prop, {feature} from rows"
        )
    }
    below = {key for key in scores if values.get(key, 0) <= low}
    above = {key for key in scores if values.get(key, 0) >= high}
    assert min(len(below), len(above)) > 100
    assert max(scores[key] for key in below) < 0.5 < min(scores[key] for key in above)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_published_value_changes_its_own_score_only(
    published_ranking: Ranked, files: Path, feature: str
) -> None:
    path = files / "features.parquet"
    [pair] = rows_of(path, "select user_id, value_prop from rows order by all limit 1 offset 500")
    new = f"cast({feature} + if((user_id, value_prop) = {pair}, 1000000, 0) as {FEATURES[feature]})"
    rewrite(path, f"select * replace ({new} as {feature}) from rows order by user_id, value_prop")
    assert rank(files, files / "ranking.parquet").returncode == 0
    before, after = scores_of(published_ranking.ranking), scores_of(files / "ranking.parquet")
    assert {key for key in before if before[key] != after[key]} == {pair}


def test_a_pair_without_a_row_has_zeros(published_ranking: Ranked, files: Path) -> None:
    path = files / "features.parquet"
    with_zeros = """
        from rows
        union all
        select feature_date, user_id, value_prop, 0, 0, 0, 0.00
        from (select distinct user_id from rows)
        cross join (select distinct feature_date, value_prop from rows)
        where (user_id, value_prop) not in (select (user_id, value_prop) from rows)
        order by user_id, value_prop
    """
    [before] = rows_of(path, "select count(*) from rows")
    rewrite(path, with_zeros)
    [after] = rows_of(path, "select count(*) from rows")
    assert before < after
    assert rank(files, files / "ranking.parquet").returncode == 0
    assert sha256(files / "ranking.parquet") == sha256(published_ranking.ranking)


@pytest.mark.parametrize(("is_clicked", "low", "high"), [("=", 0.9, 1), ("<>", 0, 0.1)])
def test_scores_are_those_of_the_first_place(
    files: Path, is_clicked: str, low: float, high: float
) -> None:
    """Whether all clicks are at the first place, or all elsewhere, the scores say so."""
    clicks = f"select * replace (position {is_clicked} 0 as is_clicked) from rows"
    rewrite(files / "final.parquet", clicks)
    assert rank(files, files / "ranking.parquet").returncode == 0
    scores = scores_of(files / "ranking.parquet").values()
    assert low < min(scores)
    assert max(scores) < high


@dataclass(frozen=True)
class Refusal:
    """A change of one of the files, and what the script must say.

    Args:
        file: the file.
        query: its new rows; none removes the file.
        what: a part of the message.
        remedy: another part.
    """

    file: str
    query: str
    what: str
    remedy: str


FLAG = "--serving-features"
REFUSALS = {
    "no features": Refusal("features.parquet", "", "features.parquet is missing", FLAG),
    "no prints": Refusal("final.parquet", "", "final.parquet is missing", FLAG),
    "a feature less": Refusal(
        "features.parquet",
        "select * exclude (prior_clicks) from rows",
        "columns prior_clicks of",
        FLAG,
    ),
    "a feature more": Refusal(
        "final.parquet", "select *, 1 as prior_taste from rows", "columns prior_taste of", FLAG
    ),
    "another name": Refusal(
        "features.parquet",
        "select * rename (prior_views as prior_prints) from rows",
        "columns prior_prints, prior_views of",
        FLAG,
    ),
    "another type": Refusal(
        "features.parquet",
        "select * replace (cast(prior_amount as double) as prior_amount) from rows",
        "columns prior_amount of",
        FLAG,
    ),
    "one day": Refusal(
        "final.parquet",
        "from rows where print_date = date '2020-11-29'",
        "The earlier days",
        "--report-weeks",
    ),
    "no click on later days": Refusal(
        "final.parquet",
        "select * replace (is_clicked and print_date < date '2020-11-28' as is_clicked) from rows",
        "The held-out days",
        "--report-weeks",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_files_that_cannot_be_used_are_refused(files: Path, name: str) -> None:
    refusal = REFUSALS[name]
    if refusal.query:
        rewrite(files / refusal.file, refusal.query)
    else:
        (files / refusal.file).unlink()
    ranking = files / "ranking.parquet"
    ranking.write_text("the ranking of last week", encoding="utf-8")
    answer = rank(files, ranking)
    assert answer.returncode == 2
    for part in (refusal.what, str(files), refusal.remedy):
        assert part in answer.stderr
    assert re.fullmatch(r"[^\n]+[^.]\.\n", answer.stderr), answer.stderr
    assert ". " not in answer.stderr
    assert ranking.read_text(encoding="utf-8") == "the ranking of last week"


def test_a_broken_file_or_target_is_refused(files: Path) -> None:
    answer = rank(files, files / "nowhere" / "ranking.parquet")
    (files / "features.parquet").write_bytes(b"no Parquet")
    for refused in (answer, rank(files, files / "ranking.parquet")):
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"{files} cannot be read, or {files}")
        assert refused.stderr.count("\n") == 1


def test_a_write_that_fails_leaves_the_last_ranking(published_ranking: Ranked, files: Path) -> None:
    ranking = files / "ranking.parquet"
    shutil.copyfile(published_ranking.ranking, ranking)
    # As on a full disk: no file may grow past 4 KiB.
    program = shlex.join(map(str, [PYTHON, SCRIPT, published_ranking.out, ranking]))
    answer = subprocess.run(
        ["bash", "-c", f"ulimit -f 4; exec {program}"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert sha256(ranking) == sha256(published_ranking.ranking)
