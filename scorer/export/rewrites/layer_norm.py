"""Sum and layer normalization as two nodes, where fusion made one of them.

ONNX Runtime's SkipLayerNormalization takes several times as long on a CPU as the two nodes it stands for, whose
loops are vectorized. On a GPU the fused one is faster, and a session there fuses them again by itself. This module
rewrites a graph in place; it knows ONNX and nothing of the checkpoint.
"""

from __future__ import annotations

from typing import Any

FUSED = "SkipLayerNormalization"
# Outputs: normalized, mean, inverse deviation, sum.
SUM_OUTPUT = 3


def unfuse_skip_layer_norm(model: Any) -> int:
    """Replace every SkipLayerNormalization by Add and LayerNormalization; returns how many there were.

    Args:
        model: an ONNX model, changed in place.
    """
    nodes: list[Any] = []
    replaced = 0
    for node in model.graph.node:
        if node.op_type == FUSED and not any(node.output[1:SUM_OUTPUT]):
            nodes += _two_nodes(node)
            replaced += 1
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return replaced


def _two_nodes(node: Any) -> list[Any]:
    """Normalized = LayerNormalization(input + bias + skip); the bias may be absent, and so may the shift (beta)."""
    from onnx import helper

    names = [*node.input, "", ""][:5]
    hidden, skip, gamma, beta, bias = names
    total = node.output[SUM_OUTPUT] if len(node.output) > SUM_OUTPUT else f"{node.output[0]}/sum"
    nodes = []
    if bias:
        nodes.append(helper.make_node("Add", [hidden, bias], [f"{total}/biased"], name=f"{total}/bias"))
        hidden = f"{total}/biased"
    nodes.append(helper.make_node("Add", [hidden, skip], [total], name=f"{total}/add"))
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-12)
    inputs = [total, gamma, beta] if beta else [total, gamma]
    name = f"{total}/normalize"
    nodes.append(helper.make_node("LayerNormalization", inputs, node.output[:1], name=name, axis=-1, epsilon=epsilon))
    return nodes
