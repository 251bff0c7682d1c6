"""What a finished run reports: run.json and the value that `score` returns."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from scorer.arithmetic.agreement import Agreement
from scorer.arithmetic.fidelity import Fidelity
from scorer.config import RunConfig
from scorer.distribution import VERSION
from scorer.model.model_directory import ModelDirectory, Optimization, Precision
from scorer.results.counts import Tally
from scorer.sources import LeftOut
from scorer.sources.columns.columns import Columns
from scorer.system.documents import parse, plain, written
from scorer.system.urls import without_secrets

PACKAGES = ("numpy", "polars", "pyarrow", "tokenizers")


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a run; read = scored + rejected, always.

    Attributes:
        read: rows read.
        scored: rows with a loss.
        rejected: rows that cannot be scored.
        rejected_by_reason: rejected rows of each reason.
        distinct: texts that inference computed; a text that comes again takes the answer it got before.
        truncated: scored rows whose text was cut to the maximum length.
        tokens: real tokens that inference computed.
        padded_tokens: tokens that inference computed, padding included.
    """

    read: int
    scored: int
    rejected: int
    rejected_by_reason: Mapping[str, int]
    distinct: int
    truncated: int
    tokens: int
    padded_tokens: int

    @classmethod
    def of(cls, tally: Tally) -> Counts:
        """What was counted."""
        return cls(
            read=tally.read,
            scored=tally.scored,
            rejected=tally.rejected,
            rejected_by_reason=dict(tally.reasons),
            distinct=tally.distinct,
            truncated=tally.truncated,
            tokens=tally.tokens,
            padded_tokens=tally.padded_tokens,
        )


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found done and went on with.

    Attributes:
        shards: finished shards of earlier runs.
        scored: rows scored in them.
        tokens: real tokens computed for them.
    """

    shards: int
    scored: int
    tokens: int


class FirstAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """How often given and predicted label are equal, over the first rows; see `Agreement`.

    Attributes:
        rows: rows looked at.
        share: share of them where the labels are equal.
        chance: share expected if they had nothing to do with each other.
        best_share: share under the best renumbering of the given labels.
    """

    rows: int
    share: float
    chance: float
    best_share: float

    @classmethod
    def of(cls, agreement: Agreement) -> FirstAgreement:
        """The shares, to four digits."""
        share, chance, best = (round(value, 4) for value in (agreement.share, agreement.chance, agreement.best_share))
        return cls(rows=agreement.rows, share=share, chance=chance, best_share=best)


class ExactHead(msgspec.Struct, frozen=True, kw_only=True):
    """What was scored again in fp32.

    Attributes:
        asked: rows of the head that should be exact.
        exact: rows of the head that are, by the errors measured.
        rescored: rows that were scored again.
        largest_error: the most by which the cheap model put a row too low, on the task's scale (`Task.coordinate`).
        lowest_loss: in nats; no row with a cheap loss below it was scored again.
        overlap: share of the exact head that the cheap ranking has in its head of the same size.
        rounds: how often it went further down.
    """

    asked: int
    exact: int
    rescored: int
    largest_error: float
    lowest_loss: float
    overlap: float
    rounds: int


class ReportedModel(msgspec.Struct, frozen=True, kw_only=True):
    """The model that scored; see `ModelContract`.

    Attributes:
        sha256: SHA-256 of the graph file.
        source: hub id, or name of the local folder, that was exported.
        revision: the hub commit exported, or None for a local checkpoint.
        precision: number format of the weights.
        optimize: graph optimization level applied at export.
    """

    sha256: str
    source: str
    revision: str | None
    precision: Precision
    optimize: Optimization

    @classmethod
    def of(cls, model: ModelDirectory) -> ReportedModel:
        """What the directory says of its model."""
        contract = model.contract
        return cls(
            sha256=model.model_hash,
            source=contract.source,
            revision=contract.revision,
            precision=contract.precision,
            optimize=contract.optimize,
        )


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run.

    Attributes:
        output: the directory that holds the results.
        counts: rows and tokens.
        resumed: what earlier runs had done.
        seconds: time per stage; stages run side by side, so they add up to more than `elapsed_s`.
        elapsed_s: seconds from the start of the run to the written ranking.
        scoring_s: seconds from the first row read to the last row written.
        provider: execution provider that was active.
        threads: threads that computed.
        max_batch_tokens: cap on padded tokens per batch.
        max_length: tokens kept of a text.
        labels: how the data's labels were read.
        columns: the columns' parts.
        agreement: how often model and given label agree on the first rows.
        fidelity: how well a model of less precision keeps fp32's ranking, on a sample; None in fp32.
        exact_head: what was scored again in fp32; None where nothing was.
        warnings: what may make the result worthless.
        left_out: files, and rows of them, that could not be read.
        model: hash, source and precision of the model.
        options: the configuration as asked for, without the secrets of URLs.
        versions: versions of the packages that took part.
    """

    output: Path
    counts: Counts
    resumed: Resumed
    seconds: Mapping[str, float]
    elapsed_s: float
    scoring_s: float
    provider: str
    threads: int
    max_batch_tokens: int
    max_length: int
    labels: str
    columns: Columns
    agreement: FirstAgreement
    fidelity: Fidelity | None
    exact_head: ExactHead | None
    warnings: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    model: ReportedModel
    options: RunConfig
    versions: Mapping[str, str]

    @property
    def rows_per_s(self) -> float:
        """Rows per second of scoring, those of earlier runs left out."""
        return (self.counts.scored - self.resumed.scored) / self.scoring_s if self.scoring_s else 0.0

    @property
    def tokens_per_s(self) -> float:
        """Real tokens computed per second of scoring, those of earlier runs left out."""
        return (self.counts.tokens - self.resumed.tokens) / self.scoring_s if self.scoring_s else 0.0

    @property
    def padding_efficiency(self) -> float:
        """Real tokens per computed token, between 0 and 1."""
        return self.counts.tokens / self.counts.padded_tokens if self.counts.padded_tokens else 1.0

    def to_dict(self) -> dict[str, Any]:
        """The content of run.json, with the rates that follow from it."""
        document: dict[str, Any] = plain(self)
        for name in ("rows_per_s", "tokens_per_s", "padding_efficiency"):
            document[name] = round(getattr(self, name), 4)
        document["seconds"] = {name: round(value, 4) for name, value in self.seconds.items()}
        for name in ("elapsed_s", "scoring_s"):
            document[name] = round(document[name], 4)
        return document

    def to_json(self) -> str:
        """run.json."""
        return written(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, document: str | bytes) -> RunReport:
        """Parse run.json.

        Raises:
            ValueError: the document is no report; the message names the place.
        """
        return parse(document, cls)


def options_of(config: RunConfig) -> RunConfig:
    """The configuration as files and reports show it: secrets in URLs are left out."""
    return dataclasses.replace(config, data=tuple(map(without_secrets, config.data)))


def versions(onnxruntime: Mapping[str, str]) -> dict[str, str]:
    """Versions of Python and of the packages that score, with the given ONNX Runtime distributions."""
    found = {"python": platform.python_version(), "scorer": VERSION}
    for name in PACKAGES:
        found[name] = importlib.metadata.version(name)
    return {**found, **onnxruntime}
