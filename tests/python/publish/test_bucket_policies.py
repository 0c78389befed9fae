"""The policies of least rights allow what the code asks of a store, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.harness import ROOT, files_of_project

FOLDER = ROOT / "orchestration" / "buckets"
# What each call of obstore is on S3. A put in several parts takes them back where it fails; a
# conditional one also reads.
ACTIONS = {
    "list": {"s3:ListBucket"},
    "list_with_delimiter": {"s3:ListBucket"},
    "get": {"s3:GetObject"},
    "put": {"s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"},
    "delete": {"s3:DeleteObject"},
}


def statements(name: str) -> list[dict[str, Any]]:
    policy = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert policy["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def actions(statement: dict[str, Any]) -> set[str]:
    named = statement["Action"]
    return {named} if isinstance(named, str) else set(named)


def calls() -> set[str]:
    code = "".join(
        path.read_text(encoding="utf-8") for path in files_of_project("value_props/*.py")
    )
    return set(re.findall(r"\bobstore\.(\w+)\(", code))


def test_the_code_asks_for_what_the_policies_allow() -> None:
    assert calls() == set(ACTIONS)
    allowed = set().union(*map(actions, statements("writer.json")))
    assert allowed == set().union(*ACTIONS.values())
    allowed = set().union(*map(actions, statements("reader.json")))
    assert allowed == ACTIONS["list"] | ACTIONS["get"]


@pytest.mark.parametrize(("name", "prefix"), [("reader.json", "raw"), ("writer.json", "published")])
def test_each_policy_is_bound_to_its_prefix(name: str, prefix: str) -> None:
    for statement in statements(name):
        assert statement["Effect"] == "Allow"
        if actions(statement) == {"s3:ListBucket"}:
            assert statement["Resource"] == "arn:aws:s3:::lake"
            assert statement["Condition"] == {"StringLike": {"s3:prefix": f"{prefix}/*"}}
        else:
            assert statement["Resource"] == f"arn:aws:s3:::lake/{prefix}/*"
