"""What the runner, the harness and every contender agree on. Standard library and numpy only.

A contender is one file in `contenders/`. Importing it is cheap; what is heavy it imports in `load`. It holds

    DESCRIPTION   a line for the reader
    PRECISION     number format of the arithmetic
    PACKAGES      distributions that it needs, by the names that pip knows
    ENVIRONMENT   the environment of `environments/` that has them, or None for scorer's own
    PROVIDERS     where it can run: "cpu", "cuda" or both
    EXPORTS       the model directories that it reads (of "fp32", "fp16", "int8", "plain"); none reads the checkpoint
    load(job)     everything that is not timed; returns the function that is
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

LossArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """The same work for every contender.

    Attributes:
        checkpoint: folder of the fine-tuned PyTorch classifier.
        models: folder of its exports: `fp32`, `fp16` and `int8` as scorer makes them, `plain` without any optimization.
        rows_file: the rows as Parquet, columns `text` and `label` (class index).
        texts_file: the same rows as JSON, for environments without a Parquet reader.
        workdir: scratch space.
        provider: "cpu" or "cuda".
        rehearsal: whether the CPU stands in for CUDA, so that figures do not matter and slowness is no reason to stop.
        batch_tokens: padded tokens per batch of the contenders that sort.
        threads: threads that a contender may use.
        max_length: tokens kept of a text.
        pad_token_id: id written into padding.
    """

    checkpoint: Path
    models: Path
    rows_file: Path
    texts_file: Path
    workdir: Path
    provider: str
    rehearsal: bool
    batch_tokens: int
    threads: int
    max_length: int
    pad_token_id: int

    def to_json(self) -> str:
        """The job for another process."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @staticmethod
    def from_json(document: str) -> Job:
        """The job as another process wrote it."""
        fields: dict[str, Any] = json.loads(document)
        for name in ("checkpoint", "models", "rows_file", "texts_file", "workdir"):
            fields[name] = Path(fields[name])
        return Job(**fields)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What scoring N rows gave.

    Attributes:
        losses: float64 [N], cross-entropy in nats, in the order of the rows.
        padding_efficiency: real tokens per computed token, or None where a library does not tell.
        seconds: the time that counts, where it is not simply the whole call's.
    """

    losses: LossArray
    padding_efficiency: float | None = None
    seconds: float | None = None


Score = Callable[[list[str], list[int]], Outcome]


class NotHereError(Exception):
    """Raised by `load`: this machine, or this checkpoint, has nothing to offer the contender; the message says what."""


class Contender(Protocol):
    """A module in `contenders/`."""

    DESCRIPTION: str
    PRECISION: str
    PACKAGES: tuple[str, ...]
    ENVIRONMENT: str | None
    PROVIDERS: tuple[str, ...]
    EXPORTS: tuple[str, ...]

    def load(self, job: Job) -> Score:
        """Everything that is not timed."""
        ...


def contender(name: str) -> Contender:
    """The contender of that name."""
    import importlib

    return cast(Contender, importlib.import_module(f"contenders.{name}"))
