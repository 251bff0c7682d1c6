"""Which operators compute each position by itself, and from what: the rules by which `positions.one_position` cuts.

A rule says, for one position along an axis of a node's output, what it needs of each input: one position along an
axis of that, or all of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from scorer.export.onnx.names import Names, Shape, attribute

# For each input of a node the axis along which one position is enough, or None where all of it is needed.
Needs = list[int | None]

ELEMENTWISE = frozenset(
    {
        "Abs", "Add", "And", "BiasGelu", "Cast", "Ceil", "Clip", "Cos", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp",
        "FastGelu", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf",
        "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or",
        "Pow", "QuickGelu", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus", "Sqrt", "Sub", "Tanh",
        "Where",
    }
)  # fmt: skip
REDUCTIONS = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceL2", "ReduceSumSquare"})
NORMALIZATIONS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
# Operators whose inputs keep their own axes, where the elementwise ones broadcast.
OWN_AXES = frozenset(
    {
        "MatMul", "Softmax", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Concat", "Split", "Slice", "Gather",
        "GatherElements", "MultiHeadAttention", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceL2",
        "ReduceSumSquare", "LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization",
    }
)  # fmt: skip


def needs(node: Any, axis: int, names: Names) -> Needs | None:
    """What one position of a node's outputs needs of its inputs, or None where that is not known.

    Args:
        node: an ONNX node.
        axis: the axis of its outputs that holds the positions.
        names: the graph around it.
    """
    rule = _RULES.get(node.op_type)
    if rule is None and node.op_type in ELEMENTWISE:
        rule = _elementwise
    shapes = [names.shape(name) for name in (*node.input, *node.output)]
    if rule is None or any(
        shape is None for shape, name in zip(shapes, (*node.input, *node.output), strict=True) if name
    ):
        return None
    return rule(node, axis, names)


def needs_of(node: Any, wanted: dict[str, int], names: Names) -> Needs:
    """What a cut node needs of its inputs, by what is wanted of its outputs: the axis of one position of each."""
    axis = next(wanted[name] for name in node.output if name in wanted)
    return needs(node, axis, names) or []


def _elementwise(node: Any, axis: int, names: Names) -> Needs | None:
    after = _shape(names, node.output[0])
    found: Needs = []
    for name in node.input:
        shape = _shape(names, name) if name else ()
        own = axis - (len(after) - len(shape))
        if own >= 0 and shape[own] not in {1, after[axis]}:
            return None  # a size of another name may be 1 or not
        found.append(own if own >= 0 and shape[own] != 1 else None)
    return found


def _matmul(node: Any, axis: int, names: Names) -> Needs | None:
    left, right = (_shape(names, name) for name in node.input)
    rank = len(_shape(names, node.output[0]))
    if len(left) != rank or axis == rank - 1 or (axis < rank - 2 and len(right) > 2):
        return None
    return [axis, None]


def _last_axes(node: Any, axis: int, names: Names) -> Needs | None:
    """A norm over the last axes; its weights are the same for all positions."""
    rank = len(_shape(names, node.input[0]))
    if axis >= attribute(node, "axis", -1) % rank:
        return None
    return [axis, *[None] * (len(node.input) - 1)]


def _softmax(node: Any, axis: int, names: Names) -> Needs | None:
    rank = len(_shape(names, node.input[0]))
    return None if attribute(node, "axis", -1) % rank == axis else [axis]


def _reduction(node: Any, axis: int, names: Names) -> Needs | None:
    rank = len(_shape(names, node.input[0]))
    axes = names.integers(node.input[1]) if len(node.input) > 1 else attribute(node, "axes", None)
    if not axes or (not attribute(node, "keepdims", 1) and min(each % rank for each in axes) <= axis):
        return None
    return None if axis in {each % rank for each in axes} else [axis, *[None] * (len(node.input) - 1)]


def _transpose(node: Any, axis: int, names: Names) -> Needs:
    rank = len(_shape(names, node.input[0]))
    return [attribute(node, "perm", list(range(rank))[::-1])[axis]]


def _reshape(node: Any, axis: int, names: Names) -> Needs | None:
    """The axis stays whole where all sizes before it, or all after it, make the same number on both sides."""
    before, after = _shape(names, node.input[0]), _shape(names, node.output[0])
    if axis < len(before) and before[: axis + 1] == after[: axis + 1]:
        return [axis, None]
    behind = after[axis + 1 :]
    for index, size in enumerate(before):
        rest = before[index + 1 :]
        if size == after[axis] and (rest == behind or _count(rest) == _count(behind) is not None):
            return [index, None]
    return None


def _count(sizes: Shape) -> int | None:
    """The product of sizes that are all fixed."""
    fixed = [size for size in sizes if isinstance(size, int)]
    return math.prod(fixed) if len(fixed) == len(sizes) else None


def _unsqueeze(node: Any, axis: int, names: Names) -> Needs | None:
    rank = len(_shape(names, node.output[0]))
    axes = names.integers(node.input[1])
    if axes is None or axis in (new := {each % rank for each in axes}):
        return None
    return [axis - sum(each < axis for each in new), None]


def _squeeze(node: Any, axis: int, names: Names) -> Needs | None:
    rank = len(_shape(names, node.input[0]))
    axes = names.integers(node.input[1]) if len(node.input) > 1 else None
    if axes is None:
        return None
    kept = [each for each in range(rank) if each not in {gone % rank for gone in axes}]
    return [kept[axis], None]


def _concat(node: Any, axis: int, names: Names) -> Needs | None:
    rank = len(_shape(names, node.output[0]))
    return None if attribute(node, "axis", 0) % rank == axis else [axis] * len(node.input)


def _split(node: Any, axis: int, names: Names) -> Needs | None:
    rank = len(_shape(names, node.input[0]))
    return None if attribute(node, "axis", 0) % rank == axis else [axis, *[None] * (len(node.input) - 1)]


def _slice(node: Any, axis: int, names: Names) -> Needs | None:
    rank = len(_shape(names, node.input[0]))
    axes = names.integers(node.input[3]) if len(node.input) > 3 else None
    if axes is None or axis in {each % rank for each in axes}:
        return None
    return [axis, *[None] * (len(node.input) - 1)]


def _expand(node: Any, axis: int, names: Names) -> Needs | None:
    before, after = _shape(names, node.input[0]), _shape(names, node.output[0])
    own = axis - (len(after) - len(before))
    if own >= 0 and before[own] not in {1, after[axis]}:
        return None
    return [own if own >= 0 and before[own] != 1 else None, None]


def _gather(node: Any, axis: int, names: Names) -> Needs | None:
    """Rows of a table, looked up for each position."""
    where = attribute(node, "axis", 0) % len(_shape(names, node.input[0]))
    inner = axis - where
    return [None, inner] if 0 <= inner < len(_shape(names, node.input[1])) else None


def _gather_elements(node: Any, axis: int, names: Names) -> Needs | None:
    data, indices = (_shape(names, name) for name in node.input)
    if attribute(node, "axis", 0) % len(data) == axis:
        return [None, axis]
    return [axis, axis] if data[axis] == indices[axis] else None


def _attention(node: Any, axis: int, names: Names) -> Needs | None:
    """Each query by itself, with all keys and values."""
    inputs = [*node.input, *[""] * 6][:10]
    if axis != 1 or any(inputs[6:]) or any(node.output[1:]) or len(_shape(names, inputs[0])) != 3:
        return None
    wanted: Needs = [None] * len(node.input)
    wanted[0] = 1
    if inputs[5] and _shape(names, inputs[5])[2] != 1:
        wanted[5] = 2
    return wanted


def _shape(names: Names, name: str) -> Shape:
    shape = names.shape(name)
    assert shape is not None, name  # noqa: S101 — `needs` has looked
    return shape


_RULES: dict[str, Callable[[Any, int, Names], Needs | None]] = {
    "MatMul": _matmul,
    "Softmax": _softmax,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Expand": _expand,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "MultiHeadAttention": _attention,
    **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(NORMALIZATIONS, _last_axes),
}
