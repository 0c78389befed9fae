"""The docs site: everything is described, and fct_prints can be followed to the raw files."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.browser import Opened, open_page
from support.harness import CLEAN, ROOT, Pipeline, folder_request

from value_props.docs.site import Site, write_docs
from value_props.publish.out_path import OutPath
from value_props.run import build as job

MART = "model.value_props.fct_prints"
SOURCES = {f"source.value_props.raw.{name}" for name in ("prints", "taps", "pays")}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> OutPath:
    published = OutPath(tmp_path_factory.mktemp("published") / "out")
    job.build(folder_request(CLEAN, published.root, run_date="2020-12-01"))
    return published


@pytest.fixture(scope="module")
def site(out: OutPath, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_docs(ROOT, out, tmp_path_factory.mktemp("site"))


def test_everything_is_described(pipeline: Pipeline) -> None:
    manifest = pipeline.dbt.manifest
    kinds = (manifest.nodes, manifest.sources, manifest.exposures, manifest.unit_tests)
    ours = [
        node
        for nodes in (*kinds, manifest.macros)
        for node in nodes.values()
        if node.package_name == "value_props" and node.resource_type != "operation"
    ]
    found = {str(node.resource_type) for node in ours}
    assert found >= {
        "model", "seed", "snapshot", "analysis", "test", "unit_test", "source", "exposure", "macro"
    }  # fmt: skip
    bare = [node.unique_id for node in ours if not node.description.strip()]
    for node in ours:
        bare += [
            f"{node.unique_id}.{column.name}"
            for column in getattr(node, "columns", {}).values()
            if not column.description.strip()
        ]
    assert bare == []
    tables = [node for node in ours if node.resource_type in ("model", "seed", "snapshot")]
    assert [node.name for node in tables if not node.columns] == []


def test_every_argument_of_a_macro_is_described(pipeline: Pipeline) -> None:
    wrong = {}
    for macro in pipeline.dbt.manifest.macros.values():
        # A materialization takes none.
        if macro.package_name != "value_props" or macro.name.startswith("materialization_"):
            continue
        signature = re.search(r"(?:macro|test)\s+\w+\((.*?)\)\s*-?%}", macro.macro_sql, re.S)
        assert signature, macro.name
        given = signature[1].split(",") if signature[1] else []
        names = [argument.partition("=")[0].strip() for argument in given]
        described = [argument.name for argument in macro.arguments if argument.description]
        if described != names:
            wrong[macro.name] = (names, described)
    assert wrong == {}


def test_the_sources_have_the_columns_that_are_described(pipeline: Pipeline) -> None:
    pipeline.raw_path.rmdir()
    pipeline.raw_path.symlink_to(CLEAN)
    pipeline.run({"run_date": "2020-12-01"}, ("--select", "run_parameters"))
    described = {
        source.name: list(source.columns) for source in pipeline.dbt.manifest.sources.values()
    }
    found: dict[str, list[str]] = {}
    for name, column in pipeline.query(
        "select table_name, column_name from information_schema.columns"
        " where table_schema in ('raw', 'published') order by table_name, ordinal_position"
    ):
        found.setdefault(name, []).append(column)
    assert described == found


def test_home_page_leads_to_the_report_and_the_lineage(site: Site, browser: Browser) -> None:
    opened = open_page(browser, site.home)
    assert site.missing == {}
    assert opened.page.title() == "value-props: docs"
    for link, heading in (("report.html", "Published"), ("lineage.html", "Lineage")):
        opened.page.get_by_role("link", name=link, exact=True).click()
        opened.page.wait_for_url(re.compile(r"/(report|lineage)\.html"))
        assert heading in opened.page.title()
        opened.page.go_back()
    assert opened.remote_requests == []


def test_graph_of_the_docs_leads_from_the_mart_to_the_sources(site: Site, browser: Browser) -> None:
    opened = open_page(browser, site.home)
    page = opened.page
    page.goto(f"{site.home.absolute().as_uri()}#!/model/{MART}")
    page.get_by_title("View Lineage Graph").click()
    page.get_by_title("View Fullscreen").first.click()
    page.wait_for_function("document.querySelector('#cy')._cyreg.cy.nodes(':visible').length > 20")
    before = page.evaluate(
        "id => document.querySelector('#cy')._cyreg.cy.getElementById(id).predecessors(':visible')"
        ".map(element => element.id())",
        MART,
    )
    assert set(before) >= SOURCES
    assert opened.remote_requests == []


def test_lineage_leads_from_the_mart_to_the_raw_fields(site: Site, browser: Browser) -> None:
    opened = open_page(browser, site.home)
    page = opened.page
    page.get_by_role("link", name="prior_amount").click()
    mart = page.get_by_test_id(f"rf__node-{MART}")
    page.get_by_role("button", name="Fit View").click()
    for column, sources in (
        ("prior_amount", {"pays"}),
        ("print_id", {"prints"}),
        ("is_clicked", {"taps"}),
        ("prior_views", set()),
    ):
        mart.get_by_text(column, exact=True).click()
        page.wait_for_function(
            "column => location.search.includes(`column=${column}&`)"
            " && document.querySelector(`.react-flow__edge.animated[data-id$='-${column}']`)",
            arg=column,
        )
        assert sources_marked(opened) == {f"source.value_props.raw.{name}" for name in sources}
    # Tables are joined without a mark, and all three sources are there.
    assert sources_marked(opened, "") == SOURCES
    assert opened.remote_requests == []


def sources_marked(opened: Opened, mark: str = ".animated") -> set[str]:
    """The sources that lead to the mart by edges with a mark."""
    labels = opened.page.locator(f".react-flow__edge{mark}").evaluate_all(
        "edges => edges.map(edge => edge.getAttribute('aria-label'))"
    )
    parents: dict[str, set[str]] = {}
    for label in labels:
        _, _, parent, _, child = label.split(" ")
        parents.setdefault(child, set()).add(parent)
    seen, rest = set(), {MART}
    while rest:
        seen |= rest
        rest = {parent for node in rest for parent in parents.get(node, ())} - seen
    return seen & SOURCES


def test_lineage_page_reaches_no_network_even_where_its_telemetry_is_on(
    site: Site, browser: Browser
) -> None:
    page = browser.new_page()
    failures: list[str | None] = []
    finished: list[str] = []
    page.on("requestfailed", lambda request: failures.append(request.failure))
    page.on("requestfinished", lambda request: finished.append(request.url))
    page.add_init_script("Object.defineProperty(window, 'colibriTelemetry', {value: true})")
    lineage = site.home.with_name("lineage.html").absolute().as_uri()
    with page.expect_event("requestfailed"):
        page.goto(lineage)
    page.wait_for_timeout(1000)
    assert set(failures) == {"csp"}
    assert [url for url in finished if not url.startswith(lineage)] == []
    page.close()


def test_without_a_run_the_pages_say_what_is_missing(tmp_path: Path) -> None:
    site = write_docs(ROOT, OutPath(tmp_path / "out"), tmp_path / "site")
    assert set(site.missing) == {"report.html", "lineage.html"}
    for name in site.missing:
        assert "run value-props build" in site.home.with_name(name).read_text(encoding="utf-8")
    home = site.home.read_text(encoding="utf-8")
    assert MART in home
    assert '"compiled_path": "target/compiled/' in home
    assert [home.count(path) for path in ("value_props_docs_", str(ROOT))] == [0, 0]


def test_without_colibri_the_page_says_how_to_get_it(
    out: OutPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("value_props.docs.site.find_spec", lambda _: None)
    site = write_docs(ROOT, out, tmp_path)
    assert set(site.missing) == {"lineage.html"}
    assert "run make docs" in site.home.with_name("lineage.html").read_text(encoding="utf-8")


def test_docs_are_written_without_a_connection(
    out: OutPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise OSError("no connection here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    site = write_docs(ROOT, out, tmp_path)
    assert site.missing == {}
    assert asked == []
