"""Nodes that stand for several: rotary embeddings, norms, parts of products, DeBERTa's attention. The answers stay.

Needs transformers 5, whose graphs these are.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch", reason="needs the extra `export`")
pytest.importorskip("transformers", minversion="5", reason="needs transformers 5")

from onnx import TensorProto, helper, numpy_helper
from test_one_position import SHAPES, logits, torch_alone, write
from tiny_models import padded

from scorer.export.rewrites.graph_rewrites import rewrite
from scorer.export.rewrites.rms_norm import fuse_rms_norm
from scorer.export.rewrites.rotary import fuse_rotary
from scorer.export.rewrites.split_products import split_products

HEADS, WIDTH, ROWS, TOKENS = 2, 8, 3, 5
# What a graph of two layers, the last of them cut, has of the fused nodes.
FUSED = {
    "llama": {"RotaryEmbedding": 3, "SimplifiedLayerNormalization": 5},
    "qwen3": {"RotaryEmbedding": 3, "SimplifiedLayerNormalization": 9},
    "modernbert": {"RotaryEmbedding": 3},
    "deberta-v2": {"MultiHeadAttention": 1},
}
DEBERTAS: dict[str, dict[str, Any]] = {
    "as v3": {},
    "keys of its own": {"share_att_key": False},
    "without buckets": {"position_buckets": -1},
    "near distances alone": {"max_relative_positions": 12, "position_buckets": -1},
    "c2p alone": {"pos_att_type": ["c2p"]},
    "p2c alone": {"pos_att_type": ["p2c"]},
    "no positions in its scores": {"relative_attention": False},
    "with a convolution": {"conv_kernel_size": 3},
}


@pytest.mark.parametrize("kind", FUSED)
def test_graphs_have_the_fused_nodes(kind: str, tmp_path: Path) -> None:
    _, graph = write(kind, tmp_path / "model.onnx")
    assert rewrite(graph) is None
    counts = Counter(node.op_type for node in graph.graph.node)
    assert {name: counts[name] for name in FUSED[kind]} == FUSED[kind]


@pytest.mark.parametrize("name", DEBERTAS)
def test_debertas_answer_as_pytorch_does(name: str, tmp_path: Path) -> None:
    model, graph = write("deberta-v2", tmp_path / "model.onnx", **DEBERTAS[name])
    rewrite(graph)
    for shape in SHAPES:
        feeds = padded(*shape)
        np.testing.assert_allclose(logits(graph, feeds), torch_alone(model, feeds), atol=2e-5, rtol=0)


def test_a_model_computes_as_before_once_it_is_written(tmp_path: Path) -> None:
    model, graph = write("deberta-v2", tmp_path / "model.onnx")
    assert not [module for module in model.modules() if "forward" in vars(module) or "get_rel_pos" in vars(module)]
    assert {"MultiHeadAttention"} <= {node.op_type for node in graph.graph.node}


# --- what is left as it is -----------------------------------------------------------------------------------------


def constant(name: str, values: Any) -> Any:
    return numpy_helper.from_array(np.array(values), name)


def graph_of(nodes: list[Any], given: dict[str, list[Any]], wanted: list[Any], **constants: Any) -> Any:
    """A graph of nodes; the shapes of all its tensors are inferred."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, wanted)],
        [constant(name, values) for name, values in constants.items()],
    )
    opsets = [helper.make_opsetid("", 20)]
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=opsets, ir_version=10))


def run(model: Any, **feeds: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0])


def rotary_graph(angles: tuple[str, str], minus: str = "second", half: int = WIDTH // 2) -> Any:
    """A rotary embedding; of angles joined to themselves, or to others."""
    nodes = [
        helper.make_node("Concat", list(angles), ["both"], axis=-1),
        helper.make_node("Cos", ["both"], ["cos"]),
        helper.make_node("Sin", ["both"], ["sin"]),
        helper.make_node("Transpose", ["x"], ["by_head"], perm=[0, 2, 1, 3]),
        helper.make_node("Slice", ["by_head", "zero", "half", "last"], ["first"]),
        helper.make_node("Slice", ["by_head", "half", "end", "last"], ["second"]),
        helper.make_node("Neg", [minus], ["minus"]),
        helper.make_node("Concat", ["minus", "first" if minus == "second" else "second"], ["turned"], axis=-1),
        helper.make_node("Mul", ["by_head", "cos"], ["plain"]),
        helper.make_node("Mul", ["turned", "sin"], ["across"]),
        helper.make_node("Add", ["plain", "across"], ["out"]),
    ]
    given = {
        "x": ["B", "T", HEADS, WIDTH],
        "angles": [1, 1, "T", WIDTH // 2],
        "others": [1, 1, "T", WIDTH // 2],
    }
    bounds = {"zero": [0], "half": [half], "end": [2**31], "last": [3]}
    return graph_of(nodes, given, ["B", HEADS, "T", WIDTH], **bounds)


@pytest.fixture
def feeds() -> dict[str, np.ndarray]:
    """Inputs of the rotary graphs."""
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, TOKENS, HEADS, WIDTH))
    angles, others = random.normal(size=(2, 1, 1, TOKENS, WIDTH // 2))
    return {name: values.astype(np.float32) for name, values in (("x", x), ("angles", angles), ("others", others))}


def test_a_rotary_embedding_becomes_one_node(feeds: dict[str, np.ndarray]) -> None:
    model = rotary_graph(("angles", "angles"))
    given = {"x": feeds["x"], "angles": feeds["angles"]}
    expected = run(model, **feeds)
    assert fuse_rotary(model) == 1
    assert [node.op_type for node in model.graph.node].count("RotaryEmbedding") == 1
    np.testing.assert_allclose(run(model, **given), expected, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        rotary_graph(("angles", "others")),
        rotary_graph(("angles", "angles"), minus="first"),
    ],
    ids=["angles differ between the halves", "the other half is negated"],
)
def test_what_is_like_a_rotary_embedding_is_left_alone(model: Any, feeds: dict[str, np.ndarray]) -> None:
    before = model.SerializeToString()
    assert fuse_rotary(model) == 0
    assert model.SerializeToString() == before


def norm_graph(axis: int = -1, power: float = 2.0) -> Any:
    nodes = [
        helper.make_node("Pow", ["x", "power"], ["square"]),
        helper.make_node("ReduceMean", ["square", "axis"], ["mean"], keepdims=1),
        helper.make_node("Add", ["mean", "epsilon"], ["more"]),
        helper.make_node("Sqrt", ["more"], ["root"]),
        helper.make_node("Reciprocal", ["root"], ["factor"]),
        helper.make_node("Mul", ["x", "factor"], ["normed"]),
        helper.make_node("Mul", ["weights", "normed"], ["out"]),
    ]
    numbers = {"power": np.float32(power), "axis": [axis], "epsilon": np.float32(1e-3)}
    weights = np.linspace(0.5, 2.0, WIDTH, dtype=np.float32)
    return graph_of(nodes, {"x": ["B", "T", WIDTH]}, ["B", "T", WIDTH], weights=weights, **numbers)


def test_a_norm_becomes_one_node() -> None:
    model = norm_graph()
    x = np.random.default_rng(0).normal(size=(ROWS, TOKENS, WIDTH)).astype(np.float32)
    expected = run(model, x=x)
    assert fuse_rms_norm(model) == 1
    assert [node.op_type for node in model.graph.node] == ["SimplifiedLayerNormalization"]
    np.testing.assert_allclose(run(model, x=x), expected, atol=1e-6)


@pytest.mark.parametrize("model", [norm_graph(axis=1), norm_graph(power=4.0)], ids=["over tokens", "fourth powers"])
def test_what_is_like_a_norm_is_left_alone(model: Any) -> None:
    assert fuse_rms_norm(model) == 0


def product_graph(*, read_whole: bool) -> Any:
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["product"]),
        helper.make_node("Split", ["product"], ["left", "right"], axis=-1, num_outputs=2),
        helper.make_node("Mul", ["left", "right"], ["out" if not read_whole else "gated"]),
    ]
    if read_whole:
        nodes += [
            helper.make_node("ReduceSum", ["product", "last"], ["sum"]),
            helper.make_node("Add", ["gated", "sum"], ["out"]),
        ]
    weights = np.random.default_rng(0).normal(size=(WIDTH, 4)).astype(np.float32)
    return graph_of(nodes, {"x": ["B", "T", WIDTH]}, ["B", "T", 2], weights=weights, last=[-1])


def test_halves_of_a_product_become_products() -> None:
    model = product_graph(read_whole=False)
    x = np.random.default_rng(1).normal(size=(ROWS, TOKENS, WIDTH)).astype(np.float32)
    expected = run(model, x=x)
    assert split_products(model) == 2
    assert sorted(node.op_type for node in model.graph.node) == ["MatMul", "MatMul", "Mul"]
    np.testing.assert_allclose(run(model, x=x), expected, atol=1e-6)


def test_a_product_that_is_read_whole_too_is_left_whole() -> None:
    assert split_products(product_graph(read_whole=True)) == 0
