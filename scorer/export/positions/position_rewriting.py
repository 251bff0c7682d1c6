"""The change of a graph that computes one position where one is read, once it is known what is needed of each tensor.

This module knows ONNX and nothing of the checkpoint; `positions.one_position` finds out what is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scorer.export.attention.attention_window import EVERYTHING, set_window, window_of
from scorer.export.onnx.names import Names
from scorer.export.positions.one_query import PREFIX
from scorer.export.positions.position_choices import Choice
from scorer.export.positions.positionwise import OWN_AXES, needs_of

INT32 = 6


class Rewriting:
    """The change of a graph, once it is known what is needed of every tensor."""

    def __init__(self, names: Names, choices: dict[int, Choice], wanted: dict[str, int], cut: dict[int, Any]) -> None:
        self._names, self._choices, self._wanted, self._cut = names, choices, wanted, cut
        self._position = next(iter(choices.values())).position
        self._nodes: list[Any] = []
        self._taken: dict[tuple[str, int, int], str] = {}  # tensor, axis, rank -> its one position
        self._constants: dict[str, str] = {}
        self._count = 0

    def apply(self) -> None:
        """Rewrite the graph's nodes in place."""
        graph = self._names.graph
        computed_once = {name for node in self._cut.values() for name in node.output}
        for node in list(graph.node):
            if id(node) in self._choices:
                self._replace_choice(self._choices[id(node)], computed_once)
            else:
                if id(node) in self._cut:
                    self._narrow(node, computed_once)
                self._nodes.append(node)
        in_order = _in_order(self._nodes)
        del graph.node[:]
        graph.node.extend(in_order)
        for info in graph.value_info:
            if info.name in computed_once:
                info.type.tensor_type.shape.dim[self._wanted[info.name]].dim_value = 1

    def _replace_choice(self, choice: Choice, computed_once: set[str]) -> None:
        """The position is there already: only its axis may have to go."""
        name, output = choice.node.input[0], choice.node.output[0]
        one = name if name in computed_once else self._take(name, choice.axis, len(self._names.shape(name) or ()))
        if choice.kept:
            self._add("Identity", [one], output)
        else:
            self._add("Squeeze", [one, self._constant([choice.axis])], output)

    def _narrow(self, node: Any, computed_once: set[str]) -> None:
        """Have a node compute one position: from one position of its inputs where it needs no more."""
        axis = next(self._wanted[name] for name in node.output if name in self._wanted)
        rank = len(self._names.shape(node.output[0]) or ())
        for index, (name, needed) in enumerate(
            zip(list(node.input), needs_of(node, self._wanted, self._names), strict=True)
        ):
            if needed is not None and name not in computed_once:
                # An input of fewer axes than the output is broadcast from the left.
                own = len(self._names.shape(name) or ())
                aligned = rank if node.op_type not in OWN_AXES else own
                node.input[index] = self._take(name, needed + aligned - own, aligned)
        if node.op_type in {"Reshape", "Expand"}:
            node.input[1] = self._with_one(node.input[1], axis)
        elif node.op_type == "MultiHeadAttention":
            self._see_its_window(node)

    def _with_one(self, target: str, axis: int) -> str:
        """A target shape with size 1 at an axis."""
        sizes = self._names.integers(target)
        if sizes is not None:
            return self._constant([1 if index == axis else size for index, size in enumerate(sizes)])
        return self._add("ScatterElements", [target, self._constant([axis]), self._constant([1])])

    def _see_its_window(self, node: Any) -> None:
        """The one query of a causal or local attention sees the keys around its position."""
        window = window_of(node)
        set_window(node, EVERYTHING)
        if window == EVERYTHING or (window.is_causal and self._position == -1):
            return
        length = self._add("Gather", [self._add("Shape", [node.input[1]]), self._constant(1)], axis=0)
        keys = self._add("Range", [self._constant(0), length, self._constant(1)])  # int64 [S]
        if self._position == 0:
            at = self._constant([0])  # [1]
        elif self._position == -1:
            at = self._add("Sub", [length, self._constant([1])])  # [1]
        else:
            at = self._add("Unsqueeze", [str(self._position), self._constant([1])])  # int64 [B, 1]
        last = self._add("Add", [at, self._constant(window.right)])
        first = self._add("Sub", [at, self._constant(window.left)])
        near = [self._add("LessOrEqual", [keys, last]), self._add("GreaterOrEqual", [keys, first])]
        seen = self._add("Cast", [self._add("And", near)], to=INT32)  # [B, S]
        if isinstance(self._position, int):
            rows = self._add("Shape", [node.input[0]], end=1)
            seen = self._add("Expand", [seen, self._add("Concat", [rows, self._constant([1])], axis=0)])
        inputs = [*node.input, *[""] * 6][: max(5, len(node.input))]
        inputs[4] = self._add("Mul", [seen, inputs[4]]) if inputs[4] else seen
        del node.input[:]
        node.input.extend(inputs)

    def _take(self, name: str, axis: int, rank: int) -> str:
        """One position of a tensor along an axis, which stays with size 1; the tensor brought to a rank before."""
        key = (name, axis, rank)
        if key in self._taken:
            return self._taken[key]
        shape = self._names.shape(name) or ()
        new = rank - len(shape)
        source = self._add("Unsqueeze", [name, self._constant(list(range(new)))]) if new else name
        if isinstance(self._position, int):
            bounds = [0, 1] if self._position == 0 else [-1, np.iinfo(np.int64).max]
            one = self._add("Slice", [source, *(self._constant([value]) for value in (*bounds, axis, 1))])
        elif new or shape[0] == 1:  # the same for all rows: [1, .., T, ..] to [B, .., 1, ..]
            picked = self._add("Gather", [source, self._position], axis=axis)
            swapped = list(range(rank))
            swapped[0], swapped[axis] = axis, 0
            one = self._add("Transpose", [picked], perm=swapped)
        else:
            one = self._take_by_row(source, axis, rank)
        self._taken[key] = one
        return one

    def _take_by_row(self, source: str, axis: int, rank: int) -> str:
        """[B, .., T, ..] to [B, .., 1, ..], each row at its own position."""
        order = [0, axis, *(index for index in range(1, rank) if index != axis)]
        moved = source if axis == 1 else self._add("Transpose", [source], perm=order)
        indices = self._add("Unsqueeze", [str(self._position), self._constant([1])])  # int64 [B, 1]
        picked = self._add("GatherND", [moved, indices], batch_dims=1)  # without the axis
        return self._add("Unsqueeze", [picked, self._constant([axis])])

    def _constant(self, value: int | list[int]) -> str:
        from onnx import numpy_helper

        name = f"{PREFIX}constant {value}"
        if name not in self._constants:
            self._constants[name] = name
            self._names.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.int64), name))
        return name

    def _add(self, op_type: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        from onnx import helper

        self._count += 1
        output = output or f"{PREFIX}{self._count}"
        self._nodes.append(
            helper.make_node(op_type, inputs, [output], name=f"{PREFIX}{self._count}/{op_type}", **attributes)
        )
        return output


def _in_order(nodes: list[Any]) -> list[Any]:
    """Nodes after those whose outputs they read, otherwise in the order they have: a position is often found last."""
    producer = {name: node for node in nodes for name in node.output if name}
    done: set[int] = set()
    ordered: list[Any] = []
    for root in nodes:
        waiting = [root]
        while waiting:
            node = waiting[-1]
            before = [producer[name] for name in node.input if name in producer and id(producer[name]) not in done]
            if before:
                waiting += before
                continue
            waiting.pop()
            if id(node) not in done:
                done.add(id(node))
                ordered.append(node)
    return ordered
