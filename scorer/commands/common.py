"""What several commands share: headings, and how they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from scorer.report import RunReport

# Headings under which help groups the options.
DATA, LABELS, SPEED, OUTPUT = "Data", "Labels", "Speed and memory", "Output"


def say(message: str) -> None:
    """A line of progress; results go to stdout."""
    click.echo(message, err=True)


def console() -> Console:
    """A console that takes texts as they are."""
    from rich.console import Console

    return Console(highlight=False, markup=False)


def print_report(report: RunReport) -> None:
    """A finished run: its summary and its highest losses."""
    from scorer.config import SUMMARY_ROWS
    from scorer.display import ranking_table, summary_lines
    from scorer.ranking import head

    for line in summary_lines(report):
        click.echo(line)
    rows = head(report.output, SUMMARY_ROWS)
    terminal = console()
    terminal.print()
    terminal.print(ranking_table(rows, f"The {len(rows)} highest losses", terminal.width))
    terminal.print()
