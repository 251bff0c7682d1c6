"""Where a graph takes one position of a tensor, as heads do: the first, the last, or one for each row.

This module knows ONNX and nothing of the checkpoint, and changes nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from scorer.export.onnx.names import Names, attribute


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """A node that takes one position of a tensor.

    Attributes:
        node: a Gather, a Slice, or a GatherND.
        axis: the axis of the tensor that it takes from.
        kept: whether the axis stays, with size 1.
        position: 0 or -1, or the name of the tensor int64 [B] with each row's position.
    """

    node: Any
    axis: int
    kept: bool
    position: int | str


def last_choices(names: Names) -> dict[int, Choice]:
    """The nodes that take the position which the graph's last such node takes, by id."""
    found = [choice for node in names.graph.node if (choice := _choice(node, names)) is not None]
    return {id(choice.node): choice for choice in found if choice.position == found[-1].position}


def _choice(node: Any, names: Names) -> Choice | None:
    shape = names.shape(node.input[0]) if node.input else None
    if shape is None or len(shape) < 3:
        return None
    if node.op_type == "Gather":
        axis, index = attribute(node, "axis", 0) % len(shape), names.constant(node.input[1])
        if (
            index is not None
            and index.ndim == 0
            and int(index) in {0, -1}
            and axis >= 1
            and isinstance(shape[axis], str)
        ):
            return Choice(node, axis, False, int(index))
    if node.op_type == "Slice" and len(node.input) > 3:
        bounds = [names.integers(name) for name in node.input[1:]]
        if bounds[0] == (0,) and bounds[1] == (1,) and bounds[2] and bounds[3:] in ([], [(1,)]):
            axis = bounds[2][0] % len(shape)
            return Choice(node, axis, True, 0) if axis >= 1 and isinstance(shape[axis], str) else None
    if node.op_type == "GatherND" and attribute(node, "batch_dims", 0) == 0 and isinstance(shape[1], str):
        position = _position_by_row(node.input[1], names)
        return None if position is None else Choice(node, 1, False, position)
    return None


def _position_by_row(indices: str, names: Names) -> str | None:
    """From pairs (row, position) [B, 2] the positions [B], where the rows are 0, 1, 2, ..."""
    pairs = names.producer.get(indices)
    if pairs is None or pairs.op_type != "Concat" or len(pairs.input) != 2:
        return None
    rows, positions = (names.producer.get(name) for name in pairs.input)
    if rows is None or positions is None or {rows.op_type, positions.op_type} != {"Unsqueeze"}:
        return None
    count = names.producer.get(rows.input[0])
    if count is None or count.op_type != "Range":
        return None
    first, step = names.constant(count.input[0]), names.constant(count.input[2])
    shape = names.shape(positions.input[0])
    if first is None or step is None or int(first) != 0 or int(step) != 1 or shape is None or len(shape) != 1:
        return None
    return str(positions.input[0])
