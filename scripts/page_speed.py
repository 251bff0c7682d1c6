"""How fast the review page is: opens a page of many rows in Chromium and prints what a person would wait for.

    .venv/bin/python scripts/page_speed.py [--rows 10000] [--run DIR]

Without --run the embedded corpus is scored as often as the rows need. Opening is measured from the request of the
file to the first frame with rows on it; a key from its press to the frame that shows its effect.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from browser import open_chromium

from scorer import RunConfig, score
from scorer.cli.commands.demo import demo_corpus, demo_model
from scorer.review.answers.corrections import Correction, write_corrections
from scorer.review.examples import Example, read_examples
from scorer.review.page.page import render_page, write_page
from scorer.review.pictures.statistics import ranking_figures

CORPUS_ROWS = 4_000
OPENINGS = 7
PRESSES = 25
REST = 200  # rows left open when keys are measured
# What is pressed, and what it does.
KEYS = {"g": "given is right", "p": "take predicted", "j": "next row", "k": "row before", "z": "undo", "n": "next open"}
# Times from a key press to the frame after the one in which its effect was drawn.
WATCH = """
window.waits = [];
addEventListener("keydown", (event) => {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => waits.push(performance.now() - event.timeStamp);
    channel.port2.postMessage(0);
  });
}, true);
addEventListener("DOMContentLoaded", () => {
  requestAnimationFrame(() => requestAnimationFrame(() => { window.openedAt = performance.now(); }));
});
"""
# The page's policy forbids evaluating strings, so waiting is a promise.
UNTIL_OPEN = """() => new Promise((done) => {
  const look = () => (window.openedAt ? done(openedAt) : setTimeout(look, 1));
  look();
})"""
UNTIL_ANSWERED = """(presses) => new Promise((done) => {
  const look = () => (waits.length >= presses ? done() : setTimeout(look, 1));
  look();
})"""


def main() -> None:
    """Build the page, open it, press keys, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--run", type=Path, help="a run's directory; default: the embedded corpus, repeated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or embedded_run(Path(folder), arguments.rows)
        started = time.perf_counter()
        examples = read_examples(run, arguments.rows)
        page = Path(folder) / "page.html"
        write_page(page, render_page(examples, title="speed", about=ranking_figures(run, arguments.rows).to_json()))
        print(f"written in {time.perf_counter() - started:.2f} s, without pictures")
        print(f"{len(examples.items):,} rows, {page.stat().st_size / 1e6:.1f} MB")
        answers = Path(folder) / "corrections.jsonl"
        names = examples.label_names
        write_corrections(answers, names, [kept(example, names) for example in examples.items[:-REST]])
        with open_chromium() as browser:
            measure_opening(browser, page)
            measure_keys(browser, page, answers)


def embedded_run(folder: Path, rows: int) -> Path:
    """Score the embedded corpus as often as needed."""
    data = (str(demo_corpus()),) * -(-rows // CORPUS_ROWS)
    score(RunConfig(model=demo_model(), data=data, output=folder / "run"))
    return folder / "run"


def kept(example: Example, names: Sequence[str]) -> Correction:
    """The answer that an example's given label is right, some time ago."""
    given = names[example.label]
    return Correction(example.id, example.row, example.text_hash, given, "keep", at="2026-01-01T00:00:00Z")


def measure_opening(browser: Any, file: Path) -> None:
    """Open the page again and again, each time in a fresh profile."""
    opened = []
    for _ in range(OPENINGS):
        context = browser.new_context()
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(file.as_uri())
        opened.append(page.evaluate(UNTIL_OPEN))
        context.close()
    print(f"opens in {statistics.median(opened):.0f} ms (median of {OPENINGS}; slowest {max(opened):.0f} ms)")


def measure_keys(browser: Any, file: Path, answers: Path) -> None:
    """Press each key some times on a page that is nearly all answered; then type a search."""
    page = browser.new_page()
    page.add_init_script(WATCH)
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.set_input_files("#load-file", str(answers))
    page.wait_for_selector("#toast.shown")
    print(f"with {page.inner_text('#reviewed')} rows answered:")
    for key, meaning in KEYS.items():
        print_waits(page, f"key {key} ({meaning})", key * PRESSES)
    page.focus("#search")
    print_waits(page, "a letter of a search", "order number")


def print_waits(page: Any, what: str, keys: str) -> None:
    """Press the keys one by one, each after the answer to the one before."""
    page.evaluate("waits.length = 0")
    for number, key in enumerate(keys, start=1):
        page.keyboard.press(key if key != " " else "Space")
        page.evaluate(UNTIL_ANSWERED, number)
    waits = page.evaluate("waits")
    print(
        f"{what:24} answers in {statistics.median(waits):.0f} ms (median of {len(waits)}; slowest {max(waits):.0f} ms)"
    )


if __name__ == "__main__":
    main()
