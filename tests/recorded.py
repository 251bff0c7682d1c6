"""An export compared with a recording: what the process that saved a checkpoint read and answered (`recording`)."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizer_files import POSITIONS

from scorer import ExportConfig, export_onnx
from scorer.arithmetic.batching import Encoded, batches
from scorer.errors import UsageError
from scorer.export.proof.parity import tolerance
from scorer.model.classifier import OnnxClassifier
from scorer.model.model_directory import ModelDirectory
from scorer.model.tokenization import TextEncoder

BATCH_TOKENS = 4_096


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """How an export differs from what was recorded.

    Attributes:
        texts, pairs: rows compared; no pairs where the tokenizer, the model or the export takes none.
        other_ids: rows whose token ids differ.
        difference: the largest of a logit, NaN where rows are of other ids.
        accepted: the largest difference that the project accepts of such logits.
        longest: tokens of the longest row.
    """

    texts: int
    pairs: int
    other_ids: int
    difference: float
    accepted: float
    longest: int

    @property
    def holds(self) -> bool:
        """Whether it is the model that was saved."""
        return self.other_ids == 0 and self.difference <= self.accepted


def export_recorded(folder: Path, output: Path, notify: Callable[[str], None] = print, **config: Any) -> ModelDirectory:
    """Export a recorded checkpoint at the length that it was recorded with, or at what it takes."""
    checkpoint = str(folder / "checkpoint")
    try:
        return export_onnx(ExportConfig(checkpoint, output, max_length=POSITIONS, **config), notify=notify)
    except UsageError:
        return export_onnx(ExportConfig(checkpoint, output, **config), notify=notify)


def compare(folder: Path, directory: ModelDirectory) -> Comparison:
    """Token ids and logits, as a run makes them, against a recording.

    Args:
        folder: holds recording.json and recording.npz.
        directory: the exported model.
    """
    known = json.loads((folder / "recording.json").read_text(encoding="utf-8"))
    with np.load(folder / "recording.npz") as arrays:
        expected = arrays["logits"], arrays["pair_logits"]
    contract = directory.contract
    encoder = TextEncoder(
        directory.tokenizer_file, contract.max_length, contract.truncation_side, segments=contract.segments
    )
    classifier = OnnxClassifier(directory.model_file, contract.label_names, "cpu", equal_lengths=contract.equal_lengths)
    pairs = known["pairs"] if contract.pairs is not None else []
    rows = [encoder.encode(known["texts"])]
    if pairs:
        rows.append(encoder.encode(*map(list, zip(*pairs, strict=True))))
    other, differences = 0, [0.0]
    for encoded, ids, logits in zip(rows, (known["ids"], known["pair_ids"]), expected, strict=False):
        same = np.array([list(found) == wanted for found, wanted in zip(rows_of(encoded), ids, strict=True)])
        other += int((~same).sum())
        answers = np.empty_like(logits)
        for batch in batches(encoded, BATCH_TOKENS, contract.pad_token_id):
            answers[batch.rows] = classifier(batch)
        if same.any():
            differences.append(float(np.abs(answers - logits)[same].max()))
    return Comparison(
        texts=len(known["texts"]),
        pairs=len(pairs),
        other_ids=other,
        difference=max(differences),
        accepted=tolerance("fp32", "O2", np.concatenate(expected)),
        longest=max(int(encoded.lengths.max()) for encoded in rows),
    )


def rows_of(encoded: Encoded) -> list[list[int]]:
    """Token ids of each row."""
    bounds = encoded.offsets
    return [encoded.ids[start:stop].tolist() for start, stop in itertools.pairwise(bounds)]
