"""`scorer corrections` and `scorer apply`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli.terminal.common import DATA, OUTPUT, console, data_options, say
from scorer.cli.terminal.help import Command, option

if TYPE_CHECKING:
    from scorer.review.answers.decisions import Decision
    from scorer.review.answers.errors_left import ErrorsLeft
    from scorer.review.answers.summary import Summary
    from scorer.review.correct.apply import Applied

MERGING = "Corrections"
# Refused corrections that are listed, and changes that a table shows, before they are only counted.
REFUSED_SHOWN = 20
CHANGES_SHOWN = 20
# Data files that a command in a message names.
DATA_SHOWN = 5

on_conflict = option(
    "--on-conflict",
    heading=MERGING,
    type=click.Choice(["majority", "error", "latest"]),
    default="majority",
    show_default=True,
    help="Where people disagree: most voices (a tie leaves the row as it is), stop, or the newest answer.",
)


@click.command(
    "corrections",
    cls=Command,
    short_help="Sum up what reviewers found.",
    examples=["scorer corrections corrections.jsonl", "scorer corrections ada.jsonl bo.jsonl --ranking scores"],
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@on_conflict
@option(
    "--ranking",
    heading=MERGING,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Output of the run that was reviewed: adds an estimate of the errors left.",
)
def corrections_command(files: tuple[Path, ...], on_conflict: Any, ranking: Path | None) -> None:
    """Sum up what reviewers found.

    FILES are corrections files, of any reviewing tool and any number of people. Shows how many rows were looked at
    and how many are wrong, how dense the head of the ranking is in errors, and which labels were taken for which.
    """
    from scorer.review.answers.corrections import read_corrections
    from scorer.review.answers.decisions import merge
    from scorer.review.answers.errors_left import estimate_errors_left
    from scorer.review.answers.summary import summarize

    answers = read_corrections(files).answers
    decisions = merge(answers, on_conflict)
    summary = summarize(answers, decisions)
    for line in _summary_lines(summary):
        click.echo(line)
    for line in conflicts(decisions):
        click.echo(line)
    _print_tables(summary)
    if ranking is not None:
        click.echo()
        click.echo(_errors_left_line(estimate_errors_left(ranking, decisions, click.echo)))


@click.command(
    "apply",
    cls=Command,
    short_help="Apply corrections to a data set.",
    examples=[
        "scorer apply corrections.jsonl train.parquet -o corrected.parquet",
        "scorer apply ada.jsonl bo.jsonl 'data/*.csv' -o corrected --drop --keep-original",
        "scorer apply ada.jsonl bo.jsonl --data train.csv --data test.csv -o corrected",
        "scorer apply corrections.jsonl fancyzhx/ag_news --split train -o corrected --push-to-hub me/ag-news",
    ],
)
@click.argument("files", metavar="CORRECTIONS... [DATA]", nargs=-1, required=True)
@option(
    "--data",
    heading=DATA,
    multiple=True,
    metavar="DATA",
    help="What was scored; repeatable, for several files or folders. [default: the last argument]",
)
@on_conflict
@option("--drop", heading=MERGING, is_flag=True, help="Leave out rows that people want dropped.")
@data_options
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="The file to write; a folder for several files (subfolders are kept) and for data sets of `datasets`.",
)
@option(
    "--keep-original",
    heading=OUTPUT,
    is_flag=True,
    help="Add original_label, as the data had it, and corrected_label, as people decided (empty where nobody did).",
)
@option("--as-datasets", heading=OUTPUT, is_flag=True, help="Write a folder that `datasets` loads, whatever DATA is.")
@option(
    "--push-to-hub",
    heading=OUTPUT,
    metavar="REPO",
    help="Upload the result, written as --as-datasets does, as a private data set with a card that says what changed.",
)
def apply_command(
    files: tuple[str, ...],
    data: tuple[str, ...],
    push_to_hub: str | None,
    as_datasets: bool,
    write_label_map: Path | None,
    **options: Any,
) -> None:
    """Apply corrections to a data set.

    CORRECTIONS are one or more corrections files, DATA what was scored: a file, a glob, a folder, a saved data set or
    a hub id; several with --data. Rows are found by their id, text and given label, or without an id by text and label;
    a row whose text or label has changed since it was judged is refused and named. OUT has the form of DATA, with every
    untouched row as it was.
    """
    from scorer.cli.terminal.progress import TerminalListener
    from scorer.review.answers.corrections import read_corrections
    from scorer.review.correct import apply
    from scorer.review.correct.apply import ApplyConfig, apply_corrections
    from scorer.review.correct.card import card_text

    corrections, data = _arguments(files, data, options["output"])
    config = ApplyConfig(
        corrections=corrections, data=data, as_datasets=as_datasets or push_to_hub is not None, **options
    )
    if write_label_map is not None:
        click.echo(apply.write_label_map(config, write_label_map, TerminalListener()))
        return
    applied = apply_corrections(config, TerminalListener(doing="matching"))
    for line in (*_applied_lines(applied), *conflicts(applied.decisions)):
        click.echo(line)
    click.echo(f"Corrected data: {applied.output}")
    if push_to_hub is not None:
        from scorer.review.correct.datasets_folder import push_folder

        read = read_corrections(corrections)
        say(f"Uploading to {push_to_hub}.")
        address = push_folder(applied.output, push_to_hub, card_text(applied, data, read.model, read.answers))
        click.echo(f"Uploaded: {address}")


def _arguments(files: tuple[str, ...], data: tuple[str, ...], output: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Corrections and data: the last argument is the data where no --data says it.

    Raises:
        UsageError: one stands in the other's place; the message says the command that was meant.
    """
    from scorer.errors import UsageError
    from scorer.review.answers.corrections import holds_corrections
    from scorer.sources.locate import is_data

    corrections, data = (files, data) if data else (files[:-1], files[-1:])
    swapped = [item for item in corrections if is_data(item) and not _may_be_corrections(item)]
    answers = [item for item in data if holds_corrections(item)]
    if corrections and not swapped and not answers:
        return tuple(map(Path, corrections)), data
    right = [item for item in (*corrections, *answers) if item not in swapped]
    what = [f"'{item}' is data, not corrections" for item in swapped[:1]]
    what += [f"'{item}' holds corrections and is no data" for item in answers[:1]]
    meant = [item for item in (*swapped, *data) if item not in answers]
    words = ["scorer", "apply", *(right or ["CORRECTIONS"])]
    for item in meant[:DATA_SHOWN] or ["DATA"]:
        words += ["--data", item]
    more = " …" if len(meant) > DATA_SHOWN else ""
    raise UsageError(
        f"{' and '.join(what) or 'there are no corrections'}. Name corrections first and data with --data: "
        f"{shlex.join(words)}{more} -o {shlex.quote(str(output))}"
    )


def _may_be_corrections(item: str) -> bool:
    """Whether a file holds corrections, or is JSON Lines that are empty or damaged."""
    from scorer.review.answers.corrections import holds_corrections

    holds = holds_corrections(item)
    return holds or (holds is None and Path(item).suffix.lower() in {".json", ".jsonl", ".ndjson"})


def conflicts(decisions: Sequence[Decision]) -> list[str]:
    """Disagreements for a person: how many, and the first of them."""
    from scorer.review.answers.decisions import conflict_lines
    from scorer.system.visible_text import visible

    disputed = [decision for decision in decisions if decision.disputed]
    if not disputed:
        return []
    ties = sum(decision.verdict is None for decision in disputed)
    lines = conflict_lines(disputed).split("\n")
    return [f"People disagree on {len(disputed):,} rows; on {ties:,} of them nothing decides:", *map(visible, lines)]


def _summary_lines(summary: Summary) -> list[str]:
    counts = summary.verdicts
    people = f" by {summary.people:,} people" if summary.people else ""
    share = f" ({summary.wrong / summary.decided:.1%} of those decided)" if summary.decided else ""
    return [
        f"{summary.answers:,} answers{people} on {summary.rows:,} rows.",
        f"Wrong: {summary.wrong:,}{share}: {counts['relabel']:,} with another label, {counts['drop']:,} to drop. "
        f"Right: {counts['keep']:,}. Undecided: {counts['unsure']:,} unsure, {counts[None]:,} in dispute.",
    ]


def _print_tables(summary: Summary) -> None:
    from rich.table import Table
    from rich.text import Text

    from scorer.system.visible_text import visible

    terminal = console()
    if summary.precision:
        depths = Table(
            "first", "decided", "wrong", "precision", "95% interval", title="Errors in the head", pad_edge=False
        )
        for at in summary.precision:
            share = f"{at.wrong / at.decided:.1%}" if at.decided else ""
            depths.add_row(f"{at.k:,}", f"{at.decided:,}", f"{at.wrong:,}", share, f"{at.low:.1%} to {at.high:.1%}")
        terminal.print()
        terminal.print(depths)
    if summary.relabelled:
        changes = Table("given", "corrected", "rows", title="Labels taken for others", pad_edge=False)
        for (given, corrected), rows in summary.relabelled.most_common(CHANGES_SHOWN):
            changes.add_row(Text(visible(given)), Text(visible(corrected)), f"{rows:,}")
        terminal.print()
        terminal.print(changes)


def _errors_left_line(left: ErrorsLeft | None) -> str:
    if left is None:
        return "Errors left: too few rows are decided, or all alike, to estimate."
    return (
        f"Errors left: about {left.errors:,.0f} among the {left.rows:,} rows that nobody has decided on (95% interval "
        f"{left.low:,.0f} to {left.high:,.0f}), {left.next_hundred:,.0f} of them in the next hundred. The estimate "
        "carries the head's pattern on to rows that nobody has seen."
    )


def _applied_lines(applied: Applied) -> list[str]:
    from scorer.system.visible_text import visible

    by = {how: sum(match.found_by == how for match in applied.matches) for how in ("id", "text hash")}
    lines = [
        f"{len(applied.decisions):,} rows were judged: {by['id']:,} found by id, {by['text hash']:,} by text hash, "
        f"{len(applied.refused):,} refused.",
        f"{sum(applied.changed.values()):,} of {applied.rows:,} rows have another label now"
        + (f", {applied.already:,} had the right one before" if applied.already else "")
        + (f", {applied.dropped:,} were left out." if applied.dropped else "."),
    ]
    if applied.alike:
        rows = sum(len(match.rows) for match in applied.alike)
        lines.append(
            f"{len(applied.alike):,} of the decisions stand for {rows:,} rows: rows of the same id, text and label "
            "(where there is no id, of the same text and label) were decided together."
        )
    for match in applied.refused[:REFUSED_SHOWN]:
        judged = match.decision.first
        lines.append(visible(f"  refused: id {judged.id} (row {judged.row:,} of the run): {match.refused}"))
    if len(applied.refused) > REFUSED_SHOWN:
        lines.append(f"  … and {len(applied.refused) - REFUSED_SHOWN:,} more")
    return lines
