"""The command line: parse, build a configuration, make one call, print.

No logic, and no heavy import before a command needs it.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli_help import Command, option
from scorer.config import DEFAULT_BATCH_TOKENS, PROVIDERS, RANKED_BY, RunConfig
from scorer.errors import ScorerError

if TYPE_CHECKING:
    from rich.console import Console

    from scorer.report import RunReport

INTERRUPTED = 130

DATA, LABELS, SPEED, OUTPUT = "Data", "Labels", "Speed and memory", "Output"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="scorer", prog_name="scorer")
def cli() -> None:
    """Find wrong labels in text data sets by a model's loss.

    Export a fine-tuned classifier once, score a labelled corpus with it, and look at the head of the ranking: rows
    whose given label costs the model the most are full of label errors. Start with `scorer demo`.
    """


@cli.command(
    "export-onnx",
    cls=Command,
    short_help="Export a fine-tuned classifier to a model directory.",
    examples=[
        "scorer export-onnx textattack/bert-base-uncased-ag-news model",
        "scorer export-onnx ./my-checkpoint model --precision int8 --calibration sample.txt",
    ],
)
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@option(
    "--optimize",
    heading="Graph",
    type=click.Choice(["none", "O1", "O2", "O3"]),
    default="O2",
    show_default=True,
    help="Graph optimization: O1 general, O2 also fuses attention and GELU, O3 also approximates GELU.",
)
@option(
    "--precision",
    heading="Graph",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Number format of the weights; fp16 is meant for CUDA.",
)
@option(
    "--max-length",
    heading="Graph",
    type=int,
    metavar="TOKENS",
    help="Tokens that runs keep of each text. [default: what the model takes, at most 512]",
)
@option("--revision", heading="Checkpoint", help="Branch, tag or commit of a hub model. [default: main]")
@option(
    "--trust-remote-code",
    heading="Checkpoint",
    is_flag=True,
    help="Run code that comes with the checkpoint. Only for checkpoints whose code you have read.",
)
@option(
    "--calibration",
    heading="Parity",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Texts to prove parity on: one per line, or .jsonl, .csv, .parquet with a column `text`. "
    "[default: a few dozen built-in texts in many languages]",
)
@option("--overwrite", heading=OUTPUT, is_flag=True, help="Replace an earlier export in OUT.")
def export_onnx_command(model: str, out: Path, **options: Any) -> None:
    """Export a fine-tuned classifier to a model directory.

    MODEL is a hub id or the folder of a checkpoint with a classification head for one label per text. OUT receives
    model.onnx, tokenizer.json, config.json and scorer.json. ONNX Runtime's answers are compared with PyTorch's
    before OUT appears; if they differ by more than the precision allows, nothing is written.
    """
    from scorer.export import ExportConfig, export_onnx

    directory = export_onnx(ExportConfig(model=model, output=out, **options), notify=_say)
    contract = directory.contract
    click.echo(
        f"Exported {contract.source} to '{out}': {contract.architecture}, {contract.precision}, "
        f"{contract.optimize}, {len(contract.label_names)} labels, at most {contract.max_length} tokens."
    )
    click.echo(
        f"Parity with PyTorch on {contract.parity.texts} texts: logits within "
        f"{contract.parity.max_logit_difference:.1e}, loss within {contract.parity.max_loss_difference:.1e} nats "
        f"(tolerance {contract.parity.tolerance:.0e})."
    )
    click.echo(f"Next: scorer run {out} DATA --output DIR")


@cli.command(
    "run",
    cls=Command,
    short_help="Score a labelled corpus and rank it by loss.",
    examples=[
        "scorer run model train.parquet --output scores",
        "scorer run model 'data/*.csv.gz' --output scores --text-column review --label-column stars",
        "scorer run model fancyzhx/ag_news --split train --output scores",
    ],
)
@click.argument("model_dir", type=click.Path(path_type=Path))
@click.argument("data", nargs=-1, required=True)
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory for the results.",
)
@option("--text-column", heading=DATA, metavar="NAME", help="Column of the text. [default: guessed, and said]")
@option("--text-pair-column", heading=DATA, metavar="NAME", help="Column of a pair's second text.")
@option("--label-column", heading=DATA, metavar="NAME", help="Column of the given label. [default: guessed]")
@option("--id-column", heading=DATA, metavar="NAME", help="Column of a stable row id. [default: `id`, or the row]")
@option("--config", "config_name", heading=DATA, metavar="NAME", help="Configuration of a hub data set.")
@option("--split", heading=DATA, help="Split of a hub data set or of a saved DatasetDict.")
@option("--revision", heading=DATA, help="Branch, tag or commit of a hub data set.")
@option("--limit", heading=DATA, type=int, metavar="ROWS", help="Score only the first rows.")
@option(
    "--label-map",
    heading=LABELS,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON object from labels of the data to labels of the model; null rejects a label's rows.",
)
@option(
    "--labels-by-index",
    heading=LABELS,
    is_flag=True,
    help="Take integer labels as the model's class indices, whatever their names.",
)
@option(
    "--max-batch-tokens",
    heading=SPEED,
    type=int,
    metavar="TOKENS",
    help="Cap on padded tokens per batch, rows times longest. "
    f"[default: {DEFAULT_BATCH_TOKENS['cpu']:,} on a CPU, {DEFAULT_BATCH_TOKENS['cuda']:,} on CUDA, at least one text]",
)
@option(
    "--max-length",
    heading=SPEED,
    type=int,
    metavar="TOKENS",
    help="Tokens kept of each text, special tokens included. [default: the model directory's]",
)
@option(
    "--provider",
    heading=SPEED,
    type=click.Choice(PROVIDERS),
    default="auto",
    show_default=True,
    help="Where to run; auto takes CUDA where it starts.",
)
@option("--threads", heading=SPEED, type=int, help="Threads that compute. [default: all that are allowed]")
@option("--overwrite", heading=OUTPUT, is_flag=True, help="Replace an earlier run's results in DIR.")
@option("--no-text", heading=OUTPUT, is_flag=True, help="Leave the texts out of the results.")
@option("--json", "as_json", heading=OUTPUT, is_flag=True, help="Print the summary as one JSON object on stdout.")
def run_command(model_dir: Path, data: tuple[str, ...], no_text: bool, as_json: bool, **options: Any) -> None:
    """Score a labelled corpus and rank it by loss.

    MODEL_DIR is what `scorer export-onnx` wrote. DATA is one or more files, globs or folders of Parquet, Arrow, CSV,
    TSV or JSON Lines (.gz, .zst, .bz2 too), a folder saved by `datasets`, or the id of a hub data set.

    DIR receives ranked.parquet (highest loss first), scores/ (input order), rejects.parquet (rows that cannot be
    scored, with the reason) and run.json (counts, timings, versions).
    """
    from scorer.progress import TerminalListener
    from scorer.run import score

    config = RunConfig(model=model_dir, data=data, keep_text=not no_text, **options)
    report = score(config, TerminalListener())
    if as_json:
        click.echo(json.dumps(report.to_dict()))
        return
    _print_report(report)
    click.echo(f"Ranking: {config.output / 'ranked.parquet'}")
    click.echo(f"Next: scorer show {config.output}")


@cli.command(
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
    print_ranking(_console(), rows, full=full)
    if not rows:
        click.echo("No row matches.")


@cli.command(
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


@cli.command(
    "doctor", cls=Command, short_help="Show what this machine offers, and what is missing.", examples=["scorer doctor"]
)
def doctor_command() -> None:
    """Show versions, what starts on this machine, and what to install for what is missing.

    Every execution provider is tried on a real session. Exits with 6 when none starts.
    """
    from scorer.doctor import diagnose, diagnosis_lines
    from scorer.errors import ProviderError

    found = diagnose()
    click.echo("\n".join(diagnosis_lines(found)))
    if not found.can_score:
        sys.exit(ProviderError.exit_code)


@cli.command(
    "demo", cls=Command, short_help="Do the main job on an embedded model and corpus.", examples=["scorer demo"]
)
@option(
    "--output",
    "-o",
    heading=OUTPUT,
    type=click.Path(path_type=Path),
    default=Path("scorer-demo"),
    show_default=True,
    metavar="DIR",
    help="Directory for the results; an earlier demo's are replaced.",
)
def demo_command(output: Path) -> None:
    """Do the main job on a model and a corpus that come with the package.

    Offline, without PyTorch, in under a minute: a small classifier scores 4,000 texts, of which 3 in 100 were given a
    wrong label on purpose, and the ranking is held against the list of them.
    """
    from scorer.demo import demo_corpus, demo_model, run_demo
    from scorer.progress import TerminalListener

    _say(f"Scoring {demo_corpus()}")
    _say(f"with     {demo_model()}")
    result = run_demo(output, TerminalListener())
    _print_report(result.report)
    click.echo(
        f"{result.found} of the {result.planted} planted label errors ({result.found / result.planted:.0%}) stand "
        f"among the first {result.planted} rows of the ranking."
    )
    click.echo(f"Files: {output / 'ranked.parquet'}, {output / 'scores'}, {output / 'run.json'}")
    click.echo(f"Next: scorer show {output} --top 20")
    click.echo("Then your own: scorer export-onnx MODEL model && scorer run model DATA --output scores")


def main() -> None:
    """Run the command; a user's mistake ends in a message and an exit code, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Unicode shows escapes, and goes on
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli.main(prog_name="scorer", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ScorerError as error:
        from scorer.display import visible

        message = "\n".join(visible(line) for line in str(error).split("\n"))
        click.echo(f"Error: {message}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # the system refuses something that nobody foresaw, such as a name too long
        from scorer.display import excerpt

        reason = error.strerror or str(error) or type(error).__name__
        at = f": '{excerpt(str(error.filename), 200)}'" if error.filename else ""
        click.echo(f"Error: {excerpt(reason, 500)}{at}", err=True)
        sys.exit(ScorerError.exit_code)


def _say(message: str) -> None:
    click.echo(message, err=True)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False)


def _print_report(report: RunReport) -> None:
    from scorer.config import SUMMARY_ROWS
    from scorer.display import ranking_table, summary_lines
    from scorer.ranking import head

    for line in summary_lines(report):
        click.echo(line)
    rows = head(report.output, SUMMARY_ROWS)
    console = _console()
    console.print()
    console.print(ranking_table(rows, f"The {len(rows)} highest losses", console.width))
    console.print()
