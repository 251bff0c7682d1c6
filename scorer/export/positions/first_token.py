"""The last layer of an encoder, computed for the first token alone, because a classifier reads no other.

Everything after the last attention works on each position by itself, and the head picks position 0. So the
other positions need not be computed, and the attention has one query x0 instead of T. With one query even its
keys and values can go. For a head with queries q, key weights K, value weights V and hidden states X [T, H]:

    scores  = (x0 Q + bq) (X K + bk)^T  =  ((x0 Q + bq) K^T) X^T + a constant that softmax ignores
    output  = p (X V + bv)              =  (p X) V + bv, since the probabilities p sum to 1

Both right-hand sides cost T x H per head instead of T x H x H. The answers are the same up to rounding; the
export proves it. This module rewrites a graph in which attention is fused, and leaves every other graph alone.
It knows ONNX and nothing of the checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

# Nodes whose output at one position depends on their inputs at that position alone.
POSITIONWISE = frozenset(
    {
        "Add", "Mul", "Sub", "Div", "Pow", "Sqrt", "Cast", "Identity", "Dropout", "MatMul", "Tanh", "Relu", "Erf",
        "Gelu", "BiasGelu", "FastGelu", "QuickGelu", "LayerNormalization", "SkipLayerNormalization",
    }
)  # fmt: skip
# Added to the scores of padding: its exponential is 0, and it exists in float16 too.
MASKED = -10_000.0
# Names of the new nodes begin so; quantization leaves them as they are.
PREFIX = "first_token/"


@dataclasses.dataclass(frozen=True, slots=True)
class _LastLayer:
    """What is rewritten.

    Attributes:
        attention: the last fused Attention node.
        residuals: node and input position of every tensor that joins the layer's stream from before the attention.
    """

    attention: Any
    residuals: tuple[tuple[Any, int], ...]


def keep_first_token(model: Any) -> str | None:
    """Rewrite the graph's last layer for the first token, in place.

    Args:
        model: an ONNX model with fused Attention nodes.

    Returns:
        None when it was done; otherwise the reason why the graph was left as it was.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found = _find(graph, constants)
    if isinstance(found, str):
        return found
    attention = found.attention
    nodes, tensors = _attention_of_first_token(attention, constants)
    hidden = attention.input[0]
    slices = {hidden: ".hidden"}
    for node, position in found.residuals:
        first = slices.setdefault(node.input[position], f".residual_{len(slices)}")
        node.input[position] = PREFIX + first[1:]
    sliced = [_node("Slice", [name, ".start", ".stop", ".axis"], first) for name, first in slices.items()]
    at = list(graph.node).index(attention)
    graph.node.remove(attention)
    for offset, node in enumerate([*sliced, *nodes]):
        graph.node.insert(at + offset, node)
    graph.initializer.extend(tensors)
    for name in attention.input[1:3]:
        if not any(name in node.input for node in graph.node):
            graph.initializer.remove(constants[name])
    return None


def _find(graph: Any, constants: dict[str, Any]) -> _LastLayer | str:
    """The last layer, or why there is none that can be rewritten."""
    attentions = [node for node in graph.node if node.op_type == "Attention" and node.domain == "com.microsoft"]
    if not attentions:
        return "its attention is not fused"
    attention = attentions[-1]
    if (reason := _unusable(attention, graph, constants)) is not None:
        return reason
    stream = {attention.output[0]}  # tensors [B, T, H] that only position 0 is needed of
    residuals: list[tuple[Any, int]] = []
    selected = False
    for node in graph.node:  # in topological order
        inside = [name for name in node.input if name in stream]
        if not inside:
            continue
        if _selects_first_token(node, constants):
            selected = True
            continue
        if node.op_type not in POSITIONWISE or not _keeps_positions(node, inside, constants):
            return f"its head does more than read the first token ({node.op_type})"
        stream.update(node.output)
        for position, name in enumerate(node.input):
            if name and name not in stream and name not in constants:
                if node.op_type != "SkipLayerNormalization" and name != attention.input[0]:
                    return f"its last layer has an input of an unknown shape ({node.op_type})"
                residuals.append((node, position))
    if not selected or stream & {output.name for output in graph.output}:
        return "its head does not read the first token alone"
    return _LastLayer(attention, tuple(residuals))


def _unusable(attention: Any, graph: Any, constants: dict[str, Any]) -> str | None:
    attributes = {attribute.name for attribute in attention.attribute}
    inputs = [name for name in attention.input if name]
    known = attributes <= {"num_heads", "mask_filter_value", "scale", "unidirectional"}
    if not known or _attribute(attention, "unidirectional", 0) or len(inputs) > 4:
        return "its last attention is of another kind"
    if not {attention.input[1], attention.input[2]} <= set(constants):
        return "its last attention has weights that are not constant"
    if "attention_mask" not in {node.name for node in graph.input}:
        return "it takes no attention mask"
    return None


def _selects_first_token(node: Any, constants: dict[str, Any]) -> bool:
    """Whether the node is hidden[:, 0]."""
    from onnx import numpy_helper

    if node.op_type != "Gather" or _attribute(node, "axis", 0) != 1 or node.input[1] not in constants:
        return False
    index = numpy_helper.to_array(constants[node.input[1]])
    return bool(index.size == 1 and index.reshape(()) == 0)


def _keeps_positions(node: Any, inside: list[str], constants: dict[str, Any]) -> bool:
    """Whether the node treats all positions alike: a product has the stream on its left, a constant has no position."""
    if node.op_type == "MatMul":
        return node.input[0] in inside and node.input[1] in constants
    if node.op_type == "LayerNormalization":
        return bool(_attribute(node, "axis", -1) in (-1, 2))
    shapes = [list(constants[name].dims) for name in node.input if name in constants]
    return all(math.prod(shape[:-1]) == 1 for shape in shapes)


def _attention_of_first_token(attention: Any, constants: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Nodes and constants that compute the attention's output at position 0: [B, 1, H]."""
    from onnx import numpy_helper

    weights = numpy_helper.to_array(constants[attention.input[1]]).astype(np.float32)  # [H, 3 n d]
    bias = numpy_helper.to_array(constants[attention.input[2]]).astype(np.float32)  # [3 n d]
    heads = int(_attribute(attention, "num_heads", 0))
    width = weights.shape[1] // 3  # n d
    size = width // heads  # d
    scale = float(_attribute(attention, "scale", 0.0)) or 1 / math.sqrt(size)
    query, key, value = np.split(weights, 3, axis=1)  # each [H, n d]
    per_head = (len(weights), heads, size)
    arrays = {
        "query": query * scale,  # [H, n d]
        "query_bias": bias[:width] * scale,  # [n d]
        "key": key.reshape(per_head).transpose(1, 2, 0),  # [n, d, H]
        "value": value.reshape(per_head).transpose(1, 0, 2),  # [n, H, d]
        "value_bias": bias[2 * width :],  # [n d]
        "split": np.array([0, heads, size], dtype=np.int64),  # [B, 1, n d] as [B, n, d]
        "join": np.array([0, 1, width], dtype=np.int64),  # [B, n, d] as [B, 1, n d]
        "one": np.array(1.0, dtype=np.float32),
        "masked": np.array(MASKED, dtype=np.float32),
        "start": np.array([0], dtype=np.int64),
        "stop": np.array([1], dtype=np.int64),
        "axis": np.array([1], dtype=np.int64),
    }
    tensors = [numpy_helper.from_array(np.ascontiguousarray(array), PREFIX + name) for name, array in arrays.items()]
    hidden, out = attention.input[0], attention.output[0]
    heads_first = {"perm": [1, 0, 2]}  # and back again
    nodes = [
        _node("MatMul", [".hidden", ".query"], ".q"),  # [B, 1, n d]
        _node("Add", [".q", ".query_bias"], ".q_biased"),
        _node("Reshape", [".q_biased", ".split"], ".q_heads"),  # [B, n, d]
        _node("Transpose", [".q_heads"], ".q_by_head", **heads_first),  # [n, B, d]
        _node("MatMul", [".q_by_head", ".key"], ".k_by_head"),  # [n, B, H]
        _node("Transpose", [".k_by_head"], ".k_heads", **heads_first),  # [B, n, H]
        _node("FusedMatMul", [".k_heads", hidden], ".scores", domain="com.microsoft", transB=1),  # [B, n, T]
        _node("Cast", ["attention_mask"], ".mask", to=1),  # [B, T], 1 on real tokens
        _node("Sub", [".one", ".mask"], ".padding"),
        _node("Mul", [".padding", ".masked"], ".penalty"),
        _node("Unsqueeze", [".penalty", ".axis"], ".penalty_heads"),  # [B, 1, T]
        _node("Add", [".scores", ".penalty_heads"], ".scores_masked"),
        _node("Softmax", [".scores_masked"], ".p", axis=-1),  # [B, n, T]
        _node("MatMul", [".p", hidden], ".mix"),  # [B, n, H]
        _node("Transpose", [".mix"], ".mix_by_head", **heads_first),  # [n, B, H]
        _node("MatMul", [".mix_by_head", ".value"], ".v_by_head"),  # [n, B, d]
        _node("Transpose", [".v_by_head"], ".v_heads", **heads_first),  # [B, n, d]
        _node("Reshape", [".v_heads", ".join"], ".v"),  # [B, 1, n d]
        _node("Add", [".v", ".value_bias"], out),
    ]
    return nodes, tensors


def _node(op_type: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    """A node; names that begin with a dot are this module's own."""
    from onnx import helper

    names = [PREFIX + name[1:] if name.startswith(".") else name for name in (*inputs, output)]
    return helper.make_node(op_type, names[:-1], names[-1:], name=f"{names[-1]}/{op_type}", **attributes)


def _attribute(node: Any, name: str, default: Any) -> Any:
    from onnx import helper

    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default
