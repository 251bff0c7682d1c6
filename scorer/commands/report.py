"""`scorer report`."""

from __future__ import annotations

from pathlib import Path

import click

from scorer.commands.common import OUTPUT, say
from scorer.commands.help import Command, option

PAGE = "report.html"


@click.command(
    "report",
    cls=Command,
    short_help="Write a page to review the head of a ranking in the browser.",
    examples=["scorer report scores", "scorer report scores --top 2000 --output review.html --plots pictures"],
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@option("--top", heading="Rows", type=click.IntRange(1), default=500, show_default=True, help="Rows on the page.")
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The page; an earlier one is replaced. [default: {PAGE} in DIR]",
)
@option("--title", heading=OUTPUT, metavar="TEXT", help="Heading of the page. [default: the name of the data]")
def report_command(directory: Path, top: int, output: Path | None, title: str | None) -> None:
    """Write a page to review the head of a ranking in the browser.

    DIR is the output of `scorer run`. The page is one file that works from disk and asks the network for nothing;
    answers stay in the browser and are downloaded as a corrections file for `scorer apply`.
    """
    from scorer.review.examples import read_examples
    from scorer.review.page import render_page, write_page
    from scorer.review.statistics import ranking_figures

    examples = read_examples(directory, top)
    figures = ranking_figures(directory, top)
    target = output or directory / PAGE
    write_page(target, render_page(examples, title=title or examples.name, about=figures.to_json()))
    click.echo(f"Page with {len(examples.items):,} of {examples.rows:,} rows: {target}")
    say("Open it in a browser; then: scorer apply corrections.jsonl DATA -o corrected")
