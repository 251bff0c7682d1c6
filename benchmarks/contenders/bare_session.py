"""The ceiling: scorer's own session on scorer's own batches, made beforehand; nothing but inference is timed."""

from __future__ import annotations

import time

import numpy as np
from arithmetic import cross_entropy
from job import Job, Outcome, Score

DESCRIPTION = "scorer's session alone on ready-made batches: the ceiling"
PRECISION = "fp32"
PACKAGES = ("scorer-onnx", "onnxruntime")
ENVIRONMENT = None
PROVIDERS = ("cpu", "cuda")
EXPORTS = ("fp32",)


def load(job: Job) -> Score:
    """Session, tokenizer and budget as a run would have them."""
    from scorer.arithmetic.batching import batches
    from scorer.config import RunConfig
    from scorer.model.inference import infer
    from scorer.run.setup.prepare import prepare

    ready_job = prepare(
        RunConfig(
            model=job.models / "fp32",
            data=(str(job.rows_file),),
            output=job.workdir / "never-written",
            labels_by_index=True,
            provider="cuda" if job.provider == "cuda" else "cpu",
            threads=job.threads,
        )
    )
    predictor, window_rows = ready_job.session.predictor, ready_job.session.window_rows

    def score(texts: list[str], labels: list[int]) -> Outcome:
        ready = []
        tokens = 0
        for start in range(0, len(texts), window_rows):
            encoded = predictor.encoder.encode(texts[start : start + window_rows])
            tokens += int(encoded.lengths.sum())
            ready += [(start, batch) for batch in batches(encoded, predictor.max_batch_tokens, predictor.pad_token_id)]
        logits = np.empty((len(texts), len(predictor.classifier.labels)), dtype=np.float32)  # [N, C]
        began = time.perf_counter()
        answers = infer(predictor.classifier, [batch for _, batch in ready], predictor.streams)
        for (start, _), (batch, answer) in zip(ready, answers, strict=True):
            logits[start + batch.rows] = answer
        seconds = time.perf_counter() - began
        computed = sum(batch.input_ids.size for _, batch in ready)
        return Outcome(cross_entropy(logits, labels), tokens / computed, seconds)

    return score
