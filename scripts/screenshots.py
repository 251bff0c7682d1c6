"""The pictures of the review page in README and docs/, made anew from the embedded corpus in Chromium.

.venv/bin/python scripts/screenshots.py [FOLDER]        default: images
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from browser import open_chromium

from scorer.cli.commands.demo import run_demo
from scorer.listener import Silence
from scorer.review.examples import read_examples
from scorer.review.page.page import render_page, write_page
from scorer.review.pictures.pictures import draw_svg
from scorer.review.pictures.statistics import ranking_figures

FOLDER = Path(__file__).parents[1] / "images"
TOP = 200
SIZE = {"width": 1320, "height": 780}
PHONE = {"width": 390, "height": 760}
# Answers given before the picture is taken: p, the predicted label; g, the given one; u, unsure.
KEYS = "pppgppppuppp"


def main() -> None:
    """Take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        page = build_page(Path(scratch))
        with open_chromium() as browser:
            for scheme in ("light", "dark"):
                review(browser, page, scheme, folder / f"review-{scheme}.png")
            overview(browser, page, folder / "overview.png")
            phone(browser, page, folder / "review-phone.png")
    for file in sorted(folder.glob("*.png")):
        print(f"{file} {file.stat().st_size / 1e3:.0f} kB")


def build_page(scratch: Path) -> Path:
    """The page of a demo run."""
    run_demo(scratch / "run", Silence())
    figures = ranking_figures(scratch / "run", TOP)
    examples = read_examples(scratch / "run", TOP)
    content = render_page(examples, title="Fernhollow support mail", about=figures.to_json(), drawn=draw_svg(figures))
    write_page(scratch / "page.html", content)
    return scratch / "page.html"


def opened(browser: Any, file: Path, **options: Any) -> Any:
    """The page in a fresh profile, with a dozen answers given at a person's pace."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.clock.install(time=1_793_520_000_000)
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    for key in KEYS:
        page.clock.fast_forward(5_200)
        page.keyboard.press(key)
    page.clock.fast_forward(6_000)
    return page


def review(browser: Any, file: Path, scheme: str, target: Path) -> None:
    """Both panes."""
    page = opened(browser, file, viewport=SIZE, color_scheme=scheme)
    page.screenshot(path=target)


def overview(browser: Any, file: Path, target: Path) -> None:
    """The overview with its pictures."""
    page = opened(browser, file, viewport={"width": 1240, "height": 980}, color_scheme="light")
    page.keyboard.press("o")
    page.locator("#overview h2").click()  # takes the focus ring off the button
    page.locator("#overview").screenshot(path=target)


def phone(browser: Any, file: Path, target: Path) -> None:
    """One row on a phone."""
    page = opened(browser, file, viewport=PHONE, color_scheme="light", has_touch=True, is_mobile=True)
    page.locator(".entry.current").tap()
    page.screenshot(path=target)


if __name__ == "__main__":
    if shutil.which("chromium") is None:
        sys.exit("There is no Chromium. Install one: bash scripts/ci-browser")
    main()
