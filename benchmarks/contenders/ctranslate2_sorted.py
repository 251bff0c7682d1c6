"""CTranslate2's BERT encoder, with the same care as `torch_sorted`, and the classifier's head in NumPy.

The package converts BERT with its pooler and leaves heads to its users; checkpoints of other architectures fail.
It takes padding out of a batch again before it computes, so that a padding efficiency cannot be told. On a CPU each
thread computes a batch of its own, which measured faster than all threads on one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from arithmetic import cross_entropy, sorted_batches
from job import Job, Outcome, Score

DESCRIPTION = "CTranslate2 encoder, sorted by length, token budget"
PRECISION = "fp32"
PACKAGES = ("ctranslate2", "torch", "transformers")
ENVIRONMENT = "ctranslate2"
PROVIDERS = ("cpu", "cuda")
EXPORTS = ()


def load(job: Job) -> Score:
    """The encoder in fp32."""
    return load_as(job, "float32")


def load_as(job: Job, compute_type: str) -> Score:
    """The converted encoder, brought to a number format as it is loaded, and the head's weights."""
    from concurrent.futures import ThreadPoolExecutor

    import ctranslate2
    import torch
    from ctranslate2.converters import TransformersConverter
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    converted = job.workdir / "ctranslate2"
    if not converted.exists():
        TransformersConverter(str(job.checkpoint)).convert(str(converted), quantization="float32")
    streams = job.threads if job.provider == "cpu" else 1
    encoder = ctranslate2.Encoder(
        str(converted), device=job.provider, compute_type=compute_type, inter_threads=streams, intra_threads=1
    )
    head = AutoModelForSequenceClassification.from_pretrained(job.checkpoint, dtype=torch.float32).classifier
    weights, bias = head.weight.detach().numpy(), head.bias.detach().numpy()  # float32 [C, H], [C]
    tokenizer = AutoTokenizer.from_pretrained(job.checkpoint)

    def score(texts: list[str], labels: list[int]) -> Outcome:
        ids = tokenizer(texts, truncation=True, max_length=job.max_length)["input_ids"]
        lengths = np.array([len(row) for row in ids])
        logits = np.empty((len(texts), bias.size), dtype=np.float32)

        def compute(rows: npt.NDArray[np.int64]) -> None:
            pooled = encoder.forward_batch([ids[i] for i in rows]).pooler_output
            logits[rows] = np.array(pooled.to_device(ctranslate2.Device.cpu)) @ weights.T + bias

        with ThreadPoolExecutor(streams) as pool:
            list(pool.map(compute, sorted_batches(lengths, job.batch_tokens)))
        return Outcome(cross_entropy(logits, labels))

    return score
