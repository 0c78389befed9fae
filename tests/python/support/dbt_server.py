"""Run dbt for another process, as often as it asks, so that builds share a Spark application.

Each line of standard input is a JSON list of arguments for dbt. Each line of standard output tells
whether the call succeeded. Other output goes to standard error. The server needs dbt, but no code
of this project.
"""

from __future__ import annotations

import json
import os
import sys

from dbt.cli.main import dbtRunner


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        outcome = dbtRunner().invoke(json.loads(line))
        if outcome.exception:
            sys.stderr.write(f"{outcome.exception}\n")
        answers.write(json.dumps(outcome.success) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
