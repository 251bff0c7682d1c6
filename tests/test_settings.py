"""Settings of config.json that transformers would lose, of whatever version it is; and which exporter is chosen."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs an extra that exports")
pytest.importorskip("transformers", reason="needs an extra that exports")

from checkpoints import edit_config, make_checkpoint
from real_configs import REAL
from transformers import CONFIG_MAPPING

from scorer.errors import ExportError, MissingExtraError, UsageError
from scorer.export.checkpoint import exporters
from scorer.export.checkpoint.code_changes import changed_settings
from scorer.export.checkpoint.exporters import choose_exporter
from scorer.export.checkpoint.sample_texts import BUILT_IN_TEXTS
from scorer.export.checkpoint.settings import check_settings, check_writer
from scorer.export.containers.checkpoint import open_checkpoint
from scorer.export.export import _write_tokenizer
from scorer.export.proof.parity import _differences, make_reference, tolerance

LOST = [
    ("bert", {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}),
    ("bert", {"classifier_pooling": "mean"}),
    ("bert", {"attn_logit_softcapping": 30.0}),
    ("roberta", {"layer_types": ["full_attention", "sliding_attention"] * 6}),
    ("distilbert", {"attention_window": 128}),
    ("bert", {"embedding_multiplier": 12.0}),
    ("bert", {"is_causal": True}),
    ("qwen2", {"sliding_window": 128}),  # which its class drops where use_sliding_window is not set
]
KEPT = [
    ("bert", {"pooler_type": "first_token_transform", "pooler_fc_size": 768, "directionality": "bidi"}),
    ("bert", {"position_embedding_type": "absolute", "gradient_checkpointing": False, "output_past": True}),
    ("albert", {"down_scale_factor": 1, "gap_size": 0, "net_structure_type": 0}),
    ("bart", {"static_position_embeddings": False, "normalize_embedding": True}),
    ("deberta-v2", {"pos_att_type": "p2c|c2p", "pooler_hidden_size": 1536, "pooler_hidden_act": "gelu"}),
    ("qwen2", {"sliding_window": 131072, "use_sliding_window": False, "rope_theta": 1e6, "max_window_layers": 28}),
    ("llama", {"rope_theta": 10000.0, "rope_scaling": None}),
    ("llama", {"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 8.0}}),
    ("gpt_neox", {"rotary_pct": 0.5, "rotary_emb_base": 10000}),
    ("modernbert", {"global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "global_attn_every_n_layers": 3}),
]


def check(kind: str, fields: dict[str, Any], where: str = "folder") -> None:
    config = CONFIG_MAPPING[kind].from_dict(dict(fields))
    check_settings({"model_type": kind, **fields}, config, where)


@pytest.mark.parametrize(("kind", "fields"), LOST)
def test_a_setting_that_would_be_lost_stops_the_export(kind: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ExportError, match=f"'folder' has settings .*: {next(iter(fields))} = "):
        check(kind, fields)


@pytest.mark.parametrize(("kind", "fields"), KEPT)
def test_a_setting_that_is_in_force_or_idle_does_not(kind: str, fields: dict[str, Any]) -> None:
    check(kind, fields)


@pytest.mark.parametrize("name", REAL)
def test_a_real_config_is_not_refused(name: str) -> None:
    fields = REAL[name]
    check_writer(fields, "folder")
    check(fields["model_type"], fields)


YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}
WINDOWS = {"model_type": "qwen2", "sliding_window": 128, "num_hidden_layers": 4, "max_position_embeddings": 4096}
LOCAL_ROTARY = {"model_type": "modernbert-decoder", "global_rope_theta": 160_000.0, "local_rope_theta": 10_000.0}


@pytest.mark.parametrize(
    ("fields", "wrote", "changed"),
    [
        ({"rope_scaling": YARN, "max_position_embeddings": 4096}, "4.50.3", True),
        ({"rope_scaling": YARN, "max_position_embeddings": 1024}, "4.50.3", False),
        ({"rope_scaling": YARN, "max_position_embeddings": 4096}, "4.52.4", False),
        ({"rope_scaling": YARN, "max_position_embeddings": 1024}, "4.52.4", False),
        ({"rope_scaling": YARN, "max_position_embeddings": 8192}, "4.52.4", True),
        ({"rope_scaling": YARN, "max_position_embeddings": 8192}, "4.57.6", False),
        (WINDOWS | {"use_sliding_window": False}, "4.51.3", True),
        (WINDOWS | {"use_sliding_window": False}, "4.52.4", False),
        (WINDOWS | {"use_sliding_window": False, "sliding_window": 4096}, "4.51.3", False),
        (WINDOWS | {"use_sliding_window": True, "max_window_layers": 2}, "4.52.4", True),
        (WINDOWS | {"use_sliding_window": True, "max_window_layers": 0}, "4.52.4", False),
        (WINDOWS | {"use_sliding_window": True, "max_window_layers": 2}, "4.57.6", False),
        ({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True}, "5.0.0", True),
        ({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True}, "5.24.0", False),
        ({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": False}, "4.57.6", False),
        ({"model_type": "gemma2", "attn_logit_softcapping": 50.0}, "4.57.6", True),
        ({"model_type": "gemma2", "attn_logit_softcapping": None}, "4.57.6", False),
        ({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True}, None, False),
        (LOCAL_ROTARY, "4.57.6", True),
        (LOCAL_ROTARY, "5.0.0", False),
        (LOCAL_ROTARY | {"local_rope_theta": 160_000.0}, "4.57.6", False),
        (LOCAL_ROTARY | {"layer_types": ["full_attention"]}, "4.57.6", False),
    ],
)
def test_settings_that_versions_compute_otherwise_are_told(
    fields: dict[str, Any], wrote: str | None, changed: bool
) -> None:
    assert bool(changed_settings(fields, wrote, "5.24.0")) == changed


def test_a_checkpoint_whose_settings_versions_compute_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.export.checkpoint.settings.version", lambda _: "5.24.0")
    fields = {"scale_attn_by_inverse_layer_idx": True, "transformers_version": "4.57.6"}
    with pytest.raises(ExportError, match=r"computes scale_attn_by_inverse_layer_idx otherwise than 5\.24\.0"):
        check("gpt2", fields)


def test_a_checkpoint_of_a_later_transformers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.export.checkpoint.settings.version", lambda _: "4.57.6")
    with pytest.raises(ExportError, match=r"pip install 'scorer-onnx\[cpu,export\]'"):
        check_writer({"transformers_version": "5.24.0"}, "folder")
    for fields in ({"transformers_version": "4.99.0"}, {"transformers_version": "4.8.2"}, {}):
        check_writer(fields, "folder")
    monkeypatch.setattr("scorer.export.checkpoint.settings.version", lambda _: "5.24.0")
    check_writer({"transformers_version": "5.30.0.dev0"}, "folder")
    with pytest.raises(ExportError, match="transformers 6"):
        check_writer({"transformers_version": "6.0.0"}, "folder")


@pytest.mark.parametrize(
    "fields",
    [{"transformers_version": "99.0.0"}, {"rope_parameters": {"rope_theta": 50.0}}, {"summary_pooling": "mean"}],
)
def test_opening_a_checkpoint_looks_at_its_settings(fields: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = make_checkpoint("bert", tmp_path / "checkpoint")
    assert open_checkpoint(str(checkpoint)).written_by is not None
    edit_config(checkpoint, **fields)
    with pytest.raises(ExportError, match=r"written by transformers 99|has settings that BertConfig"):
        open_checkpoint(str(checkpoint))


def test_a_tokenizer_whose_settings_contradict_its_file_is_refused(tmp_path: Path) -> None:
    folder = make_checkpoint("bert", tmp_path / "checkpoint")
    settings = folder / "tokenizer_config.json"
    content = json.loads(settings.read_text(encoding="utf-8")) | {"do_lower_case": False}
    settings.write_text(json.dumps(content), encoding="utf-8")
    checkpoint = open_checkpoint(str(folder))
    _write_tokenizer(checkpoint.tokenizer, tmp_path / "tokenizer.json")
    with pytest.raises(ExportError, match="different token ids"):
        make_reference(checkpoint, tmp_path, BUILT_IN_TEXTS, calibration="built-in")


def installed(monkeypatch: pytest.MonkeyPatch, transformers: str | None, *missing: str) -> None:
    """Have everything installed but some modules, and a version of transformers."""
    monkeypatch.setattr(exporters, "version", lambda _: transformers)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else object())


OPTIMUM = "optimum.exporters.onnx"


def test_auto_takes_optimum_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "4.57.6")
    assert choose_exporter("auto") == "optimum"
    installed(monkeypatch, "5.24.0", OPTIMUM)
    assert choose_exporter("auto") == "torch"


@pytest.mark.parametrize(
    ("wanted", "transformers", "missing", "error", "message"),
    [
        # nothing is installed, or a part is missing: the extra of the exporter at hand
        (
            "auto",
            None,
            ("torch", "transformers", "onnxscript", OPTIMUM),
            MissingExtraError,
            r"'torch'.*onnx\[export\]'",
        ),
        ("auto", "5.24.0", ("onnxscript", OPTIMUM), MissingExtraError, r"'onnxscript'.*scorer-onnx\[export\]'"),
        ("auto", "4.57.6", (OPTIMUM,), MissingExtraError, r"'optimum-onnx'.*scorer-onnx\[export-optimum\]'"),
        # it needs another transformers: an environment of its own
        ("auto", "4.48.3", (OPTIMUM,), UsageError, r"transformers 5, and 4.48.3 .*of its own.*\[cpu,export\]'"),
        ("torch", "4.57.6", (), UsageError, r"transformers 5, and 4.57.6 .*of its own.*\[cpu,export\]'"),
        ("optimum", "5.24.0", (OPTIMUM,), UsageError, r"4.57, and 5.24.0 .*of its own.*\[cpu,export-optimum\]'"),
    ],
)
def test_an_exporter_that_is_not_installed_is_named_with_the_one_line_that_installs_it(
    wanted: Any,
    transformers: str | None,
    missing: tuple[str, ...],
    error: type[Exception],
    message: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(monkeypatch, transformers, *missing)
    with pytest.raises(error, match=message):
        choose_exporter(wanted)


def test_what_is_accepted_follows_the_size_of_the_logits() -> None:
    small, large = np.float32([[1.0, -8.0]]), np.float32([[100.0, -3.0]])
    assert tolerance("fp32", "O2", small) == 1e-4
    assert tolerance("fp32", "O2", large) == pytest.approx(1e-3)
    assert tolerance("int8", "O2", small) == 2.0


def test_a_class_that_is_masked_and_an_offset_of_all_do_not_switch_the_proof_off() -> None:
    masked = np.float32([[3.0, -4.0, -1e6], [-2.0, 5.0, -1e6]])
    assert tolerance("fp32", "O2", masked) == 1e-4
    assert tolerance("int8", "O2", masked) == 2.0
    wrong = masked + np.float32([[0.0, 0.7, 0.0]])
    assert max(_differences(wrong, masked)) > 0.5
    rounded = masked + np.float32([[0.0, 0.0, 0.5]])
    assert max(_differences(rounded, masked)) <= 1e-4
    unmasked = np.float32([[3.0, -4.0, 2.0], [-2.0, 5.0, 2.0]])
    assert max(_differences(unmasked, masked)) > 1
    offset = np.float32([[10_003.0, 9_996.0], [9_998.0, 10_005.0]])
    assert tolerance("int8", "O2", offset) == 2.0
    assert tolerance("fp32", "O2", offset) == pytest.approx(0.1, rel=0.01)  # its rounding is real
