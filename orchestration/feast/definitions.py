"""What Feast serves: the rows of features.parquet, zeros for users without a row, one service.

`feast apply` reads the objects of this module. VALUE_PROPS_FEATURES names the file, by default
data/out/features.parquet of this project. The manifest beside it says how long its rows serve.
"""

from __future__ import annotations

import inspect
import json
import os
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureService, FeatureView, Field, FileSource, OnDemandFeatureView
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

ROOT = Path(__file__).resolve().parents[2]
# Days on which the rows of a file serve, by lookback anchor.
DAYS = {"week": 7, "print": 1}
# Feast has no decimals in an on-demand view, so the amount becomes a float.
TYPES = {
    "prior_views": Int64,
    "prior_clicks": Int64,
    "prior_payments": Int64,
    "prior_amount": Float64,
}


def published_file() -> Path:
    """Return features.parquet of the run that is current now, in the folder of that run.

    The stable name is a link. Feast gets its target, so that it never mixes the rows of two runs.

    Raises:
        SystemExit: there is no such file, or Feast would misread it.
    """
    named = os.environ.get("VALUE_PROPS_FEATURES") or "data/out/features.parquet"
    path = (ROOT / Path(named).expanduser()).resolve()
    if not path.is_file():
        raise SystemExit(f"There is no {path}. `make build SERVING=1` publishes it.")
    if any("=" in part for part in path.parts):
        # Feast gives no way to turn this off.
        raise SystemExit(f"DuckDB would read key=value in {path} as a column. Rename the folder.")
    return path


def zeros_without_row(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the features, with 0 for users and value props without a row.

    Feast stores the text of this function, so it uses no other name of this module.

    Raises:
        ValueError: a historical request gives the time of a print instead of its day. Feast would
            find no row on the last day, and this function would return zeros.
    """
    moments = rows.get("event_timestamp")
    if moments is not None and (moments != moments.dt.normalize()).any():
        raise ValueError("event_timestamp must be the day of the print, without a time of day")
    types = {"prior_views": int, "prior_clicks": int, "prior_payments": int, "prior_amount": float}
    return pd.DataFrame(
        {
            name: rows[f"{name}_or_null"].astype(float).fillna(0).astype(kind)
            for name, kind in types.items()
        }
    )


FILE = published_file()
MANIFEST = json.loads((FILE.parent / "manifest.json").read_text(encoding="utf-8"))
# The first and the last day on which the rows serve.
FEATURE_DATE = date.fromisoformat(MANIFEST["window"]["feature_date"])
LAST_DAY = FEATURE_DATE + timedelta(days=DAYS[MANIFEST["parameters"]["lookback_anchor"]] - 1)

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
value_prop = Entity(name="value_prop", join_keys=["value_prop"], value_type=ValueType.STRING)

features = FileSource(
    name="features",
    path=str(FILE),
    timestamp_field="feature_date",
    # The plain names are for what is served. Feast would return both under one name.
    field_mapping={name: f"{name}_or_null" for name in TYPES},
)

user_features = FeatureView(
    name="user_features",
    description="The rows of features.parquet; None for a user and value prop without a row.",
    entities=[user, value_prop],
    source=features,
    # A row still serves in the moment in which its TTL ends, and a day is midnight UTC. So the TTL
    # ends as the last day begins. It cannot end with that day: Feast's DuckDB store takes no TTL of
    # days and hours. A TTL of 0 would mean for ever.
    ttl=LAST_DAY - FEATURE_DATE or timedelta(seconds=1),
    schema=[
        Field(name="user_id", dtype=Int64),
        Field(name="value_prop", dtype=String),
        *(Field(name=f"{name}_or_null", dtype=dtype) for name, dtype in TYPES.items()),
    ],
)

# In mode "python", full_feature_names=True returns no feature at all.
user_features_or_zero = OnDemandFeatureView(
    name="user_features_or_zero",
    description="The features as fct_prints has them: zeros without a row.",
    sources=[user_features],
    schema=[Field(name=name, dtype=dtype) for name, dtype in TYPES.items()],
    mode="pandas",
    udf=zeros_without_row,
    udf_string=inspect.getsource(zeros_without_row),
)

ranking = FeatureService(name="ranking", features=[user_features_or_zero])

OBJECTS = [user, value_prop, features, user_features, user_features_or_zero, ranking]
