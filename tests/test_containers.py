"""What people have fine-tuned models in: adapters, SetFit, CrossEncoders, Trainer's folders, weights of every format.

Answers are compared with those of the library that made the container, one text at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs an extra that exports")
transformers = pytest.importorskip("transformers", reason="needs an extra that exports")

from checkpoints import TRAINING_TEXT, edit_config, make_checkpoint, make_headless_checkpoint
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from scorer import ExportConfig, export_onnx
from scorer.arithmetic.batching import collate
from scorer.errors import ExportError, MissingExtraError, UsageError
from scorer.export.containers.checkpoint import Checkpoint, open_checkpoint, takes
from scorer.export.containers.inert_pickle import Recorded, UnreadableError, read_pickle
from scorer.export.containers.place import Wishes
from scorer.model.classifier import OnnxClassifier
from scorer.model.model_directory import ModelDirectory
from scorer.model.tokenization import TextEncoder

WITHIN = 1e-4
LABELS = ("world", "sport", "business", "science")
TEXTS = (*TRAINING_TEXT, TRAINING_TEXT[0] * 9, "a", " The  bank\t")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Checkpoints by kind and settings, made once; tests that change one copy it."""
    folder, kept = tmp_path_factory.mktemp("made"), {}

    def make(kind: str, **settings: Any) -> Path:
        key = (kind, *sorted(settings.items()))
        if key not in kept:
            kept[key] = make_checkpoint(kind, folder / f"{kind}-{len(kept)}", **settings)
        return kept[key]

    return make


def opened(folder: Path, *, max_length: int | None = None, **wishes: Any) -> Checkpoint:
    return open_checkpoint(str(folder), max_length=max_length, wishes=Wishes(**wishes))


def refused(folder: Path, **wishes: Any) -> str:
    """The message of a refusal: one sentence or several, and no traceback."""
    with pytest.raises((ExportError, UsageError)) as error:
        opened(folder, **wishes)
    assert "\n" not in str(error.value)
    return str(error.value)


def logits(model: Any, tokenizer: Any, texts: Sequence[Any] = TEXTS, max_length: int = 128) -> np.ndarray:
    """A model's own answers, one text or pair at a time: float32 [N, C]."""
    network = model.get_base_model() if hasattr(model, "get_base_model") else model
    answers = []
    for text in texts:
        both = (text,) if isinstance(text, str) else text
        encoded = tokenizer(*both, truncation=True, max_length=max_length, return_tensors="pt")
        feeds = {name: ids for name, ids in encoded.items() if takes(network, name)}
        with torch.inference_mode():
            answers.append(model(**feeds).logits.float().numpy())
    found = np.concatenate(answers)
    assert found.std(axis=0).max() > 1e-3  # the texts differ in the model's eyes
    return found


def own_logits(checkpoint: Checkpoint, texts: Sequence[Any] = TEXTS) -> np.ndarray:
    return logits(checkpoint.model, checkpoint.tokenizer, texts, checkpoint.max_length)


def logits_of_a_run(directory: ModelDirectory, texts: Sequence[Any] = TEXTS) -> np.ndarray:
    """Logits of padded batches as a run makes them: float32 [N, C]."""
    contract = directory.contract
    encoder = TextEncoder(
        directory.tokenizer_file, contract.max_length, contract.truncation_side, segments=contract.segments
    )
    if isinstance(texts[0], str):
        encoded = encoder.encode(texts)
    else:
        encoded = encoder.encode([first for first, _ in texts], [second for _, second in texts])
    classifier = OnnxClassifier(directory.model_file, contract.label_names, "cpu")
    rows = np.array_split(np.arange(encoded.lengths.size), 3)
    return np.concatenate([classifier(collate(encoded, part, contract.pad_token_id)) for part in rows])


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=WITHIN * max(1.0, np.abs(expected).max() / 10), rtol=0)


def softmax(found: np.ndarray) -> np.ndarray:
    powers = np.exp(found - found.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# --- PEFT adapters -------------------------------------------------------------------------------------------------


@pytest.fixture
def peft() -> Any:
    return pytest.importorskip("peft", reason="needs the package peft")


def make_adapter(base: Path, folder: Path, settings: Any, *, num_labels: int = 3, tokenizer: bool = True) -> Path:
    """An adapter of a base, all its weights random, as peft saves it after training."""
    import peft

    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=num_labels, ignore_mismatched_sizes=True
    )
    if model.config.pad_token_id is None:
        model.config.pad_token_id = model.config.eos_token_id
    adapted = peft.get_peft_model(model, settings)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    adapted.save_pretrained(folder)
    if tokenizer:
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def by_peft(base: Path, folder: Path, num_labels: int = 3) -> np.ndarray:
    """What peft answers with base and adapter, not merged."""
    import peft

    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=num_labels, ignore_mismatched_sizes=True, dtype=torch.float32
    )
    if model.config.pad_token_id is None:
        model.config.pad_token_id = model.config.eos_token_id
    return logits(peft.PeftModel.from_pretrained(model, folder).eval(), AutoTokenizer.from_pretrained(base))


ADAPTERS = {
    "lora": ("bert", "LoraConfig", {}),
    "rslora with biases": ("bert", "LoraConfig", {"use_rslora": True, "r": 4, "lora_alpha": 32, "bias": "all"}),
    "lora of some layers": (
        "deberta-v2",
        "LoraConfig",
        {"rank_pattern": {".*layer.0.*": 2}, "target_modules": "all-linear"},
    ),
    "dora of a decoder": ("gpt2", "LoraConfig", {"use_dora": True}),
    "ia3": ("roberta", "IA3Config", {}),
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapter_answers_as_peft_does(kind: str, peft: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    base, settings, values = ADAPTERS[kind]
    folder = make_adapter(made(base), tmp_path / "adapter", getattr(peft, settings)(task_type="SEQ_CLS", **values))
    checkpoint = opened(folder)
    expected = by_peft(made(base), folder)
    close(own_logits(checkpoint), expected)
    assert np.abs(expected - logits(*plain(made(base)))[:, :3]).max() > 0.1  # the adapter moves answers
    assert checkpoint.label_names == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert any("holds no names of its 3 classes" in notice for notice in checkpoint.notices)
    assert any("merged in float32" in notice for notice in checkpoint.notices)


def plain(folder: Path) -> tuple[Any, Any]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("kind", ["lora", "dora of a decoder"])
def test_an_adapter_is_exported(kind: str, peft: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    base, settings, values = ADAPTERS[kind]
    folder = make_adapter(
        made(base), tmp_path / "adapter", getattr(peft, settings)(task_type="SEQ_CLS", **values), tokenizer=False
    )
    directory = export_onnx(ExportConfig(str(folder), tmp_path / "model"))
    close(logits_of_a_run(directory), by_peft(made(base), folder))
    assert directory.contract.source == "adapter"


def test_a_base_is_found_beside_the_adapter_and_where_a_person_says(
    peft: Any, made: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(shutil.copytree(made("bert"), tmp_path / "models" / "base"))
    folder = make_adapter(base, tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    expected = by_peft(base, folder)
    for name, where in (("models/base", tmp_path), ("../models/base", Path.cwd())):
        edit_json(folder / "adapter_config.json", base_model_name_or_path=name)
        with monkeypatch.context() as patch:
            patch.chdir(where)
            close(own_logits(opened(folder)), expected)
    edit_json(folder / "adapter_config.json", base_model_name_or_path="/gone/base")
    message = refused(folder)
    assert "is not found: '/gone/base'" in message
    assert "--base" in message
    close(own_logits(opened(folder, base=str(base))), expected)
    edit_json(folder / "adapter_config.json", base_model_name_or_path=None)
    assert "does not say which model it was trained on" in refused(folder)


def edit_json(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | fields), encoding="utf-8")


def test_names_of_the_base_are_taken_with_a_warning_and_those_beside_the_adapter_without(
    peft: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    base = made("bert", label_names=LABELS)
    settings = peft.LoraConfig(task_type="SEQ_CLS")
    folder = make_adapter(base, tmp_path / "adapter", settings, num_labels=4)
    checkpoint = opened(folder)
    assert checkpoint.label_names == LABELS
    assert any(notice.startswith("warning: the adapter holds no names") for notice in checkpoint.notices)
    content = json.loads((base / "config.json").read_text(encoding="utf-8"))
    names = {"0": "d", "1": "c", "2": "b", "3": "a"}
    beside = content | {"id2label": names, "label2id": {name: int(index) for index, name in names.items()}}
    (folder / "config.json").write_text(json.dumps(beside))
    checkpoint = opened(folder)
    assert checkpoint.label_names == ("d", "c", "b", "a")
    assert not any("no names" in notice for notice in checkpoint.notices)
    close(own_logits(checkpoint), by_peft(base, folder, 4))


def test_an_adapter_beside_a_complete_model_is_applied_to_it_once(
    peft: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "both"))
    make_adapter(made("bert"), folder, peft.LoraConfig(task_type="SEQ_CLS"), num_labels=4)
    close(own_logits(opened(folder)), by_peft(made("bert"), folder, 4))
    base = AutoModelForSequenceClassification.from_pretrained(made("bert"))
    peft.PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(folder)
    assert "seems to be merged already" in refused(folder)
    close(own_logits(opened(folder, base=str(made("bert")))), by_peft(made("bert"), folder, 4))
    for file in folder.glob("adapter_*"):
        file.unlink()
    close(own_logits(opened(folder)), logits(*plain(folder)))


def test_an_adapter_trained_on_a_quantized_base_is_merged_with_full_weights_and_says_so(
    peft: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_adapter(made("bert"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    content = json.loads((made("bert") / "config.json").read_text(encoding="utf-8"))
    quantized = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    names = {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    (folder / "config.json").write_text(json.dumps(content | quantized | names))
    checkpoint = opened(folder)
    close(own_logits(checkpoint), by_peft(made("bert"), folder))
    assert any("trained on a quantized base" in notice for notice in checkpoint.notices)
    base = edit_config(Path(shutil.copytree(made("bert"), tmp_path / "base")), **quantized)
    assert "is quantized" in refused(folder, base=str(base))


def test_a_padding_token_that_was_set_for_training_is_set_again(
    peft: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_adapter(made("gpt2"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    checkpoint = opened(folder)
    assert checkpoint.model.config.pad_token_id == checkpoint.pad_token_id == tokenizer.eos_token_id
    assert any("padding token is the tokenizer's" in notice for notice in checkpoint.notices)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"task_type": "TOKEN_CLS"}, "for the task TOKEN_CLS"),
        ({"task_type": "CAUSAL_LM"}, "for the task CAUSAL_LM"),
        ({"peft_type": "NEWEST"}, "of the kind NEWEST that the installed peft does not know"),
        ({"use_newest": True}, "has settings (use_newest) that the installed peft does not know"),
        ({"peft_type": "PROMPT_TUNING"}, "does not know"),
    ],
)
def test_adapters_that_cannot_be_read_rightly_are_refused(
    fields: dict[str, Any], said: str, peft: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_adapter(made("bert"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    edit_json(folder / "adapter_config.json", **fields)
    assert said in refused(folder)


def test_prompt_tuning_is_refused(peft: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    settings = peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3)
    assert "adds tokens of its own" in refused(make_adapter(made("bert"), tmp_path / "adapter", settings))


@pytest.mark.parametrize("change", ["missing", "beyond"])
def test_an_adapter_with_fewer_or_more_weights_than_its_base_takes_is_refused(
    change: str, peft: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_adapter(made("bert"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if "layer.1." in name and "lora_B" in name)
    moved = weights.pop(name)
    if change == "beyond":  # of a base with more layers, beside all that this one has
        weights |= {name: moved, name.replace("layer.1.", "layer.7."): moved.clone()}
    save_file(weights, file, metadata={"format": "pt"})
    message = refused(folder)
    assert {"missing": "they would be random", "beyond": "which its base model has no place for"}[change] in message
    assert "lora_B" in message


def test_an_adapter_that_is_another_model_once_merged_is_refused(
    peft: Any, made: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_adapter(made("bert"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    opened(folder)
    monkeypatch.setattr(peft.LoraModel, "merge_and_unload", lambda model, **_: model.unload())  # a fault of peft
    assert "answers otherwise once it is merged" in refused(folder)


def test_a_base_of_another_name_than_the_recorded_is_told(peft: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_adapter(made("bert"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    base = shutil.copytree(made("bert"), tmp_path / made("bert").name)
    other = shutil.copytree(made("bert"), tmp_path / "another")
    told = "was trained on a base called"
    assert not any(told in notice for notice in opened(folder, base=str(base)).notices)
    assert any(told in notice for notice in opened(folder, base=str(other)).notices)


def test_a_head_that_nobody_trained_is_refused(peft: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    headless = make_headless_checkpoint(tmp_path / "base")
    folder = make_adapter(headless, tmp_path / "no head", peft.LoraConfig(target_modules=["query"]))
    message = refused(folder)
    assert "no weights for classifier.bias, classifier.weight" in message
    assert "random" in message
    lost = make_adapter(made("bert"), tmp_path / "lost", peft.LoraConfig(task_type="SEQ_CLS"), num_labels=4)
    weights = load_file(lost / "adapter_model.safetensors")
    rest = {name: weight for name, weight in weights.items() if "classifier" not in name}
    save_file(rest, lost / "adapter_model.safetensors", metadata={"format": "pt"})
    assert "has no weights for" in refused(lost)


def test_an_adapter_of_another_base_is_refused(peft: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_adapter(made("bert"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    assert "adapter" in refused(folder, base=str(made("bert", hidden_size=64)))
    assert "does not" in refused(folder, base=str(made("roberta")))
    assert "is an adapter itself" in refused(folder, base=str(folder))
    (folder / "adapter_model.safetensors").unlink()
    assert "no weights of an adapter" in refused(folder)


def test_without_peft_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "task_type": "SEQ_CLS"}))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="peft"):
        opened(tmp_path)


def test_a_base_is_for_adapters_alone(made: Callable[..., Path]) -> None:
    assert "--base" in refused(made("bert"), base="bert-base-uncased")


# --- heads of one logit, and CrossEncoders -------------------------------------------------------------------------

PAIRS = tuple(zip(TEXTS, reversed(TEXTS), strict=True))
SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "xlm-roberta", "mpnet", "albert"])
def test_one_logit_becomes_two_whose_softmax_is_its_sigmoid(
    kind: str, made: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = opened(made(kind, num_labels=1), one_logit="binary")
    single = logits(*plain(made(kind, num_labels=1)))[:, 0]
    found = own_logits(checkpoint)
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[:, 1], single, atol=1e-5 * max(1.0, np.abs(single).max()), rtol=0)
    np.testing.assert_allclose(softmax(found)[:, 1], 1 / (1 + np.exp(-single)), atol=1e-6)
    assert checkpoint.label_names == ("LABEL_0", "LABEL_1")
    assert checkpoint.model.config.num_labels == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"sentence_transformers": {"activation_fn": SIGMOID, "version": "5.1.0"}},
        {"sbert_ce_default_activation_function": SIGMOID},
        {"problem_type": "multi_label_classification"},
    ],
)
def test_what_a_checkpoint_records_of_its_one_logit_decides(
    fields: dict[str, Any], made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = edit_config(Path(shutil.copytree(made("bert", num_labels=1), tmp_path / "bert")), **fields)
    checkpoint = opened(folder)
    assert not own_logits(checkpoint)[:, 0].any()
    assert any("P(class 1) = sigmoid(z)" in notice for notice in checkpoint.notices)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "it records no problem_type"),
        ({"sentence_transformers": {"activation_fn": IDENTITY}}, f"its recorded activation is {IDENTITY}"),
        ({"sbert_ce_default_activation_function": IDENTITY}, f"its recorded activation is {IDENTITY}"),
    ],
)
def test_one_logit_of_which_nothing_is_known_is_refused_with_the_option(
    fields: dict[str, Any], said: str, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = edit_config(Path(shutil.copytree(made("bert", num_labels=1), tmp_path / "bert")), **fields)
    message = refused(folder)
    assert said in message
    assert "--one-logit binary" in message
    assert not own_logits(opened(folder, one_logit="binary"))[:, 0].any()


def test_a_number_is_no_class_whatever_is_said(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert", num_labels=1), tmp_path / "bert"))
    edit_config(folder, problem_type="regression")
    for one_logit in (None, "binary"):
        assert "trained to give a number" in refused(folder, one_logit=one_logit)
    assert "--one-logit is for heads of one logit" in refused(made("bert"), one_logit="binary")


def test_the_name_of_one_output_names_both_classes(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert", num_labels=1), tmp_path / "bert"))
    edit_config(folder, id2label={"0": "toxic"}, label2id={"toxic": 0})
    assert opened(folder, one_logit="binary").label_names == ("not toxic", "toxic")


@pytest.mark.parametrize("num_labels", [1, 3])
def test_a_cross_encoder_answers_pairs_as_sentence_transformers_does(
    num_labels: int, made: Callable[..., Path], tmp_path: Path
) -> None:
    library = pytest.importorskip("sentence_transformers", reason="needs the package sentence-transformers")
    encoder = library.CrossEncoder(str(made("bert", num_labels=num_labels)), device="cpu")
    encoder.save_pretrained(str(tmp_path / "encoder"))
    directory = export_onnx(ExportConfig(str(tmp_path / "encoder"), tmp_path / "model"))
    assert directory.contract.pairs is not None
    found = logits_of_a_run(directory, PAIRS)
    if num_labels == 1:
        expected = encoder.predict(list(PAIRS), batch_size=1)
        np.testing.assert_allclose(softmax(found)[:, 1], expected, atol=1e-5)
    else:
        expected = encoder.predict(list(PAIRS), batch_size=1, apply_softmax=True)
        np.testing.assert_allclose(softmax(found), expected, atol=1e-5)


def test_a_prompt_before_every_text_is_refused(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "bert"))
    record = {"model_type": "CrossEncoder", "prompts": {"query": "Which class? "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(record))
    assert "reads the prompt 'Which class? ' before every text" in refused(folder)


def test_a_cross_encoder_of_classes_that_do_not_exclude_each_other_is_refused(
    made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "bert"))
    record = {"model_type": "CrossEncoder", "activation_fn": SIGMOID}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(record))
    assert "multi-label" in refused(folder)


# --- SetFit --------------------------------------------------------------------------------------------------------


@pytest.fixture
def setfit() -> Any:
    pytest.importorskip("sentence_transformers", reason="needs the package sentence-transformers")
    return pytest.importorskip("setfit", reason="needs the package setfit")


def make_body(kind: str, checkpoint: Path, folder: Path, modules: Sequence[Any], max_length: int = 96) -> Any:
    """A sentence-transformers model over the encoder of a checkpoint."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Transformer

    AutoModel.from_pretrained(checkpoint).save_pretrained(folder)
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    return SentenceTransformer(modules=[Transformer(str(folder), max_seq_length=max_length), *modules], device="cpu")


def make_setfit(body: Any, head: Any, folder: Path, *, labels: Any = None, classes: Any = None, **options: Any) -> Any:
    """A SetFit model with a fitted head, saved; `classes` are what the head learns, a few for each text."""
    from setfit import SetFitModel

    vectors = body.encode(list(TEXTS), normalize_embeddings=options.get("normalize_embeddings", False))
    if classes is not None:
        head.fit(vectors * 1.0, np.resize(np.array(classes), len(TEXTS)))
    model = SetFitModel(model_body=body, model_head=head, labels=labels, **options)
    model.save_pretrained(str(folder))
    return model


def pooling(mode: str, size: int = 32) -> Any:
    from sentence_transformers.models import Pooling

    return Pooling(size, pooling_mode=mode)


def check_probabilities(found: np.ndarray, model: Any) -> None:
    expected = np.concatenate([model.predict_proba([text], as_numpy=True) for text in TEXTS])
    assert expected.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(softmax(found), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"])
def test_setfit_pools_as_its_body_does(mode: str, setfit: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    body = make_body("bert", made("bert"), tmp_path / "body", [pooling(mode)])
    model = make_setfit(
        body, LogisticRegression(C=9), tmp_path / "setfit", classes=["c", "a", "b"], labels=["a", "b", "c"]
    )
    checkpoint = opened(tmp_path / "setfit")
    check_probabilities(own_logits(checkpoint), model)
    assert checkpoint.label_names == ("a", "b", "c")
    assert checkpoint.max_length == 96


def heads() -> dict[str, Callable[[], Any]]:
    from setfit import SetFitHead
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    return {
        "binary": lambda: (LogisticRegression(C=99), [0, 1]),
        "binary without intercept": lambda: (LogisticRegression(C=99, fit_intercept=False), [0, 1]),
        "multinomial": lambda: (LogisticRegression(C=99), [2, 0, 1]),
        "classes that are missing": lambda: (LogisticRegression(C=99), [2, 0]),
        "one-vs-rest": lambda: (OneVsRestClassifier(LogisticRegression(C=99)), [2, 0, 1]),
        "one-vs-rest of two": lambda: (OneVsRestClassifier(LogisticRegression(C=99)), [0, 1]),
        "its own, with a temperature": lambda: (SetFitHead(in_features=32, out_features=3, temperature=0.2), None),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "binary",
        "binary without intercept",
        "multinomial",
        "classes that are missing",
        "one-vs-rest",
        "one-vs-rest of two",
        "its own, with a temperature",
    ],
)
def test_setfit_answers_by_its_head(kind: str, setfit: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    from sentence_transformers.models import Dense, Normalize

    head, classes = heads()[kind]()
    torch.manual_seed(2)
    dense = Dense(32, 32, activation_function=torch.nn.Tanh())
    body = make_body("roberta", made("roberta"), tmp_path / "body", [pooling("mean"), dense, Normalize()])
    names = ["n", "y"] if classes == [0, 1] else ["a", "b", "c"]
    model = make_setfit(body, head, tmp_path / "setfit", classes=classes, labels=names, normalize_embeddings=True)
    checkpoint = opened(tmp_path / "setfit")
    check_probabilities(own_logits(checkpoint), model)
    assert checkpoint.label_names == (("a", "c") if classes == [2, 0] else tuple(names))


@pytest.mark.parametrize("kind", ["multinomial", "one-vs-rest"])
def test_setfit_is_exported(kind: str, setfit: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    head, classes = heads()[kind]()
    body = make_body("bert", made("bert"), tmp_path / "body", [pooling("mean" if kind == "multinomial" else "cls")])
    model = make_setfit(body, head, tmp_path / "setfit", classes=classes, labels=["a", "b", "c"])
    directory = export_onnx(ExportConfig(str(tmp_path / "setfit"), tmp_path / "model"))
    check_probabilities(logits_of_a_run(directory), model)
    assert directory.contract.label_names == ("a", "b", "c")
    assert directory.contract.max_length == 96


def test_setfit_without_labels_has_the_classes_of_its_head(
    setfit: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    from sklearn.linear_model import LogisticRegression

    body = make_body("bert", made("bert"), tmp_path / "body", [pooling("mean")])
    for classes, names in (
        (["spam", "ham"], ("ham", "spam")),
        ([1, 0], ("LABEL_0", "LABEL_1")),
        ([3, 1, 2], ("1", "2", "3")),
    ):
        make_setfit(body, LogisticRegression(), tmp_path / "setfit", classes=classes)
        assert opened(tmp_path / "setfit").label_names == names


def small_setfit(kind: str, made: Callable[..., Path], folder: Path) -> Path:
    """A SetFit model of two classes."""
    from sklearn.linear_model import LogisticRegression

    body = make_body(kind, made(kind), folder / "body", [pooling("mean")])
    make_setfit(body, LogisticRegression(), folder / "setfit", classes=[0, 1])
    return folder / "setfit"


def test_a_setfit_body_that_reads_lower_case_is_refused_where_its_tokenizer_does_not(
    setfit: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = small_setfit("roberta", made, tmp_path)
    opened(folder)
    file = folder / "sentence_bert_config.json"  # as sentence-transformers before 6 wrote it
    file.write_text(json.dumps((json.loads(file.read_text()) if file.exists() else {}) | {"do_lower_case": True}))
    assert "reads texts in lower case" in refused(folder)


def test_a_setfit_model_of_aspects_is_refused(setfit: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    folder = small_setfit("bert", made, tmp_path)
    edit_json(folder / "config_setfit.json", span_context=3)
    assert "reads spans of a text" in refused(folder)


def test_setfit_that_is_no_classifier_of_one_label_is_refused(
    setfit: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    body = make_body("bert", made("bert"), tmp_path / "body", [pooling("mean")])
    folder = tmp_path / "setfit"
    several = [[0, 1, 1], [1, 0, 1], [0, 1, 0]]
    head = OneVsRestClassifier(LogisticRegression())
    head.fit(body.encode(list(TEXTS)), np.resize(np.array(several), (len(TEXTS), 3)))
    make_setfit(body, head, folder)
    assert "multi-label" in refused(folder)
    make_setfit(body, setfit.SetFitHead(in_features=32, out_features=3, multitarget=True), folder)
    assert "multi-label" in refused(folder)
    make_setfit(body, LinearSVC(), folder, classes=[0, 1])
    assert "LinearSVC, which cannot be written as a graph" in refused(folder)
    make_setfit(body, LogisticRegression(), folder)
    assert "without what a fitted one has" in refused(folder)
    make_setfit(body, LogisticRegression(), folder, classes=[0, 1, 2], labels=["a", "b"])
    assert "names 2 only" in refused(folder)
    (folder / "model_head.pkl").unlink()
    assert "its head would be random" in refused(folder)


# --- pickles, read without running them ----------------------------------------------------------------------------


class Runs:
    """What a pickle of it runs as it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        import os

        return os.system, (self.command,)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    import pickle

    file = tmp_path / "model_head.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        file.write_bytes(pickle.dumps({"coef_": Runs(f"touch {tmp_path / 'ran'}")}, protocol=protocol))
        found = read_pickle(file)["coef_"]
        assert isinstance(found, Recorded)
        assert found.kind.endswith(".system")
    assert not (tmp_path / "ran").exists()
    pickle.loads(file.read_bytes())
    assert (tmp_path / "ran").exists()  # as everybody else reads it, it does


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04\x95", b"PK\x03\x04" * 9])
def test_a_damaged_pickle_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model_head.pkl"
    file.write_bytes(content)
    with pytest.raises(UnreadableError):
        read_pickle(file)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_come_out_of_a_pickle_as_they_are(protocol: int, tmp_path: Path) -> None:
    import pickle

    given = {
        "numbers": np.arange(12, dtype=np.float32).reshape(3, 4),
        "across": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "names": np.array(["b", "ä"]),
        "objects": np.array(["x", None], dtype=object),
        "number": np.float64(0.5),
    }
    writers: list[Callable[[Path], Any]] = [lambda file: file.write_bytes(pickle.dumps(given, protocol=protocol))]
    try:
        import joblib
    except ImportError:
        pass
    else:
        writers.append(lambda file: joblib.dump(given, file, protocol=protocol))
    for write in writers:
        write(tmp_path / "given.pkl")
        found = read_pickle(tmp_path / "given.pkl")
        assert found.keys() == given.keys()
        for name, value in given.items():
            np.testing.assert_array_equal(found[name], value)
            assert np.asarray(found[name]).dtype == np.asarray(value).dtype


# --- a Trainer's output folder -------------------------------------------------------------------------------------


def make_output(base: Path, folder: Path, *, best: str | None, steps: Sequence[int] = (500, 1000)) -> Path:
    """A Trainer's output folder: a checkpoint for each number of steps, without tokenizers, and its record."""
    for step in steps:
        place = folder / f"checkpoint-{step}"
        place.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            shutil.copy(base / name, place)
        state = {"best_model_checkpoint": None if best is None else f"/elsewhere/out/{best}", "best_metric": 0.912}
        (place / "trainer_state.json").write_text(json.dumps(state))
    return folder


@pytest.mark.parametrize(
    ("best", "said", "commands"),
    [
        ("checkpoint-500", "The best by the Trainer's record is checkpoint-500, with a metric of 0.912", [500, 1000]),
        ("checkpoint-1000", "The last is also the best by the Trainer's record: checkpoint-1000", [1000]),
        ("checkpoint-250", "The best was checkpoint-250, with a metric of 0.912, and is no longer there", [1000]),
        (None, "The last is checkpoint-1000; which one is the best was not recorded", [1000]),
    ],
)
def test_of_checkpoints_alone_the_best_and_the_last_are_named_with_their_commands(
    best: str | None, said: str, commands: list[int], made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_output(made("bert"), tmp_path / "my out", best=best)
    message = refused(folder)
    assert said in message
    assert message.endswith(
        "Give one of them: " + " or: ".join(f"scorer export-onnx '{folder}/checkpoint-{step}' OUT" for step in commands)
    )


def test_a_model_at_the_top_is_taken_and_the_checkpoints_are_named(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_output(made("bert"), tmp_path / "out", best="checkpoint-500")
    shutil.copytree(made("bert"), folder, dirs_exist_ok=True)
    (notice,) = opened(folder).notices
    assert "the model at the top" in notice
    assert "2 checkpoints (the last is checkpoint-1000; the best by the Trainer's record is checkpoint-500" in notice


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "deberta-v2"])
def test_a_checkpoint_without_a_tokenizer_is_refused_until_one_is_named(
    kind: str, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_output(made(kind), tmp_path / "out", best=None) / "checkpoint-500"
    assert "--tokenizer" in refused(folder)
    close(own_logits(opened(folder, tokenizer=str(made(kind)))), logits(*plain(made(kind))))
    assert "does not exist" in refused(folder, tokenizer=str(tmp_path / "nowhere"))


def test_a_tokenizer_of_another_model_is_refused(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_output(made("bert"), tmp_path / "out", best=None) / "checkpoint-500"
    assert "do not belong together" in refused(folder, tokenizer=str(made("roberta")))


# --- weights and tokenizers of every format ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["sharded", "bfloat16", "float16", "pickled"])
def test_weights_of_every_format_are_read(form: str, made: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "bert"))
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    if form == "sharded":
        model.save_pretrained(folder, max_shard_size="40KB")
        assert (folder / "model.safetensors.index.json").exists()
    elif form == "pickled":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.to(getattr(torch, form)).save_pretrained(folder)
    model = model.float().eval()  # what is rounded stays so
    expected = logits(model, AutoTokenizer.from_pretrained(folder))
    checkpoint = opened(folder)
    assert {parameter.dtype for parameter in checkpoint.model.parameters()} == {torch.float32}
    close(own_logits(checkpoint), expected)


def test_a_slow_tokenizer_that_converts_is_converted(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "bert"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = logits(plain(folder)[0], tokenizer)
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, _ in words), encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 128, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    close(own_logits(opened(folder)), expected)


@pytest.mark.parametrize("padding", ["none", "end", "left"])
def test_a_decoder_is_padded_as_it_was_trained(padding: str, made: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("gpt2"), tmp_path / "gpt2"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if padding != "none":
        tokenizer.pad_token = tokenizer.eos_token
        edit_config(folder, pad_token_id=tokenizer.eos_token_id)
    tokenizer.padding_side = "left" if padding == "left" else "right"
    tokenizer.save_pretrained(folder)
    expected = logits(*plain(folder))
    directory = export_onnx(ExportConfig(str(folder), tmp_path / "model"))
    close(logits_of_a_run(directory), expected)


# --- code of its own -----------------------------------------------------------------------------------------------

CODE = """
import torch
from transformers import BertConfig, BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class TwiceConfig(BertConfig):
    model_type = "twice"


class TwiceForSequenceClassification(BertPreTrainedModel):
    config_class = TwiceConfig

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config)
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, return_dict=True):
        states = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return SequenceClassifierOutput(logits=2 * self.classifier(states.last_hidden_state[:, 0]))
"""


def test_code_of_its_own_runs_when_it_is_asked_for_and_is_proved(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("bert"), tmp_path / "twice"))
    (folder / "twice.py").write_text(CODE, encoding="utf-8")
    places = {
        "AutoConfig": "twice.TwiceConfig",
        "AutoModelForSequenceClassification": "twice.TwiceForSequenceClassification",
    }
    edit_config(folder, model_type="twice", auto_map=places, architectures=["TwiceForSequenceClassification"])
    assert "--trust-remote-code" in refused(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
    expected = logits(model, AutoTokenizer.from_pretrained(folder, trust_remote_code=True))
    assert np.abs(expected - logits(*plain(made("bert")))).max() > 0.1
    close(own_logits(opened(folder, trust_remote_code=True)), expected)
    if torch_exports():
        directory = export_onnx(ExportConfig(str(folder), tmp_path / "model", trust_remote_code=True))
        close(logits_of_a_run(directory), expected)


def with_code_under_a_known_name(folder: Path) -> Path:
    """A BERT whose own code doubles its logits, under the model_type and the class name that transformers has."""
    code = CODE.replace("TwiceForSequenceClassification", "BertForSequenceClassification")
    (folder / "own_bert.py").write_text(code, encoding="utf-8")
    edit_config(folder, auto_map={"AutoModelForSequenceClassification": "own_bert.BertForSequenceClassification"})
    return folder


def test_code_under_a_name_that_transformers_has_is_not_passed_over(made: Callable[..., Path], tmp_path: Path) -> None:
    folder = with_code_under_a_known_name(Path(shutil.copytree(made("bert"), tmp_path / "own")))
    message = refused(folder)
    assert "own_bert.BertForSequenceClassification" in message
    assert "--trust-remote-code" in message
    (folder / "own_bert.py").unlink()  # as in a folder that was saved from the class of transformers
    close(own_logits(opened(folder)), logits(*plain(made("bert"))))


def test_code_of_an_adapters_base_is_not_passed_over(peft: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    base = Path(shutil.copytree(made("bert"), tmp_path / "own"))
    folder = make_adapter(base, tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"))
    with_code_under_a_known_name(base)
    assert "--trust-remote-code" in refused(folder)


def test_code_of_a_setfit_body_is_not_passed_over(setfit: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    folder = small_setfit("bert", made, tmp_path)
    (folder / "own_bert.py").write_text(CODE, encoding="utf-8")
    edit_config(folder, auto_map={"AutoModel": "own_bert.BertModel"})
    message = refused(folder)
    assert "own_bert.BertModel" in message
    assert "--trust-remote-code" in message


def torch_exports() -> bool:
    return int(transformers.__version__.split(".")[0]) >= 5


# --- the hub -------------------------------------------------------------------------------------------------------

OPENS = """
import sys
from scorer.export.containers.checkpoint import open_checkpoint
checkpoint = open_checkpoint(sys.argv[1])
print(checkpoint.source, checkpoint.revision, checkpoint.label_names)
print(*checkpoint.notices, sep="\\n")
"""


def on_the_hub(folder: Path, home: Path, repository: str, commit: str) -> None:
    """A folder as the hub's client keeps it once it was downloaded."""
    cache = home / "hub" / f"models--{repository.replace('/', '--')}"
    shutil.copytree(folder, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)


def opened_offline(repository: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OPENS, repository],
        env=os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_adapter_of_the_hub_is_merged_with_its_base_of_the_hub(
    peft: Any, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_adapter(made("bert"), tmp_path / "adapter", peft.LoraConfig(task_type="SEQ_CLS"), tokenizer=False)
    edit_json(folder / "adapter_config.json", base_model_name_or_path="owner/base")
    on_the_hub(folder, tmp_path / "home", "owner/adapter", "a" * 40)
    done = opened_offline("owner/adapter", tmp_path / "home")
    assert "is not found: 'owner/base'" in done.stderr
    on_the_hub(made("bert"), tmp_path / "home", "owner/base", "b" * 40)
    done = opened_offline("owner/adapter", tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"owner/adapter {'a' * 40} ('LABEL_0', 'LABEL_1', 'LABEL_2')")
    assert "merged in float32 with its base model, 'owner/base'" in done.stdout


def test_a_setfit_model_of_the_hub_is_opened(setfit: Any, made: Callable[..., Path], tmp_path: Path) -> None:
    head, classes = heads()["multinomial"]()
    body = make_body("bert", made("bert"), tmp_path / "body", [pooling("mean")])
    make_setfit(body, head, tmp_path / "setfit", classes=classes, labels=["a", "b", "c"])
    on_the_hub(tmp_path / "setfit", tmp_path / "home", "owner/setfit", "c" * 40)
    done = opened_offline("owner/setfit", tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"owner/setfit {'c' * 40} ('a', 'b', 'c')")
