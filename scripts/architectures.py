"""Which architectures with a text classifier torch's exporter writes rightly: one line for each that transformers has.

Each is built tiny with random weights, exported, rewritten as an export does it, and compared with PyTorch, which
sees each text alone and without padding. For an environment with transformers 5:

    python scripts/architectures.py                   # all
    python scripts/architectures.py bert qwen3        # some
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).resolve().parent.parent / "tests"
LENGTHS = (1, 2, 3, 5, 8, 13, 16, 17, 18, 31, 32, 33, 64, 100, 127, 128)
BATCH_ROWS = 6
TOLERANCE = 1e-4


def main() -> None:
    """Print the table, a row as soon as it is known."""
    sys.path.insert(0, str(TESTS))
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as KINDS

    print("| architecture | result | attention | one position | difference | seconds |\n|---|---|---|---|---|---|")
    for kind in sys.argv[1:] or KINDS:
        print(f"| {kind} | {' | '.join(row(kind))} |", flush=True)


def row(kind: str) -> tuple[str, str, str, str, str]:
    """Result or reason, kind of attention, whether the last layer is cut, largest difference of a logit, seconds."""
    from tiny_models import make_model, padded

    from scorer.errors import ExportError
    from scorer.torch_graph import accepted_inputs

    try:
        model = make_model(kind)
        inputs = accepted_inputs(model, ("input_ids", "attention_mask", "token_type_ids"))
        feeds = padded(len(LENGTHS), max(LENGTHS), LENGTHS)
        expected = in_batches(lambda part: torch_logits(model, part, inputs), feeds, 1)
        together = in_batches(lambda part: torch_logits(model, part, inputs), feeds, BATCH_ROWS)
    except Exception as error:  # whatever an architecture does with a text classifier's inputs
        return f"not a classifier of plain texts: {brief(error)}", "", "", "", ""
    if not np.abs(together - expected).max() <= TOLERANCE:
        return "its answers depend on padding", "", "", f"{np.abs(together - expected).max():.1e}", ""
    started = time.monotonic()
    try:
        session, fused, reason = exported(model, inputs)
        results = [in_batches(lambda part: onnx_logits(session, part), feeds, rows) for rows in (1, BATCH_ROWS)]
    except ExportError as error:
        return str(error), "", "", "", f"{time.monotonic() - started:.0f}"
    except Exception as error:  # ONNX Runtime's refusals
        return f"its graph does not run: {brief(error)}", "", "", "", f"{time.monotonic() - started:.0f}"
    difference = max(float(np.abs(result - expected).max()) for result in results)
    verdict = "right" if difference <= TOLERANCE else "WRONG"
    attention = "fused" if fused else "plain"
    return verdict, attention, reason or "yes", f"{difference:.1e}", f"{time.monotonic() - started:.0f}"


def exported(model: Any, inputs: tuple[str, ...]) -> tuple[Any, bool, str | None]:
    """A session of the rewritten graph, whether its attention is fused, and why its last layer is not cut."""
    import onnx
    import onnxruntime

    from scorer.graph_rewrites import rewrite
    from scorer.torch_graph import write_torch_graph

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        fused = write_torch_graph(model, inputs, file)
        graph = onnx.load(file)
    reason = rewrite(graph)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(graph.SerializeToString(), options), fused, reason


def in_batches(answer: Any, feeds: dict[str, np.ndarray], rows: int) -> np.ndarray:
    """Logits of all rows [N, C], so many at a time, each batch as wide as its longest row."""
    lengths = feeds["attention_mask"].sum(axis=1)
    parts = []
    for start in range(0, lengths.size, rows):
        width = int(lengths[start : start + rows].max())
        parts.append(answer({name: ids[start : start + rows, :width] for name, ids in feeds.items()}))
    return np.concatenate(parts)


def torch_logits(model: Any, feeds: dict[str, np.ndarray], inputs: tuple[str, ...]) -> np.ndarray:
    """PyTorch's logits [B, C]."""
    import torch

    with torch.inference_mode():
        answer = model(**{name: torch.from_numpy(ids) for name, ids in feeds.items() if name in inputs})
    return np.asarray(answer.logits.numpy())


def onnx_logits(session: Any, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """ONNX Runtime's logits [B, C]."""
    wanted = {node.name for node in session.get_inputs()}
    return np.asarray(session.run(None, {name: ids for name, ids in feeds.items() if name in wanted})[0])


def brief(error: Exception) -> str:
    """The first line of a message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


if __name__ == "__main__":
    main()
