"""Checkpoints against the process that saved them: what an export and a run give is what was recorded there.

A sample, by form of attention, tokenizer and head; scripts/architectures.py goes through all, and through what other
versions of transformers saved.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="needs the extra `export`")
pytest.importorskip("transformers", minversion="5", reason="needs transformers 5: the extra `export`")
pytest.importorskip("sentencepiece", reason="needs sentencepiece")

from checkpoints import edit_config
from recorded import compare, export_recorded
from recording import record
from tokenizers import pre_tokenizers

from scorer.errors import ExportError
from scorer.export.checkpoint.tokenizer_file import take_file
from scorer.export.containers.checkpoint import open_checkpoint

SAMPLE = (
    "bert",
    "modernbert:mean",  # local and global layers, each with rotary positions of its own
    "deberta-v2:v2",
    "xlm-roberta:added",
    "longformer",
    "qwen2:windows",
    "llama:rope-llama3",
    "gemma3_text:pattern",
    "gpt_neox:quarter",
    "t5:gated",
    "falcon:alibi",  # computes its bias in bfloat16
    "fnet",  # padding moves its answers
)


@pytest.mark.parametrize("name", SAMPLE)
def test_an_export_answers_what_was_recorded(name: str, tmp_path: Path) -> None:
    record(name, tmp_path)
    found = compare(tmp_path, export_recorded(tmp_path, tmp_path / "model"))
    assert found.texts >= 140
    assert found.longest == 512
    assert found.pairs == 24
    assert found.other_ids == 0
    assert found.difference <= found.accepted


@pytest.mark.parametrize("factor", [0.01, 50.0], ids=["small", "large"])
def test_what_is_accepted_follows_the_size_of_the_logits(factor: float, tmp_path: Path) -> None:
    record("albert", tmp_path)
    from safetensors.numpy import load_file, save_file

    file = tmp_path / "checkpoint" / "model.safetensors"
    weights = load_file(file)
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name] * np.float32(factor)
    save_file(weights, file, metadata={"format": "pt"})
    with np.load(tmp_path / "recording.npz") as arrays:
        scaled = {name: logits * np.float32(factor) for name, logits in arrays.items()}
    np.savez(tmp_path / "recording.npz", **scaled)
    found = compare(tmp_path, export_recorded(tmp_path, tmp_path / "model"))
    assert found.holds
    assert (found.accepted > 1e-4) == (factor > 1)


def test_segments_that_transformers_4_gave_are_given(tmp_path: Path) -> None:
    record("albert", tmp_path)
    checkpoint = tmp_path / "checkpoint"
    assert not open_checkpoint(str(checkpoint)).segments  # as its class of transformers 5 was trained
    edit_config(checkpoint, transformers_version="4.57.6")
    opened = open_checkpoint(str(checkpoint))
    assert opened.segments
    assert 1 in opened.tokenizer("one", "two")["token_type_ids"]
    assert any("token_type_ids" in notice for notice in opened.notices)


def test_settings_of_a_tokenizer_against_its_file_are_not_passed_over(tmp_path: Path) -> None:
    record("llama:bos-eos", tmp_path)
    folder = tmp_path / "checkpoint"
    tokenizer = open_checkpoint(str(folder)).tokenizer
    tokenizer._tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    settings = folder / "tokenizer_config.json"
    content = json.loads(settings.read_text(encoding="utf-8")) | {"model_input_names": ["input_ids", "attention_mask"]}
    for adds, taken in ((False, False), (True, True)):  # its file adds the end token
        settings.write_text(json.dumps(content | {"add_eos_token": adds}), encoding="utf-8")
        said = take_file(tokenizer, str(folder), None, "4.57.6")
        assert (said is not None and "token ids are those of tokenizer.json" in said) == taken


def test_a_model_that_answers_every_text_alike_is_refused(tmp_path: Path) -> None:
    record("bert", tmp_path)
    from safetensors.numpy import load_file, save_file

    file = tmp_path / "checkpoint" / "model.safetensors"
    weights = load_file(file)
    weights["classifier.weight"] = weights["classifier.weight"] * 0
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ExportError, match="answers every text alike"):
        export_recorded(tmp_path, tmp_path / "model")


def test_a_recording_tells_other_answers_and_other_ids(tmp_path: Path) -> None:
    record("bert", tmp_path)
    directory = export_recorded(tmp_path, tmp_path / "model")
    known = json.loads((tmp_path / "recording.json").read_text(encoding="utf-8"))
    known["ids"][0] = [*known["ids"][0], 7]
    (tmp_path / "recording.json").write_text(json.dumps(known), encoding="utf-8")
    assert compare(tmp_path, directory).other_ids == 1
    with np.load(tmp_path / "recording.npz") as arrays:
        moved = {name: logits + np.float32(1e-3) for name, logits in arrays.items()}
    np.savez(tmp_path / "recording.npz", **moved)
    assert compare(tmp_path, directory).difference > 9e-4
