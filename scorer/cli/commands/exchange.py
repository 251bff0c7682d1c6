"""`scorer to-csv`, `scorer to-label-studio` and `scorer from-label-studio`."""

from __future__ import annotations

from pathlib import Path

import click

from scorer.cli.terminal.common import OUTPUT, say
from scorer.cli.terminal.help import Command, option

directory_argument = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
top_option = option(
    "--top", heading="Rows", type=click.IntRange(1), default=500, show_default=True, help="Rows to write."
)


@click.command(
    "to-csv",
    cls=Command,
    short_help="Write the head of a ranking as a table for spreadsheets.",
    examples=["scorer to-csv scores -o head.csv", "scorer to-csv scores --top 2000 --bom -o head.csv"],
)
@directory_argument
@top_option
@option(
    "--output", "-o", heading=OUTPUT, required=True, type=click.Path(path_type=Path), metavar="FILE", help="The table."
)
@option("--bom", heading=OUTPUT, is_flag=True, help="Start with a byte order mark, as Excel wants it for UTF-8.")
def to_csv_command(directory: Path, top: int, output: Path, bom: bool) -> None:
    """Write the head of a ranking as a table for spreadsheets.

    DIR is the output of `scorer run`. Cells that a spreadsheet would run as a formula get an apostrophe in front, and
    control characters become visible: a table to look at, not to join with.
    """
    from scorer.review.examples import read_examples
    from scorer.review.files.spreadsheet import write_csv

    examples = read_examples(directory, top)
    write_csv(examples, output, bom=bom)
    click.echo(f"Table of {len(examples.items):,} rows: {output}")


@click.command(
    "to-label-studio",
    cls=Command,
    short_help="Write the head of a ranking as tasks for Label Studio.",
    examples=["scorer to-label-studio scores -o label-studio"],
)
@directory_argument
@top_option
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Receives tasks.json and config.xml.",
)
def to_label_studio_command(directory: Path, top: int, output: Path) -> None:
    """Write the head of a ranking as tasks for Label Studio.

    DIR is the output of `scorer run`. FOLDER receives tasks.json, each task with the predicted label as a prediction,
    and config.xml, the labelling configuration that goes with them.
    """
    from scorer.review.examples import read_examples
    from scorer.review.files.label_studio import write_tasks

    examples = read_examples(directory, top)
    tasks, config = write_tasks(examples, output)
    click.echo(f"{len(examples.items):,} tasks: {tasks}")
    click.echo(f"Labelling configuration: {config}")
    say("Make a project with that configuration and import the tasks; later export it as JSON, and then:")
    say(f"scorer from-label-studio EXPORT.json {directory} -o corrections.jsonl")


@click.command(
    "from-label-studio",
    cls=Command,
    short_help="Turn an export of Label Studio into corrections.",
    examples=["scorer from-label-studio export.json scores -o corrections.jsonl"],
)
@click.argument("export", metavar="EXPORT", type=click.Path(path_type=Path))
@directory_argument
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The corrections file.",
)
def from_label_studio_command(export: Path, directory: Path, output: Path) -> None:
    """Turn an export of Label Studio into corrections.

    EXPORT is the project's export as JSON or JSON-MIN, DIR the output of `scorer run` that the tasks were made of.
    Skipped tasks count as unsure.
    """
    from scorer.review.answers.corrections import write_corrections
    from scorer.review.examples import read_examples
    from scorer.review.files.label_studio import read_annotations

    run = read_examples(directory, 1)
    corrections = read_annotations(export, run.label_names)
    write_corrections(output, run.label_names, corrections, model=run.model)
    click.echo(f"{len(corrections):,} answers: {output}")
    say(f"Next: scorer apply {output} DATA -o corrected")
