"""A checkpoint whose weights do not all have a place in the classifier is not the model that was trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs an extra that exports")

import torch
from checkpoints import edit_config, make_checkpoint
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification, ModernBertConfig, ModernBertForSequenceClassification

from scorer.errors import ExportError, MissingExtraError
from scorer.export.containers.checkpoint import Checkpoint, open_checkpoint


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints by kind, which tests copy."""
    folder = tmp_path_factory.mktemp("made")
    for kind in ("bert", "roberta"):
        make_checkpoint(kind, folder / kind)
    return folder


@pytest.fixture
def bert(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "bert", tmp_path / "bert"))


def with_weights(checkpoint: Path, *names: str) -> Path:
    """The checkpoint with further weights."""
    file = checkpoint / "model.safetensors"
    weights = load_file(file)
    weights |= {name: torch.ones(4, 4) for name in names}
    save_file(weights, file, metadata={"format": "pt"})
    return checkpoint


def opened(checkpoint: Path, **options: Any) -> Checkpoint:
    return open_checkpoint(str(checkpoint), **options)


@pytest.mark.parametrize(
    "names",
    [
        ["bert.encoder.layer.0.output.adapters.sent.adapter_down.weight"],
        ["bert.encoder.layer.1.attention.self.query.lora_A.default.weight", "bert.encoder.layer.1.prefix"],
        ["classifier_dense.weight", "classifier_dense.bias"],
        ["bert.encoder.layer.2.output.dense.weight"],  # a layer more than the config says
        ["crf.transitions"],
        ["bert.pooler.projection.weight"],  # a pooler that does more than this class's
    ],
)
def test_weights_that_could_move_an_answer_are_refused_by_name(names: list[str], bert: Path) -> None:
    with pytest.raises(ExportError, match="does not use") as refused:
        opened(with_weights(bert, *names))
    assert all(name in str(refused.value) for name in names)
    assert "BertForSequenceClassification" in str(refused.value)


def test_heads_of_pretraining_are_left_out_and_named(bert: Path) -> None:
    checkpoint = opened(with_weights(bert, "cls.predictions.bias", "lm_head.dense.weight"))
    assert checkpoint.notices == (
        "left out, since they move no answer of a text classifier: cls.predictions.bias, lm_head.dense.weight",
    )


def test_tables_that_the_code_computes_are_not_missed(bert: Path) -> None:
    assert opened(with_weights(bert, "bert.embeddings.position_ids", "bert.masked_bias")).notices == ()


def test_a_pooler_of_a_class_without_one_is_left_out(made: Path, tmp_path: Path) -> None:
    checkpoint = Path(shutil.copytree(made / "roberta", tmp_path / "roberta"))
    (notice,) = opened(with_weights(checkpoint, "roberta.pooler.dense.weight")).notices
    assert "roberta.pooler.dense.weight" in notice


def test_a_model_saved_for_another_task_is_refused_though_its_weights_fit(bert: Path) -> None:
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = ModernBertConfig(vocab_size=2_000, pad_token_id=0, num_labels=4, **shape)
    AutoModelForTokenClassification.from_config(config).save_pretrained(bert)
    with pytest.raises(ExportError, match=r"saved as ModernBertForTokenClassification .* another task's"):
        opened(bert)
    ModernBertForSequenceClassification(config).save_pretrained(bert)
    assert opened(bert).notices == ()


@pytest.mark.parametrize(
    "name", ["BertWithDenseHead", "BertForMaskedLM", "BertModel", "RobertaForSequenceClassification"]
)
def test_another_name_alone_is_a_warning(name: str, bert: Path) -> None:
    (notice,) = opened(edit_config(bert, architectures=[name])).notices
    assert notice.startswith("warning: ")
    assert name in notice
    assert "BertForSequenceClassification" in notice


def test_no_name_at_all_is_none_of_our_business(bert: Path) -> None:
    assert opened(edit_config(bert, architectures=None)).notices == ()


def test_an_adapter_beside_the_model_is_not_left_out(bert: Path) -> None:
    (bert / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x"}))
    with pytest.raises((ExportError, MissingExtraError), match=r"no weights of an adapter|needs the package 'peft'"):
        opened(bert)


# --- how many classes, and their names -----------------------------------------------------------------------------


def test_names_of_label2id_alone(bert: Path) -> None:
    names = {"sport": 1, "world": 0, "tech": 3, "arts": 2}
    checkpoint = opened(edit_config(bert, id2label=None, label2id=names))
    assert checkpoint.label_names == ("world", "sport", "arts", "tech")
    assert "label2id" in checkpoint.notices[0]
    assert checkpoint.model.config.num_labels == 4


def test_the_weights_tell_the_number_of_classes_where_nothing_else_does(bert: Path) -> None:
    checkpoint = opened(edit_config(bert, id2label=None, label2id=None))
    assert checkpoint.label_names == ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3")
    assert checkpoint.model.config.num_labels == 4


@pytest.mark.parametrize(
    "fields", [{"label2id": {"a": 0, "b": 1, "c": 2}, "id2label": None}, {"id2label": {"0": "a", "1": "b", "2": "c"}}]
)
def test_more_or_fewer_names_than_outputs_are_refused(fields: dict[str, Any], bert: Path) -> None:
    with pytest.raises(ExportError, match=r"do not load .* have 4 outputs, but its config.json names 3 classes"):
        opened(edit_config(bert, **({"label2id": None} | fields)))


def test_a_single_output_is_found_in_the_weights_too(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("bert", tmp_path / "bert", num_labels=1)
    with pytest.raises(ExportError, match="single-logit"):
        opened(edit_config(checkpoint, id2label=None, label2id=None))
