"""`scorer to-argilla` and `scorer from-argilla`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli.terminal.common import OUTPUT, say
from scorer.cli.terminal.help import Command, F, option

if TYPE_CHECKING:
    from scorer.review.argilla.access import Access
    from scorer.review.argilla.records import Record

ROWS, RECORDS, SERVER = "Rows", "Records", "Server"
# Records that --dry-run shows.
DRY_RUN_RECORDS = 3
LONGEST_GUIDELINES = 10_000  # characters that the server takes


def server_options(command: F) -> F:
    """The options that say where a data set is."""
    decorators: list[Callable[[F], F]] = [
        option("--dataset", "dataset_name", heading=SERVER, metavar="NAME", required=True, help="The data set's name."),
        option(
            "--workspace",
            heading=SERVER,
            metavar="NAME",
            envvar="ARGILLA_WORKSPACE",
            help="Workspace of the data set. [default: the only one that the user has]",
        ),
        option(
            "--api-url",
            heading=SERVER,
            metavar="URL",
            envvar="ARGILLA_API_URL",
            default="http://localhost:6900",
            help="The server. [default: ARGILLA_API_URL, else http://localhost:6900]",
        ),
        option(
            "--api-key",
            heading=SERVER,
            metavar="KEY",
            envvar="ARGILLA_API_KEY",
            default="",
            help="The user's key. Better in ARGILLA_API_KEY, where no process list shows it.",
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@click.command(
    "to-argilla",
    cls=Command,
    short_help="Bring the head of a ranking to Argilla for review.",
    examples=[
        "scorer to-argilla scores --dataset news-review --top 500",
        "scorer to-argilla scores --dataset news-review --per-class 100 --label-source crowd --dry-run",
        "scorer to-argilla scores --dataset news-review --output records.jsonl",
    ],
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@option("--top", heading=ROWS, type=click.IntRange(1), metavar="ROWS", help="At most so many rows. [default: 500]")
@option("--min-loss", heading=ROWS, type=float, metavar="NATS", help="Only rows with at least this loss.")
@option("--label", heading=ROWS, metavar="NAME", help="Only rows given this label (name or index).")
@option("--per-class", heading=ROWS, type=click.IntRange(1), metavar="ROWS", help="So many rows of each given label.")
@option(
    "--suggest",
    heading=RECORDS,
    type=click.Choice(["predicted", "given"]),
    default="predicted",
    show_default=True,
    help="The label that is suggested, with its probability.",
)
@option(
    "--agent", heading=RECORDS, metavar="NAME", help="Who predicts, as Argilla shows it. [default: the model's name]"
)
@option("--label-source", heading=RECORDS, metavar="NAME", help="Who gave the labels in the data, as metadata.")
@option(
    "--guidelines",
    heading=RECORDS,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What annotators read in a new data set. [default: a few sentences on what the records are]",
)
@option(
    "--annotators",
    heading=RECORDS,
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="People who must answer a record of a new data set before it is done.",
)
@server_options
@option("--dry-run", heading=OUTPUT, is_flag=True, help="Show the settings and the first records, and send nothing.")
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the records as JSON Lines instead, without a server.",
)
def to_argilla_command(directory: Path, dataset_name: str, **options: Any) -> None:
    """Bring the head of a ranking to Argilla for review.

    DIR is the output of `scorer run`. Each row becomes a record with its text, its given label, the model's
    suggestion, and loss, rank and more to sort and filter by. Pushing again brings records up to date and keeps
    every answer; a push that broke off is resumed.
    """
    from scorer.ranking.head import Selection, read_head
    from scorer.review.argilla.push import push, settings_lines, write_records
    from scorer.review.argilla.records import clean_agent, make_records, settings_for

    chosen = {name: options[name] for name in ("top", "min_loss", "label", "per_class")}
    head = read_head(directory, Selection(**chosen, distinct=True), to_judge=True)
    source = options["label_source"]
    settings = settings_for(head)
    agent = clean_agent(options["agent"] or head.model)
    records = make_records(head, agent=agent, suggest=options["suggest"], label_source=source)
    guidelines = _read_guidelines(options["guidelines"])
    if head.duplicates:
        say(f"{head.duplicates:,} rows repeat id, text and given label of a row above them and are left out.")
    if options["dry_run"]:
        _show(settings_lines(settings), records)
        return
    if options["output"] is not None:
        write_records(options["output"], records)
        click.echo(f"Wrote {len(records):,} records to '{options['output']}'.")
        return
    from scorer.cli.terminal.progress import TerminalListener

    pushed = push(
        _access(options),
        dataset_name,
        settings,
        records,
        guidelines=guidelines,
        annotators=options["annotators"],
        by_loss=head.ranked_by == "loss",
        listener=TerminalListener(doing="sending", unit="records"),
    )
    click.echo(
        f"{len(records):,} records: {pushed.created:,} new, {pushed.updated:,} updated, {pushed.unchanged:,} as they "
        f"were. '{dataset_name}' holds {pushed.total:,} records."
    )
    click.echo(f"Review: {pushed.link}")
    click.echo(f"Then:   scorer from-argilla --dataset {dataset_name} -o corrections.jsonl")


@click.command(
    "from-argilla",
    cls=Command,
    short_help="Read people's answers from Argilla into a corrections file.",
    examples=["scorer from-argilla --dataset news-review -o corrections.jsonl"],
)
@server_options
@option("--drafts", heading="Answers", is_flag=True, help="Take drafts, too.")
@option("--user", "users", heading="Answers", multiple=True, metavar="NAME", help="Only this person's; repeatable.")
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The corrections file (JSON Lines).",
)
def from_argilla_command(dataset_name: str, drafts: bool, users: tuple[str, ...], output: Path, **access: Any) -> None:
    """Read people's answers from Argilla into a corrections file.

    Every answer of every person becomes a line. A discarded record counts as looked at and undecided. Where people
    disagree the majority decides when the file is applied; the disagreements are listed here.
    """
    from scorer.cli.commands.corrections import conflicts
    from scorer.cli.terminal.progress import TerminalListener
    from scorer.review.answers.corrections import write_corrections
    from scorer.review.answers.decisions import merge
    from scorer.review.argilla.pull import pull

    pulled = pull(_access(access), dataset_name, drafts=drafts, users=users, listener=TerminalListener())
    write_corrections(output, pulled.label_names, pulled.answers, model=pulled.model)
    decisions = merge(pulled.answers)
    people = len({answer.annotator for answer in pulled.answers})
    click.echo(
        f"{len(pulled.answers):,} answers by {people} people on {len(decisions):,} of {pulled.records:,} records"
        + (f"; {pulled.drafts:,} drafts were left out (--drafts takes them)." if pulled.drafts else ".")
    )
    for line in conflicts(decisions):
        click.echo(line)
    click.echo(f"Corrections: {output}")
    click.echo(f"Next: scorer corrections {output}; scorer apply {output} DATA -o OUT")


def _access(options: Mapping[str, Any]) -> Access:
    from scorer.review.argilla.access import Access

    return Access(options["api_url"], options["api_key"].strip(), options["workspace"])


def _read_guidelines(file: Path | None) -> str | None:
    from scorer.errors import DataError, UsageError

    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the guidelines '{file}': {error}.") from error
    if not 1 <= len(text) <= LONGEST_GUIDELINES:
        raise UsageError(
            f"the guidelines '{file}' have {len(text):,} characters; Argilla takes 1 to {LONGEST_GUIDELINES:,}."
        )
    return text


def _show(settings: Sequence[str], records: Sequence[Record]) -> None:
    """What would be sent."""
    import json

    from scorer.system.visible_text import visible

    shown = [json.dumps(record.to_dict(), ensure_ascii=False) for record in records[:DRY_RUN_RECORDS]]
    for line in (*settings, f"Records:   {len(records):,}, of which the first:", *shown):
        click.echo(visible(line))
