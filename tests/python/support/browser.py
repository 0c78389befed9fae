"""Pages in a headless Chromium, which may load nothing but local files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# What WCAG 2.2 asks for at level AA, and what axe's authors advise beside.
AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@dataclass
class Opened:
    """A page that was opened, and all that it asked for.

    Args:
        page: the page.
        requests: addresses of all requests, its own first.
        messages: what the console and dialogs said.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def remote_requests(self) -> list[str]:
        """The requests that would leave the machine."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        width: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width

    def violations(self) -> list[str]:
        """What axe finds wrong, a rule and its first place each."""
        found = Axe().run(self.page, options={"runOnly": list(AXE_RULES)}).response["violations"]
        return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser; the test is skipped where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("chromium is not installed (Debian package chromium)")
    options = ["--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        try:
            yield browser
        finally:
            browser.close()


def open_page(
    browser: Browser, path: Path, *, width: int = 1400, height: int = 900, is_dark: bool = False
) -> Opened:
    """Open a local file. The page's own policy against scripts is off, so that axe can run.

    Args:
        browser: of `chromium`.
        path: of the page.
        width: of the window, pixels.
        height: of the window, pixels.
        is_dark: whether the user prefers a dark page.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if is_dark else "light",
        bypass_csp=True,
    )
    opened = Opened(context.new_page())

    def refuse(dialog: Any) -> None:
        opened.messages.append(dialog.message)
        dialog.dismiss()

    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on("console", lambda message: opened.messages.append(message.text))
    opened.page.on("dialog", refuse)
    opened.page.goto(path.absolute().as_uri())
    return opened
