"""`value-props open`: which report page it opens, and what it does without a browser."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from shlex import quote, split

import pytest
from support.harness import DIRTY, build, history_of, manifest_of, value_props
from support.s3_server import BUCKET, S3Server


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a browser notes what it opens."""
    notes, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {quote(str(notes))}\n', encoding="utf-8")
    browser.chmod(0o755)
    use_browser(monkeypatch, str(browser))
    return notes


def use_browser(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Set the browser of the user. The module reads its variable only once."""
    monkeypatch.setenv("BROWSER", f"{quote(program)} %s")
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})


def test_the_page_of_the_published_run_is_opened(out: Path, opened: Path) -> None:
    answer = value_props("open", "--out", out, exit_code=0)
    assert answer.stdout == f"{out / 'report.html'}\n"
    assert answer.stderr == ""
    assert opened.read_text(encoding="utf-8") == f"{(out / 'report.html').as_uri()}\n"


def test_without_a_browser_the_path_is_printed(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    # A browser in the terminal would take the place of the shell.
    monkeypatch.setattr(webbrowser, "open", lambda _: pytest.fail("a browser was started"))
    answer = value_props("open", "--out", out, exit_code=0)
    assert answer.stdout == f"{out / 'report.html'}\n"
    assert "There is no browser here" in answer.stderr


def test_a_browser_that_fails_is_none(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_browser(monkeypatch, "/nonexistent/browser")
    answer = value_props("open", "--out", out, exit_code=0)
    assert answer.stdout == f"{out / 'report.html'}\n"


def test_the_page_of_a_failed_run_is_found(out: Path, opened: Path) -> None:
    published = manifest_of(out)["run_id"]
    told = build(out, raw=DIRTY, exit_code=1)
    command = f"value-props open --last --out {quote(str(out))}"
    assert f"`{command}`" in told.text
    page = out / "last_run" / "report.html"
    assert value_props(*split(command)[1:], exit_code=0).stdout == f"{page}\n"
    [failed] = {path.name for path in (out / "quality").iterdir()} - {published}
    assert value_props("open", failed, "--out", out, exit_code=0).stdout == f"{page}\n"
    assert opened.read_text(encoding="utf-8") == f"{page.as_uri()}\n" * 2
    answer = value_props("open", "--out", out, exit_code=0)
    assert answer.stdout == f"{out / 'report.html'}\n"
    assert "The last run failed: `value-props open --last` opens its report." in answer.stderr
    # A run that is kept back leaves the files of the failed one.
    build(out, "--as-of", "2020-11-22", "--allow-incomplete")
    assert value_props("open", failed, "--out", out, exit_code=0).stdout == f"{page}\n"
    answer = value_props("open", "--last", "--out", out, exit_code=0)
    assert f"{out / 'runs'}/" in answer.stdout
    build(out)
    answer = value_props("open", "--last", "--out", out, exit_code=0)
    assert answer.stdout == f"{out / 'runs' / manifest_of(out)['run_id'] / 'report.html'}\n"
    kept = value_props("open", published, "--out", out, exit_code=0)
    assert kept.stdout == f"{out / 'runs' / published / 'report.html'}\n"
    answer = value_props("open", failed, "--out", out, exit_code=2)
    assert f"there is no run '{failed}'. These runs are kept: {published}, " in answer.text


def test_what_cannot_be_opened_is_said_with_the_remedy(
    tmp_path: Path, out: Path, opened: Path
) -> None:
    def to_build(out: Path) -> str:
        """A command in a message is for the out path of the command that was given."""
        return f"`value-props build --out {quote(str(out))}`"

    none = tmp_path / "none"
    answer = value_props("open", "--out", none, exit_code=2)
    assert (
        f"Out path {none}: there is no such folder. Go to the folder of the project, name another"
        f" with --out, or run {to_build(none)}." in answer.text
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = value_props("open", "--out", empty, exit_code=2)
    assert (
        f"Out path {empty}: nothing is published there. Check --out, or publish with"
        f" {to_build(empty)}." in answer.text
    )
    build(empty, raw=DIRTY, exit_code=1)
    answer = value_props("open", "--out", empty, exit_code=2)
    assert f"{to_build(empty)}; --last opens the report of the failed run." in answer.text
    (empty / "last_run" / "report.html").unlink()
    answer = value_props("open", "--last", "--out", empty, exit_code=2)
    assert "has no report.html on this machine. `value-props report " in answer.text
    assert "not both" in value_props("open", "x", "--last", "--out", out, exit_code=2).text
    assert not opened.exists()


def test_the_page_in_a_bucket_is_fetched_first(
    server: S3Server, tmp_path: Path, opened: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    lake = f"s3://{BUCKET}/open"
    monkeypatch.setenv("VALUE_PROPS_CACHE", str(tmp_path / "builder"))
    for _ in range(2):
        build(lake)
    runs = sorted(run["run_id"] for run in history_of(lake))
    # A reader on another machine.
    monkeypatch.setenv("VALUE_PROPS_CACHE", str(tmp_path / "reader"))
    for arguments, ending in (
        ((), "/report.html"),
        ((runs[0],), f"/runs/{runs[0]}/report.html"),
        (("--last",), f"/runs/{runs[1]}/report.html"),
    ):
        page = Path(value_props("open", *arguments, "--out", lake, exit_code=0).stdout.strip())
        assert str(page).startswith(str(tmp_path / "reader"))
        assert str(page).endswith(ending)
        assert runs[0 if runs[0] in arguments else 1] in page.read_text(encoding="utf-8")
        assert opened.read_text(encoding="utf-8").splitlines()[-1] == page.as_uri()
