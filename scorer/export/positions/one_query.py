"""Attention with one query per text, whose keys and values need not be computed.

For a head with query q [d], key weights K, value weights V and hidden states X [S, H]:

    scores  = q (X K + bk)^T  =  (q K^T) X^T + a constant that softmax ignores
    output  = p (X V + bv)    =  (p X) V + bv, since the probabilities p sum to 1

Both right-hand sides cost S x H per head instead of S x H x d. The answers are the same up to rounding; the export
proves it. This holds where keys and values are products of the hidden states and nothing more: not where they are
turned by their position, or normed. This module knows ONNX and nothing of the checkpoint.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from scorer.export.onnx.names import Names, attribute

# Names of the new nodes begin so; quantization leaves such products as they are: too small to gain anything, and with
# weights of their own for each head.
PREFIX = "one_position/"
# Added to the scores of padding: its exponential is 0, and it exists in float16 too.
MASKED = -10_000.0
# [B, n, d] to [n, B, d], and back again.
BY_HEAD = (1, 0, 2)


@dataclasses.dataclass(frozen=True, slots=True)
class Projection:
    """Keys or values as products: hidden states, weights float32 [H, n d], bias float32 [n d] or None."""

    hidden: str
    weights: np.ndarray
    bias: np.ndarray | None


def attend_without_keys(attention: Any, names: Names) -> bool:
    """Replace an attention of one query per text by the products above, where its keys and values allow it.

    Args:
        attention: a MultiHeadAttention whose query is [B, 1, n d].
        names: the graph around it, changed in place.

    Returns:
        Whether it was done.
    """
    inputs = [*attention.input, *[""] * 6][:6]
    key, value = (projection(name, names) for name in inputs[1:3])
    if (
        key is None
        or value is None
        or key.hidden != value.hidden
        or inputs[3]
        or attribute(attention, "unidirectional", 0)
    ):
        return False
    writer = _Writer(attention.output[0])
    nodes = writer.nodes(attention, inputs, key, value)
    at = list(names.graph.node).index(attention)
    names.graph.node.remove(attention)
    for offset, node in enumerate(nodes):
        names.graph.node.insert(at + offset, node)
    names.graph.initializer.extend(writer.tensors)
    return True


def projection(name: str, names: Names) -> Projection | None:
    """A tensor [B, S, n d] as a product of hidden states, or None where it is more than that."""
    shape = names.shape(name)
    node = names.producer.get(name)
    while node is not None and node.op_type == "Reshape":  # to heads and back
        name = node.input[0]
        node = names.producer.get(name)
    if node is None or shape is None or names.shape(name) != shape:
        return None
    bias = None
    if node.op_type == "Add":
        products = [(a, b) for a, b in (node.input, node.input[::-1]) if names.constant(b) is not None]
        if not products:
            return None
        bias = names.constant(products[0][1])
        node = names.producer.get(products[0][0])
    if node is None or node.op_type != "MatMul" or (bias is not None and bias.shape != shape[-1:]):
        return None
    weights = names.constant(node.input[1])
    if weights is None or weights.ndim != 2:
        return None
    return Projection(node.input[0], weights.astype(np.float32), None if bias is None else bias.astype(np.float32))


class _Writer:
    """The nodes and constants that take an attention's place."""

    def __init__(self, out: str) -> None:
        self._out = out
        self._nodes: list[Any] = []
        self.tensors: list[Any] = []

    def nodes(self, attention: Any, inputs: list[str], key: Projection, value: Projection) -> list[Any]:
        """Nodes from the attention's inputs to its output: [B, 1, n e]."""
        heads = int(attribute(attention, "num_heads", 0))
        width, size = len(key.weights), key.weights.shape[1] // heads  # H, d
        scale = float(attribute(attention, "scale", 0.0)) or size**-0.5
        keys = (key.weights * scale).reshape(width, heads, size).transpose(1, 2, 0)  # [n, d, H]
        values = value.weights.reshape(width, heads, -1).transpose(1, 0, 2)  # [n, H, e]
        q = self._add("Reshape", [inputs[0], self._constant("split", np.array([0, heads, size]))])  # [B, n, d]
        q = self._add("Transpose", [q], perm=BY_HEAD)  # [n, B, d]
        q = self._add("MatMul", [q, self._constant("keys", keys)])  # [n, B, H]
        q = self._add("Transpose", [q], perm=BY_HEAD)  # [B, n, H]
        scores = self._add("FusedMatMul", [q, key.hidden], domain="com.microsoft", transB=1)  # [B, n, S]
        scores = self._masked(scores, inputs[4], inputs[5])
        p = self._add("Softmax", [scores], axis=-1)
        mix = self._add("MatMul", [p, key.hidden])  # [B, n, H]
        mix = self._add("Transpose", [mix], perm=BY_HEAD)  # [n, B, H]
        mix = self._add("MatMul", [mix, self._constant("values", values)])  # [n, B, e]
        mix = self._add("Transpose", [mix], perm=BY_HEAD)  # [B, n, e]
        join = self._constant("join", np.array([0, 1, value.weights.shape[1]]))
        if value.bias is None:
            self._add("Reshape", [mix, join], self._out)
        else:
            mix = self._add("Reshape", [mix, join])
            self._add("Add", [mix, self._constant("value_bias", value.bias)], self._out)
        return self._nodes

    def _masked(self, scores: str, padding: str, bias: str) -> str:
        """Scores [B, n, S] with the bias [.., .., 1, S] added, and padding, 0 in int32 [B, S], out of reach."""
        if bias:
            axis = self._constant("queries", np.array([2]))
            scores = self._add("Add", [scores, self._add("Squeeze", [bias, axis])])
        if padding:
            real = self._add("Cast", [padding], to=1)  # 1 on real tokens
            penalty = self._add("Sub", [self._constant("one", np.float32(1.0)), real])
            penalty = self._add("Mul", [penalty, self._constant("masked", np.float32(MASKED))])
            penalty = self._add("Unsqueeze", [penalty, self._constant("heads", np.array([1]))])  # [B, 1, S]
            scores = self._add("Add", [scores, penalty])
        return scores

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        name = f"{PREFIX}{self._out}/{name}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def _add(self, op_type: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = f"{PREFIX}{self._out}/{len(self._nodes)}"
        output = output or name
        self._nodes.append(helper.make_node(op_type, inputs, [output], name=f"{name}/{op_type}", **attributes))
        return output
