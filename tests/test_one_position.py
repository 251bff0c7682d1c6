"""The last layer computed for one position, against the same graph computed for all: every kind of head and attention.

Needs transformers 5, whose checkpoints these are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch", reason="needs the extra `export`")
transformers = pytest.importorskip("transformers", minversion="5", reason="needs transformers 5")

from tiny_models import make_model, padded

from scorer.export.graph.torch_graph import accepted_inputs, write_torch_graph
from scorer.export.positions.one_position import keep_one_position
from scorer.export.positions.one_query import PREFIX
from scorer.export.rewrites.graph_rewrites import rewrite

FIRST = ("bert", "distilbert", "roberta", "deberta", "deberta-v2", "modernbert", "electra", "albert")
LAST = ("llama", "qwen3", "gpt2", "mistral", "gemma3_text")
SHAPES = [(1, 1), (1, 2), (2, 1), (3, 17), (8, 96)]


@pytest.fixture(scope="module", params=[*FIRST, *LAST])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A model, and its graph as torch's exporter wrote it."""
    return write(request.param, tmp_path_factory.mktemp("model") / "model.onnx")


def write(kind: str, file: Path, **config: Any) -> tuple[Any, Any]:
    model = make_model(kind, **config)
    write_torch_graph(model, accepted_inputs(model, ("input_ids", "attention_mask")), file)
    return model, onnx.load(file)


def logits(graph: Any, feeds: dict[str, np.ndarray]) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = {node.name for node in session.get_inputs()}
    return np.asarray(session.run(None, {name: ids for name, ids in feeds.items() if name in wanted})[0])


def torch_alone(model: Any, feeds: dict[str, np.ndarray]) -> np.ndarray:
    rows = []
    for ids, mask in zip(feeds["input_ids"], feeds["attention_mask"], strict=True):
        one = torch.from_numpy(ids[: mask.sum()])[None]
        with torch.inference_mode():
            rows.append(model(input_ids=one, attention_mask=torch.ones_like(one)).logits.numpy())
    return np.concatenate(rows)


def copy_of(model: Any) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def one_query(graph: Any) -> bool:
    """Whether an attention of the graph has one query for each text."""
    shapes = {info.name: info.type.tensor_type.shape for info in graph.graph.value_info}
    queries = [node.input[0] for node in graph.graph.node if node.op_type == "MultiHeadAttention"]
    queries += [node.input[0] for node in graph.graph.node if node.op_type == "Softmax"]
    return any(
        name.startswith(PREFIX)
        or (name in shapes and len(shapes[name].dim) > 2 and shapes[name].dim[-2].dim_value == 1)
        for name in queries
    )


@pytest.mark.parametrize(("rows", "tokens"), SHAPES)
def test_answers_are_pytorchs_for_each_text_alone(written: tuple[Any, Any], rows: int, tokens: int) -> None:
    model, graph = written
    cut = copy_of(graph)
    assert rewrite(cut) is None
    feeds = padded(rows, tokens)
    np.testing.assert_allclose(logits(cut, feeds), torch_alone(model, feeds), atol=2e-5, rtol=0)


def test_the_last_attention_has_one_query(written: tuple[Any, Any]) -> None:
    _, graph = written
    cut = copy_of(graph)
    rewrite(cut)
    assert one_query(cut)
    assert not one_query(graph)


def test_a_head_that_averages_is_left_alone(tmp_path: Path) -> None:
    _, graph = write("modernbert", tmp_path / "model.onnx", classifier_pooling="mean")
    before = graph.SerializeToString()
    assert "one position" in str(keep_one_position(graph))
    assert graph.SerializeToString() == before
