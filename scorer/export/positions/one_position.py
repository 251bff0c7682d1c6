"""The last layer of a classifier, computed for one position alone, because its head reads no other.

Heads read the first token of a text, or the last real one. Everything after the last attention works on each position
by itself, so the choice of the position can move up through all of it, to the attention's queries; keys and values
stay whole. This holds for any graph: what one position needs of every node's inputs is asked from the end of the graph
to its beginning, and where a tensor is needed whole after all, the position is taken from it there. The numbers
computed for the position are the same. This module finds out what can be cut; `positions.position_rewriting` cuts.
"""

from __future__ import annotations

from typing import Any

from scorer.export.onnx.names import Names, read_in_branches, remove_unread
from scorer.export.positions.one_query import attend_without_keys
from scorer.export.positions.position_choices import Choice, last_choices
from scorer.export.positions.position_rewriting import Rewriting
from scorer.export.positions.positionwise import OWN_AXES, needs, needs_of

# A tensor is needed whole.
WHOLE = -1


def keep_one_position(model: Any) -> str | None:
    """Compute what only one position is read of for that position, in place.

    Args:
        model: an ONNX model as torch's exporter writes it, with the shapes of its tensors.

    Returns:
        None when it was done; otherwise the reason why the graph was left as it was.
    """
    names = Names(model.graph)
    choices = last_choices(names)
    if not choices:
        return "its head does not read one position alone"
    wanted, cut = _ask_until_possible(names, choices)
    if not any(node.op_type in {"MultiHeadAttention", "Softmax"} for node in cut.values()):
        return "between its last attention and its head, positions are mixed"
    Rewriting(names, choices, wanted, cut).apply()
    attentions = [node for node in cut.values() if node.op_type == "MultiHeadAttention"]
    for node in attentions:
        attend_without_keys(node, names)
    remove_unread(model)
    return None


def _ask_until_possible(names: Names, choices: dict[int, Choice]) -> tuple[dict[str, int], dict[int, Any]]:
    """As `_ask`, without nodes one of whose inputs would have to give up a position that cannot be taken from it."""
    whole: set[int] = set()
    while True:
        wanted, cut = _ask(names, choices, whole)
        once = {name for node in cut.values() for name in node.output}
        impossible = {
            key
            for key, node in cut.items()
            for name, axis in zip(node.input, needs_of(node, wanted, names), strict=True)
            if axis is not None and name not in once and not _can_take(name, node, names, choices)
        }
        if not impossible:
            return wanted, cut
        whole |= impossible


def _can_take(name: str, node: Any, names: Names, choices: dict[int, Choice]) -> bool:
    """Whether each row's position can be taken from a tensor: it has a row for each, or one for all of them."""
    position = next(iter(choices.values())).position
    if isinstance(position, int):
        return True
    shape, rows = names.shape(name) or (), names.shape(position) or ()
    broadcast = node.op_type not in OWN_AXES and len(shape) < len(names.shape(node.output[0]) or ())
    return broadcast or shape[0] in {1, rows[0]}


def _ask(names: Names, choices: dict[int, Choice], whole: set[int]) -> tuple[dict[str, int], dict[int, Any]]:
    """What is needed of every tensor, and the nodes that need to compute one position only.

    Args:
        names: the graph.
        choices: where it takes the position.
        whole: nodes, by id, that compute all positions whatever is needed.

    Returns:
        Of each tensor the axis along which one position is enough, or WHOLE; and the cut nodes by id.
    """
    wanted = dict.fromkeys([output.name for output in names.graph.output], WHOLE)
    wanted |= dict.fromkeys(read_in_branches(names.graph), WHOLE)
    cut: dict[int, Any] = {}

    def want(name: str, axis: int | None) -> None:
        axis = WHOLE if axis is None else axis
        wanted[name] = axis if wanted.get(name, axis) == axis else WHOLE

    for node in reversed(names.graph.node):
        outputs = {wanted[name] for name in node.output if name in wanted}
        if id(node) in choices:
            asked: list[int | None] | None = [choices[id(node)].axis, *[None] * (len(node.input) - 1)]
        elif len(outputs) == 1 and WHOLE not in outputs and id(node) not in whole:
            asked = needs(node, next(iter(outputs)), names)
            if asked is not None:
                cut[id(node)] = node
        else:
            asked = None
        for name, axis in zip(node.input, asked or [None] * len(node.input), strict=True):
            if name and outputs:
                want(name, axis)
    return wanted, cut
