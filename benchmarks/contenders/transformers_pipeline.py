"""The library's own way: `pipeline("text-classification")` in batches of 32, all classes returned."""

from __future__ import annotations

import numpy as np
from job import Job, Outcome, Score

DESCRIPTION = "transformers.pipeline, batches of 32 in file order"
PRECISION = "fp32"
PACKAGES = ("torch", "transformers")
ENVIRONMENT = None
PROVIDERS = ("cpu", "cuda")
EXPORTS = ()
BATCH_ROWS = 32


def load(job: Job) -> Score:
    """The pipeline; in fp32, where it would take the number format of the checkpoint's file."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(job.threads)
    classify = pipeline(
        "text-classification",
        model=str(job.checkpoint),
        top_k=None,
        batch_size=BATCH_ROWS,
        device=job.provider,
        dtype=torch.float32,
    )
    names = classify.model.config.id2label

    def score(texts: list[str], labels: list[int]) -> Outcome:
        answers = classify(texts, truncation=True, max_length=job.max_length)
        given = [
            next(each["score"] for each in answer if each["label"] == names[label])
            for answer, label in zip(answers, labels, strict=True)
        ]
        # It returns probabilities in float32: the smallest stand for 0.
        return Outcome(-np.log(np.maximum(np.array(given, dtype=np.float64), np.finfo(np.float32).tiny)))

    return score
