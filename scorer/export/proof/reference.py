"""PyTorch's own answers: the checkpoint as it was loaded, called as everybody calls it, model(**tokenizer(text)).

Each text or pair is computed alone, long ones first, by a copy of the model that has seen nothing before. Imports
`torch`, and only when it computes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scorer.arithmetic.batching import Encoded, collate
from scorer.arithmetic.scoring import FloatArray
from scorer.errors import ExportError
from scorer.export.containers.checkpoint import Checkpoint, takes
from scorer.model.model_directory import TOKENIZER_FILE
from scorer.model.tokenization import TextEncoder

# Rows of the padded batches in which PyTorch and ONNX Runtime are asked, and their padded tokens.
BATCH_ROWS, BATCH_TOKENS = 6, 8_192


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What the exported graph must answer.

    Attributes:
        encoded: token ids of N texts or pairs, as a run makes them.
        logits: float32 [N, C].
    """

    encoded: Encoded
    logits: FloatArray


class PyTorchError(Exception):
    """The model itself does not compute a text; the message says which, and why."""


def expect(
    checkpoint: Checkpoint, directory: Path, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> Expected:
    """Token ids and PyTorch's logits of texts, or of pairs.

    Args:
        checkpoint: the PyTorch side.
        directory: holds tokenizer.json.
        texts: N texts.
        pairs: the N second texts of pairs, or None.

    Raises:
        ExportError: the tokenizer file is not the checkpoint's tokenizer, or the answers are not finite.
        PyTorchError: the model does not compute one of them.
    """
    encoder = TextEncoder(
        directory / TOKENIZER_FILE, checkpoint.max_length, checkpoint.truncation_side, segments=checkpoint.segments
    )
    encoder.check_room(pairs=pairs is not None)
    encoded = encoder.encode(texts, pairs)
    model = checkpoint.fresh_model()
    logits = np.empty((len(texts), len(checkpoint.label_names)), dtype=np.float32)
    for row in np.argsort(-encoded.lengths, kind="stable"):
        both = (texts[row],) if pairs is None else (texts[row], pairs[row])
        asked = checkpoint.tokenizer(*both, truncation=True, max_length=checkpoint.max_length, return_tensors="pt")
        _check_token_ids(checkpoint, encoded, row, asked, both)
        logits[row] = _answer(model, asked, both)
    if not np.isfinite(logits).all():
        raise ExportError(
            f"'{checkpoint.source}' gives logits that are not finite in PyTorch already: its weights are damaged."
        )
    return Expected(encoded, logits)


def padding_moves(checkpoint: Checkpoint, expected: Expected) -> float:
    """By how much a logit changes in PyTorch when longer texts share the batch; 0 where PyTorch takes no batches.

    Args:
        checkpoint: the PyTorch side.
        expected: texts, and their answers alone.
    """
    import torch

    model, moved = checkpoint.fresh_model(), 0.0
    for start in range(0, len(expected.logits) - BATCH_ROWS, BATCH_ROWS):
        rows = np.arange(start, start + BATCH_ROWS)
        if expected.encoded.lengths[rows].max() * BATCH_ROWS > BATCH_TOKENS:
            continue
        batch = collate(expected.encoded, rows, checkpoint.pad_token_id)
        names = ("input_ids", "attention_mask", *(["token_type_ids"] if checkpoint.segments else []))
        feeds = {name: getattr(batch, name) for name in names if takes(model, name)}
        # Some take no batches, for want of a padding id, or not these rows side by side.
        with contextlib.suppress(Exception), torch.inference_mode():
            found = model(**{name: torch.from_numpy(ids).long() for name, ids in feeds.items()}).logits.numpy()
            moved = max(moved, float(np.abs(found - expected.logits[rows]).max()))
    return moved


def _answer(model: Any, asked: Any, both: Sequence[str]) -> FloatArray:
    """The model's logits of one text or pair: float32 [C]."""
    import torch

    try:
        with torch.inference_mode():
            output = model(**{name: ids for name, ids in asked.items() if takes(model, name)})
    except Exception as error:
        shown = " and ".join(repr(text[:40]) for text in both)
        raise PyTorchError(f"in PyTorch itself, {shown} ends in {type(error).__name__}: {error}") from error
    logits: FloatArray = output.logits.numpy()[0]
    return logits


def _check_token_ids(checkpoint: Checkpoint, encoded: Encoded, row: int, asked: Any, both: Sequence[str]) -> None:
    """The tokenizer file must give what the checkpoint's tokenizer gives when it is called."""
    place = slice(encoded.offsets[row], encoded.offsets[row + 1])
    same = encoded.ids[place].tolist() == asked["input_ids"][0].tolist()
    if same and checkpoint.segments:
        segments = encoded.ids[place] * 0 if encoded.type_ids is None else encoded.type_ids[place]
        same = segments.tolist() == asked["token_type_ids"][0].tolist()
    if not same:
        raise ExportError(
            f"the tokenizer of '{checkpoint.source}' does more than its tokenizer.json can say: the ids of "
            f"{both[0][:40]!r} differ. It cannot be exported without changing what the model reads."
        )
