"""What several commands share: headings, and how they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scorer.cli.terminal.help import F, option
from scorer.config import QUOTINGS

if TYPE_CHECKING:
    from rich.console import Console

    from scorer.results.run_report import RunReport

# Headings under which help groups the options.
DATA, LABELS, SPEED, OUTPUT = "Data", "Labels", "Speed and memory", "Output"


def text_options(command: F) -> F:
    """Options that say how text files are written."""
    delimiter = option(
        "--delimiter",
        heading=DATA,
        metavar="CHAR",
        help="Character between the fields of CSV and TSV, or tab. [default: found, and said]",
    )
    quoting = option(
        "--quoting",
        heading=DATA,
        type=click.Choice(QUOTINGS),
        default="auto",
        show_default=True,
        help="Quotes within quoted fields of CSV and TSV: doubled, or behind a backslash; none: all quotes are text.",
    )
    encoding = option(
        "--encoding",
        heading=DATA,
        metavar="NAME",
        help="Encoding of text files, such as cp1252. [default: UTF-8, or UTF-16 where it shows]",
    )
    return delimiter(quoting(encoding(command)))


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
    from scorer.ranking.rank import head

    for line in summary_lines(report):
        click.echo(line)
    rows = head(report.output, SUMMARY_ROWS)
    terminal = console()
    terminal.print()
    terminal.print(ranking_table(rows, f"The {len(rows)} highest losses", terminal.width))
    terminal.print()
