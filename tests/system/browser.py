"""A headless Chromium that tells what a page says and asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from nodes.waiting import wait_until

CHROMIUM = "/usr/bin/chromium"
Theme = Literal["light", "dark"]


@dataclass
class Opened:
    """A page, with what it has said on its console and what it has asked for beside itself."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; root has to do without its sandbox."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, path: Path, *, width: int = 1200, theme: Theme = "light"
) -> Iterator[Opened]:
    """Open a report and wait until its charts are drawn."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    found = Opened(page)
    page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    address = path.resolve().as_uri()
    page.on(
        "request", lambda one: None if one.url == address else found.asked.append(one.url[:200])
    )
    try:
        page.goto(address)
        page.wait_for_selector("html[data-ready]", timeout=20_000)
        yield found
    finally:
        page.close()


def until(page: Page, expression: str, timeout: float = 10.0) -> None:
    """Wait until an expression is true.

    Playwright's own way evaluates it in the page, whose content security policy forbids that.
    """
    wait_until(
        lambda: page.evaluate(expression),
        timeout,
        expression,
        pump=lambda: page.wait_for_timeout(20),
    )
