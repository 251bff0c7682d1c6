"""The body of a sentence-transformers model: what modules.json lists, as one function from token ids to a vector.

Taken are the modules that models for sentences are made of: a transformer, pooling, dense layers, normalization and
dropout. Reads their settings and weights; imports `torch`, and only when a body is opened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.weights import brief, load_part
from scorer.export.containers.place import Place

MODULES = "modules.json"
BODY_CONFIG = "sentence_bert_config.json"
# Kinds of modules by the last part of their class's name; those that leave vectors as they are in evaluation.
TRANSFORMER, POOLING, DENSE, NORMALIZE, IDLE = "Transformer", "Pooling", "Dense", "Normalize", frozenset({"Dropout"})
# The switches that sentence-transformers before 6 has instead of pooling_mode, in the order in which it joins vectors.
SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
MODES = frozenset(SWITCHES.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Dense:
    """A dense layer over the vector.

    Attributes:
        weight, bias: as torch's tensors; bias may be None.
        activation: the function after it, a module.
    """

    weight: Any
    bias: Any
    activation: Any


@dataclasses.dataclass(frozen=True, slots=True)
class SentenceBody:
    """What makes a vector of a text.

    Attributes:
        place: where the transformer lies.
        max_tokens: tokens kept of a text, or None where the tokenizer tells.
        lowercase: whether texts are read in lower case, whatever the tokenizer does.
        poolings: the ways of pooling; vectors of several are joined.
        steps: what follows, in order: a dense layer, or NORMALIZE.
    """

    place: Place
    max_tokens: int | None
    lowercase: bool
    poolings: tuple[str, ...]
    steps: tuple[Dense | str, ...]


def read_body(place: Place) -> SentenceBody:
    """The modules of a folder or repository, without the transformer's weights.

    Raises:
        ExportError: a module is missing, or of a kind that is not known here.
    """
    listed = _listed(place)
    if not listed or listed[0][0] != TRANSFORMER:
        raise _strange(place, "begins with no transformer")
    where = listed[0][1]
    settings = place.json(f"{where}/{BODY_CONFIG}" if where else BODY_CONFIG) or {}
    body = dataclasses.replace(place, location=f"{place.location}/{where}") if where else place
    if where and place.hub:
        raise _strange(place, f"has its transformer in the folder '{where}' of a repository; download it")
    if settings.get("transformer_task", "feature-extraction") != "feature-extraction":
        raise _strange(place, f"has a transformer for the task {settings['transformer_task']}")
    poolings: tuple[str, ...] = ()
    steps: list[Dense | str] = []
    for kind, path in listed[1:]:
        if kind == POOLING and not poolings:
            poolings = _poolings(place, path)
        elif kind == DENSE and poolings:
            steps.append(_dense(place, path))
        elif kind == NORMALIZE and poolings:
            steps.append(NORMALIZE)
        elif kind not in IDLE:
            raise _strange(place, f"has a module of the kind {kind} that is not known there")
    if not poolings:
        raise _strange(place, "has no pooling")
    limit = settings.get("max_seq_length")
    return SentenceBody(
        body, limit if isinstance(limit, int) else None, settings.get("do_lower_case") is True, poolings, tuple(steps)
    )


def load_transformer(body: SentenceBody, config: Any) -> tuple[Any, list[str]]:
    """The transformer of a body, and what a person should know of it.

    Raises:
        ExportError: its weights are not complete.
    """
    return load_part(
        body.place.location,
        config,
        body.place.options,
        kind="AutoModel",
        given=lambda name: "pooler" in name.split("."),  # no pooling of sentences reads it
    )


def pooled(mode: str, states: Any, mask: Any) -> Any:
    """One vector of each text's states.

    Args:
        mode: one of MODES.
        states: float32 [B, T, H].
        mask: int64 [B, T], with 1 for each token of the text, from the left.

    Returns:
        float32 [B, H].
    """
    import torch

    if mode == "cls":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)  # [B, T, 1]
    if mode == "max":
        return states.masked_fill(weights == 0, float("-inf")).max(dim=1).values
    if mode == "lasttoken":
        last = (mask.sum(dim=1) - 1).clamp(min=0)  # [B]
        return states[torch.arange(states.shape[0], device=states.device), last]
    if mode == "weightedmean":
        weights = weights * torch.arange(1, states.shape[1] + 1, dtype=states.dtype)[None, :, None]
    total = weights.sum(dim=1).clamp(min=1e-9)  # [B, 1]
    return (states * weights).sum(dim=1) / (total.sqrt() if mode == "mean_sqrt_len_tokens" else total)


def _listed(place: Place) -> list[tuple[str, str]]:
    """The kinds of the modules and their folders, in order."""
    import json

    file = place.find(MODULES)
    if file is None:
        raise _strange(place, f"has no {MODULES}")
    try:
        entries = sorted(json.loads(file.read_text(encoding="utf-8")), key=lambda entry: entry["idx"])
        return [(entry["type"].rpartition(".")[2], entry["path"]) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ExportError(f"cannot read '{place.location}/{MODULES}': {brief(error)}") from error


def _poolings(place: Place, path: str) -> tuple[str, ...]:
    settings = place.json(f"{path}/config.json") or {}
    found = settings.get("pooling_mode")
    if found is None:
        modes = tuple(mode for switch, mode in SWITCHES.items() if settings.get(switch) is True)
    else:
        modes = (found,) if isinstance(found, str) else tuple(found)
    if not modes or not MODES.issuperset(modes):
        raise _strange(place, f"pools in a way that is not known here ({', '.join(map(str, modes)) or 'none'})")
    return modes


def _dense(place: Place, path: str) -> Dense:
    import torch
    from safetensors.torch import load_file

    settings: Mapping[str, Any] = place.json(f"{path}/config.json") or {}
    name = str(settings.get("activation_function", "torch.nn.modules.activation.Tanh"))
    kind = getattr(torch.nn, name.rpartition(".")[2], None)
    plain = (
        settings.get("module_input_name", "sentence_embedding") == "sentence_embedding"
        and settings.get("module_output_name") in (None, "sentence_embedding")
        and not settings.get("use_residual")
    )
    if not name.startswith("torch.nn.") or kind is None or not plain:
        raise _strange(place, f"has a dense layer that is not known here ({name})")
    file, old = place.find(f"{path}/model.safetensors"), place.find(f"{path}/pytorch_model.bin")
    if file is not None:
        weights = load_file(file)
    elif old is not None:
        weights = torch.load(old, map_location="cpu", weights_only=True)
    else:
        raise _strange(place, f"has no weights for its dense layer {path}")
    bias = weights.get("linear.bias")
    return Dense(weights["linear.weight"].float(), None if bias is None else bias.float(), kind())


def _strange(place: Place, what: str) -> ExportError:
    return ExportError(
        f"the sentence-transformers body of '{place.location}' {what}. What can be exported is a transformer with "
        f"pooling ({', '.join(sorted(MODES))}), and dense layers and normalization after it."
    )
