"""OpenVINO on the plain ONNX graph, with the same care as `torch_sorted`: sorted by length, a token budget.

Batches are computed side by side, as many as the library finds best: faster than all threads on one.
"""

from __future__ import annotations

import numpy as np
from arithmetic import cross_entropy, padded, sorted_batches
from job import Job, NotHereError, Outcome, Score

DESCRIPTION = "OpenVINO, sorted by length, token budget"
PRECISION = "fp32"
PACKAGES = ("openvino", "tokenizers")
ENVIRONMENT = "openvino"
PROVIDERS = ("cpu",)
EXPORTS = ("plain",)


def load(job: Job) -> Score:
    """The compiled model, held to fp32 where a CPU would rather take bfloat16."""
    return load_as(job, "f32")


def load_as(job: Job, precision: str) -> Score:
    """The model compiled for a number format, by OpenVINO's name."""
    import openvino
    from tokenizers import Tokenizer

    core = openvino.Core()
    if precision.upper().replace("F32", "FP32") not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise NotHereError(f"OpenVINO does not offer {precision} on this processor")
    model = core.compile_model(
        job.models / "plain" / "model.onnx",
        "CPU",
        {"INFERENCE_NUM_THREADS": job.threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"},
    )
    names = {name for node in model.inputs for name in node.get_names()}
    tokenizer = Tokenizer.from_file(str(job.models / "plain" / "tokenizer.json"))
    tokenizer.enable_truncation(job.max_length)

    def score(texts: list[str], labels: list[int]) -> Outcome:
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
        lengths = np.array([len(row) for row in ids])
        logits = np.empty((len(texts), model.output(0).partial_shape[1].get_length()), dtype=np.float32)
        computed = 0
        queue = openvino.AsyncInferQueue(model)
        queue.set_callback(lambda request, rows: logits.__setitem__(rows, request.get_output_tensor(0).data))
        for rows in sorted_batches(lengths, job.batch_tokens):
            input_ids = padded([ids[i] for i in rows], job.pad_token_id)
            real = np.arange(input_ids.shape[1]) < lengths[rows][:, None]
            feeds = {
                "input_ids": input_ids,
                "attention_mask": real.astype(np.int64),
                "token_type_ids": np.zeros_like(input_ids),
            }
            queue.start_async({name: value for name, value in feeds.items() if name in names}, rows)
            computed += input_ids.size
        queue.wait_all()
        return Outcome(cross_entropy(logits, labels), int(lengths.sum()) / computed)

    return score
