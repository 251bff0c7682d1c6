"""`scorer show` and `scorer rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scorer.commands.common import console
from scorer.commands.help import Command, option
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
    from scorer.display import print_ranking
    from scorer.ranking import head

    rows = head(directory, top, label=label, predicted=predicted)
    print_ranking(console(), rows, full=full)
    if not rows:
        click.echo("No row matches.")


@click.command(
    "rank",
    cls=Command,
    short_help="Rank a run's rows again, by loss or another score.",
    examples=["scorer rank scores --by normalized_margin"],
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@option(
    "--by",
    heading="Ranking",
    type=click.Choice(RANKED_BY),
    default="loss",
    show_default=True,
    help="loss: highest first; self_confidence, normalized_margin: lowest first; entropy: highest first, whatever "
    "the given label.",
)
def rank_command(directory: Path, by: Any) -> None:
    """Rank the score shards of a run again.

    DIR is the output of `scorer run`; its ranked.parquet is replaced. Texts are not scored again.
    """
    from scorer.ranking import rank

    file = rank(directory, by)
    click.echo(f"Ranked by {by}: {file}")
    click.echo(f"Next: scorer show {directory}")
