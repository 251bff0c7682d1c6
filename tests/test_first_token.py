"""The rewritten last layer against the full one, and the graphs that must be left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("optimum.exporters.onnx", reason="of optimum's exporter: scripts/optimum_tests")

from checkpoints import make_checkpoint

from scorer import ExportConfig, export_onnx
from scorer.export.positions.first_token import keep_first_token


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """A BERT with fused attention, as optimum makes it."""
    from optimum.exporters.onnx import main_export

    folder = tmp_path_factory.mktemp("fused")
    checkpoint = make_checkpoint("bert", folder / "checkpoint")
    main_export(str(checkpoint), folder / "model", task="text-classification", optimize="O2", do_validation=False)
    return onnx.load(folder / "model" / "model.onnx")


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def logits(model: onnx.ModelProto, rows: int, tokens: int) -> np.ndarray:
    """Answers on random ids under a right-padded mask of random lengths."""
    random = np.random.default_rng(rows * tokens)
    lengths = random.integers(1, tokens + 1, rows)
    lengths[0] = tokens
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    feeds = {"input_ids": random.integers(5, 100, (rows, tokens)) * mask, "attention_mask": mask}
    feeds["token_type_ids"] = np.zeros_like(mask)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0])


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (1, 2), (3, 17), (16, 128)])
def test_answers_are_those_of_the_full_layer(fused: onnx.ModelProto, rows: int, tokens: int) -> None:
    cut = copy_of(fused)
    assert keep_first_token(cut) is None
    onnx.checker.check_model(cut)
    np.testing.assert_allclose(logits(cut, rows, tokens), logits(fused, rows, tokens), atol=2e-6, rtol=0)


def test_one_attention_less_and_its_weights_are_gone(fused: onnx.ModelProto) -> None:
    cut = copy_of(fused)
    keep_first_token(cut)
    count = [sum(node.op_type == "Attention" for node in model.graph.node) for model in (fused, cut)]
    assert count == [2, 1]
    names = {tensor.name for tensor in cut.graph.initializer}
    assert "Attention_1_qkv_weight" not in names
    assert "Attention_0_qkv_weight" in names


def test_a_graph_without_fused_attention_is_left_alone(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("bert", tmp_path / "checkpoint")
    directory = export_onnx(ExportConfig(model=str(checkpoint), output=tmp_path / "model", optimize="O1"))
    model = onnx.load(directory.model_file)
    before = model.SerializeToString()
    assert keep_first_token(model) == "its attention is not fused"
    assert model.SerializeToString() == before
    assert directory.contract.one_position is False


def test_a_head_that_reads_another_token_is_left_alone(fused: onnx.ModelProto) -> None:
    other = copy_of(fused)
    select = next(node for node in other.graph.node if node.op_type == "Gather" and "pooler" in node.output[0])
    other.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1, dtype=np.int64), "second"))
    select.input[1] = "second"
    before = other.SerializeToString()
    assert "head" in str(keep_first_token(other))
    assert other.SerializeToString() == before


def test_a_head_that_averages_is_left_alone(fused: onnx.ModelProto) -> None:
    other = copy_of(fused)
    select = next(node for node in other.graph.node if node.op_type == "Gather" and "pooler" in node.output[0])
    hidden = select.input[0]
    mean = onnx.helper.make_node("ReduceMean", [hidden], ["mean"], keepdims=0)
    other.graph.node.append(mean)
    other.graph.output.append(onnx.helper.make_tensor_value_info("mean", onnx.TensorProto.FLOAT, None))
    assert "ReduceMean" in str(keep_first_token(other))
