"""Which token a head reads, made right for every row of a padded batch.

A decoder reads the last token, a model with an end token (BART and kin) the last of those. transformers finds them by
looking at token ids, in ways that hold for a row alone and not for a batch: where no padding id is configured it takes
the last column, and where rows differ in their number of end tokens it refuses the batch, which a graph cannot. This
module rewrites the comparison in an exported graph, so that each row is read as it is alone. It knows ONNX and nothing
of the checkpoint; the export proves what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Stands for the padding id while a model without one is exported. No token has it, so that its comparison is known.
NO_PADDING_ID = -7_734
PREFIX = "read_token/"


def read_last_token(model: Any) -> bool:
    """Have padding found by the attention mask where the graph compares ids with NO_PADDING_ID, in place.

    Returns:
        Whether there was such a comparison.
    """
    graph = model.graph
    found = [node for node, value in _comparisons(graph) if value == NO_PADDING_ID]
    if not found or not _has_mask(graph):
        return False
    graph.initializer.append(_constant("zero", 0))
    for node in found:
        node.input[:] = ["attention_mask", f"{PREFIX}zero"]  # true on padding, as it was meant
    return True


def read_last_end_token(model: Any) -> bool:
    """Have only the last end token of each row selected, where the graph gathers those of all rows, in place.

    The hidden states of all end tokens are laid out as [B, ends, H], which works where every row has as many. With one
    for each row it always does, and the last one, which is read, is the same.

    Returns:
        Whether the graph gathers tokens by their id.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    found = [node for node, _ in _comparisons(graph) if _selects(graph, node.output[0])]
    if not found or not _has_mask(graph):
        return False
    graph.initializer.extend([_constant("zero", 0), _constant("one", 1)])
    for number, node in enumerate(found):
        stem = f"{PREFIX}{number}/"
        ends = node.output[0]
        node.output[0] = f"{stem}equal"
        steps = [  # all [B, T]
            ("Greater", ["attention_mask", f"{PREFIX}zero"], "real", {}),
            ("And", [f"{stem}equal", f"{stem}real"], "end", {}),
            ("Cast", [f"{stem}end"], "end_as_number", {"to": TensorProto.INT64}),
            ("CumSum", [f"{stem}end_as_number", f"{PREFIX}one"], "ends_from_here", {"reverse": 1}),
            ("Equal", [f"{stem}ends_from_here", f"{PREFIX}one"], "none_after", {}),
        ]
        nodes = [helper.make_node(op, names, [stem + out], name=stem + out, **more) for op, names, out, more in steps]
        nodes.append(helper.make_node("And", [f"{stem}end", f"{stem}none_after"], [ends], name=f"{stem}last_end"))
        at = list(graph.node).index(node) + 1
        for offset, new in enumerate(nodes):
            graph.node.insert(at + offset, new)
    return True


def _comparisons(graph: Any) -> Iterator[tuple[Any, int]]:
    """Nodes that compare the token ids with one constant, and the constant."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = node.attribute[0].t
    ids = {"input_ids"}
    for node in graph.node:  # in topological order
        if node.op_type in {"Cast", "Identity"} and node.input[0] in ids:
            ids.update(node.output)
        elif node.op_type == "Equal":
            for one, other in (node.input, reversed(node.input)):
                if one in ids and other in constants:
                    value = numpy_helper.to_array(constants[other])
                    if value.size == 1:
                        yield node, int(value.reshape(()))


def _selects(graph: Any, name: str) -> bool:
    """Whether positions are taken where the boolean tensor is true."""
    names = {name}
    for node in graph.node:  # in topological order
        if names.isdisjoint(node.input):
            continue
        if node.op_type in {"NonZero", "Compress"}:
            return True
        if node.op_type in {"Cast", "Identity", "Expand"}:
            names.update(node.output)
    return False


def _has_mask(graph: Any) -> bool:
    return "attention_mask" in {node.name for node in graph.input}


def _constant(name: str, value: int) -> Any:
    import numpy as np
    from onnx import numpy_helper

    return numpy_helper.from_array(np.array(value, dtype=np.int64), PREFIX + name)
