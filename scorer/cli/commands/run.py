"""`scorer run`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from scorer.cli.terminal.common import DATA, OUTPUT, SPEED, data_options, print_report, say
from scorer.cli.terminal.help import Command, Count, option
from scorer.config import DEFAULT_BATCH_TOKENS, PROVIDERS, RunConfig
from scorer.errors import LeftOutError, RunInterrupted, UsageError


def _part(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """I and N of "I/N"."""
    if value is None:
        return None
    part, slash, parts = value.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal()):
        raise click.BadParameter(f"'{value}' is not of the form I/N, such as 2/8.")
    return int(part), int(parts)


@click.command(
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
@data_options
@option("--skip-bad-files", heading=DATA, is_flag=True, help="Leave out what cannot be read, list it, and go on.")
@option(
    "--part",
    heading=DATA,
    metavar="I/N",
    callback=_part,
    help="Score only the I-th of N parts of the data; `scorer rank` joins them.",
)
@option("--limit", heading=DATA, type=int, metavar="ROWS", help="Score only the first rows.")
@option(
    "--max-batch-tokens",
    heading=SPEED,
    type=Count(),
    metavar="TOKENS",
    help="Cap on padded tokens per batch, rows times longest; a longer text is a batch of its own. "
    "[default: auto: what `scorer tune` found here, "
    f"else {DEFAULT_BATCH_TOKENS['cpu']:,} on a CPU and {DEFAULT_BATCH_TOKENS['cuda']:,} on CUDA]",
)
@option(
    "--max-length",
    heading=SPEED,
    type=int,
    metavar="TOKENS",
    help="Tokens kept of each text, special tokens included; at most what the export proved. "
    "[default: the model directory's]",
)
@option(
    "--provider",
    heading=SPEED,
    type=click.Choice(PROVIDERS),
    default="auto",
    show_default=True,
    help="Where to run; auto takes CUDA where it starts.",
)
@option(
    "--provider-option",
    "provider_options",
    heading=SPEED,
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the execution provider, as ONNX Runtime documents it: gpu_mem_limit=8589934592. May be repeated.",
)
@option(
    "--rescore-top",
    heading=SPEED,
    default="auto",
    show_default=True,
    metavar="HEAD",
    help="With an int8 or fp16 model: the head of the ranking that is exact, because fp32 scores it again. A share "
    "such as 2%, a number of rows, 0 for none; auto is 1%, at least 500 rows.",
)
@option(
    "--allow-low-fidelity",
    heading=SPEED,
    is_flag=True,
    help="Score with an int8 or fp16 model even where it does not keep fp32's ranking.",
)
@option(
    "--workers",
    heading=SPEED,
    type=int,
    metavar="COUNT",
    default=1,
    show_default=True,
    help="Processes that score side by side, on a GPU each, for machines of several sockets or GPUs.",
)
@option(
    "--threads",
    heading=SPEED,
    type=Count(),
    metavar="COUNT",
    help="Threads that compute. [default: auto: all that affinity and cgroup allow]",
)
@option(
    "--top-k-probabilities",
    heading=OUTPUT,
    type=int,
    metavar="K",
    help="Keep only each row's K highest probabilities, for models of very many classes. [default: all]",
)
@option(
    "--ranked-top",
    heading=OUTPUT,
    type=int,
    metavar="ROWS",
    help="Rank only so many of the most suspect rows. [default: all]",
)
@option("--overwrite", heading=OUTPUT, is_flag=True, help="Start afresh and replace what DIR holds, even another run.")
@option("--no-text", heading=OUTPUT, is_flag=True, help="Leave the texts out of the results.")
@option("--json", "as_json", heading=OUTPUT, is_flag=True, help="Print the summary as one JSON object on stdout.")
def run_command(
    model_dir: Path,
    data: tuple[str, ...],
    no_text: bool,
    as_json: bool,
    write_label_map: Path | None,
    **options: Any,
) -> None:
    """Score a labelled corpus and rank it by loss.

    MODEL_DIR is what `scorer export-onnx` wrote. DATA is one or more files, globs or folders of Parquet, Arrow, CSV,
    TSV or JSON Lines (.gz, .zst, .bz2 too), a folder saved by `datasets`, or the id of a hub data set.

    Score rows that were held out from the model's training: in-sample, a model has learned the labels, right or wrong.

    DIR receives ranked.parquet (loss descending), scores/ (input order), rejects.parquet (rows that cannot be
    scored, with the reason) and run.json (counts, timings, versions). A run that was ended early is resumed when it
    is started again.
    """
    from scorer.cli.terminal.progress import TerminalListener
    from scorer.run.run import score

    options["provider_options"] = tuple(map(_name_and_value, options["provider_options"]))
    config = RunConfig(model=model_dir, data=data, keep_text=not no_text, **options)
    if write_label_map is not None:
        from scorer.run.setup import data as setup

        click.echo(setup.write_label_map(config, write_label_map, TerminalListener()))
        return
    try:
        report = score(config, TerminalListener())
    except RunInterrupted as interrupt:
        say(
            f"{interrupt.state} Go on with: {_command_that_resumes()}"
            if interrupt.kept
            else "No shard is finished yet."
        )
        raise
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        print_report(report)
        click.echo(f"Ranking: {config.output / 'ranked.parquet'}")
        click.echo(f"Next: scorer show {config.output}, or in the browser: scorer report {config.output}")
    if report.left_out:
        raise LeftOutError(
            f"all is done, but for {len(report.left_out)} files or parts of files that cannot be read:\n"
            + "\n".join(f"  {each}" for each in report.left_out)
        )


def _name_and_value(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not (name and equals):
        raise UsageError(f"--provider-option is '{option}'; it must be NAME=VALUE, such as gpu_mem_limit=8589934592.")
    return name, value


def _command_that_resumes() -> str:
    """This very command, but for what would start anew."""
    return shlex.join(["scorer", *(argument for argument in sys.argv[1:] if argument != "--overwrite")])
