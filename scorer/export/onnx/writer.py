"""New nodes of an ONNX graph, and of its branches, with names of their own. Decides nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOAT, INT32, INT64, BOOL = 1, 6, 7, 9


class GraphWriter:
    """Nodes in the order in which they are added; branches see what is around them by its name.

    Args:
        graph: the main graph, which takes the constants.
        prefix: of all names.
    """

    def __init__(self, graph: Any, prefix: str) -> None:
        self._graph, self._prefix = graph, prefix
        self.nodes: list[Any] = []

    def node(self, op_type: str, inputs: list[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        from onnx import helper

        name = f"{self._prefix}{len(self.nodes)}"
        output = output or name
        self.nodes.append(
            helper.make_node(op_type, inputs, [output], name=f"{name}/{op_type}", domain=domain, **attributes)
        )
        return output

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """A constant of the main graph, shared by all who ask for the same; returns its name."""
        from onnx import numpy_helper

        array = np.array(value, dtype=dtype)
        name = f"constant/{array.dtype}/{array.tolist()}"
        if name not in {tensor.name for tensor in self._graph.initializer}:
            self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def branch(self, name: str) -> GraphWriter:
        """A writer for the inside of a node."""
        return GraphWriter(self._graph, f"{self._prefix}{name}/")

    def as_graph(self, outputs: dict[str, int], inputs: dict[str, int] | None = None) -> Any:
        """The nodes as the inside of a node.

        Args:
            outputs: what it gives, by the kind of numbers.
            inputs: the single numbers that it is given, the same.
        """
        from onnx import helper

        given = [helper.make_tensor_value_info(name, kind, []) for name, kind in (inputs or {}).items()]
        made = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()]
        return helper.make_graph(self.nodes, self._prefix, given, made)
