"""What people write: `Dataset.map` in batches of 32 in file order, padded to each batch's longest text."""

from __future__ import annotations

from typing import Any

import numpy as np
from job import Job, Outcome, Score

DESCRIPTION = "PyTorch, Dataset.map, batches of 32 in file order"
PRECISION = "fp32"
PACKAGES = ("torch", "transformers", "datasets")
ENVIRONMENT = None
PROVIDERS = ("cpu", "cuda")
EXPORTS = ()
BATCH_ROWS = 32


def load(job: Job) -> Score:
    """The model and its tokenizer."""
    import datasets
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    datasets.disable_progress_bars()
    torch.set_num_threads(job.threads)
    tokenizer = AutoTokenizer.from_pretrained(job.checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(job.checkpoint, dtype=torch.float32)
    model.eval().to(job.provider)
    tokens = {"real": 0, "padded": 0}

    def losses_of(batch: dict[str, Any]) -> dict[str, Any]:
        inputs = tokenizer(
            batch["text"], padding=True, truncation=True, max_length=job.max_length, return_tensors="pt"
        ).to(job.provider)
        tokens["real"] += int(inputs["attention_mask"].sum())
        tokens["padded"] += inputs["input_ids"].numel()
        with torch.inference_mode():
            logits = model(**inputs).logits
        given = torch.tensor(batch["label"], device=job.provider)
        return {"loss": torch.nn.functional.cross_entropy(logits, given, reduction="none").cpu().numpy()}

    def score(texts: list[str], labels: list[int]) -> Outcome:
        tokens.update(real=0, padded=0)
        rows = datasets.Dataset.from_dict({"text": texts, "label": labels})
        scored = rows.map(losses_of, batched=True, batch_size=BATCH_ROWS)
        return Outcome(np.asarray(scored["loss"], dtype=np.float64), tokens["real"] / tokens["padded"])

    return score
