"""Rotary position embeddings as one node, where torch's exporter writes nine.

    x cos + concat(-second half of x, first half of x) sin

is ONNX Runtime's `RotaryEmbedding`, which also takes heads side by side, [B, T, n d], so that two transpositions go.
This module rewrites a graph in place; it knows ONNX and nothing of the checkpoint.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from scorer.export.onnx.names import Names, attribute, import_domain, remove_idle_transposes, remove_unread

# [B, T, n, d] to [B, n, T, d], and back.
SWAP = [0, 2, 1, 3]
PREFIX = "rotary/"
DOMAIN = "com.microsoft"
# Nodes that keep the two halves of the last axis alike.
KEEPS_HALVES = frozenset({"Cast", "Cos", "Identity", "Sin"})


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A tensor [B, n, T, d] that is turned by its positions.

    Attributes:
        source: the same before its axes were swapped: [B, T, n, d].
        cos: [1, 1, T, d], both halves of its last axis alike.
        sin: as `cos`.
        heads: n.
        width: d.
    """

    source: str
    cos: str
    sin: str
    heads: int
    width: int


def fuse_rotary(model: Any) -> int:
    """Replace every rotary embedding of whole heads; returns how many.

    Args:
        model: an ONNX model as torch's exporter writes it, with the shapes of its tensors.
    """
    names = Names(model.graph)
    writer = _Writer()
    nodes: list[Any] = []
    for node in model.graph.node:
        turn = _turn(node, names) if node.op_type == "Add" else None
        nodes += [node] if turn is None else writer.nodes(turn, node.output[0])
    if writer.count:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(writer.tensors)
        import_domain(model, DOMAIN)
        remove_idle_transposes(model)
        remove_unread(model)
    return writer.count


def _turn(node: Any, names: Names) -> Turn | None:
    for first, second in (node.input, node.input[::-1]):
        plain, turned = names.producer.get(first), names.producer.get(second)
        if plain is None or turned is None or plain.op_type != "Mul" or turned.op_type != "Mul":
            continue
        x, cos = plain.input
        half, sin = turned.input
        shape, swap = names.shape(x), names.producer.get(x)
        if shape is None or len(shape) != 4 or swap is None or swap.op_type != "Transpose":
            continue
        heads, width = shape[1], shape[3]
        if (
            isinstance(heads, int)
            and isinstance(width, int)
            and list(attribute(swap, "perm", [])) == SWAP
            and _is_turned_half(half, x, width, names)
            and all(
                names.shape(name) == (1, 1, shape[2], width) and _has_equal_halves(name, names) for name in (cos, sin)
            )
        ):
            return Turn(swap.input[0], cos, sin, heads, width)
    return None


def _is_turned_half(name: str, x: str, width: int, names: Names) -> bool:
    """Whether a tensor is (-second half, first half) of x."""
    join = names.producer.get(name)
    if join is None or join.op_type != "Concat" or len(join.input) != 2 or attribute(join, "axis", 0) not in {-1, 3}:
        return False
    minus, first = (names.producer.get(each) for each in join.input)
    if minus is None or minus.op_type != "Neg":
        return False
    half = width // 2
    second = names.producer.get(minus.input[0])
    return _is_slice(first, x, 0, half, names) and _is_slice(second, x, half, width, names)


def _is_slice(node: Any, x: str, start: int, end: int, names: Names) -> bool:
    """Whether a node takes these places of x's last axis, and all of the others."""
    if node is None or node.op_type != "Slice" or node.input[0] != x or len(node.input) < 4:
        return False
    starts, ends, axes, *steps = (names.integers(name) for name in node.input[1:])
    return (
        starts == (start,)
        and ends is not None
        and len(ends) == 1
        and (ends[0] == end or (ends[0] > end and 2 * start == end))
        and axes in {(3,), (-1,)}
        and steps in ([], [(1,)])
    )


def _has_equal_halves(name: str, names: Names) -> bool:
    """Whether a tensor is made of cosines, or sines, of angles joined with themselves along the last axis."""
    node = names.producer.get(name)
    while node is not None:
        shape = names.shape(node.output[0]) or ()
        if node.op_type == "Concat":
            return (
                len(node.input) == 2
                and node.input[0] == node.input[1]
                and attribute(node, "axis", 0) in {-1, len(shape) - 1}
            )
        if node.op_type == "Unsqueeze":
            axes = names.integers(node.input[1])
            if axes is None or {-1, len(shape) - 1}.intersection(axes):
                return False
        elif node.op_type == "Mul":
            scalars = [names.constant(each) for each in node.input]
            if scalars[1] is None or scalars[1].size != 1:
                return False
        elif node.op_type not in KEEPS_HALVES:
            return False
        node = names.producer.get(node.input[0])
    return False


class _Writer:
    """The nodes and constants that take the place of rotary embeddings."""

    def __init__(self) -> None:
        self.count = 0
        self.tensors: list[Any] = []
        self._halves: dict[str, str] = {}
        self._constants: set[str] = set()

    def nodes(self, turn: Turn, output: str) -> list[Any]:
        from onnx import helper

        self.count += 1
        name = f"{PREFIX}{output}"
        nodes: list[Any] = []
        cos, sin = (self._half(table, turn.width, nodes) for table in (turn.cos, turn.sin))
        side_by_side = self._constant([0, 0, turn.heads * turn.width])
        by_head = self._constant([0, 0, turn.heads, turn.width])
        inputs = [f"{name}/flat", self._constant([0]), cos, sin]
        return [
            *nodes,
            helper.make_node("Reshape", [turn.source, side_by_side], inputs[:1], name=f"{name}/Reshape"),
            helper.make_node(
                "RotaryEmbedding",
                inputs,
                [f"{name}/turned"],
                name=f"{name}/RotaryEmbedding",
                domain=DOMAIN,
                num_heads=turn.heads,
            ),
            helper.make_node("Reshape", [f"{name}/turned", by_head], [f"{name}/heads"], name=f"{name}/Reshape back"),
            helper.make_node("Transpose", [f"{name}/heads"], [output], name=f"{name}/Transpose", perm=SWAP),
        ]

    def _half(self, table: str, width: int, nodes: list[Any]) -> str:
        """[1, 1, T, d] to [T, d / 2]: one of the equal halves."""
        from onnx import helper

        if table not in self._halves:
            flat, half = f"{PREFIX}{table}/flat", f"{PREFIX}{table}/half"
            bounds = [self._constant([each]) for each in (0, width // 2, 1)]
            nodes.append(helper.make_node("Reshape", [table, self._constant([-1, width])], [flat], name=flat))
            nodes.append(helper.make_node("Slice", [flat, *bounds], [half], name=half))
            self._halves[table] = half
        return self._halves[table]

    def _constant(self, values: list[int]) -> str:
        from onnx import numpy_helper

        name = f"{PREFIX}constant {values}"
        if name not in self._constants:
            self._constants.add(name)
            self.tensors.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name
