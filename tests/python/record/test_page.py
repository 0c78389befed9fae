"""The page of a run: whole, accessible, without network, and safe to show."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.browser import open_page
from support.harness import CLEAN
from support.three_runs import SCRIPT, Runs, report_of, request_of

from value_props.publish.out_path import OutPath
from value_props.record.page import _share, write_page
from value_props.run import build as job

SECTIONS = ["rows", "days", "heat", "weeks", "drift", "features", "tests", "time", "made"]


@pytest.mark.parametrize(
    ("width", "is_dark"), [(400, False), (1400, True)], ids=["narrow-light", "wide-dark"]
)
@pytest.mark.parametrize("which", ["published", "accepted", "failed"])
def test_page_is_whole_accessible_and_asks_for_nothing(
    runs: Runs, browser: Browser, which: str, width: int, is_dark: bool
) -> None:
    path = {
        "published": runs.out.runs / runs.reports[0]["run"]["run_id"] / "report.html",
        "accepted": runs.accepted_page,
        "failed": runs.failed_page,
    }[which]
    opened = open_page(browser, path, width=width, is_dark=is_dark)
    opened.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert len(opened.requests) == 1
    assert opened.messages == []
    assert opened.overflow() == 0
    assert opened.violations() == []
    background = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(17, 22, 28)" if is_dark else "rgb(255, 255, 255)")
    sections = [heading.get_attribute("id") for heading in opened.page.locator("h2").all()]
    findings = {"published": [], "accepted": ["warnings"], "failed": ["problems", "warnings"]}
    assert sections == [*findings[which], *SECTIONS]
    opened.page.context.close()


def test_page_shows_raw_data_as_text(runs: Runs, browser: Browser) -> None:
    for path in (runs.accepted_page, runs.failed_page):
        text = path.read_text(encoding="utf-8")
        assert SCRIPT not in text
        assert not re.search(r"<(script|img|link|iframe|a)\b", text)
        opened = open_page(browser, path)
        opened.page.evaluate(
            "document.querySelectorAll('details').forEach(each => each.open = true)"
        )
        shown = opened.page.inner_text("main")
        assert SCRIPT in shown
        assert 'onerror="alert(2)"' in shown
        opened.page.context.close()


def test_every_picture_has_words(runs: Runs, browser: Browser) -> None:
    opened = open_page(browser, runs.accepted_page)
    for picture in opened.page.locator("svg").all():
        if picture.get_attribute("aria-hidden") == "true":
            # Its numbers stand in the same row.
            assert picture.locator("xpath=ancestor::tr").count() == 1
        else:
            assert picture.get_attribute("role") == "img"
            assert re.search(r"\d", picture.get_attribute("aria-label") or "")
    cells = opened.page.locator("table.grid td[title]")
    assert cells.count() > 60
    assert "failing rows" in (cells.first.get_attribute("title") or "")


def test_page_is_the_same_for_the_same_run(runs: Runs, tmp_path: Path) -> None:
    run_id = runs.reports[0]["run"]["run_id"]
    folder = runs.out.runs / run_id
    database = tmp_path / "value_props.duckdb"
    shutil.copyfile(folder / "value_props.duckdb", database)
    write_page(report_of(runs.out, run_id), database, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (folder / "report.html").read_bytes()


def test_page_prints_on_paper(runs: Runs, browser: Browser, tmp_path: Path) -> None:
    opened = open_page(browser, runs.accepted_page)
    pdf = opened.page.pdf(format="A4", path=tmp_path / "page.pdf")
    assert pdf.startswith(b"%PDF")
    opened.page.emulate_media(media="print")
    # An A4 page is 718 pixels wide between its margins.
    opened.page.set_viewport_size({"width": 718, "height": 1000})
    clipped = opened.page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter("
        "each => getComputedStyle(each).overflowX !== 'visible').length"
    )
    assert clipped == 0


def test_a_week_that_is_not_over_is_not_compared(tmp_path: Path, browser: Browser) -> None:
    out = OutPath(tmp_path / "out")
    options = {"as_of_date": "2020-11-25", "week_rule": "latest", "lookback_anchor": "print"}
    job.build(request_of(CLEAN, out, **options))
    opened = open_page(browser, out.root / "report.html")
    shown = opened.page.inner_text("section[aria-labelledby=weeks]")
    assert "no changes" in shown
    assert not set("▲▼") & set(shown)
    label = opened.page.locator("svg.days").first.get_attribute("aria-label") or ""
    assert "The report covers 2020-11-23 to 2020-11-25." in label
    assert "The lookback begins on 2020-11-02 and ends on 2020-11-24." in label
    facts = opened.page.inner_text("dl.facts")
    assert "3 weeks before the day of the print, the first from 2020-11-02\n" in facts


def test_page_says_of_which_days_its_figures_are(runs: Runs, browser: Browser) -> None:
    path = runs.out.runs / runs.reports[0]["run"]["run_id"] / "report.html"
    page = open_page(browser, path).page
    lookback = "3 weeks before the Monday of the print's week, from 2020-11-02 to 2020-11-22\n"
    assert lookback in page.inner_text("dl.facts")
    heat = page.inner_text("section[aria-labelledby=heat]")
    assert "Of the prints from 2020-11-23 to 2020-11-29." in heat


def test_page_shows_what_stands_in_backticks_as_code(tmp_path: Path, browser: Browser) -> None:
    out = OutPath(tmp_path / "out")
    job.build(request_of(CLEAN, out, lookback_weeks="5"))
    page = open_page(browser, out.root / "report.html").page
    warnings = page.locator("section[aria-labelledby=warnings]")
    assert warnings.locator("code").all_inner_texts() == ["from quality.lookback_coverage"]
    assert "`" not in warnings.inner_text()


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (None, 2, "\u2013"),
        (0, 2, "0.00 %"),
        (0.00004, 2, "< 0.01 %"),
        (0.00005, 2, "0.01 %"),
        (0.004, 0, "< 1 %"),
        (0.1234, 1, "12.3 %"),
        (1, 2, "100.00 %"),
    ],
)
def test_a_share_that_is_not_zero_is_not_shown_as_zero(
    share: float | None, digits: int, shown: str
) -> None:
    assert _share(share, digits) == shown
