"""Put sample raw data under VALUE_PROPS_RAW, so that a demo has something to build."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from value_props.errors import ValuePropsError
from value_props.publish import bucket
from value_props.sample import raw_files as sample

SCALE = 0.1
WAIT_SECONDS = 60.0


def fill(address: str, scale: float = SCALE) -> int:
    """Write sample data, the same each time, and upload it.

    Args:
        address: s3://bucket/prefix; what is there under the same names is replaced.
        scale: of the public case, 0.001 to 100.

    Returns:
        How many files were uploaded.

    Raises:
        ValuePropsError: the store fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sample.write_sample(folder, scale, 7, overwrite=True)
        files = {path.name: path for path in sorted(folder.iterdir())}
        store = bucket.Bucket(address)
        _wait_for(store)
        store.upload(files)
    return len(files)


def _wait_for(store: bucket.Bucket) -> None:
    """A store says that it is healthy some moments before it has made its bucket."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            store.entries()
        except ValuePropsError:
            if time.monotonic() > until:
                raise
            time.sleep(1)
        else:
            return


if __name__ == "__main__":
    raw = os.environ["VALUE_PROPS_RAW"]
    print(f"{fill(raw)} sample files are in {raw}")  # noqa: T201
