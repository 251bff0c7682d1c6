"""Queries, keys and values from one product, where fused attention takes all three from the same hidden states.

ONNX Runtime's `Attention` multiplies by the three weights head by head, straight into the layout that it needs; the
separate products before `MultiHeadAttention` cost copies. This module rewrites a graph in place; it knows ONNX and
nothing of the checkpoint.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from scorer.export.onnx.names import Names, attribute, remove_unread
from scorer.export.positions.one_query import projection


def pack_attention(model: Any) -> int:
    """Replace every MultiHeadAttention whose inputs are products of one tensor; returns how many.

    Args:
        model: an ONNX model as torch's exporter writes it, changed in place.
    """
    names = Names(model.graph)
    readers = Counter(name for node in model.graph.node for name in node.input)
    packed = sum(_pack(node, names, readers) for node in list(model.graph.node) if node.op_type == "MultiHeadAttention")
    if packed:
        remove_unread(model)
    return packed


def _pack(node: Any, names: Names, readers: Counter[str]) -> bool:
    from onnx import numpy_helper

    inputs = [*node.input, *[""] * 6][:6]
    parts = [projection(name, names) for name in inputs[:3]]
    query, key, value = parts
    if query is None or key is None or value is None or inputs[3]:
        return False
    if not query.hidden == key.hidden == value.hidden or len({part.weights.shape for part in (query, key, value)}) > 1:
        return False
    if any(_is_read_elsewhere(name, names, readers) for name in inputs[:3]):
        return False  # it would be computed twice
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


def _is_read_elsewhere(name: str, names: Names, readers: Counter[str]) -> bool:
    """Whether more than one node reads a projection, before or after its reshapes."""
    node = names.producer.get(name)
    while node is not None and node.op_type in {"Reshape", "Add", "MatMul"}:
        if readers[node.output[0]] > 1:
            return True
        if node.op_type == "MatMul":
            return False
        constant = node.op_type == "Add" and names.constant(node.input[0]) is not None
        node = names.producer.get(node.input[1 if constant else 0])
    return False
