"""Variables of the environment, set or taken away for a while: what dbt and its profile read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def environment(*, without: str | None = None, **values: str) -> Iterator[None]:
    """Set variables of the environment, and put back what was there.

    Args:
        without: how the names of those begin that are taken away.
        values: by name.
    """
    gone = [name for name in os.environ if without and name.startswith(without)]
    before = {name: os.environ.get(name) for name in (*gone, *values)}
    for name in gone:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
