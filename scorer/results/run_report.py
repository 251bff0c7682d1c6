"""What a finished run reports: run.json and the value that `score` returns."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.config import RunConfig
from scorer.distribution import VERSION
from scorer.results.counts import Tally
from scorer.system.urls import without_secrets

PACKAGES = ("numpy", "polars", "pyarrow", "tokenizers")


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
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


@dataclasses.dataclass(frozen=True, slots=True)
class RunReport:
    """A finished run.

    Attributes:
        output: the directory that holds the results.
        counts: rows and tokens.
        resumed: shards, scored rows and tokens of earlier runs that this one went on with.
        seconds: time per stage; stages run side by side, so they add up to more than `elapsed_s`.
        elapsed_s: seconds from the start of the run to the written ranking.
        scoring_s: seconds from the first row read to the last row written.
        provider: execution provider that was active.
        threads: threads that computed.
        max_batch_tokens: cap on padded tokens per batch.
        max_length: tokens kept of a text.
        labels: how the data's labels were read.
        columns: the columns' parts.
        agreement: share of the first rows where model and label agree, with chance and best order.
        fidelity: how well a model of less precision keeps fp32's ranking, on a sample; None in fp32.
        exact_head: what was scored again in fp32; None where nothing was.
        warnings: what may make the result worthless.
        left_out: files, and rows of them, that could not be read.
        model: hash, source and precision of the model.
        options: the configuration as asked for.
        versions: versions of the packages that took part.
    """

    output: Path
    counts: Counts
    resumed: Mapping[str, int]
    seconds: Mapping[str, float]
    elapsed_s: float
    scoring_s: float
    provider: str
    threads: int
    max_batch_tokens: int
    max_length: int
    labels: str
    columns: Mapping[str, str | None]
    agreement: Mapping[str, float]
    fidelity: Mapping[str, Any] | None
    exact_head: Mapping[str, Any] | None
    warnings: tuple[str, ...]
    left_out: tuple[Mapping[str, Any], ...]
    model: Mapping[str, Any]
    options: Mapping[str, Any]
    versions: Mapping[str, str]

    @property
    def rows_per_s(self) -> float:
        """Rows per second of scoring, those of earlier runs left out."""
        return (self.counts.scored - self.resumed["scored"]) / self.scoring_s if self.scoring_s else 0.0

    @property
    def tokens_per_s(self) -> float:
        """Real tokens computed per second of scoring, those of earlier runs left out."""
        return (self.counts.tokens - self.resumed["tokens"]) / self.scoring_s if self.scoring_s else 0.0

    @property
    def padding_efficiency(self) -> float:
        """Real tokens per computed token, between 0 and 1."""
        return self.counts.tokens / self.counts.padded_tokens if self.counts.padded_tokens else 1.0

    def to_dict(self) -> dict[str, Any]:
        """The content of run.json."""
        document = dataclasses.asdict(self)
        document["output"] = str(self.output)
        for name in ("rows_per_s", "tokens_per_s", "padding_efficiency"):
            document[name] = round(getattr(self, name), 4)
        document["seconds"] = {name: round(value, 4) for name, value in self.seconds.items()}
        for name in ("elapsed_s", "scoring_s"):
            document[name] = round(document[name], 4)
        return document

    def to_json(self) -> str:
        """run.json."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, document: str) -> RunReport:
        """Parse run.json.

        Raises:
            ValueError, TypeError, KeyError: the document is no report.
        """
        fields = json.loads(document)
        known = {field.name: fields[field.name] for field in dataclasses.fields(cls)}
        known["output"], known["counts"] = Path(known["output"]), Counts(**known["counts"])
        for name in ("warnings", "left_out"):
            known[name] = tuple(known[name])
        return cls(**known)


def options_of(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain JSON values."""
    values = {**dataclasses.asdict(config), "data": tuple(map(without_secrets, config.data))}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def versions(onnxruntime: Mapping[str, str]) -> dict[str, str]:
    """Versions of Python and of the packages that score, with the given ONNX Runtime distributions."""
    found = {"python": platform.python_version(), "scorer": VERSION}
    for name in PACKAGES:
        found[name] = importlib.metadata.version(name)
    return {**found, **onnxruntime}
