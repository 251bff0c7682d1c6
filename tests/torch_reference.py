"""The reference: cross-entropy by PyTorch and transformers alone, text by text or in careful batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def torch_losses(
    checkpoint: Path,
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    pairs: Sequence[str] | None = None,
    max_length: int,
    batch_tokens: int = 4_096,
) -> np.ndarray:
    """Cross-entropy of each text's label in nats, by a checkpoint in fp32: float64 [N]."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype=torch.float32).eval()
    losses = np.empty(len(texts))
    for rows in _batches([len(text) for text in texts], batch_tokens):
        encoded = tokenizer(
            [texts[i] for i in rows],
            [pairs[i] for i in rows] if pairs is not None else None,
            truncation=True,
            max_length=max_length,
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits = model(**encoded).logits.double()
        given = torch.tensor([int(labels[i]) for i in rows])
        losses[rows] = torch.nn.functional.cross_entropy(logits, given, reduction="none").numpy()
    return losses


def _batches(characters: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Rows of like length together; four characters count as a token."""
    order = sorted(range(len(characters)), key=lambda i: -characters[i])
    batches: list[list[int]] = []
    while order:
        size = max(1, 4 * batch_tokens // max(characters[order[0]], 40))
        batches.append(order[:size])
        order = order[size:]
    return batches
