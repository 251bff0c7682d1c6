"""The exceptions that a person may meet, each with its exit code.

    ScorerError                    1   anything below, when no finer class fits
    ├── UsageError                 2   an option or a combination of options that cannot work
    ├── DataError                  3   a data file, column or value that cannot be read
    ├── LabelError                 4   the data's labels and the model's labels do not fit together
    ├── ModelError                 5   a model directory that is incomplete, damaged or misbehaves
    ├── ProviderError              6   ONNX Runtime is absent, doubly installed, or a provider did not start
    ├── OutputError                7   the output cannot be written or belongs to another run
    ├── ParityError                8   the exported model does not agree with PyTorch
    ├── ExportError                9   a checkpoint that cannot be exported as a single-label classifier
    ├── MissingExtraError         10   a package of an optional extra is not installed
    ├── NothingScoredError        11   the run ended with no row scored
    ├── LeftOutError              12   the run is finished, but for files that could not be read
    ├── ServerError               13   a reviewing server cannot be reached, or refuses
    └── WorkerError               14   a worker process died again and again

Each message says what happened, to which value, and what to do next. It does not hold the text of a corpus
beyond a short excerpt. A run that SIGINT interrupts exits with 130, one that SIGTERM ends with 143.
"""

from __future__ import annotations

from typing import ClassVar

from scorer.distribution import install_command


class ScorerError(Exception):
    """Base of all errors that are shown as a message instead of a traceback."""

    exit_code: ClassVar[int] = 1


class UsageError(ScorerError):
    """An option or a combination of options that cannot work."""

    exit_code = 2


class DataError(ScorerError):
    """A data file, column or value that cannot be read."""

    exit_code = 3


class LabelError(ScorerError):
    """The labels of the data and of the model do not fit together."""

    exit_code = 4


class ModelError(ScorerError):
    """A model directory that is incomplete, damaged or misbehaves."""

    exit_code = 5


class ProviderError(ScorerError):
    """ONNX Runtime is absent or doubly installed, or an execution provider did not start."""

    exit_code = 6


class OutputError(ScorerError):
    """The output cannot be written, or the directory belongs to another run."""

    exit_code = 7


class ParityError(ScorerError):
    """The exported model and PyTorch differ by more than the tolerance."""

    exit_code = 8


class ExportError(ScorerError):
    """A checkpoint that cannot be exported as a single-label text classifier."""

    exit_code = 9


class MissingExtraError(ScorerError):
    """A package of an optional extra is not installed."""

    exit_code = 10

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: {install_command(extra)}"
        )


class NothingScoredError(ScorerError):
    """Every row was rejected, or there was no row."""

    exit_code = 11


class LeftOutError(ScorerError):
    """The run is finished, but for files that could not be read and were left out as asked."""

    exit_code = 12


class ServerError(ScorerError):
    """A reviewing server cannot be reached, refuses the key, or answers what nobody can use."""

    exit_code = 13


class WorkerError(ScorerError):
    """A worker process died, and so did the one that replaced it."""

    exit_code = 14


class RunInterrupted(KeyboardInterrupt):
    """A person or a system ended the run.

    Attributes:
        state: how much is finished, as a sentence.
        kept: whether there is something to go on with.
    """

    def __init__(self, state: str, *, kept: bool) -> None:
        super().__init__(state)
        self.state, self.kept = state, kept


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where it arrived."""
