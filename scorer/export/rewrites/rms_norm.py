"""Root mean square normalization as one node, where torch's exporter writes seven.

ONNX Runtime fuses it where it is written with a division; torch's exporter writes a reciprocal. This module rewrites a
graph in place; it knows ONNX and nothing of the checkpoint.
"""

from __future__ import annotations

from typing import Any

from scorer.export.onnx.names import Names, attribute, remove_unread

FUSED = "SimplifiedLayerNormalization"


def fuse_rms_norm(model: Any) -> int:
    """Replace every weighted norm over the last axis; returns how many.

    Args:
        model: an ONNX model as torch's exporter writes it, with the shapes of its tensors.
    """
    from onnx import helper

    names = Names(model.graph)
    nodes: list[Any] = []
    replaced = 0
    for node in model.graph.node:
        norm = _norm(node, names) if node.op_type == "Mul" else None
        if norm is None:
            nodes.append(node)
            continue
        x, weights, epsilon = norm
        replaced += 1
        name = f"{node.output[0]}/{FUSED}"
        nodes.append(helper.make_node(FUSED, [x, weights], [node.output[0]], name=name, axis=-1, epsilon=epsilon))
    if replaced:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        remove_unread(model)
    return replaced


def _norm(node: Any, names: Names) -> tuple[str, str, float] | None:
    """Of weights * (x * 1 / sqrt(mean(x^2) + epsilon)): x, weights [H] and epsilon."""
    shape = names.shape(node.output[0])
    for weights, product in (node.input, node.input[::-1]):
        if shape is None or names.shape(weights) != shape[-1:]:
            continue
        scaled = names.producer.get(product)
        if scaled is None or scaled.op_type != "Mul":
            continue
        for x, factor in (scaled.input, scaled.input[::-1]):
            epsilon = _epsilon(factor, x, names)
            if epsilon is not None and names.shape(x) == shape:
                return x, weights, epsilon
    return None


def _epsilon(factor: str, x: str, names: Names) -> float | None:
    """Epsilon, where a factor is 1 / sqrt(mean(x^2) + epsilon) over the last axis."""
    total = _only_input(_only_input(factor, "Reciprocal", names), "Sqrt", names)
    node = names.producer.get(total or "")
    if node is None or node.op_type != "Add":
        return None
    epsilon = names.constant(node.input[1])
    mean = names.producer.get(node.input[0])
    if epsilon is None or epsilon.size != 1 or mean is None or mean.op_type != "ReduceMean":
        return None
    axes = names.integers(mean.input[1]) if len(mean.input) > 1 else None
    rank = len(names.shape(x) or ())
    if axes not in {(-1,), (rank - 1,)} or not attribute(mean, "keepdims", 1):
        return None
    square = names.producer.get(mean.input[0])
    if square is None or square.input[0] != x:
        return None
    if square.op_type == "Pow":
        power = names.constant(square.input[1])
        is_square = power is not None and power.size == 1 and float(power.reshape(())) == 2.0
    else:
        is_square = square.op_type == "Mul" and square.input[1] == x
    return float(epsilon.reshape(())) if is_square else None


def _only_input(name: str | None, op_type: str, names: Names) -> str | None:
    """What a node of a kind is computed from, if that is what a tensor comes from."""
    node = names.producer.get(name or "")
    return str(node.input[0]) if node is not None and node.op_type == op_type else None
