"""Reads raw files as a build does, keeps what it read, and does nothing else."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from value_props.ingest import ingest
from value_props.ingest.keep import ParsedFiles
from value_props.resources import resolve


def main() -> None:
    """Ingest a folder, and print nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="folder with the raw files")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is kept")
    arguments = parser.parse_args()
    given = {"threads": str(os.cpu_count() or 1)}
    with resolve(given).in_force(arguments.out):
        ingest(arguments.raw, ParsedFiles(arguments.out / "parsed"))


if __name__ == "__main__":
    main()
