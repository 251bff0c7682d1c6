"""The head of a ranking as reviewing tools take it: examples with their probabilities and text hashes.

It is read from ranked.parquet and its metadata alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.config import options_that_decide
from scorer.ranking.head import DEFAULT_TOP, Selection, read_head
from scorer.review.answers.corrections import text_hash


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """One ranked row.

    Attributes:
        rank: 1 is the most suspect row.
        row: position in the data of the run.
        id: the row's id.
        source_file: file or data set that it came from.
        text: its text.
        text_pair: the second text of a pair, or None.
        text_hash: what corrections know the text by.
        label: given label, in the model's order.
        predicted: most probable class.
        loss: cross-entropy of the given label in nats.
        probabilities: probability of each of the C classes.
        n_tokens: tokens scored.
        truncated: whether the text was cut.
    """

    rank: int
    row: int
    id: str
    source_file: str | None
    text: str
    text_pair: str | None
    text_hash: str
    label: int
    predicted: int
    loss: float
    probabilities: tuple[float, ...]
    n_tokens: int
    truncated: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Examples:
    """The first rows of a ranking.

    Attributes:
        items: in the order of the ranking.
        label_names: the model's C class names, in its order.
        rows: rows of the whole ranking.
        ranked_by: the score that orders it.
        model: where the model came from, or its hash.
        data: names of the data that was scored.
        run_hash: 16 hexadecimal digits that tell runs apart: model, labels, and the options that decide scores.
    """

    items: tuple[Example, ...]
    label_names: tuple[str, ...]
    rows: int
    ranked_by: str
    model: str
    data: tuple[str, ...]
    run_hash: str

    @property
    def name(self) -> str:
        """What to call the data: the last part of its first name, or "ranking"."""
        return Path(self.data[0]).name if self.data else "ranking"


def read_examples(directory: Path, top: int = DEFAULT_TOP) -> Examples:
    """Read the first `top` rows of a run's ranking.

    Raises:
        DataError: there is no ranking, it is damaged, or it holds no texts.
        UsageError: the ranking is empty.
    """
    head = read_head(directory, Selection(top), to_judge=True, probabilities=True)
    metadata = head.metadata
    model = metadata.get("model", {})
    return Examples(
        items=tuple(_example(row, len(head.label_names)) for row in head.rows),
        label_names=head.label_names,
        rows=head.total,
        ranked_by=head.ranked_by,
        model=str(model.get("source") or model.get("sha256", "")),
        data=tuple(map(str, metadata.get("options", {}).get("data", ()))),
        run_hash=_run_hash(metadata),
    )


def _example(row: Mapping[str, Any], classes: int) -> Example:
    pair = row.get("text_pair")
    return Example(
        rank=row["rank"],
        row=row["row"],
        id=str(row["row"]) if row["id"] is None else row["id"],
        source_file=row["source_file"],
        text=row["text"],
        text_pair=pair,
        text_hash=text_hash(row["text"], pair),
        label=row["label"],
        predicted=row["predicted_label"],
        loss=row["loss"],
        probabilities=_probabilities(row, classes),
        n_tokens=row["n_tokens"],
        truncated=row["truncated"],
    )


def _probabilities(row: Mapping[str, Any], classes: int) -> tuple[float, ...]:
    """Of each class; 0 for those that a run with --top-k-probabilities did not keep."""
    if "probabilities" in row:
        return tuple(row["probabilities"])
    known = dict(zip(row["top_labels"], row["top_probabilities"], strict=True)) | {row["label"]: row["self_confidence"]}
    return tuple(known.get(label, 0.0) for label in range(classes))


def _run_hash(metadata: Mapping[str, Any]) -> str:
    """Of what decides a run's scores; not of where its results lie, how fast they came, nor how they are ranked."""
    decisive = {*options_that_decide("shards"), *options_that_decide("found")}
    options = {name: value for name, value in metadata.get("options", {}).items() if name in decisive}
    identity = [metadata.get("model"), options, metadata.get("label_names")]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
