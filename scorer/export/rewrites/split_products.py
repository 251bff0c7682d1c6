"""Parts of one product as products of their own, where the product is cut into parts along its columns.

ModernBERT computes queries, keys and values in one product, and the two halves of its gate in another; ONNX Runtime
then copies the parts out. Products of the weights' columns need no copies, and where positions or integers come into
it, each part stands for itself. This module rewrites a graph in place; it knows ONNX and nothing of the checkpoint.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scorer.export.onnx.names import Names, attribute, remove_unread


def split_products(model: Any) -> int:
    """Replace products without a bias whose readers all take parts of them; returns how many parts there are.

    Args:
        model: an ONNX model as torch's exporter writes it, with the shapes of its tensors, changed in place.
    """
    from onnx import helper, numpy_helper

    names = Names(model.graph)
    cuts = _cuts(model.graph, names)
    nodes: list[Any] = []
    parts = 0
    for node in model.graph.node:
        if id(node) not in cuts:
            nodes.append(node)
            continue
        product, weights, ranges = cuts[id(node)]
        for (start, end), output in zip(ranges, node.output, strict=True):
            parts += 1
            columns, plain = f"{output}/columns", f"{output}/product"
            tensor = numpy_helper.from_array(np.ascontiguousarray(weights[:, start:end]), columns)
            model.graph.initializer.append(tensor)
            direct = node.op_type == "Split"
            nodes.append(
                helper.make_node(
                    "MatMul", [product.input[0], columns], [output if direct else plain], name=f"{output}/MatMul"
                )
            )
            if direct:
                continue
            before, after = names.shape(product.input[0]) or (), names.shape(output) or ()
            model.graph.value_info.append(helper.make_tensor_value_info(plain, 1, [*before[:-1], end - start]))
            shape = numpy_helper.from_array(np.array([0, 0, *after[2:]], dtype=np.int64), f"{output}/shape")
            model.graph.initializer.append(shape)
            nodes.append(helper.make_node("Reshape", [plain, shape.name], [output], name=f"{output}/Reshape"))
    if parts:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        remove_unread(model)
    return parts


Cut = tuple[Any, np.ndarray, list[tuple[int, int]]]


def _cuts(graph: Any, names: Names) -> dict[int, Cut]:
    """Nodes, by id, that take parts of products which nothing reads whole."""
    readers: dict[str, list[Any]] = {output.name: [None] for output in graph.output}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = {id(node): cut for node in graph.node if (cut := _parts(node, names)) is not None}

    def only_cut(name: str) -> bool:
        return all(
            id(reader) in found or (reader is not None and reader.op_type == "Reshape" and only_cut(reader.output[0]))
            for reader in readers.get(name, [])
        )

    return {key: cut for key, cut in found.items() if only_cut(cut[0].output[0])}


def _parts(node: Any, names: Names) -> Cut | None:
    """Of a node that takes columns of a product: the product, its weights, and the columns of each output."""
    if node.op_type == "Split":
        product, widths = names.producer.get(node.input[0]), _widths(node, names)
        found = None if widths is None else _ranges(widths)
    elif node.op_type == "Slice":
        unfolded = names.producer.get(node.input[0])
        if unfolded is None or unfolded.op_type != "Reshape":
            return None
        product = names.producer.get(unfolded.input[0])
        found = _sliced_columns(node, names)
    else:
        return None
    if product is None or product.op_type != "MatMul" or found is None:
        return None
    weights, rows, before = names.constant(product.input[1]), names.shape(product.input[0]), names.shape(node.input[0])
    if weights is None or weights.ndim != 2 or rows is None or before is None or rows[:-1] != before[: len(rows) - 1]:
        return None
    if len(rows) != 3 or math.prod(int(size) for size in before[2:]) != weights.shape[1]:
        return None
    return product, weights, found


def _widths(node: Any, names: Names) -> list[int] | None:
    """Sizes of the parts of a Split along the last axis, where they are fixed."""
    shapes = [names.shape(name) for name in node.output]
    if any(shape is None or not isinstance(shape[-1], int) for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    if attribute(node, "axis", 0) not in {-1, len(known[0]) - 1}:
        return None
    return [int(shape[-1]) for shape in known]


def _ranges(widths: list[int]) -> list[tuple[int, int]]:
    ends = np.cumsum(widths)
    return [(int(end) - width, int(end)) for end, width in zip(ends, widths, strict=True)]


def _sliced_columns(node: Any, names: Names) -> list[tuple[int, int]] | None:
    """The columns that a Slice along the third axis takes, where that and the later ones unfold the columns."""
    before, bounds = names.shape(node.input[0]), [names.integers(name) for name in node.input[1:]]
    if before is None or len(before) < 4 or len(bounds) < 3 or not all(isinstance(size, int) for size in before[2:]):
        return None
    starts, ends, axes, *steps = bounds
    if not starts or not ends or not axes or axes[0] % len(before) != 2 or steps not in ([], [(1,)]):
        return None
    inner = math.prod(int(size) for size in before[3:])
    start, end = starts[0], min(ends[0], int(before[2]))
    return [(start * inner, end * inner)] if 0 <= start < end else None
