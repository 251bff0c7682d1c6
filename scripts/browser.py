"""A Chromium for scripts and tests: found on the system, started without a screen, quiet on the network."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # nothing but this machine
)


def find_chromium() -> str | None:
    """Path of the system's Chromium, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextlib.contextmanager
def open_chromium() -> Iterator[Any]:
    """A running browser, closed at the end.

    Raises:
        RuntimeError: there is no Chromium on this system.
    """
    from playwright.sync_api import sync_playwright

    executable = find_chromium()
    if executable is None:
        raise RuntimeError("there is no Chromium. Install one: bash scripts/ci-browser")
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=executable, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()
