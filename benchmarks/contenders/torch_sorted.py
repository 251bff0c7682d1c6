"""The best that a careful user writes in PyTorch: all texts tokenized at once, sorted by length, a token budget.

Its losses are the reference that all others are compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from arithmetic import cross_entropy, sorted_batches
from job import Job, Outcome, Score

DESCRIPTION = "PyTorch, sorted by length, token budget"
PRECISION = "fp32"
PACKAGES = ("torch", "transformers")
ENVIRONMENT = None
PROVIDERS = ("cpu", "cuda")
EXPORTS = ()


def load(job: Job) -> Score:
    """The model in fp32."""
    import torch

    return load_as(job, torch.float32)


def load_as(job: Job, dtype: Any) -> Score:
    """The model in a number format, weights and arithmetic alike."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(job.threads)
    tokenizer = AutoTokenizer.from_pretrained(job.checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(job.checkpoint, dtype=dtype)
    model.eval().to(job.provider)

    def score(texts: list[str], labels: list[int]) -> Outcome:
        encoded = tokenizer(texts, truncation=True, max_length=job.max_length)
        lengths = np.array([len(ids) for ids in encoded["input_ids"]])
        logits = torch.empty(len(texts), model.config.num_labels)
        padded_tokens = 0
        for rows in sorted_batches(lengths, job.batch_tokens):
            inputs = tokenizer.pad(
                {name: [values[i] for i in rows] for name, values in encoded.items()}, return_tensors="pt"
            ).to(job.provider)
            padded_tokens += inputs["input_ids"].numel()
            with torch.inference_mode():
                logits[rows] = model(**inputs).logits.float().cpu()
        return Outcome(cross_entropy(logits.numpy(), labels), int(lengths.sum()) / padded_tokens)

    return score
