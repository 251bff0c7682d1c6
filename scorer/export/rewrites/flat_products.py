"""Products over all positions of all texts in one row, as products over [B, T, H] again.

GPT-2 and its kin flatten [B, T, H] to [B T, H] for a Gemm and unfold what comes out; there a position cannot be told
from a text. This module rewrites a graph in place; it knows ONNX and nothing of the checkpoint.
"""

from __future__ import annotations

from typing import Any

from scorer.export.onnx.names import Names, attribute, remove_unread


def unflatten_products(model: Any) -> int:
    """Replace every Reshape, Gemm, Reshape that leaves all but the last axis as it was; returns how many.

    Args:
        model: an ONNX model with the shapes of its tensors, changed in place.
    """
    from onnx import helper

    names = Names(model.graph)
    nodes: list[Any] = []
    replaced = 0
    for node in model.graph.node:
        product = names.producer.get(node.input[0]) if node.op_type == "Reshape" else None
        hidden = None if product is None else _unflattened(product, node.output[0], names)
        if product is None or hidden is None:
            nodes.append(node)
            continue
        replaced += 1
        output = node.output[0]
        biased = len(product.input) > 2 and bool(product.input[2])
        plain = f"{output}/product" if biased else output
        nodes.append(helper.make_node("MatMul", [hidden, product.input[1]], [plain], name=f"{output}/MatMul"))
        if biased:
            nodes.append(helper.make_node("Add", [plain, product.input[2]], [output], name=f"{output}/Add"))
            shape = names.shape(output) or ()
            model.graph.value_info.append(helper.make_tensor_value_info(plain, 1, list(shape)))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    if replaced:
        remove_unread(model)
    return replaced


def _unflattened(product: Any, output: str, names: Names) -> str | None:
    """The tensor [.., H] that a Gemm multiplies once it is flat, or None where the node is of another kind."""
    flat = names.producer.get(product.input[0]) if product.op_type == "Gemm" else None
    if flat is None or flat.op_type != "Reshape" or names.constant(product.input[1]) is None:
        return None
    if any(
        attribute(product, name, usual) != usual
        for name, usual in (("alpha", 1.0), ("beta", 1.0), ("transA", 0), ("transB", 0))
    ):
        return None
    before, after = names.shape(flat.input[0]), names.shape(output)
    inner, outer = names.shape(flat.output[0]), names.shape(product.output[0])
    if before is None or after is None or inner is None or outer is None:
        return None
    same = before[:-1] == after[:-1] and before[-1] == inner[-1] and after[-1] == outer[-1]
    return str(flat.input[0]) if same else None
