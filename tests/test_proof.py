"""An export proves what runs: the checkpoint as it is, read where it is read alone, on texts that hold anything.

The reference is PyTorch, called as everybody calls it: model(**tokenizer(text)), a fresh model, one row at a time.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch", reason="needs an extra that exports")


import torch
from checkpoints import TRAINING_TEXT, edit_config, make_checkpoint, make_tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from scorer import ExportConfig, RunConfig, export_onnx, score
from scorer.arithmetic.scoring import log_softmax
from scorer.errors import ExportError, ParityError, UsageError
from scorer.export.checkpoint.exporters import choose_exporter
from scorer.export.containers.checkpoint import open_checkpoint
from scorer.export.export import _write_tokenizer
from scorer.export.proof.proof_texts import proof_texts
from scorer.export.proof.reference import expect
from scorer.model.model_directory import ModelDirectory

pytestmark = pytest.mark.usefixtures("kept_graphs")

EXPORTER = choose_exporter("auto")  # an environment holds one; the tests run in both
by_optimum = pytest.mark.skipif(EXPORTER != "optimum", reason="of optimum's exporter: scripts/optimum_tests")
LABELS = ("politics", "sports", "science")
WITHIN = 1e-4


def exported(checkpoint: Path, output: Path, **options: Any) -> ModelDirectory:
    return export_onnx(ExportConfig(str(checkpoint), output, **options))


def losses_of_a_run(model: Path, folder: Path, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
    """Losses in the order of the rows; the labels take turns."""
    data = {"text": texts, "label": [LABELS[row % 3] for row in range(len(texts))]}
    pl.DataFrame(data if pairs is None else data | {"second": pairs}).write_parquet(folder / "data.parquet")
    config = RunConfig(
        model=model,
        data=(str(folder / "data.parquet"),),
        output=folder / "out",
        text_column="text",
        text_pair_column=None if pairs is None else "second",
        provider="cpu",
    )
    score(config)
    return pl.read_parquet(folder / "out" / "ranked.parquet").sort("row")["loss"].to_numpy()


def losses_of_pytorch(checkpoint: Path, texts: Sequence[str], pairs: Sequence[str] | None = None) -> np.ndarray:
    """The same by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    losses = []
    for row, text in enumerate(texts):
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint, dtype=torch.float32).eval()
        both = (text,) if pairs is None else (text, pairs[row])
        encoded = tokenizer(*both, truncation=True, max_length=128, return_tensors="pt")
        if "DistilBert" in type(model).__name__:
            encoded.pop("token_type_ids", None)  # as the Trainer drops what a model does not take
        with torch.inference_mode():
            logits = model(**encoded).logits.double()
        losses.append(float(torch.nn.functional.cross_entropy(logits, torch.tensor([row % 3]))))
    return np.array(losses)


def with_special_tokens(tokenizer: Any) -> list[str]:
    """Short texts, so that many share a batch, with special tokens here and there; no two rows have as many."""
    random = np.random.default_rng(0)
    words = [*" ".join(TRAINING_TEXT[:2]).split(), *map(str, tokenizer.all_special_tokens)]
    texts = [" ".join(random.choice(words, size=size)) for size in range(1, 19)]
    end = str(tokenizer.eos_token or tokenizer.sep_token)
    return [
        *texts,
        f"fell {end}",
        f"{end} fell",
        f"{end}{end} the {end} bank {end}",
        end,
        "plain text",
        "e\u0301 \u200b",
    ]


# --- which token the head reads ------------------------------------------------------------------------------------


def test_rows_with_further_end_tokens_are_read_as_they_are_alone(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("bart", tmp_path / "checkpoint", label_names=LABELS)
    model = exported(checkpoint, tmp_path / "model").path
    texts = with_special_tokens(AutoTokenizer.from_pretrained(checkpoint))
    expected = losses_of_pytorch(checkpoint, texts)
    assert expected.std() > 0.05
    np.testing.assert_allclose(losses_of_a_run(model, tmp_path, texts), expected, atol=WITHIN)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder without a padding id, whose tokenizer ends each text with the end token: it reads that one."""
    checkpoint = make_checkpoint("gpt2", tmp_path_factory.mktemp("decoder") / "gpt2", label_names=LABELS)
    edit_config(checkpoint, pad_token_id=None)
    tokenizer = make_tokenizer("gpt2")
    end = "<|endoftext|>"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    save_generic(tokenizer, checkpoint)
    return checkpoint


def save_generic(tokenizer: Any, checkpoint: Path) -> None:
    """Save a decoder's tokenizer as no class's own: transformers 5 would build that of a class by its rules."""
    end = tokenizer.eos_token
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
        **{"bos_token": end, "eos_token": end, "unk_token": end},
    ).save_pretrained(checkpoint)


def test_a_decoder_without_a_padding_id_reads_the_last_token(decoder: Path, tmp_path: Path) -> None:
    directory = exported(decoder, tmp_path / "model")
    assert json.loads((directory.path / "config.json").read_text()).get("pad_token_id") is None
    tokenizer = AutoTokenizer.from_pretrained(decoder)
    assert tokenizer("a")["input_ids"][-1] == directory.contract.pad_token_id  # what would be taken for padding
    texts = with_special_tokens(tokenizer)
    expected = losses_of_pytorch(decoder, texts)
    assert expected.std() > 0.05
    np.testing.assert_allclose(losses_of_a_run(directory.path, tmp_path, texts), expected, atol=WITHIN)


def test_a_decoder_with_a_padding_id_reads_the_last_other_token(decoder: Path, tmp_path: Path) -> None:
    checkpoint = edit_config(Path(shutil.copytree(decoder, tmp_path / "checkpoint")), pad_token_id=0)
    texts = with_special_tokens(AutoTokenizer.from_pretrained(checkpoint))
    expected = losses_of_pytorch(checkpoint, texts)
    assert not np.allclose(expected, losses_of_pytorch(decoder, texts), atol=0.1)
    found = losses_of_a_run(exported(checkpoint, tmp_path / "model", optimize="none").path, tmp_path, texts)
    np.testing.assert_allclose(found, expected, atol=WITHIN)


@by_optimum  # torch's: test_torch_exporter
def test_a_graph_that_reads_the_wrong_token_is_refused(
    decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.export.graph.optimum_graph.NO_PADDING_ID", 0)  # the end token
    with pytest.raises(ParityError, match="does not agree with PyTorch"):
        exported(decoder, tmp_path / "model", optimize="none")


@by_optimum
def test_a_graph_that_takes_end_tokens_of_all_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.export.graph.optimum_graph.read_last_end_token", lambda _: False)
    checkpoint = make_checkpoint("bart", tmp_path / "checkpoint", label_names=LABELS)
    with pytest.raises(ParityError, match=r"does not run|does not agree"):
        exported(checkpoint, tmp_path / "model", optimize="none")


# --- segments and pairs --------------------------------------------------------------------------------------------

FIRST = ["a", *TRAINING_TEXT[:5], "the bank [SEP] fell"]
SECOND = ["fell", *TRAINING_TEXT[5:10], "[CLS] shares"]


def with_tokenizer(checkpoint: Path, **settings: Any) -> Path:
    """The checkpoint with a generic fast tokenizer, as PreTrainedTokenizerFast saves it."""
    named = AutoTokenizer.from_pretrained(checkpoint)
    tokens = {f"{name}_token": getattr(named, f"{name}_token") for name in ("pad", "unk", "cls", "sep", "mask")}
    content = str(checkpoint / "tokenizer.json")  # not what a class makes of it
    generic = PreTrainedTokenizerFast(tokenizer_file=content, model_max_length=128, **tokens)
    generic.save_pretrained(checkpoint)
    file = checkpoint / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return checkpoint


@pytest.mark.parametrize(
    ("kind", "settings", "segments"),
    [
        ("bert", {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}, True),
        ("bert", {"model_input_names": ["input_ids", "attention_mask"]}, False),  # the graph has the input all the same
        ("distilbert", {}, False),  # the tokenizer makes them, the model takes none
    ],
    ids=["bert", "bert-without", "distilbert"],
)
def test_segments_are_fed_where_the_tokenizer_makes_them_and_the_model_takes_them(
    kind: str, settings: dict[str, Any], segments: bool, tmp_path: Path
) -> None:
    checkpoint = with_tokenizer(make_checkpoint(kind, tmp_path / "checkpoint", label_names=LABELS), **settings)
    contract = exported(checkpoint, tmp_path / "model", optimize="none").contract
    assert contract.segments == segments
    assert contract.pairs is not None
    for pairs in (None, SECOND):
        found = losses_of_a_run(tmp_path / "model", tmp_path, FIRST, pairs)
        np.testing.assert_allclose(found, losses_of_pytorch(checkpoint, FIRST, pairs), atol=WITHIN)
        shutil.rmtree(tmp_path / "out")


def test_one_kind_of_segment_is_enough_for_texts_and_not_for_pairs(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("bert", tmp_path / "checkpoint", label_names=LABELS, type_vocab_size=1)
    contract = exported(checkpoint, tmp_path / "model", optimize="none").contract
    assert contract.pairs is None
    assert "IndexError" in str(contract.no_pairs)
    expected = losses_of_pytorch(checkpoint, FIRST)
    np.testing.assert_allclose(losses_of_a_run(tmp_path / "model", tmp_path, FIRST), expected, atol=WITHIN)
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(UsageError, match=r"cannot score pairs.*'second'.*in PyTorch itself.*IndexError"):
        losses_of_a_run(tmp_path / "model", tmp_path, FIRST, SECOND)
    assert not (tmp_path / "out").exists()


def test_segments_that_the_graph_has_no_input_for_leave_pairs_unproved(tmp_path: Path) -> None:
    # PyTorch takes RoBERTa's segments where there are two kinds; torch's exporter gives them an input, optimum none
    checkpoint = make_checkpoint("roberta", tmp_path / "checkpoint", label_names=LABELS, type_vocab_size=2)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ends = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=ends
    )
    tokenizer.save_pretrained(checkpoint)
    with_tokenizer(checkpoint, model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    contract = exported(checkpoint, tmp_path / "model", optimize="none").contract
    assert contract.segments
    assert ("token_type_ids" in contract.graph_inputs) == (EXPORTER == "torch")
    assert (contract.pairs is None) == (EXPORTER == "optimum")
    assert ("differs from PyTorch's" in str(contract.no_pairs)) == (EXPORTER == "optimum")


# --- texts that hold anything --------------------------------------------------------------------------------------


def test_the_proof_has_every_special_token_odd_texts_and_the_full_length(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make_checkpoint("bert", tmp_path / "bert"))
    texts = proof_texts(tokenizer, TRAINING_TEXT[:3], 300)
    for token in ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"):
        held = [text for text in texts if token in text]
        assert token in held
        assert any(text.endswith(f" {token}") for text in held)
        assert any(text.count(token) > 1 for text in held)
    assert max(len(tokenizer(text)["input_ids"]) for text in texts) >= 300
    assert any(tokenizer(text)["input_ids"] == tokenizer("")["input_ids"] for text in texts)  # nothing is left of it
    assert texts[:3] == TRAINING_TEXT[:3]


def test_a_tokenizer_that_takes_special_tokens_for_text_is_refused(tmp_path: Path) -> None:
    # split_special_tokens is a setting of the class in Python; tokenizer.json cannot say it
    checkpoint = make_checkpoint("bert", tmp_path / "checkpoint", label_names=LABELS)
    file = checkpoint / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"split_special_tokens": True}))
    with pytest.raises(ExportError, match=r"more than its tokenizer\.json can say"):
        exported(checkpoint, tmp_path / "model", optimize="none")


# --- lengths -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big_bird(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Full attention to 28 tokens, sparse attention beyond; after a short text the model keeps to the full one."""
    return make_checkpoint("big_bird", tmp_path_factory.mktemp("big_bird") / "checkpoint", label_names=LABELS)


def test_the_reference_is_a_model_that_has_seen_nothing(big_bird: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(big_bird))
    _write_tokenizer(checkpoint.tokenizer, tmp_path / "tokenizer.json")
    texts = ["short", " ".join(TRAINING_TEXT[:6]), "another", " ".join(TRAINING_TEXT[6:12])]
    found = expect(checkpoint, tmp_path, texts).logits  # [4, C]
    losses = -log_softmax(found)[range(4), [0, 1, 2, 0]]
    np.testing.assert_allclose(losses, losses_of_pytorch(big_bird, texts), atol=1e-5)
    np.testing.assert_array_equal(expect(checkpoint, tmp_path, texts[::-1]).logits[::-1], found)


def test_a_length_at_which_the_graph_answers_otherwise_is_refused(big_bird: Path, tmp_path: Path) -> None:
    with pytest.raises((ExportError, ParityError), match=r"depend on padding|at most 100 tokens.*smaller --max-length"):
        exported(big_bird, tmp_path / "long", max_length=100)
    directory = exported(big_bird, tmp_path / "model", max_length=28)
    assert directory.contract.parity.longest == 28
    texts = [" ".join(TRAINING_TEXT[:size]) for size in (1, 2, 4)]
    pl.DataFrame({"text": texts, "label": LABELS}).write_parquet(tmp_path / "data.parquet")
    config = RunConfig(directory.path, (str(tmp_path / "data.parquet"),), tmp_path / "out", provider="cpu")
    with pytest.raises(
        UsageError, match=r"--max-length 29 is more than the 28 .*export-onnx checkpoint OUT --max-l.* 29"
    ):
        score(dataclasses.replace(config, max_length=29))
    assert score(dataclasses.replace(config, max_length=20)).max_length == 20


# --- rows of which nothing is left ---------------------------------------------------------------------------------


def test_a_text_without_a_token_is_a_rejected_row(tmp_path: Path) -> None:
    checkpoint = make_checkpoint("gpt2", tmp_path / "checkpoint", label_names=LABELS)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    from tokenizers import normalizers

    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("\u200b", "")
    save_generic(tokenizer, checkpoint)
    model = exported(checkpoint, tmp_path / "model", optimize="none").path
    texts = ["one", "\u200b", "two", "\u200b\u200b", "one"]
    expected = losses_of_pytorch(checkpoint, ["one", "two", "one"])
    pl.DataFrame({"text": texts, "label": [LABELS[row] for row in (0, 0, 1, 0, 2)]}).write_parquet(
        tmp_path / "d.parquet"
    )
    report = score(RunConfig(model, (str(tmp_path / "d.parquet"),), tmp_path / "out", provider="cpu"))
    assert (report.counts.read, report.counts.scored, report.counts.rejected) == (5, 3, 2)
    rejects = pl.read_parquet(tmp_path / "out" / "rejects.parquet")
    assert rejects.select("row", "reason").rows() == [(1, "text_blank"), (3, "text_blank")]
    scores = pl.read_parquet(tmp_path / "out" / "ranked.parquet").sort("row")
    assert scores["row"].to_list() == [0, 2, 4]
    np.testing.assert_allclose(scores["loss"].to_numpy(), expected, atol=WITHIN)
