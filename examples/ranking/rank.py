"""Rank next week's carousel of each user: train on final.parquet, score features.parquet.

The columns named prior_… go from one file into `fit`, and from the other into `predict_proba`. The
model learns the effect of the position, and scores each value prop as if it were shown first,
because next week's positions are not known yet.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

BUILD = "`value-props build --serving-features`"
FEATURES = pl.col("^prior_.*$")
FIRST_PLACE = pl.lit(0, pl.Int32).alias("position")


class RefusedError(Exception):
    """The files cannot be used. The message is one sentence: what, where, and the remedy."""


def read_run(out_path: Path) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Return the prints and the serving features of a run, and the names of its features."""
    # The link is followed once, so both files are of one run, even if another is published now.
    run = (out_path / "current").resolve() if (out_path / "current").exists() else out_path
    frames, features = [], []
    for name in ("final.parquet", "features.parquet"):
        if not (run / name).exists():
            raise RefusedError(f"The file {name} is missing in {out_path}; run {BUILD}.")
        rows = pl.read_parquet((run / name).read_bytes())
        features.append(rows.select(FEATURES).schema)
        frames.append(rows.with_columns(FEATURES.cast(pl.Float64)))
    if differing := sorted({column for column, _ in features[0].items() ^ features[1].items()}):
        what = f"The feature columns {', '.join(differing)} of final.parquet and features.parquet"
        raise RefusedError(f"{what} differ in {out_path}; publish both with one run of {BUILD}.")
    return frames[0], frames[1], list(features[0])


def fitted(prints: pl.DataFrame, features: list[str]) -> Pipeline:
    """Return a model of clicks that was trained on the prints."""
    one_hot = ("one_hot", OneHotEncoder(handle_unknown="ignore"), ["value_prop", "position"])
    columns = ColumnTransformer([one_hot, ("scale", StandardScaler(), features)])
    model = make_pipeline(columns, LogisticRegression(max_iter=1000))
    return model.fit(prints.select("value_prop", "position", *features), prints["is_clicked"])


def scores(model: Pipeline, rows: pl.DataFrame) -> pl.Series:
    """Return the chance of a click for each row."""
    return pl.Series("score", model.predict_proba(rows.select(*model.feature_names_in_))[:, 1])


def judge(prints: pl.DataFrame, features: list[str], out_path: Path) -> None:
    """Train on the earlier days, and print how well the last quarter of the days is predicted."""
    days = prints["print_date"].unique().sort()
    is_earlier = pl.col("print_date") < days[-math.ceil(len(days) / 4)]
    earlier, later = prints.filter(is_earlier), prints.filter(~is_earlier)
    for name, part in (("earlier", earlier), ("held-out", later)):
        if part["is_clicked"].n_unique() < 2:
            what = f"The {name} days of final.parquet in {out_path} need clicks and other prints"
            raise RefusedError(f"{what}; build more weeks (--report-weeks).")
        dates, clicks = part["print_date"].to_list(), part["is_clicked"].sum()
        print(f"{name:10}{min(dates)} to {max(dates)}{len(part):11,} prints{clicks:11,} clicked")
    rates = earlier.group_by("value_prop").agg(rate=pl.col("is_clicked").mean())
    baseline = later.join(rates, on="value_prop", how="left", maintain_order="left")["rate"]
    model = fitted(earlier, features)
    print(f"\n{'on the held-out days':37} log loss    AUC")
    for name, chances in (
        ("click-through rate of each value prop", baseline.fill_null(earlier["is_clicked"].mean())),
        ("model, position as printed", scores(model, later)),
        ("model, position 0, as it ranks", scores(model, later.with_columns(FIRST_PLACE))),
    ):
        loss, area = (of(later["is_clicked"], chances) for of in (log_loss, roc_auc_score))
        print(f"{name:37} {loss:8.4f} {area:6.4f}")


def ranked(model: Pipeline, serving: pl.DataFrame) -> pl.DataFrame:
    """Return user_id, value_prop, rank (1 first) and score, for all value props of each user."""
    users, value_props = (serving.select(key).unique() for key in ("user_id", "value_prop"))
    # The pairs are sorted, because `unique` leaves the order open.
    pairs = users.join(value_props, how="cross").sort("user_id", "value_prop")
    rows = pairs.join(serving, on=pairs.columns, how="left", maintain_order="left")
    rows = rows.with_columns(FIRST_PLACE, FEATURES.fill_null(0))
    rows = rows.with_columns(scores(model, rows)).sort("user_id", -pl.col("score"), "value_prop")
    rank = pl.int_range(1, pl.len() + 1).over("user_id").alias("rank")
    return rows.select("user_id", "value_prop", rank, "score")


def main() -> None:
    """Print the figures and write the ranking; exit with 2 if that cannot be done."""
    parser = argparse.ArgumentParser(description="Rank next week's carousel of each user.")
    parser.add_argument("out_path", type=Path, help=f"the folder that {BUILD} published to")
    parser.add_argument("ranking", type=Path, help="the Parquet file to write")
    out_path, target = (path.expanduser() for path in vars(parser.parse_args()).values())
    try:
        prints, serving, features = read_run(out_path)
        judge(prints, features, out_path)
        model = fitted(prints, features)
        ranked(model, serving).write_parquet(part := target.with_suffix(".part"))
        part.replace(target)
    except RefusedError as error:
        parser.exit(2, f"{error}\n")
    except (OSError, pl.exceptions.PolarsError) as error:
        cause = " ".join(str(error).split())
        parser.exit(2, f"{out_path} cannot be read, or {target} cannot be written: {cause}\n")
    print(f"\nThe model reads {', '.join(model.feature_names_in_)}.")
    print(f"Ranked for {serving['user_id'].n_unique():,} users, from {serving['feature_date'][0]}.")


if __name__ == "__main__":
    with threadpool_limits(1):  # the last digit of a sum depends on the number of threads
        main()
