"""`scorer tune`, `scorer doctor` and `scorer demo`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scorer.cli.terminal.common import OUTPUT, SPEED, print_report, say
from scorer.cli.terminal.help import Command, Count, option
from scorer.config import PROVIDERS, Provider
from scorer.errors import UsageError


@click.command(
    "tune",
    cls=Command,
    short_help="Find the fastest batches for a model on this machine.",
    examples=["scorer tune model", "scorer tune model --provider cuda"],
)
@click.argument("model_dir", type=click.Path(path_type=Path))
@option(
    "--provider",
    heading=SPEED,
    type=click.Choice(PROVIDERS),
    default="auto",
    show_default=True,
    help="Where to run; auto takes CUDA where it starts.",
)
@option(
    "--threads",
    heading=SPEED,
    type=Count(),
    metavar="COUNT",
    help="Threads that compute. [default: auto: all that affinity and cgroup allow]",
)
def tune_command(model_dir: Path, provider: Provider, threads: int | None) -> None:
    """Find the fastest batches for a model on this machine.

    Tries one batch at a time on all threads and a thread per batch, with small and with large batches, for some
    seconds. Runs on this machine take what was fastest, or the default where nothing is 5% faster; it is kept in
    MODEL_DIR/tuning.json, where runs find it.
    """
    from scorer.model.model_directory import open_model_directory
    from scorer.model.tuning import tune
    from scorer.system.machine import allowed_threads

    if threads is not None and threads < 1:
        raise UsageError(f"--threads is {threads}; it must be at least 1.")
    model = open_model_directory(model_dir)
    tuning, device = tune(model, provider, threads or allowed_threads(), model.contract.max_length, say)
    click.echo(f"Kept for {device}: {tuning.best}. (The default stays unless another is 5% faster.)")


@click.command(
    "doctor", cls=Command, short_help="Show what this machine offers, and what is missing.", examples=["scorer doctor"]
)
def doctor_command() -> None:
    """Show versions, what starts on this machine, and what to install for what is missing.

    Every execution provider is tried on a real session. Exits with 6 when none starts.
    """
    from scorer.cli.commands.doctor import diagnose, diagnosis_lines
    from scorer.errors import ProviderError

    found = diagnose()
    click.echo("\n".join(diagnosis_lines(found)))
    if not found.can_score:
        sys.exit(ProviderError.exit_code)


@click.command(
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
    from scorer.cli.commands.demo import demo_corpus, demo_model, run_demo
    from scorer.cli.terminal.progress import TerminalListener

    say(f"Scoring {demo_corpus()}")
    say(f"with     {demo_model()}")
    result = run_demo(output, TerminalListener())
    print_report(result.report)
    click.echo(
        f"{result.found} of the {result.planted} planted label errors ({result.found / result.planted:.0%}) stand "
        f"among the first {result.planted} rows of the ranking."
    )
    click.echo(f"Files: {output / 'ranked.parquet'}, {output / 'scores'}, {output / 'run.json'}")
    click.echo(f"Next: scorer show {output} --top 20")
    click.echo("Then your own: scorer export-onnx MODEL model && scorer run model DATA --output scores")
