"""sentence-transformers' CrossEncoder with its ONNX backend, in batches of 32 by falling length.

Its `predict` works so, but takes pairs of texts and nothing else; the two steps of it are called here instead.
"""

from __future__ import annotations

import numpy as np
from arithmetic import cross_entropy
from job import Job, Outcome, Score

DESCRIPTION = "CrossEncoder on its ONNX backend, sorted, batches of 32"
PRECISION = "fp32"
PACKAGES = ("sentence-transformers", "optimum-onnx", "onnxruntime")
ENVIRONMENT = "sentence-transformers"
PROVIDERS = ("cpu", "cuda")
EXPORTS = ("plain",)
BATCH_ROWS = 32


def load(job: Job) -> Score:
    """The model over the plain ONNX graph."""
    import onnxruntime
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.util import batch_to_device

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[job.provider]
    model = CrossEncoder(
        _with_tokenizer(job),
        backend="onnx",
        device=job.provider,
        max_length=job.max_length,
        model_kwargs={"provider": provider, "session_options": options, "file_name": "model.onnx", "export": False},
    )

    def score(texts: list[str], labels: list[int]) -> Outcome:
        order = np.argsort([-len(text) for text in texts], kind="stable")
        logits = torch.empty(len(texts), model.num_labels)
        real = computed = 0
        for start in range(0, len(texts), BATCH_ROWS):
            rows = order[start : start + BATCH_ROWS]
            features = model.preprocess([texts[i] for i in rows])
            real += int(features["attention_mask"].sum())
            computed += features["input_ids"].numel()
            with torch.inference_mode():
                logits[rows] = model(batch_to_device(features, job.provider))["scores"].float().cpu()
        return Outcome(cross_entropy(logits.numpy(), labels), real / computed)

    return score


def _with_tokenizer(job: Job) -> str:
    """A folder with both the graph and the checkpoint's tokenizer, as the library wants it."""
    folder = job.workdir / "cross_encoder"
    folder.mkdir(exist_ok=True)
    for source in (*job.checkpoint.glob("*.json"), *job.checkpoint.glob("vocab*"), *job.checkpoint.glob("*.model")):
        if not (folder / source.name).exists():
            (folder / source.name).symlink_to(source.resolve())
    for source in (job.models / "plain").glob("model.onnx*"):
        if not (folder / source.name).exists():
            (folder / source.name).symlink_to(source.resolve())
    return str(folder)
