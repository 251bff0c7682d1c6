"""Exports of tiny checkpoints: equal to PyTorch, honest about what was done, and nothing left behind by a refusal."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch", reason="needs an extra that exports")
pytest.importorskip("onnxruntime", reason="exporting needs the extra [cpu] or [gpu]")

import onnx
import onnxruntime
import torch
from checkpoints import (
    KINDS,
    POSITIONS,
    edit_config,
    make_checkpoint,
    make_headless_checkpoint,
    make_slow_only_checkpoint,
)
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from scorer.errors import (
    DataError,
    ExportError,
    MissingExtraError,
    OutputError,
    ParityError,
    ProviderError,
    ScorerError,
    UsageError,
)
from scorer.export import export
from scorer.export.checkpoint.exporters import EXTRAS, REQUIRED, choose_exporter
from scorer.export.checkpoint.sample_texts import BUILT_IN_TEXTS
from scorer.export.containers.checkpoint import open_checkpoint, position_limit
from scorer.export.export import ExportConfig, export_onnx
from scorer.export.graph import onnx_graph
from scorer.export.proof import proof_texts
from scorer.model.model_directory import FP32_FILE, ModelDirectory, open_model_directory

pytestmark = pytest.mark.usefixtures("kept_graphs")

EXPORTER = choose_exporter("auto")  # an environment holds one; the tests run in both
by_optimum = pytest.mark.skipif(EXPORTER != "optimum", reason="of optimum's exporter: scripts/optimum_tests")
by_torch = pytest.mark.skipif(EXPORTER != "torch", reason="of torch's exporter: scripts/check")
# Kinds whose tokenizer gives segments that their model reads, in the transformers that each exporter needs.
SEGMENTS = {"optimum": {"bert", "electra", "albert"}, "torch": {"bert", "electra"}}[EXPORTER]
# Beginnings of names in the last layer that is computed for one position.
CUT = {"optimum": "first_token/", "torch": "one_position/"}[EXPORTER]
FILES = {"model.onnx", "tokenizer.json", "config.json", "scorer.json"}
MODELS = Path(__file__).parents[1].parent / "shared" / "models"
REAL = MODELS / "agnews-minilm-fold0"
TEXTS = ["Shares fell sharply.", "今天的天气很好", "x", "The visitors won the final after extra time, " * 30]


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Checkpoints by kind, each made once and never changed."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def get(kind: str) -> Path:
        if not (folder / kind).exists():
            make_checkpoint(kind, folder / kind)
        return folder / kind

    return get


@pytest.fixture
def bert(checkpoint_of: Callable[[str], Path]) -> Path:
    return checkpoint_of("bert")


@pytest.fixture
def own_bert(bert: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(bert, tmp_path / "own"))


def exported(checkpoint: Path, output: Path, **options: Any) -> ModelDirectory:
    return export_onnx(ExportConfig(str(checkpoint), output, **options))


def refused(error: type[ScorerError], checkpoint: Path | str, folder: Path, **options: Any) -> str:
    """The message of a refusal that left nothing behind."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(error) as caught:
        export_onnx(ExportConfig(str(checkpoint), folder / "new" / "model", **options))
    assert type(caught.value) is error
    assert sorted(folder.rglob("*")) == before
    return str(caught.value)


def onnx_logits(directory: ModelDirectory, encoding: dict[str, Any]) -> np.ndarray:
    """ONNX Runtime's answer, without any of the package's own code."""
    session = onnxruntime.InferenceSession(str(directory.model_file), providers=["CPUExecutionProvider"])
    feeds = {node.name: encoding[node.name].numpy() for node in session.get_inputs()}
    return session.run(None, feeds)[0]


def operators(directory: ModelDirectory) -> set[str]:
    return {node.op_type for node in onnx.load(directory.model_file).graph.node}


# --- what a good export is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_architecture_is_exported_and_agrees_with_pytorch(
    kind: str, checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    checkpoint = checkpoint_of(kind)
    directory = exported(checkpoint, tmp_path / "model")

    contract = directory.contract
    assert {file.name for file in directory.path.iterdir()} == FILES
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    assert contract.optimize == "O2"
    assert contract.parity.texts > len(BUILT_IN_TEXTS) == 36
    assert contract.parity.longest == contract.max_length == POSITIONS
    assert contract.pairs is not None
    assert contract.pairs.holds
    assert contract.parity.max_logit_difference <= 1e-4
    assert contract.parity.max_loss_difference <= 1e-4
    assert contract.exporter == EXPORTER
    assert ("token_type_ids" in contract.graph_inputs) == (kind in SEGMENTS)

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    encoding = tokenizer(TEXTS, padding=True, truncation=True, max_length=POSITIONS, return_tensors="pt")
    encoding.setdefault("token_type_ids", torch.zeros_like(encoding["input_ids"]))
    names = set(tokenizer.model_input_names)
    with torch.inference_mode():
        expected = model(**{name: ids for name, ids in encoding.items() if name in names}).logits.numpy()
    np.testing.assert_allclose(onnx_logits(directory, encoding), expected, atol=1e-4)
    assert expected.std(axis=0).max() > 0.05, "all texts get one answer: agreeing on it proves nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizer_file_gives_the_ids_of_the_checkpoints_tokenizer(
    kind: str, checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    # a checkpoint whose tokenizer.json remembers somebody's truncation and padding, as published ones often do
    checkpoint = Path(shutil.copytree(checkpoint_of(kind), tmp_path / "checkpoint"))
    used = AutoTokenizer.from_pretrained(checkpoint)
    used(["one", "two words"], truncation=True, max_length=7, padding="max_length")
    used.save_pretrained(checkpoint)
    assert json.loads((checkpoint / "tokenizer.json").read_text())["truncation"] is not None

    written = Tokenizer.from_file(str(exported(checkpoint, tmp_path / "model", optimize="none").tokenizer_file))
    reference = AutoTokenizer.from_pretrained(checkpoint)
    assert written.truncation is None
    assert written.padding is None
    for text in (*BUILT_IN_TEXTS, ""):
        assert written.encode(text).ids == reference(text)["input_ids"]
        assert written.encode(text, "and a second text").ids == reference(text, "and a second text")["input_ids"]
    first, last = reference.convert_ids_to_tokens(written.encode("x").ids)[:: len(written.encode("x").ids) - 1]
    assert {first, last} <= set(reference.all_special_tokens)


def test_contract_says_what_was_exported(tmp_path: Path) -> None:
    make_checkpoint("bert", tmp_path / "my-classifier", label_names=["World", "Sports", "Sci/Tech"])
    directory = exported(tmp_path / "my-classifier", tmp_path / "model", max_length=100)

    contract = directory.contract
    assert contract.label_names == ("World", "Sports", "Sci/Tech")
    assert (contract.max_length, contract.max_positions) == (100, POSITIONS)
    assert (contract.pad_token_id, contract.truncation_side) == (0, "right")
    assert contract.architecture == "BertForSequenceClassification"
    assert (contract.source, contract.revision) == ("my-classifier", None)
    assert contract.precision == "fp32"
    assert contract.parity.calibration == "built-in"
    assert set(contract.files) == FILES - {"scorer.json"}
    assert {"scorer", "tokenizers", *REQUIRED[EXPORTER].values()} < set(contract.versions)
    assert any(name.startswith("onnxruntime") for name in contract.versions)
    assert str(tmp_path) not in "".join(
        (directory.path / name).read_text(encoding="utf-8") for name in ("scorer.json", "config.json")
    )
    assert open_model_directory(directory.path) == directory
    assert set(json.loads((directory.path / "config.json").read_text())) > {"model_type", "id2label"}


def test_labels_follow_the_columns_whatever_the_order_in_the_file(own_bert: Path, tmp_path: Path) -> None:
    edit_config(own_bert, id2label={"2": "c", "0": "a", "3": "d", "1": "b"}, label2id=None)
    assert exported(own_bert, tmp_path / "model").contract.label_names == ("a", "b", "c", "d")


def test_progress_is_told_line_by_line(bert: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    export_onnx(ExportConfig(str(bert), tmp_path / "model"), notify=lines.append)
    assert "comparing with PyTorch on 7" in "\n".join(lines)
    assert all("\n" not in line for line in lines)


# --- optimization and precision ----------------------------------------------------------------------------


def test_each_level_is_applied_and_recorded(bert: Path, tmp_path: Path) -> None:
    done = {level: exported(bert, tmp_path / level, optimize=level) for level in ("none", "O1", "O2", "O3")}
    assert {level: directory.contract.optimize for level, directory in done.items()} == {key: key for key in done}
    nodes = {level: len(onnx.load(directory.model_file).graph.node) for level, directory in done.items()}
    if EXPORTER == "optimum":
        assert nodes["none"] > nodes["O1"] > nodes["O2"]
    else:  # torch's exporter leaves the first two to the session
        assert nodes["none"] == nodes["O1"]
    assert "Attention" in operators(done["O2"])
    assert "Attention" not in operators(done["O1"])
    assert [directory.contract.one_position for directory in done.values()] == [False, False, True, True]
    assert "FastGelu" in operators(done["O3"])  # the approximation
    assert "FastGelu" not in operators(done["O2"])
    tolerances = {level: directory.contract.parity.tolerance for level, directory in done.items()}
    assert tolerances["none"] == tolerances["O2"] == 1e-4
    assert tolerances["O3"] > tolerances["O2"]


@by_optimum
def test_architecture_without_known_fusions_falls_back_and_says_so(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    lines: list[str] = []
    config = ExportConfig(str(checkpoint_of("mobilebert")), tmp_path / "model", optimize="O3")
    contract = export_onnx(config, notify=lines.append).contract
    assert contract.optimize == "O1"
    assert contract.parity.tolerance < 1e-3  # fp32's, and not that of O3's GELU
    assert any("O3" in line and "mobilebert" in line and "O1" in line for line in lines)


@pytest.mark.parametrize("optimize", ["none", "O2"])
def test_fp16_halves_the_weights_and_keeps_float32_logits(bert: Path, tmp_path: Path, optimize: Any) -> None:
    full = exported(bert, tmp_path / "full", optimize=optimize)
    half = exported(bert, tmp_path / "half", optimize=optimize, precision="fp16")
    assert half.contract.precision == "fp16"
    graph = onnx.load(half.model_file).graph
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert half.model_file.stat().st_size < 0.7 * full.model_file.stat().st_size
    assert full.contract.parity.tolerance < half.contract.parity.max_logit_difference < half.contract.parity.tolerance


@pytest.mark.parametrize("optimize", ["none", "O2"])
def test_int8_quantizes_the_matrix_products(bert: Path, tmp_path: Path, optimize: Any) -> None:
    directory = exported(bert, tmp_path / "model", optimize=optimize, precision="int8")
    assert directory.contract.precision == "int8"
    assert "MatMulInteger" in operators(directory)
    graph = onnx.load(directory.model_file).graph
    constants = {tensor.name for tensor in graph.initializer}
    products = {"optimum": {"MatMul"}, "torch": {"MatMul", "FusedMatMul", "Gemm", "FusedGemm"}}[EXPORTER]
    left = [node.name for node in graph.node if node.op_type in products and node.input[1] in constants]
    assert all(name.startswith(CUT) for name in left)
    assert bool(left) == (optimize == "O2")
    assert onnx.TensorProto.INT8 in {tensor.data_type for tensor in graph.initializer}
    if optimize == "O2" and EXPORTER == "optimum":
        assert "FastGelu" in operators(directory)
        assert "BiasGelu" not in operators(directory)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_large_weights_lie_beside_the_graph_and_are_hashed(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Any
) -> None:
    monkeypatch.setattr("scorer.export.onnx.files.EXTERNAL_DATA_BYTES", 1_000)
    monkeypatch.setenv("FORCE_ONNX_EXTERNAL_DATA", "1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    directory = exported(bert, tmp_path / "model", precision=precision)
    assert list((tmp_path / "here").iterdir()) == []
    beside = {"model.onnx_data"} if precision == "fp32" else {"model.onnx_data", FP32_FILE, f"{FP32_FILE}_data"}
    assert {file.name for file in directory.path.iterdir()} == FILES | beside
    assert beside <= set(directory.contract.files)
    assert (directory.path / "model.onnx_data").stat().st_size > 10_000


# --- lengths -----------------------------------------------------------------------------------------------


def test_tokenizer_without_a_maximum_takes_the_models(checkpoint_of: Callable[[str], Path], tmp_path: Path) -> None:
    checkpoint = checkpoint_of("deberta-v2")
    assert AutoTokenizer.from_pretrained(checkpoint).model_max_length > 1e29
    contract = exported(checkpoint, tmp_path / "model", optimize="none").contract
    assert (contract.max_length, contract.max_positions) == (POSITIONS, POSITIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_position_limit_is_the_last_length_that_pytorch_takes(kind: str, checkpoint_of: Callable[[str], Path]) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint_of(kind)).eval()
    limit = position_limit(model)
    assert limit == POSITIONS
    ids = torch.full((1, limit), 7)
    assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()
    if kind != "deberta-v2":  # relative positions go on; the limit is what it was trained for
        ids = torch.full((1, limit + 1), 7)
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_default_length_is_at_most_512_and_the_limit_may_be_more(tmp_path: Path) -> None:
    make_checkpoint("deberta-v2", tmp_path / "long", max_position_embeddings=2_048)
    checkpoint = open_checkpoint(str(tmp_path / "long"))
    assert (checkpoint.max_length, checkpoint.max_positions) == (512, 2_048)
    assert open_checkpoint(str(tmp_path / "long"), max_length=2_048).max_length == 2_048


def test_length_beyond_the_positions_is_refused(bert: Path, tmp_path: Path) -> None:
    message = refused(UsageError, bert, tmp_path, max_length=POSITIONS + 1)
    assert "--max-length 129" in message
    assert "128" in message


def test_length_without_room_for_text_is_refused(bert: Path, tmp_path: Path) -> None:
    assert "2 special tokens" in refused(UsageError, bert, tmp_path, max_length=2)


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "fragments"),
    [
        ({"problem_type": "multi_label_classification"}, ["multi-label", "problem_type"]),
        ({"problem_type": "regression"}, ["regression"]),
        ({"id2label": {"0": "score"}}, ["single-logit", "1 output"]),
        ({"id2label": {"0": "a", "1": "b", "3": "d"}, "label2id": None}, ["none for class 2", "from 0"]),
        ({"id2label": {"0": "a", "1": "b", "2": "c", "x": "d"}}, ["not a table"]),
        ({"id2label": {"0": "a", "1": "b", "2": "a", "3": "d"}}, ["'a'", "more than one class"]),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": None}, ["do not load"]),
        ({"model_type": None}, ["model_type None"]),
        ({"model_type": "no-such-model"}, ["'no-such-model'"]),
        (
            {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}},
            ["its own Python code", "--trust-remote-code"],
        ),
    ],
)
def test_config_that_is_no_single_label_classifier_is_refused(
    fields: dict[str, Any], fragments: list[str], own_bert: Path, tmp_path: Path
) -> None:
    message = refused(ExportError, edit_config(own_bert, **fields), tmp_path)
    assert all(fragment in message for fragment in fragments), message
    assert str(own_bert) in message


def test_missing_head_is_refused_by_name(tmp_path: Path) -> None:
    message = refused(ExportError, make_headless_checkpoint(tmp_path / "headless"), tmp_path)
    assert "classifier.weight" in message
    assert "random" in message


def test_single_logit_head_is_refused(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("bert", tmp_path / "regression", num_labels=1)
    assert "single-logit" in refused(ExportError, checkpoint, tmp_path)


def test_slow_tokenizer_is_refused(tmp_path: Path) -> None:
    message = refused(ExportError, make_slow_only_checkpoint(tmp_path / "slow"), tmp_path)
    assert "CanineTokenizer" in message
    assert "no fast form" in message


def test_checkpoint_without_tokenizer_is_refused(own_bert: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (own_bert / name).unlink(missing_ok=True)
    assert "no tokenizer" in refused(ExportError, own_bert, tmp_path)


@pytest.mark.parametrize("damage", ["missing", "cut", "garbage"])
def test_damaged_weights_are_refused(damage: str, own_bert: Path, tmp_path: Path) -> None:
    weights = own_bert / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    if damage != "missing":
        weights.write_bytes(content[: len(content) // 2] if damage == "cut" else b"garbage")
    assert "weights" in refused(ExportError, own_bert, tmp_path)


def test_weights_that_are_not_finite_are_refused(own_bert: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(own_bert)
    with torch.no_grad():
        model.classifier.bias[0] = torch.nan
    model.save_pretrained(own_bert)
    assert "not finite" in refused(ExportError, own_bert, tmp_path)


def test_config_that_is_not_json_is_refused(own_bert: Path, tmp_path: Path) -> None:
    (own_bert / "config.json").write_text("{")
    assert "config.json" in refused(ExportError, own_bert, tmp_path)


def test_foreign_tokenizer_is_refused(own_bert: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(own_bert)
    tokenizer.add_tokens([f"extra{index}" for index in range(9)])
    tokenizer.save_pretrained(own_bert)
    message = refused(ExportError, own_bert, tmp_path)
    assert "extra8" in message
    assert "embeddings" in message


@by_optimum
def test_architecture_unknown_to_optimum_is_refused(tmp_path: Path) -> None:
    from transformers import FNetConfig, FNetForSequenceClassification

    make_checkpoint("bert", tmp_path / "fnet")
    config = FNetConfig(vocab_size=1_200, hidden_size=32, num_hidden_layers=1, intermediate_size=64, num_labels=3)
    FNetForSequenceClassification(config).save_pretrained(tmp_path / "fnet")
    message = refused(ExportError, tmp_path / "fnet", tmp_path)
    assert "'fnet'" in message
    assert "optimum cannot export" in message
    assert "pip install 'scorer-onnx[cpu,export]'" in message


def test_where_padding_moves_answers_texts_of_each_length_are_computed_by_themselves(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    # ConvBERT's convolutions look into the padding
    contract = exported(checkpoint_of("convbert"), tmp_path / "model").contract
    assert contract.equal_lengths
    assert contract.parity.max_logit_difference <= 1e-4
    assert not exported(checkpoint_of("bert"), tmp_path / "bert").contract.equal_lengths


def test_decoder_without_padding_token_pads_with_its_end_token(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    assert AutoTokenizer.from_pretrained(checkpoint_of("gpt2")).pad_token_id is None
    contract = exported(checkpoint_of("gpt2"), tmp_path / "model").contract
    assert contract.pad_token_id == 0
    assert contract.parity.max_logit_difference <= 1e-4


def test_checkpoint_without_any_token_to_pad_with_is_refused(
    checkpoint_of: Callable[[str], Path], tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copytree(checkpoint_of("gpt2"), tmp_path / "gpt2"))
    settings = json.loads((checkpoint / "tokenizer_config.json").read_text())
    settings |= {"eos_token": None, "bos_token": None, "unk_token": None, "pad_token": None}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    (checkpoint / "special_tokens_map.json").unlink(missing_ok=True)  # transformers 5 writes none
    assert "pad_token_id" in refused(ExportError, checkpoint, tmp_path)


@pytest.mark.parametrize("name", ["./no/such/folder", "/no/such/folder", "a/b/c"])
def test_path_that_does_not_exist_is_refused(name: str, tmp_path: Path) -> None:
    assert "does not exist" in refused(ExportError, name, tmp_path)


def test_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "no config.json" in refused(ExportError, folder, tmp_path)
    (folder / "adapter_config.json").write_text("{}")
    assert "peft_type" in refused(ExportError, folder, tmp_path)
    assert "is a file" in refused(ExportError, folder / "adapter_config.json", tmp_path)


def test_hub_that_cannot_be_reached_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub._is_offline_mode", True, raising=False)  # of transformers 4
    message = refused(ExportError, "nobody/nothing", tmp_path, revision="v1")
    assert "'nobody/nothing'" in message
    assert "v1" in message
    assert "network" in message


def test_revision_of_a_folder_is_refused(bert: Path, tmp_path: Path) -> None:
    assert "--revision main" in refused(UsageError, bert, tmp_path, revision="main")


@pytest.mark.parametrize("options", [{"optimize": "O4"}, {"precision": "bf16"}, {"max_length": 0}])
def test_impossible_option_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(next(iter(options.values())))):
        ExportConfig("model", tmp_path / "out", **options)


# --- parity ------------------------------------------------------------------------------------------------


def damage_logits(by: float) -> Callable[..., Any]:
    """A write_graph that gets the second class wrong."""

    def write(checkpoint: Any, directory: Path, *arguments: Any, **options: Any) -> Any:
        applied = onnx_graph.write_graph(checkpoint, directory, *arguments, **options)
        model = onnx.load(directory / "model.onnx")
        last = next(node for node in model.graph.node if "logits" in node.output)
        last.output[0] = "right"
        error = onnx.numpy_helper.from_array(np.array([0, by, 0, 0], dtype=np.float32), "error")
        model.graph.initializer.append(error)
        model.graph.node.append(onnx.helper.make_node("Add", ["right", "error"], ["logits"]))
        onnx.save(model, directory / "model.onnx")
        return applied

    return write


def test_graph_that_is_wrong_by_little_is_refused(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "write_graph", damage_logits(0.001))
    message = refused(ParityError, bert, tmp_path)
    assert "by 0.001" in message
    assert "0.0001 is accepted" in message
    assert "nats" in message
    assert "--optimize none" in message


def test_graph_that_gives_nan_is_refused(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "write_graph", damage_logits(float("nan")))
    message = refused(ParityError, bert, tmp_path)
    assert "not finite" in message
    assert "Try --optimize none" in message
    assert "fp32" not in message  # which it is
    assert "Try --precision fp32" in refused(ParityError, bert, tmp_path, precision="fp16")


def test_a_graph_that_is_wrong_on_pairs_alone_takes_none(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(checkpoint: Any, directory: Path, *arguments: Any, **options: Any) -> Any:
        applied = onnx_graph.write_graph(checkpoint, directory, *arguments, **options)
        model = onnx.load(directory / "model.onnx")
        last = next(node for node in model.graph.node if "logits" in node.output)
        last.output[0] = "right"
        steps = [
            onnx.helper.make_node("ReduceMax", ["token_type_ids"], ["second"], keepdims=0),  # 1 where there is a pair
            onnx.helper.make_node("Cast", ["second"], ["error"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", ["right", "error"], ["wrong"]),
            onnx.helper.make_node("Add", ["right", "wrong"], ["logits"]),
        ]
        model.graph.node.extend(steps)
        onnx.save(model, directory / "model.onnx")
        return applied

    assert exported(bert, tmp_path / "right").contract.pairs is not None
    monkeypatch.setattr(export, "write_graph", write)
    contract = exported(bert, tmp_path / "wrong").contract
    assert contract.pairs is None
    assert "differs from PyTorch's" in str(contract.no_pairs)


def test_graph_that_does_not_load_is_refused(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(checkpoint: Any, directory: Path, *arguments: Any, **options: Any) -> Any:
        applied = onnx_graph.write_graph(checkpoint, directory, *arguments, **options)
        (directory / "model.onnx").write_bytes(b"not a graph")
        return applied

    monkeypatch.setattr(export, "write_graph", write)
    message = refused(ParityError, bert, tmp_path)
    assert "does not load the exported graph of BertForSequenceClassification" in message
    assert "Nothing was written" in message


def test_an_operation_that_onnxruntime_lacks_is_told(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(checkpoint: Any, directory: Path, *arguments: Any, **options: Any) -> Any:
        applied = onnx_graph.write_graph(checkpoint, directory, *arguments, **options)
        model = onnx.load(directory / "model.onnx")
        last = next(node for node in model.graph.node if "logits" in node.output)
        last.output[0] = "right"
        half = onnx.TensorProto.BFLOAT16
        model.graph.node.extend(
            [
                onnx.helper.make_node("Cast", ["right"], ["half"], to=half),
                onnx.helper.make_node("Mul", ["half", "half"], ["product"]),
                onnx.helper.make_node("Cast", ["product"], ["logits"], to=onnx.TensorProto.FLOAT),
            ]
        )
        onnx.save(model, directory / "model.onnx")
        return applied

    monkeypatch.setattr(export, "write_graph", write)
    message = refused(ParityError, bert, tmp_path)
    assert "lacks an operation" in message
    assert "Mul" in message
    assert "Export the model again" not in message


def test_tokenizer_file_that_differs_is_refused(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(tokenizer: Any, file: Path) -> None:
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.post_processor = None  # no [CLS], no [SEP]
        backend.save(str(file))

    monkeypatch.setattr(export, "_write_tokenizer", write)
    assert "tokenizer.json" in refused(ExportError, bert, tmp_path)


def test_failing_exporter_is_told_with_its_cause(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("operator not supported")

    optimum, torchs = "optimum.exporters.onnx.onnx_export_from_model", "scorer.export.graph.onnx_graph.rewrite"
    monkeypatch.setattr(optimum if EXPORTER == "optimum" else torchs, fail)
    message = refused(ExportError, bert, tmp_path)
    assert "operator not supported" in message
    assert "--optimize none" in message


@by_torch
def test_a_model_that_torch_cannot_trace_is_told_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("operator not supported")

    checkpoint = make_checkpoint("bert", tmp_path / "checkpoint", seed=1)  # no graph of it is kept
    monkeypatch.setattr("torch.onnx.export", fail)
    message = refused(ExportError, checkpoint, tmp_path)
    assert "BertForSequenceClassification cannot be traced" in message
    assert "operator not supported" in message


def test_built_in_texts_are_varied() -> None:
    words = [len(text.split()) for text in BUILT_IN_TEXTS]
    assert min(words) == 1
    assert 350 < max(words) < 500
    assert len(set(BUILT_IN_TEXTS)) == 36


# --- calibration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "parquet"])
def test_own_texts_are_read(kind: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "text": ["first, text", None, "third"]})
    file = tmp_path / f"texts.{kind}"
    if kind == "txt":
        file.write_text("first, text\n\nthird\n")
    else:
        {"jsonl": frame.write_ndjson, "csv": frame.write_csv, "parquet": frame.write_parquet}[kind](file)
    assert proof_texts.read_texts(file) == ("first, text", "third")


def test_own_texts_are_used_and_named(bert: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("\n".join(f"text number {index}" for index in range(100)))
    found = exported(bert, tmp_path / "model", calibration=file).contract.parity
    assert found.texts > 64
    assert found.calibration == "mine.txt"


@pytest.mark.parametrize(
    ("name", "content", "fragment"),
    [
        ("a.txt", b"\n \n", "holds no text"),
        ("a.txt", b"\xff\xfe\x00", "cannot read"),
        ("a.csv", b"id,body\n1,x\n", "no column 'text', only id, body"),
        ("a.parquet", b"garbage", "cannot read"),
        ("a.docx", b"", "cannot tell the format"),
        ("absent.txt", None, "cannot read"),
    ],
)
def test_unusable_calibration_file_is_refused(
    name: str, content: bytes | None, fragment: str, bert: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert fragment in refused(DataError, bert, tmp_path, calibration=tmp_path / name)


# --- the output --------------------------------------------------------------------------------------------


def test_model_directory_is_replaced_only_when_asked(bert: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    output.mkdir()  # an empty directory is as good as none
    exported(bert, output, optimize="none")
    with pytest.raises(OutputError, match="--overwrite"):
        exported(bert, output)
    assert open_model_directory(output).contract.optimize == "none"
    assert exported(bert, output, overwrite=True).contract.optimize == "O2"
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_folder_of_a_stranger_is_never_deleted(bert: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    output.mkdir()
    (output / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not a model directory"):
        exported(bert, output, overwrite=True)
    (output / "scorer.json").write_text("{}")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        exported(bert, output, overwrite=True)
    assert (output / "thesis.txt").read_text() == "years of work"


def test_output_that_is_a_file_is_refused(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        exported(bert, tmp_path / "model")


def test_output_that_cannot_be_written_is_refused(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        exported(bert, tmp_path / "file" / "model")


@pytest.mark.parametrize("stage", ["open_checkpoint", "write_graph", "prove_parity", "_contract"])
def test_interrupt_leaves_nothing(stage: str, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, stage, interrupt)
    with pytest.raises(KeyboardInterrupt):
        exported(bert, tmp_path / "deep" / "folder" / "model")
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_directory_that_was_to_be_replaced(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = exported(bert, tmp_path / "model")
    monkeypatch.setattr(export, "write_graph", damage_logits(1.0))
    with pytest.raises(ParityError):
        exported(bert, tmp_path / "model", overwrite=True)
    assert open_model_directory(tmp_path / "model") == before
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


# --- packages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("torch", "torch"),
        ("onnx", "onnx"),
        pytest.param("onnxscript", "onnxscript", marks=by_torch),
        pytest.param("optimum.exporters.onnx", "optimum-onnx", marks=by_optimum),
    ],
)
def test_missing_package_is_named(
    module: str, package: str, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else found(name, *rest))
    message = refused(MissingExtraError, bert, tmp_path)
    assert f"'{package}'" in message
    assert f"pip install 'scorer-onnx[{EXTRAS[EXPORTER]}]'" in message


def test_missing_onnxruntime_is_told(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.model.session.installed_onnxruntime", dict)
    assert "scorer-onnx[cpu]" in refused(ProviderError, bert, tmp_path)


def test_hub_checkpoint_is_exported_in_silence_and_its_commit_recorded(bert: Path, tmp_path: Path) -> None:
    """A hub checkpoint from the local cache, in a fresh process, where every import and warning happens anew."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "home" / "hub" / "models--owner--name"
    shutil.copytree(bert, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    script = (
        "import sys; from pathlib import Path; from scorer.export.export import ExportConfig, export_onnx\n"
        "heavy = {'torch', 'transformers', 'optimum', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        f"done = export_onnx(ExportConfig('owner/name', Path({str(tmp_path / 'model')!r}), precision='int8'))\n"
        "print(done.contract.source, done.contract.revision)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["owner/name", commit]


# --- a real checkpoint -------------------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the checkpoint in ../shared/models, which is not here")
@pytest.mark.parametrize(
    ("precision", "optimize", "within"),
    [("fp32", "O2", 2e-5), ("fp32", "O3", 1e-2), ("fp16", "O2", 1e-2), ("int8", "O2", 1.0)],
)
def test_real_checkpoint(precision: Any, optimize: Any, within: float, tmp_path: Path) -> None:
    contract = exported(REAL, tmp_path / "model", precision=precision, optimize=optimize).contract
    assert contract.label_names == ("World", "Sports", "Business", "Sci/Tech")
    assert (contract.max_length, contract.max_positions) == (512, 512)
    assert contract.parity.max_logit_difference < within
    assert contract.parity.max_loss_difference < within
