"""`scorer report`."""

from __future__ import annotations

from pathlib import Path

import click

from scorer.cli.terminal.common import OUTPUT, say
from scorer.cli.terminal.help import Command, option
from scorer.config import PAGE_FILE


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
    help=f"The page; an earlier one is replaced. [default: {PAGE_FILE} in DIR]",
)
@option(
    "--plots",
    heading=OUTPUT,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Also write the pictures as files into this folder.",
)
@option(
    "--plot-format",
    heading=OUTPUT,
    type=click.Choice(("png", "svg")),
    default="png",
    show_default=True,
    help="Format of those files.",
)
@option("--title", heading=OUTPUT, metavar="TEXT", help="Heading of the page. [default: the name of the data]")
def report_command(
    directory: Path, *, top: int, output: Path | None, plots: Path | None, plot_format: str, title: str | None
) -> None:
    """Write a page to review the head of a ranking in the browser.

    DIR is the output of `scorer run`. The page is one file that works from disk and asks the network for nothing;
    answers stay in the browser and are downloaded as a corrections file for `scorer apply`.
    """
    from scorer.errors import MissingExtraError
    from scorer.review.examples import read_examples
    from scorer.review.page.page import render_page, write_page
    from scorer.review.pictures.pictures import draw_svg, write_plots
    from scorer.review.pictures.statistics import ranking_figures

    examples = read_examples(directory, top)
    figures = ranking_figures(directory, top)
    if plots is not None:
        write_plots(figures, plots, plot_format)
    try:
        drawn = draw_svg(figures)
    except MissingExtraError as error:
        say(f"The page has no pictures. {error}")
        drawn = {}
    target = output or directory / PAGE_FILE
    write_page(target, render_page(examples, title=title or examples.name, about=figures.to_json(), drawn=drawn))
    click.echo(f"Page with {len(examples.items):,} of {examples.rows:,} rows: {target}")
    if plots is not None:
        click.echo(f"Pictures: {plots}")
    say("Open it in a browser; then: scorer apply corrections.jsonl DATA -o corrected")
