"""Graphs as files: weights beside the graph where they are large. Knows nothing of models.

Imports `onnx`, and only when a file is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scorer.model.model_directory import MODEL_FILE

DATA_FILE = "model.onnx_data"
FP32_DATA_FILE = "model_fp32.onnx_data"
# Protocol buffers end at 2 GiB; graphs near that keep their weights in a file beside them.
EXTERNAL_DATA_BYTES = 2_000_000_000


def save(model: Any, graph: Path) -> None:
    """Replace a graph, with its weights beside it where they are large."""
    import onnx

    data = graph.with_name(f"{graph.name}_data")
    data.unlink(missing_ok=True)  # onnx appends to a file that exists
    weight_bytes = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if weight_bytes < EXTERNAL_DATA_BYTES:
        onnx.save(model, graph)
    else:
        onnx.save(model, graph, save_as_external_data=True, all_tensors_to_one_file=True, location=data.name)


def is_large(graph: Path) -> bool:
    """Whether a graph's weights are beside it, or should be."""
    files = [graph, *graph.parent.glob(f"{MODEL_FILE}[_.]data")]
    return sum(file.stat().st_size for file in files) >= EXTERNAL_DATA_BYTES


def gather_external_data(graph: Path) -> None:
    """Have all weights outside the graph, if any, in one file of the name that the model directory promises."""
    import onnx

    model = onnx.load(graph, load_external_data=False)
    places = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    if places - {DATA_FILE}:
        save(onnx.load(graph), graph)


def graph_inputs(graph: Path) -> tuple[str, ...]:
    """Names of a graph's inputs."""
    import onnx

    model = onnx.load(graph, load_external_data=False)
    weights = {tensor.name for tensor in model.graph.initializer}
    return tuple(node.name for node in model.graph.input if node.name not in weights)
