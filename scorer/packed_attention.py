"""Queries, keys and values from one product, where fused attention takes all three from the same hidden states.

ONNX Runtime's `Attention` multiplies by the three weights head by head, straight into the layout that it needs; the
separate products before `MultiHeadAttention` cost copies. This module rewrites a graph in place; it knows ONNX and
nothing of the checkpoint.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scorer.one_query import projection
from scorer.onnx_names import Names, attribute, remove_unread


def pack_attention(model: Any) -> int:
    """Replace every MultiHeadAttention whose inputs are products of one tensor; returns how many.

    Args:
        model: an ONNX model as torch's exporter writes it, changed in place.
    """
    names = Names(model.graph)
    packed = sum(_pack(node, names) for node in list(model.graph.node) if node.op_type == "MultiHeadAttention")
    if packed:
        remove_unread(model)
    return packed


def _pack(node: Any, names: Names) -> bool:
    from onnx import numpy_helper

    inputs = [*node.input, *[""] * 6][:6]
    parts = [projection(name, names) for name in inputs[:3]]
    query, key, value = parts
    if query is None or key is None or value is None or inputs[3]:
        return False
    if not query.hidden == key.hidden == value.hidden or len({part.weights.shape for part in (query, key, value)}) > 1:
        return False
    zeros = np.zeros(query.weights.shape[1], dtype=np.float32)
    weights = np.concatenate([part.weights for part in (query, key, value)], axis=1)  # [H, 3 n d]
    bias = np.concatenate([zeros if part.bias is None else part.bias for part in (query, key, value)])  # [3 n d]
    tensors = {"weights": weights, "bias": bias}
    prefix = f"packed/{node.output[0]}/"
    names.graph.initializer.extend(numpy_helper.from_array(array, prefix + name) for name, array in tensors.items())
    del node.input[:]
    given = [query.hidden, prefix + "weights", prefix + "bias", inputs[4], "", inputs[5]]
    while not given[-1]:
        given.pop()
    node.input.extend(given)
    node.op_type = "Attention"
    return bool(attribute(node, "num_heads", 0))
