"""torch's exporter, checkpoint to scores: what a run computes is what PyTorch answers to each text alone.

Needs transformers 5, whose checkpoints these are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
torch = pytest.importorskip("torch", reason="needs the extra `export`")
pytest.importorskip("transformers", minversion="5", reason="needs transformers 5: the extra `export`")
pytest.importorskip("onnxscript", reason="needs the extra `export`")

from checkpoints import TRAINING_TEXT, edit_config, make_tokenizer
from tiny_models import make_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.qwen3_next.modeling_qwen3_next import torch_chunk_gated_delta_rule

from scorer import ExportConfig, export_onnx
from scorer.arithmetic.batching import collate
from scorer.errors import ExportError, ModelError, ParityError
from scorer.export.checkpoint.exporters import choose_exporter
from scorer.export.checkpoint.sample_texts import BUILT_IN_TEXTS
from scorer.export.containers.checkpoint import open_checkpoint
from scorer.export.export import _write_tokenizer
from scorer.export.graph.delta_rule import chunk_gated_delta_rule
from scorer.export.graph.torch_graph import EXAMPLE_ROWS, write_torch_graph
from scorer.export.proof.parity import _failure, make_reference
from scorer.model.classifier import OnnxClassifier
from scorer.model.model_directory import ModelDirectory
from scorer.model.tokenization import TextEncoder

pytestmark = pytest.mark.usefixtures("kept_graphs")

LABELS = ("politics", "sports", "science")
# Architecture -> kind of its tokenizer, and what its config.json says besides: rotary settings that are no class's own,
# and in GPT-2 no padding id.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "modernbert": ("bert", {"classifier_pooling": "cls"}),
    "deberta-v2": ("deberta-v2", {}),
    "qwen3": ("gpt2", {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}),
    "llama": ("gpt2", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 100.0}}),
    "gpt2": ("gpt2", {}),
    "bart": ("bart", {}),
}
WITHIN = 1e-4


def save_checkpoint(kind: str, folder: Path) -> Path:
    """A tiny checkpoint as transformers 5 saves it, with a tokenizer that its class builds as it was saved."""
    tokenizer_kind, config = KINDS.get(kind, ("bert", {}))
    tokenizer = make_tokenizer(tokenizer_kind)
    tokenizer.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    given = {name: token for name, token in special.items() if token is not None}
    model = make_model(kind, vocab_size=len(tokenizer), **given, **config)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {name: index for index, name in enumerate(LABELS)}
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint of each architecture, made once."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = save_checkpoint(kind, tmp_path_factory.mktemp(kind) / "checkpoint")
        return made[kind]

    return get


def texts() -> list[str]:
    """Texts of many lengths and scripts, some long enough to be cut."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(TRAINING_TEXT, size=size)) for size in (1, 1, 2, 3, 5, 8, 21) for _ in range(3)]


def logits_of_a_run(directory: ModelDirectory) -> np.ndarray:
    """Logits of batches as a run makes them: float32 [N, C]."""
    contract = directory.contract
    encoder = TextEncoder(
        directory.tokenizer_file, contract.max_length, contract.truncation_side, segments=contract.segments
    )
    encoded = encoder.encode(texts())
    classifier = OnnxClassifier(directory.model_file, contract.label_names, "cpu")
    rows = np.arange(encoded.lengths.size).reshape(-1, 7)
    return np.concatenate([classifier(collate(encoded, part, contract.pad_token_id)) for part in rows])


def logits_of_pytorch(checkpoint: Path, max_length: int) -> np.ndarray:
    """The same by transformers alone, one text at a time."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype=torch.float32).eval()
    answers = []
    for text in texts():
        encoded = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        if model.config.model_type not in {"bert", "deberta-v2"}:
            encoded.pop("token_type_ids", None)
        with torch.inference_mode():
            answers.append(model(**encoded).logits.numpy())
    return np.concatenate(answers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_answers_as_pytorch_does(kind: str, checkpoint_of: Callable[[str], Path], tmp_path: Path) -> None:
    checkpoint = checkpoint_of(kind)
    directory = export_onnx(ExportConfig(str(checkpoint), tmp_path / "model"))
    contract = directory.contract
    expected = logits_of_pytorch(checkpoint, contract.max_length)
    assert expected.std(axis=0).min() > 0.01  # the texts differ in the model's eyes
    np.testing.assert_allclose(logits_of_a_run(directory), expected, atol=WITHIN, rtol=0)
    assert contract.exporter == "torch"
    assert contract.one_position
    assert contract.written_by == contract.read_by == contract.versions["transformers"]
    assert contract.parity.max_logit_difference < WITHIN
    assert contract.label_names == LABELS
    operators = {node.op_type for node in onnx.load(directory.model_file).graph.node}
    assert operators & {"Attention", "MultiHeadAttention"} or kind == "deberta-v2"


def test_int8_keeps_a_copy_in_fp32_and_what_is_computed_for_one_position(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    config = ExportConfig(str(checkpoint_of("bert")), tmp_path / "model", precision="int8")
    directory = export_onnx(config)
    graph = onnx.load(directory.model_file).graph
    weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) > 1}
    products = [node for node in graph.node if node.op_type in {"MatMul", "FusedMatMul", "Gemm", "FusedGemm"}]
    plain = [node.name for node in products if weights.intersection(node.input)]
    assert plain
    assert all(name.startswith("one_position/") for name in plain)
    assert {"MatMulInteger", "QAttention"} <= {node.op_type for node in graph.node}
    assert directory.fp32_file is not None
    assert directory.contract.fidelity is not None


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_large_weights_lie_beside_the_graph(
    precision: Any, checkpoint_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.export.onnx.files.EXTERNAL_DATA_BYTES", 1_000)
    directory = export_onnx(ExportConfig(str(checkpoint_of("bert")), tmp_path / "model", precision=precision))
    beside = {"model.onnx_data"} if precision == "fp32" else {"model.onnx_data", "model_fp32.onnx_data"}
    assert beside <= set(directory.contract.files)
    np.testing.assert_allclose(
        logits_of_a_run(directory),
        logits_of_pytorch(checkpoint_of("bert"), directory.contract.max_length),
        atol=WITHIN if precision == "fp32" else 2.0,
        rtol=0,
    )


def test_torch_writes_where_optimum_is_not_installed() -> None:
    assert choose_exporter("auto") == choose_exporter("torch") == "torch"


# --- what is refused -----------------------------------------------------------------------------------------------


def test_a_decoder_that_reads_the_wrong_token_is_refused(
    checkpoint_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.export.graph.onnx_graph.read_last_token", lambda _: False)
    with pytest.raises(ParityError, match="does not agree with PyTorch"):
        export_onnx(ExportConfig(str(checkpoint_of("gpt2")), tmp_path / "model", optimize="none"))


@pytest.mark.parametrize("kind", ["fnet", "nystromformer"])
def test_where_padding_moves_answers_texts_of_each_length_go_by_themselves(kind: str, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(save_checkpoint(kind, tmp_path / "checkpoint")), max_length=64)
    _write_tokenizer(checkpoint.tokenizer, tmp_path / "tokenizer.json")
    assert make_reference(checkpoint, tmp_path, BUILT_IN_TEXTS, calibration="built-in").equal_lengths


def rebuilt_by_its_class(folder: Path) -> Path:
    """A checkpoint whose tokenizer.json is not what the class of its tokenizer builds: DeBERTa's by another rule."""
    save_checkpoint("deberta-v2", folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["normalizer"] = {"type": "NFKC"}
    content["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}
    file.write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_tokenizer_that_its_class_builds_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="different token ids"):
        export_onnx(ExportConfig(str(rebuilt_by_its_class(tmp_path / "checkpoint")), tmp_path / "model"))


def test_what_transformers_4_wrote_is_read_from_its_file(tmp_path: Path) -> None:
    folder = edit_config(rebuilt_by_its_class(tmp_path / "checkpoint"), transformers_version="4.57.6")
    checkpoint = open_checkpoint(str(folder))
    plain = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    for text in TRAINING_TEXT:
        assert checkpoint.tokenizer(text)["input_ids"] == plain(text)["input_ids"]
    assert any("tokenizer.json" in notice for notice in checkpoint.notices)


def test_a_trace_that_fails_gives_its_reason_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = make_model("bert")
    encoder = type(model.bert)
    forward = encoder.forward

    def of_some_rows(self: Any, input_ids: Any, **given: Any) -> Any:
        return forward(self, input_ids + torch.zeros(EXAMPLE_ROWS, 1, dtype=torch.int64), **given)

    monkeypatch.setattr(encoder, "forward", of_some_rows)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match=r"exporter: its code fixes the number of texts in a batch\. Choose"):
        write_torch_graph(model, ("input_ids", "attention_mask"), tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_a_node_that_fails_is_named_without_the_source_files_of_onnxruntime(tmp_path: Path) -> None:
    kinds = onnx.TensorProto
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Cast", ["input_ids"], ["numbers"], to=kinds.FLOAT),
            onnx.helper.make_node("Add", ["numbers", "of_nineteen"], ["logits"], name="sum"),
        ],
        "graph",
        [onnx.helper.make_tensor_value_info("input_ids", kinds.INT64, ["rows", "tokens"])],
        [onnx.helper.make_tensor_value_info("logits", kinds.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.zeros((1, 19), np.float32), "of_nineteen")],
    )
    opset = onnx.helper.make_opsetid("", 20)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / "model.onnx")
    encoder = make_tokenizer("bert")
    encoder.save_pretrained(tmp_path)
    encoded = TextEncoder(tmp_path / "tokenizer.json", 64, "right").encode(["one two three"])
    classifier = OnnxClassifier(tmp_path / "model.onnx", LABELS, "cpu")
    with pytest.raises(ModelError) as caught:
        classifier(collate(encoded, np.arange(1), 0))
    said = _failure(caught.value)
    assert said.startswith("inference failed on a batch of 1 rows x")
    assert said.endswith("tokens, at its node sum (Add).")


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("alike", [False, True], ids=["random", "one token over and over"])
def test_linear_attention_is_what_transformers_computes(length: int, alike: bool) -> None:
    random = torch.Generator().manual_seed(length)
    query, key, value = (torch.randn(2, length, heads, 8, generator=random) for heads in (2, 2, 4))
    decay, beta = -torch.rand(2, length, 4, generator=random), torch.rand(2, length, 4, generator=random)
    if alike:
        key, decay, beta = key[:, :1].expand_as(key), decay * 1e-3, 1 - beta * 1e-2
    given = {"g": decay, "beta": beta, "use_qk_l2norm_in_kernel": True}
    expected, _ = torch_chunk_gated_delta_rule(query, key, value, **given)
    found, _ = chunk_gated_delta_rule(query, key, value, **given)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)
