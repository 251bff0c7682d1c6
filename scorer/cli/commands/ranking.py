"""`scorer show` and `scorer rank`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from scorer.cli.terminal.common import console
from scorer.cli.terminal.help import Command, option
from scorer.config import RANKED_BY


@click.command(
    "show",
    cls=Command,
    short_help="Show the head of a ranking in the terminal.",
    examples=["scorer show scores --top 50", "scorer show scores --label Sports --full"],
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@option("--top", heading="Rows", type=click.IntRange(1), default=20, show_default=True, help="Rows to show.")
@option("--label", heading="Rows", metavar="NAME", help="Only rows given this label (name or index).")
@option("--predicted", heading="Rows", metavar="NAME", help="Only rows predicted to have this label.")
@option("--full", heading="Rows", is_flag=True, help="Show whole texts.")
def show_command(directory: Path, top: int, label: str | None, predicted: str | None, full: bool) -> None:
    """Show the head of a ranking in the terminal.

    DIR is the output of `scorer run`. Control characters in texts are shown, never acted on.
    """
    from scorer.cli.terminal.display import print_ranking
    from scorer.ranking.head import Selection, read_head

    rows = read_head(directory, Selection(top, label=label, predicted=predicted)).rows
    print_ranking(console(), rows, full=full)
    if not rows:
        click.echo("No row matches.")


@click.command(
    "rank",
    cls=Command,
    short_help="Rank a run's rows again, by loss or another score, or several runs' rows together.",
    examples=[
        "scorer rank scores --by normalized_margin",
        "scorer rank part-1 part-2 part-3 part-4 --output scores",
    ],
)
@click.argument("directories", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@option(
    "--by",
    heading="Ranking",
    type=click.Choice(RANKED_BY),
    default="loss",
    show_default=True,
    help="loss: highest first; self_confidence, normalized_margin: lowest first; entropy: highest first, whatever "
    "the given label.",
)
@option(
    "--ranked-top",
    heading="Ranking",
    type=click.IntRange(1),
    metavar="ROWS",
    help="Rank only so many of the most suspect rows. [default: all]",
)
@option(
    "--output",
    "-o",
    heading="Ranking",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Directory for the joined results of several DIR.",
)
def rank_command(directories: tuple[Path, ...], by: Any, ranked_top: int | None, output: Path | None) -> None:
    """Rank the score shards of a run again, or those of several runs together.

    DIR is the output of `scorer run`; its ranked.parquet is replaced. Texts are not scored again. Several DIR are runs
    of the parts of one data set (`scorer run --part I/N`); their rows are ranked together into OUT, with rejects and
    counts.
    """
    from scorer.cli.terminal.progress import TerminalListener
    from scorer.errors import UsageError
    from scorer.ranking.merging import merge
    from scorer.ranking.rank import rank
    from scorer.results.run_directory import RunDirectory

    listener = TerminalListener()
    if output is not None:
        file = merge(directories, output, by, ranked_top, listener)
    elif len(directories) > 1:
        raise UsageError("several directories are ranked together; say with --output OUT where to.")
    else:
        output = directories[0]
        with RunDirectory(output).held(listener.info) if output.is_dir() else contextlib.nullcontext():
            file = rank(output, by, top=ranked_top, notify=listener.info)
    click.echo(f"Ranked by {by}: {file}")
    click.echo(f"Next: scorer show {output}")
