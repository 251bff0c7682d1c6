"""The command line: the group of commands, and how an error ends.

What each command takes and prints stands in `commands`.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import click

from scorer.cli.commands.argilla import from_argilla_command, to_argilla_command
from scorer.cli.commands.corrections import apply_command, corrections_command
from scorer.cli.commands.exchange import from_label_studio_command, to_csv_command, to_label_studio_command
from scorer.cli.commands.export_onnx import export_onnx_command
from scorer.cli.commands.machine import demo_command, doctor_command, tune_command
from scorer.cli.commands.ranking import rank_command, show_command
from scorer.cli.commands.report import report_command
from scorer.cli.commands.run import run_command
from scorer.distribution import VERSION
from scorer.errors import ScorerError, Terminated

INTERRUPTED, TERMINATED = 130, 143


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="scorer")
def cli() -> None:
    """Find wrong labels in text data sets by a model's loss.

    Export a fine-tuned classifier once, score a labelled corpus with it, and look at the head of the ranking: rows
    whose given label costs the model the most are full of label errors. Start with `scorer demo`.
    """


for command in (
    export_onnx_command,
    run_command,
    show_command,
    rank_command,
    report_command,
    to_csv_command,
    to_label_studio_command,
    from_label_studio_command,
    to_argilla_command,
    from_argilla_command,
    corrections_command,
    apply_command,
    tune_command,
    doctor_command,
    demo_command,
):
    cli.add_command(command)


def main() -> None:
    """Run the command; a user's mistake ends in a message and an exit code, never in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Unicode shows escapes, and goes on
            stream.reconfigure(errors="backslashreplace")
    # Before Arrow is imported: of its allocators this one gives memory back at once.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(cli.main(prog_name="scorer", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ScorerError as error:
        from scorer.system.visible_text import visible

        lines = [*str(error).split("\n"), *getattr(error, "__notes__", [])]
        message = "\n".join(visible(line) for line in lines)
        click.echo(f"Error: {message}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as interrupt:
        terminated = any(isinstance(cause, Terminated) for cause in _causes(interrupt))
        click.echo("Terminated." if terminated else "Interrupted.", err=True)
        sys.exit(TERMINATED if terminated else INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # the system refuses something that nobody foresaw, such as a name too long
        from scorer.system.visible_text import excerpt

        reason = error.strerror or str(error) or type(error).__name__
        at = f": '{excerpt(str(error.filename), 200)}'" if error.filename else ""
        click.echo(f"Error: {excerpt(reason, 500)}{at}", err=True)
        sys.exit(ScorerError.exit_code)


def _terminate(signal_number: int, frame: FrameType | None) -> None:
    """End as an interrupt does: what is finished is kept."""
    raise Terminated


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
