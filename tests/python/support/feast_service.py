"""A ranking service that asks Feast. Tests run it in the venv of Feast, as a process of its own.

The argument is the folder of the Feast repository. Each line of standard input is a JSON request,
and each line of standard output its JSON answer. The service needs no code of this project.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pandas as pd
from feast import FeatureStore

SERVICE = "ranking"


def online(store: FeatureStore, rows: list[dict[str, Any]]) -> Any:
    """Return the features of each row by name, without and with the name of their view."""
    service = store.get_feature_service(SERVICE)
    return [
        store.get_online_features(service, rows, full_feature_names=is_full).to_dict()
        for is_full in (False, True)
    ]


def online_rows(store: FeatureStore, rows: list[dict[str, Any]]) -> Any:
    """Return what is stored for each row, without the zeros."""
    return store.get_online_features(["user_features:prior_views_or_null"], rows).to_dict()


def historical(store: FeatureStore, rows: list[dict[str, Any]]) -> Any:
    """Return the rows with their features."""
    asked = pd.DataFrame(rows)
    asked["event_timestamp"] = pd.to_datetime(asked["event_timestamp"], format="ISO8601")
    found = store.get_historical_features(asked, store.get_feature_service(SERVICE)).to_df()
    return found.drop(columns="event_timestamp").to_dict("records")


def serves_until(store: FeatureStore, _: list[dict[str, Any]]) -> Any:
    """Return the last moment in which the rows serve."""
    return store.get_feature_view("user_features").most_recent_end_time


ANSWERS = {
    function.__name__: function for function in (online, online_rows, historical, serves_until)
}


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    store = FeatureStore(sys.argv[1])
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"found": ANSWERS[request["ask"]](store, request["rows"])}
        except ValueError as error:
            answer = {"error": str(error)}
        # Decimals of the stored rows are of no interest here.
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
