"""The dbt docs site as one file that needs no network."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from value_props.project import Dbt
from value_props.published import DATABASE


def write_docs(project: Path, published: Path) -> Path:
    """Write the docs site of the project.

    Args:
        project: the dbt project.
        published: the published DuckDB file, for types and sizes; without it the site shows
            descriptions and lineage only.

    Returns:
        The path of the page.
    """
    page = project / "target" / "docs" / "index.html"
    with tempfile.TemporaryDirectory(prefix="value_props_docs_") as scratch:
        # dbt opens its database for writing, and the published file is not to be touched.
        database = Path(scratch) / DATABASE
        if published.exists():
            shutil.copyfile(published, database)
            database.chmod(0o644)
        target = Path(scratch) / "target"
        dbt = Dbt(project, database, target, {})
        dbt.generate_docs(has_catalog=published.exists())
        page.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(target / "static_index.html", page)
    return page
