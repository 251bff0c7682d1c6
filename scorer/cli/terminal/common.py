"""What several commands share: headings, and how they speak."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scorer.cli.terminal.help import F, option
from scorer.config import QUOTINGS

if TYPE_CHECKING:
    from rich.console import Console

    from scorer.results.run_report import RunReport

# Headings under which help groups the options.
DATA, LABELS, SPEED, OUTPUT = "Data", "Labels", "Speed and memory", "Output"


# How data and their labels are read, the same for every command that reads them: `scorer.config.DataConfig`.
_DATA_OPTIONS = (
    option("--text-column", heading=DATA, metavar="NAME", help="Column of the text. [default: guessed, and said]"),
    option("--text-pair-column", heading=DATA, metavar="NAME", help="Column of a pair's second text."),
    option("--label-column", heading=DATA, metavar="NAME", help="Column of the given label. [default: guessed]"),
    option(
        "--id-column",
        heading=DATA,
        metavar="NAME",
        help="Column of a stable row id, of any type; `none` takes the row's number. [default: `id`, or the row's "
        "number]",
    ),
    option("--config", "config_name", heading=DATA, metavar="NAME", help="Configuration of a hub data set."),
    option("--split", heading=DATA, help="Split of a hub data set, a saved DatasetDict, or a folder."),
    option("--revision", heading=DATA, help="Branch, tag or commit of a hub data set."),
    option(
        "--delimiter",
        heading=DATA,
        metavar="CHAR",
        help="Character between the fields of CSV and TSV, or tab. [default: found, and said]",
    ),
    option(
        "--quoting",
        heading=DATA,
        type=click.Choice(QUOTINGS),
        default="auto",
        show_default=True,
        help="Quotes within quoted fields of CSV and TSV: doubled, or behind a backslash; none: all quotes are text.",
    ),
    option(
        "--encoding",
        heading=DATA,
        metavar="NAME",
        help="Encoding of text files, such as cp1252. [default: UTF-8, or UTF-16 where it shows]",
    ),
    option(
        "--label-map",
        heading=LABELS,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="JSON object from labels of the data to labels of the model; null rejects a label's rows.",
    ),
    option(
        "--labels-by-index",
        heading=LABELS,
        is_flag=True,
        help="Take integer labels as the model's class indices, whatever their names.",
    ),
    option(
        "--write-label-map",
        heading=LABELS,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write a label map to edit, every label of the data with its best guess, and do nothing else.",
    ),
)


def data_options(command: F) -> F:
    """Options that say how data and their labels are read."""
    for each in reversed(_DATA_OPTIONS):
        command = each(command)
    return command


def say(message: str) -> None:
    """A line of progress; results go to stdout."""
    click.echo(message, err=True)


def console() -> Console:
    """A console that takes texts as they are."""
    from rich.console import Console

    return Console(highlight=False, markup=False)


def print_report(report: RunReport) -> None:
    """A finished run: its summary and its highest losses."""
    from scorer.cli.terminal.display import ranking_table, summary_lines
    from scorer.config import SUMMARY_ROWS
    from scorer.ranking.head import Selection, read_head

    for line in summary_lines(report):
        click.echo(line)
    rows = read_head(report.output, Selection(SUMMARY_ROWS)).rows
    terminal = console()
    terminal.print()
    terminal.print(ranking_table(rows, f"The {len(rows)} highest losses", terminal.width))
    terminal.print()
