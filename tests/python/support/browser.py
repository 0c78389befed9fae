"""Open pages in a headless Chromium that may load only local files."""

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
# The rules of WCAG 2.2 at level AA, and the best practices of the authors of axe.
AXE_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@dataclass
class Opened:
    """An open page, with its requests and messages.

    Args:
        page: the page.
        requests: addresses of all requests. The first is that of the page.
        messages: texts of the console and of dialogs.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def remote_requests(self) -> list[str]:
        """Requests that would leave the machine."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        width: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width

    def violations(self) -> list[str]:
        """Return the violations that axe finds: each rule with the first place that breaks it."""
        found = Axe().run(self.page, options={"runOnly": list(AXE_RULES)}).response["violations"]
        return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's browser. Skip the test if there is none."""
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
        browser: the browser of `chromium`.
        path: file of the page.
        width: width of the window in pixels.
        height: height of the window in pixels.
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
