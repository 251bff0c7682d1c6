"""Attention that holds no T x T numbers where texts are long, and computes local layers as local.

ONNX Runtime's operator holds the scores of all queries and keys, B n T T floats, unless it is given neither mask nor
bias. Windows, written as attributes (`attention_window`), are none of its inputs at all. So each attention is written
twice, and the length of the batch decides, where the export allows texts long enough for it to matter:

    short   the operator as it is, with the window as a bias
    long    everything seen: padding as one more channel of queries and keys, so that no mask is needed and the operator
            works in tiles; causal or local: blocks of queries, one after another, with the keys that they can see

Both are the same attention, for any number of rows and of tokens. This module rewrites a graph in place; it knows ONNX
and nothing of the checkpoint.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from scorer.export.attention.attention_window import EVERYTHING, Window, set_window, window_of
from scorer.export.onnx.names import Names, attribute
from scorer.export.onnx.writer import BOOL, FLOAT, INT64, GraphWriter

# Texts of at most so many tokens are computed in one piece: up to here that is no slower, and its memory is small.
SHORT = 512
# Queries of a block: small windows want small blocks, since a block computes its width beyond the window.
SMALL_WINDOW, SMALL_BLOCK, BLOCK = 512, 128, 256
# Channels added to queries and keys: one says padding, the others keep the width a multiple that GPU kernels take.
CHANNELS = 8
# The score of a padded key, whose exponential is 0, as a product of two numbers that exist in float16: the query's, and
# the rest.
PADDED, QUERY_SAYS = -10_000.0, 100.0
# Added to the scores of keys outside the window.
UNSEEN = float(np.finfo(np.float32).min)
PREFIX = "long/"


def bound_attention(model: Any, longest: int) -> None:
    """Write the attentions of a graph as above, in place.

    Args:
        model: an ONNX model as torch's exporter writes it, with the shapes of its tensors.
        longest: tokens of the longest text that it will be given.
    """
    names = Names(model.graph)
    graph = _Graph(names, longest)
    nodes: list[Any] = []
    for node in model.graph.node:
        nodes += graph.rewrite(node) if node.op_type == "MultiHeadAttention" else [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@dataclasses.dataclass(frozen=True, slots=True)
class _Attention:
    """A node's inputs and numbers: query [B, T, n d], key [B, S, n d], value [B, S, n e], padding int32 [B, S] or "".

    `tokens` is T, by the name that the graph has for it.
    """

    query: str
    key: str
    value: str
    padding: str
    heads: int
    scale: float
    tokens: int | str


class _Graph:
    """The graph in the course of the change; what several layers need is written once."""

    def __init__(self, names: Names, longest: int) -> None:
        self._names, self._longest = names, longest
        self._shared = GraphWriter(names.graph, f"{PREFIX}shared/")
        self._is_long: dict[int | str, str] = {}  # T -> bool []
        self._biases: dict[tuple[int | str, Window], str] = {}  # T and window -> float [1, 1, T, T]

    def rewrite(self, node: Any) -> list[Any]:
        """One attention in its two forms, or in the short one where no text is long; and what both need besides."""
        window = window_of(node).within(self._longest)
        set_window(node, window)
        inputs = [*node.input, *[""] * 6][:6]
        shape = self._names.shape(inputs[0]) or ()
        tokens = shape[1] if len(shape) == 3 else 1
        if tokens == 1 or (inputs[5] and (window == EVERYTHING or window.is_causal)):
            return [node]  # one query; or a bias of the model's own, which is as large as the scores
        before = len(self._shared.nodes)
        heads, scale = attribute(node, "num_heads", 0), attribute(node, "scale", 0.0)
        attention = _Attention(inputs[0], inputs[1], inputs[2], inputs[4], heads, scale, tokens)
        if self._longest <= SHORT or (window == EVERYTHING and not attention.padding):
            self._show_window(node, attention, window)
            return [*self._shared.nodes[before:], node]
        is_long = self._when_long(attention)
        writer = GraphWriter(self._names.graph, f"{PREFIX}{node.output[0]}/")
        output, long, short = node.output[0], writer.branch("long"), writer.branch("short")
        attended = _everywhere(long, attention) if window == EVERYTHING else _in_blocks(long, attention, window)
        self._show_window(node, attention, window.within(SHORT))
        node.output[0] = f"{PREFIX}{output}/short"
        short.nodes.append(node)
        writer.node(
            "If",
            [is_long],
            output,
            then_branch=long.as_graph({attended: FLOAT}),
            else_branch=short.as_graph({node.output[0]: FLOAT}),
        )
        return [*self._shared.nodes[before:], *writer.nodes]

    def _when_long(self, attention: _Attention) -> str:
        """Whether the texts of the batch are long: bool []."""
        if attention.tokens not in self._is_long:
            add, constant = self._shared.node, self._shared.constant
            length = add("Gather", [add("Shape", [attention.query]), constant(1)], axis=0)
            self._is_long[attention.tokens] = add("Greater", [length, constant(SHORT)])
        return self._is_long[attention.tokens]

    def _show_window(self, node: Any, attention: _Attention, window: Window) -> None:
        """Turn a node's window into what the operator knows: its own attribute where it is causal, or else a bias.

        The bias is made for short texts; of long ones nobody reads it.
        """
        set_window(node, window if window.is_causal else EVERYTHING)
        if window == EVERYTHING or window.is_causal:
            return
        key = (attention.tokens, window)
        if key not in self._biases:
            add, constant = self._shared.node, self._shared.constant
            length = add("Gather", [add("Shape", [attention.query]), constant(1)], axis=0)
            length = add("Min", [length, constant(SHORT)])
            positions = add("Range", [constant(0), length, constant(1)])
            self._biases[key] = _bias(self._shared, positions, positions, window)
        inputs = [*node.input, *[""] * 6][:5]
        del node.input[:]
        node.input.extend([*inputs, self._biases[key]])


def _bias(writer: GraphWriter, queries: str, keys: str, window: Window) -> str:
    """What is added to the scores of a window: positions int64 [T] and [S] to float [1, 1, T, S]."""
    add, constant = writer.node, writer.constant
    ahead = add("Sub", [add("Unsqueeze", [keys, constant([0])]), add("Unsqueeze", [queries, constant([1])])])  # [T, S]
    seen = add(
        "And",
        [add("LessOrEqual", [ahead, constant(window.right)]), add("GreaterOrEqual", [ahead, constant(-window.left)])],
    )
    bias = add("Where", [seen, constant(0, np.float32), constant(UNSEEN, np.float32)])
    return add("Unsqueeze", [bias, constant([0, 1])])


def _everywhere(writer: GraphWriter, attention: _Attention) -> str:
    """Attention over all keys but padding: without a mask, the operator never holds more than a tile of the scores."""
    add, constant, heads = writer.node, writer.constant, attention.heads
    real = add("Unsqueeze", [add("Cast", [attention.padding], to=FLOAT), constant([2, 3])])  # [B, S, 1, 1]
    says = np.zeros(CHANNELS, np.float32)
    says[0] = PADDED / QUERY_SAYS / attention.scale
    padded = add("Sub", [constant(1, np.float32), real])
    padded = add("Mul", [padded, constant(says, np.float32)])  # [B, S, 1, c]
    says[0] = QUERY_SAYS
    wider = []
    for states, channels in ((attention.query, constant(says[None, None, None], np.float32)), (attention.key, padded)):
        split = add("Reshape", [states, constant([0, 0, heads, -1])])  # [B, T, n, d]
        size = add("Concat", [add("Shape", [states], end=2), constant([heads, CHANNELS])], axis=0)
        both = add("Concat", [split, add("Expand", [channels, size])], axis=3)  # [B, T, n, d + c]
        wider.append(add("Reshape", [both, constant([0, 0, -1])]))
    return _attend(writer, [*wider, attention.value], attention)


def _in_blocks(writer: GraphWriter, attention: _Attention, window: Window) -> str:
    """Attention of one block of queries after another, each over the keys that one of its queries can see."""
    add, constant = writer.node, writer.constant
    block = SMALL_BLOCK if window.left + window.right < SMALL_WINDOW else BLOCK
    length = add("Gather", [add("Shape", [attention.query]), constant(1)], axis=0)  # T
    blocks = add("Div", [add("Add", [length, constant(block - 1)]), constant(block)])
    missing = add("Sub", [add("Mul", [blocks, constant(block)]), length])
    ends = add("Concat", [constant([0, 0, 0, 0]), add("Unsqueeze", [missing, constant([0])]), constant([0])], axis=0)
    queries = add("Pad", [attention.query, ends])  # up to whole blocks
    body = _block(writer.branch("block"), dataclasses.replace(attention, query=queries), window, block)
    attended = add("Loop", [blocks, constant(True, np.bool_)], body=body)  # [blocks, B, block, n e]
    attended = add("Transpose", [attended], perm=[1, 0, 2, 3])
    # a size of 0 keeps that of the input, -1 takes what is left
    shape = add("Concat", [add("Shape", [attended], end=1), constant([-1]), add("Shape", [attended], start=3)], axis=0)
    attended = add("Reshape", [attended, shape])  # [B, blocks * block, n e]
    return add("Slice", [attended, constant([0]), add("Unsqueeze", [length, constant([0])]), constant([1])])


def _block(writer: GraphWriter, attention: _Attention, window: Window, block: int) -> Any:
    """The body of the loop: from the number of a block to its attention, float [B, block, n e]."""
    add, constant = writer.node, writer.constant
    number, go_on, still = "number", "go_on", "still"
    length = add("Gather", [add("Shape", [attention.key]), constant(1)], axis=0)
    start = add("Mul", [number, constant(block)])
    stop = add("Add", [start, constant(block)])
    first = add("Max", [add("Sub", [start, constant(window.left)]), constant(0)])
    last = add("Min", [add("Add", [stop, constant(window.right)]), length])

    def cut(states: str, begin: str, end: str) -> str:
        bounds = [add("Unsqueeze", [bound, constant([0])]) for bound in (begin, end)]
        return add("Slice", [states, *bounds, constant([1])])

    seen = [cut(states, first, last) for states in (attention.key, attention.value)]
    bias = _bias(
        writer,
        add("Range", [start, stop, constant(1)]),
        add("Range", [first, last, constant(1)]),
        window,
    )
    padding = cut(attention.padding, first, last) if attention.padding else ""
    out = _attend(writer, [cut(attention.query, start, stop), *seen], attention, padding, bias)
    add("Identity", [go_on], still)
    return writer.as_graph({still: BOOL, out: FLOAT}, {number: INT64, go_on: BOOL})


def _attend(writer: GraphWriter, states: list[str], attention: _Attention, padding: str = "", bias: str = "") -> str:
    inputs = [*states, "", padding, bias]
    while not inputs[-1]:
        inputs.pop()
    return writer.node(
        "MultiHeadAttention", inputs, domain="com.microsoft", num_heads=attention.heads, scale=attention.scale
    )
