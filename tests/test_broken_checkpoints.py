"""Checkpoints that are broken as people's are: pointers, closed files, wrappers' names, values that no model has."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs an extra that exports")

import torch
from checkpoints import TRAINING_TEXT, edit_config, make_checkpoint
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from scorer import ExportConfig, export_onnx
from scorer.errors import ExportError
from scorer.export.containers.checkpoint import Checkpoint, open_checkpoint

pytestmark = pytest.mark.usefixtures("kept_graphs")

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 4400000\n"
NOBODY = 65534


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Checkpoints by kind, each made once and never changed."""
    folder = tmp_path_factory.mktemp("made")

    def get(kind: str) -> Path:
        return folder / kind if (folder / kind).exists() else make_checkpoint(kind, folder / kind)

    return get


@pytest.fixture
def bert(made: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made("bert"), tmp_path / "bert"))


def refused(folder: Path) -> str:
    with pytest.raises(ExportError) as caught:
        open_checkpoint(str(folder))
    return str(caught.value)


def logits(checkpoint: Checkpoint) -> np.ndarray:
    """Of a few texts, one at a time: float32 [N, C]."""
    with torch.inference_mode():
        asked = [checkpoint.tokenizer(text, return_tensors="pt") for text in TRAINING_TEXT[:4]]
        return np.concatenate([checkpoint.model(**one).logits.numpy() for one in asked])


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_called_one(name: str, bert: Path) -> None:
    (bert / name).write_text(POINTER)
    message = refused(bert)
    assert f"{name}' is a pointer of Git LFS" in message
    assert "git lfs pull" in message


def test_a_pointer_among_weights_of_the_other_format_does_not_matter(bert: Path) -> None:
    (bert / "pytorch_model.bin").write_text(POINTER)
    assert open_checkpoint(str(bert)).notices == ()
    (bert / "model.safetensors").unlink()
    assert "pytorch_model.bin' is a pointer" in refused(bert)


def test_a_pointer_is_not_read_as_a_vocabulary(bert: Path) -> None:
    words = AutoTokenizer.from_pretrained(bert).get_vocab()
    (bert / "tokenizer.json").unlink()
    (bert / "vocab.txt").write_text("\n".join(sorted(words, key=words.__getitem__)))
    assert open_checkpoint(str(bert)).tokenizer.is_fast
    (bert / "vocab.txt").write_text(POINTER)
    assert "vocab.txt' is a pointer" in refused(bert)


@contextlib.contextmanager
def not_root() -> Iterator[None]:
    """As a user whom the system may refuse a file."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize("closed", [".", "..", "config.json", "tokenizer.json", "model.safetensors"])
def test_what_may_not_be_read_is_named(closed: str, made: Callable[[str], Path]) -> None:
    open_checkpoint(str(made("bert")))  # what the libraries import when they first open one, root alone may read
    with tempfile.TemporaryDirectory() as base:  # other folders of tests are closed to others
        Path(base).chmod(0o755)
        parent = Path(base, "parent")
        checkpoint = Path(shutil.copytree(made("bert"), parent / "bert"))
        for file in checkpoint.iterdir():
            file.chmod(0o644)
        place = (checkpoint / closed).resolve()
        place.chmod(0)
        try:
            with not_root():
                message = refused(checkpoint)
        finally:
            place.chmod(0o755)
    named = checkpoint if closed in {".", ".."} else place
    assert message.startswith(f"cannot read '{named}': Permission denied.")


# --- weights -------------------------------------------------------------------------------------------------------


def with_names(checkpoint: Path, name_of: Callable[[str], str]) -> Path:
    file = checkpoint / "model.safetensors"
    weights = load_file(file)
    save_file({name_of(name): weight for name, weight in weights.items()}, file, metadata={"format": "pt"})
    return checkpoint


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_weights_of_a_wrapped_model_are_read_by_their_own_names(
    prefix: str, bert: Path, made: Callable[[str], Path]
) -> None:
    checkpoint = open_checkpoint(str(with_names(bert, lambda name: prefix + name)))
    assert prefix in checkpoint.notices[0]
    np.testing.assert_array_equal(logits(checkpoint), logits(open_checkpoint(str(made("bert")))))


def test_a_prefix_does_not_hide_what_is_missing(bert: Path) -> None:
    lost = "bert.pooler.dense.bias"
    with_names(bert, lambda name: f"another.{name}" if name == lost else f"module.{name}")
    message = refused(bert)
    assert "has no weights for" in message
    assert "random" in message


# --- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("hidden_size", "many", "many"),
        ("hidden_act", "nonsense", "its config.json says hidden_act = 'nonsense'"),
        ("pad_token_id", 99_999, "its config.json says pad_token_id = 99999"),
    ],
)
def test_a_value_that_no_model_has_is_named(setting: str, value: Any, said: str, bert: Path) -> None:
    assert said in refused(edit_config(bert, **{setting: value}))


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2"])
def test_a_padding_id_of_no_token_is_none(kind: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    folder = edit_config(Path(shutil.copytree(made(kind), tmp_path / kind)), pad_token_id=-1)
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.pad_token_id == {"bert": 0, "roberta": 1, "gpt2": 0}[kind]
    assert checkpoint.max_length == 128
    contract = export_onnx(ExportConfig(str(folder), tmp_path / "model", optimize="none")).contract
    assert contract.parity.holds
    assert not contract.equal_lengths
