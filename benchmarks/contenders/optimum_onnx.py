"""ONNX the usual way: optimum's model class on a graph exported without optimization, batches of 32 in file order."""

from __future__ import annotations

import numpy as np
from arithmetic import cross_entropy
from job import Job, Outcome, Score

DESCRIPTION = "ORTModelForSequenceClassification, batches of 32 in file order"
PRECISION = "fp32"
PACKAGES = ("optimum-onnx", "onnxruntime", "transformers")
ENVIRONMENT = "sentence-transformers"  # holds optimum-onnx too
PROVIDERS = ("cpu", "cuda")
EXPORTS = ("plain",)
BATCH_ROWS = 32


def load(job: Job) -> Score:
    """The session and the tokenizer."""
    import onnxruntime
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoTokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[job.provider]
    model = ORTModelForSequenceClassification.from_pretrained(
        job.models / "plain", provider=provider, session_options=options
    )
    if model.providers[0] != provider:
        raise RuntimeError(f"the session started on {model.providers[0]}")
    tokenizer = AutoTokenizer.from_pretrained(job.checkpoint)

    def score(texts: list[str], labels: list[int]) -> Outcome:
        logits = []
        real = computed = 0
        for start in range(0, len(texts), BATCH_ROWS):
            inputs = tokenizer(
                texts[start : start + BATCH_ROWS],
                padding=True,
                truncation=True,
                max_length=job.max_length,
                return_tensors="pt",
            ).to(job.provider)
            logits.append(model(**inputs).logits.cpu().numpy())
            real += int(inputs["attention_mask"].sum())
            computed += inputs["input_ids"].numel()
        return Outcome(cross_entropy(np.concatenate(logits), labels), real / computed)

    return score
