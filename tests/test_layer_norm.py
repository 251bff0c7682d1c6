"""The fused sum and normalization against the two nodes it stands for."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs an extra that exports")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper

from scorer.export.rewrites.layer_norm import FUSED, unfuse_skip_layer_norm
from scorer.model.session import SESSION_FUSION

WIDTH = 48


def fused(*, beta: bool, bias: bool, sums: bool) -> onnx.ModelProto:
    """A graph of one fused node, with or without its optional inputs and its output of sums."""
    random = np.random.default_rng(0)
    inputs = ["hidden", "skip", "gamma", "beta" if beta else "", "bias" if bias else ""]
    outputs = ["normalized", "", "", "sum"] if sums else ["normalized"]
    while not inputs[-1]:
        inputs.pop()
    node = helper.make_node(FUSED, inputs, outputs, domain="com.microsoft", epsilon=1e-6)
    weights = [
        onnx.numpy_helper.from_array(random.normal(size=WIDTH).astype(np.float32), name) for name in inputs[2:] if name
    ]
    shape = ["rows", "tokens", WIDTH]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name in ("hidden", "skip", "normalized", "sum")
    }
    graph = helper.make_graph(
        [node],
        "test",
        [values["hidden"], values["skip"]],
        [values[name] for name in outputs if name],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def answers(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = ort.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"], disabled_optimizers=[SESSION_FUSION]
    )
    return [np.asarray(answer) for answer in session.run(None, feeds)]


@pytest.mark.parametrize("beta", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sums", [True, False])
def test_the_two_nodes_answer_as_the_fused_one(beta: bool, bias: bool, sums: bool) -> None:
    model = fused(beta=beta, bias=bias, sums=sums)
    random = np.random.default_rng(1)
    feeds = {name: random.normal(size=(3, 7, WIDTH)).astype(np.float32) for name in ("hidden", "skip")}
    expected = answers(model, feeds)
    assert unfuse_skip_layer_norm(model) == 1
    onnx.checker.check_model(model)
    assert FUSED not in {node.op_type for node in model.graph.node}
    for actual, wanted in zip(answers(model, feeds), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-5)


def test_a_graph_without_it_stays_as_it_was() -> None:
    model = fused(beta=True, bias=True, sums=False)
    unfuse_skip_layer_norm(model)
    before = model.SerializeToString()
    assert unfuse_skip_layer_norm(model) == 0
    assert model.SerializeToString() == before
