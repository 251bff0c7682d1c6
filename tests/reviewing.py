"""A person at the review page, in a real browser: what the browser tests press, and what they see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

READY = "html[data-ready]"


class Reviewer:
    """A page that is open in the browser.

    Attributes:
        page: playwright's page.
        complaints: what the browser's console and the page's errors said.
        requests: addresses that were asked for, the page's own file among them.
    """

    def __init__(self, context: Any, file: Path) -> None:
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector(READY)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def reload(self) -> None:
        self.page.reload()
        self.page.wait_for_selector(READY)

    def filter(self, name: str, choice: str) -> None:
        """Choose in one of the selects: given, predicted, status, sort."""
        self.page.select_option(f"#filter-{name}" if name != "sort" else "#sort", label=choice)

    def search(self, words: str) -> None:
        self.page.fill("#search", words)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    @property
    def rank(self) -> int:
        """Rank of the row that is looked at."""
        return int(self.text("#example .facts strong").removeprefix("#").replace(",", ""))

    @property
    def answered(self) -> int:
        return int(self.text("#reviewed").split(" of ")[0].replace(",", ""))

    @property
    def matches(self) -> int:
        return int(self.text("#matches").split(" ")[0].replace(",", ""))

    def download(self, file: Path) -> list[dict[str, Any]]:
        """Download the corrections to a file; returns its lines, the header first."""
        with self.page.expect_download() as download:
            self.page.click("#download")
        download.value.save_as(file)
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def load(self, *files: Path) -> str:
        """Load corrections; returns what the page says about it."""
        self.page.set_input_files("#load-file", [str(file) for file in files])
        self.page.wait_for_selector("#toast.shown")
        return self.text("#toast")
