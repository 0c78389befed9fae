"""Write the docs site: dbt's page, the column lineage, and the report of the published run."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from value_props.docs.column_lineage import write_column_lineage
from value_props.publish.out_path import DATABASE, PAGE, OutPath
from value_props.run.dbt import Dbt

LINEAGE = "lineage.html"
# What the home page names in code, and where it leads. Only this site has these pages.
LINKS = {
    PAGE: PAGE,
    LINEAGE: LINEAGE,
    "fct_prints.prior_amount": f"{LINEAGE}?model=model.value_props.fct_prints"
    "&column=prior_amount&parents=all",
}
# So a page that cannot be written is replaced by a reason.
STAND_IN = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{reason}</p>
<p><a href="index.html">Back to the docs</a></p>
</main>
</body>
</html>
"""
TITLES = ("<title>dbt Docs</title>", "<title>value-props: docs</title>")
NO_RUN = "No run is published yet: run `value-props build`, then `value-props docs`."
NO_COLIBRI = "dbt-colibri, which draws this page, is not installed: run `make docs`."


@dataclass(frozen=True)
class Site:
    """The written site.

    Args:
        home: the page to open.
        missing: reasons by file name for the pages that could not be written.
    """

    home: Path
    missing: dict[str, str]


def write_docs(project: Path, out: OutPath, folder: Path) -> Site:
    """Write the docs site of the project.

    Args:
        project: root of the dbt project.
        out: the out path. Types, sizes and the column lineage come from its published database;
            without one, the site shows only descriptions and the graph.
        folder: folder to write to, created if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = {}
    with tempfile.TemporaryDirectory(prefix="value_props_docs_") as scratch:
        # dbt opens its database for writing, so it gets a copy of the published file.
        database = Path(scratch) / DATABASE
        has_catalog = (out.root / DATABASE).exists()
        if has_catalog:
            shutil.copyfile(out.root / DATABASE, database)
        target = Path(scratch) / "target"
        Dbt(project, database, target, {}).generate_docs(has_catalog)
        home = (target / "static_index.html").read_text(encoding="utf-8")
        # dbt writes absolute paths, which mean nothing on another machine.
        home = home.replace(f"{scratch}/", "").replace(f'"{project}"', '"."')
        for name, page in LINKS.items():
            home = home.replace(f"`{name}`", f"[{name}]({page})")
        (folder / "index.html").write_text(home.replace(*TITLES, 1), encoding="utf-8")
        if not has_catalog:
            missing[LINEAGE] = NO_RUN
        elif find_spec("dbt_colibri") is None:
            missing[LINEAGE] = NO_COLIBRI
        else:
            write_column_lineage(target, folder / LINEAGE)
    if (out.root / PAGE).exists():
        shutil.copyfile(out.root / PAGE, folder / PAGE)
    else:
        missing[PAGE] = NO_RUN
    titles = {LINEAGE: "Lineage of columns", PAGE: "Report of the published run"}
    for name, reason in missing.items():
        page = STAND_IN.format(title=titles[name], reason=reason.replace("`", ""))
        (folder / name).write_text(page, encoding="utf-8")
    return Site(folder / "index.html", missing)
