"""A graph's tensors by name: who makes them, how they are shaped, what is constant. Changes nothing.

Shapes are those that torch's exporter wrote down: an int where a size is fixed, a name where it is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Shape = tuple[int | str, ...]


class Names:
    """What can be asked of the tensors of an ONNX graph.

    Args:
        graph: an ONNX graph, its nodes in topological order.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.producer = {name: node for node in graph.node for name in node.output if name}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._shapes: dict[str, Shape] = {name: tuple(tensor.dims) for name, tensor in self._tensors.items()}
        for info in (*graph.input, *graph.value_info, *graph.output):
            if info.type.tensor_type.HasField("shape"):
                self._shapes.setdefault(info.name, tuple(_size(dim) for dim in info.type.tensor_type.shape.dim))

    def shape(self, name: str) -> Shape | None:
        """Sizes of a tensor, or None where they are not known."""
        return self._shapes.get(name)

    def constant(self, name: str) -> np.ndarray | None:
        """Values of a tensor that never change, or None where it is computed."""
        from onnx import numpy_helper

        if name in self._tensors:
            return np.asarray(numpy_helper.to_array(self._tensors[name]))
        node = self.producer.get(name)
        if node is not None and node.op_type == "Constant" and node.attribute[0].name == "value":
            return np.asarray(numpy_helper.to_array(node.attribute[0].t))
        if node is not None and node.op_type == "Transpose":  # weights that are read both ways
            values = self.constant(node.input[0])
            return None if values is None else values.transpose(attribute(node, "perm", None))
        return None

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A constant list of integers, such as axes, or None."""
        values = self.constant(name)
        return None if values is None else tuple(int(value) for value in values.reshape(-1))


def attribute(node: Any, name: str, default: Any) -> Any:
    """A node's attribute, or the default where it has none of the name."""
    from onnx import helper

    for given in node.attribute:
        if given.name == name:
            return helper.get_attribute_value(given)
    return default


def set_attribute(node: Any, name: str, value: Any) -> None:
    """Give a node an attribute, in place of the one it may have."""
    from onnx import helper

    kept = [given for given in node.attribute if given.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def import_domain(model: Any, domain: str) -> None:
    """Have a model know a domain's operators, in their first version, if it does not yet."""
    from onnx import helper

    if domain not in {known.domain for known in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(domain, 1))


def read_in_branches(graph: Any) -> set[str]:
    """Names that the branches and loops of a graph read."""
    return {name for node in graph.node for branch in _branches(node) for name in _read(branch)}


def remove_unread(model: Any) -> None:
    """Drop nodes, weights and inputs that no output depends on.

    Args:
        model: an ONNX model, changed in place.
    """
    graph = model.graph
    read = {output.name for output in graph.output} | read_in_branches(graph)
    kept = []
    for node in reversed(graph.node):
        if read.intersection(name for name in node.output if name):
            kept.append(node)
            read.update(node.input)
    for field, items in (
        ("node", kept[::-1]),
        ("initializer", [tensor for tensor in graph.initializer if tensor.name in read]),
        ("input", [node for node in graph.input if node.name in read]),
    ):
        del getattr(graph, field)[:]
        getattr(graph, field).extend(items)


def remove_idle_reshapes(model: Any) -> None:
    """Drop reshapes, one or several in a row, whose end has the shape of their beginning.

    Args:
        model: an ONNX model, changed in place; what becomes unread is left to `remove_unread`.
    """
    names = Names(model.graph)
    same: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "Reshape":
            source = node.input[0]
            shape = names.shape(node.output[0])
            while shape is not None:
                if names.shape(source) == shape:
                    same[node.output[0]] = same.get(source, source)
                    break
                before = names.producer.get(source)
                if before is None or before.op_type != "Reshape":
                    break
                source = before.input[0]
    kept = {output.name for output in model.graph.output} | read_in_branches(model.graph)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name in same and name not in kept:
                node.input[index] = same[name]


def remove_idle_transposes(model: Any) -> None:
    """Have readers of a transposition that undoes the one before it read what was there before both.

    Args:
        model: an ONNX model, changed in place; what becomes unread is left to `remove_unread`.
    """
    producer = {name: node for node in model.graph.node for name in node.output}
    same: dict[str, str] = {}
    for node in model.graph.node:
        before = producer.get(node.input[0]) if node.op_type == "Transpose" else None
        if before is None or before.op_type != "Transpose":
            continue
        first, second = (attribute(each, "perm", []) for each in (before, node))
        if first and [first[axis] for axis in second] == sorted(first):
            same[node.output[0]] = before.input[0]
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)


def _read(graph: Any) -> Iterator[str]:
    for node in graph.node:
        yield from node.input
        for branch in _branches(node):
            yield from _read(branch)
    yield from (output.name for output in graph.output)


def _branches(node: Any) -> Iterator[Any]:
    for given in node.attribute:
        if given.HasField("g"):
            yield given.g
        yield from given.graphs


def _size(dim: Any) -> int | str:
    """A free size without a name is unlike every other."""
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return str(dim.dim_param) or f"unnamed {id(dim)}"
