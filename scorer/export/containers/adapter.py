"""A PEFT adapter (LoRA, DoRA, IA3 and others that can be merged), made one model with its base.

The adapter's folder holds what was trained and the name of its base; the classes' names it holds not. peft itself loads
and merges, and what is merged must answer as what is not. Imports `peft`, `torch` and `transformers`, and only when an
adapter is opened.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.errors import ExportError, MissingExtraError
from scorer.export.checkpoint.config import load_config, read_config
from scorer.export.checkpoint.files import check_file
from scorer.export.checkpoint.sample_texts import BUILT_IN_TEXTS
from scorer.export.checkpoint.settings import writer
from scorer.export.checkpoint.tokenizer_file import take_file
from scorer.export.checkpoint.weights import brief, listed, load_part
from scorer.export.containers.adapter_base import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONFIG,
    PREFIX,
    find_base,
    of_another_name,
    quantized_in_training,
    read_base_config,
    refuse_merged,
    without_adapter,
)
from scorer.export.containers.place import Contents, Place, Wishes
from scorer.export.containers.plain import check_own_code, label_names, written_at
from scorer.export.containers.tokenizers import TOKENIZER_FILE, load_tokenizer, tokenizer_place

TASK = "SEQ_CLS"
# Stands for the number of classes where a model is built to see which weights depend on it; no real size is like it.
NO_SIZE = 7_919
# By how much a logit of the merged model may differ, as a share of the largest one, where that is above 1.
MERGED_WITHIN = 1e-4
# Keys of adapter_config.json that configure no adapter.
BESIDE = frozenset({"peft_version", "runtime_config", "auto_mapping"})


def open_adapter(place: Place, wishes: Wishes) -> Contents:
    """An adapter merged with its base.

    Raises:
        ExportError: it is no text classifier's, or its base or its head cannot be had.
        MissingExtraError: peft is not installed.
    """
    place = place.pinned(ADAPTER_CONFIG)
    record = place.json(ADAPTER_CONFIG) or {}
    _check_record(record, place.location)
    weights = _read_weights(place)
    _check_saved(record, weights, place.location)
    base = find_base(record, place, wishes)
    fields = read_base_config(base, place)
    check_own_code(base.place, fields)
    described = place if place.find(CONFIG) is not None else base.place
    own = fields if described == base.place else read_config(place.location, place.options, hub=place.hub)
    config, _, notices = load_config(own, described.location, described.options)
    if getattr(config, "quantization_config", None) is not None:
        del config.quantization_config  # the base is loaded as it is
    head, outputs = _head(config, weights)
    said = [
        *notices,
        f"adapter merged in float32 with its base model, '{base.place.location}'",
        *of_another_name(record, base, place.location),
        *quantized_in_training(own, fields),
    ]
    said += _set_classes(config, outputs, described, place)
    tokenizer, at, more = _tokenizer(place, base.place, wishes, fields)
    said += more
    if config.get_text_config().pad_token_id is None and tokenizer.pad_token_id is not None:
        # Training in batches takes a padding id, which is set on the model and not saved with an adapter.
        config.get_text_config().pad_token_id = tokenizer.pad_token_id
        said.append(f"the padding token is the tokenizer's, '{tokenizer.pad_token}', since the base has none")
    with without_adapter(base) as location:
        network, left = load_part(
            location,
            config,
            base.place.options,
            kind="AutoModelForSequenceClassification",
            given=lambda name: f"{PREFIX}{name}" in weights,
        )
    if base.embedded and head:
        refuse_merged(network, head, weights, place.location)
    model = _merge(network, place, weights, tokenizer)
    names, widened = label_names(model, place.location, None, wishes)
    return Contents(model, tokenizer, at, names, place.revision, writer(fields), (*said, *left, *widened))


def _check_record(record: Mapping[str, Any], location: str) -> None:
    """Refuse an adapter of another task, or one that cannot be read with what is installed."""
    task, kind = record.get("task_type"), str(record.get("peft_type"))
    if "peft_type" not in record:
        raise ExportError(
            f"the {ADAPTER_CONFIG} of '{location}' has no peft_type: it is not one that peft wrote. Give the folder "
            "that save_pretrained wrote."
        )
    if task not in (TASK, None):
        raise ExportError(
            f"'{location}' is a PEFT adapter for the task {task} (task_type in its {ADAPTER_CONFIG}), not for text "
            f"classification ({TASK}). Give an adapter of a text classifier."
        )
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("peft", "peft", f"exporting the PEFT adapter '{location}'")
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftType

    known = PEFT_TYPE_TO_CONFIG_MAPPING.get(PeftType(kind)) if kind in PeftType.__members__ else None
    names = {field.name for field in dataclasses.fields(known)} if known is not None else set()
    unknown = sorted(name for name, value in record.items() if value and name not in names | BESIDE)
    if known is None or unknown:
        what = f"is of the kind {kind}" if known is None else f"has settings ({listed(unknown)})"
        raise ExportError(
            f"the PEFT adapter '{location}' {what} that the installed peft does not know. Install a newer one: "
            "pip install -U peft"
        )
    if "PROMPT" in kind or kind in {"P_TUNING", "PREFIX_TUNING", "CARTRIDGE"}:
        raise ExportError(
            f"the PEFT adapter '{location}' is of the kind {kind}: it adds tokens of its own to every text, and cannot "
            "be merged into the weights of its base. Train a LoRA, DoRA or IA3 adapter, or the model itself."
        )


def _read_weights(place: Place) -> Mapping[str, Any]:
    """The adapter's tensors, by name."""
    from peft.utils.save_and_load import load_peft_weights

    if all(place.find(name) is None for name in ADAPTER_WEIGHTS):
        raise ExportError(
            f"'{place.location}' has an {ADAPTER_CONFIG}, but no weights of an adapter ({ADAPTER_WEIGHTS[0]}). Give "
            "the folder that save_pretrained wrote, complete."
        )
    for name in ADAPTER_WEIGHTS:
        check_file(Path(place.location, name))
    try:
        weights: Mapping[str, Any] = load_peft_weights(_folder(place), device="cpu")
    except Exception as error:
        raise ExportError(f"the adapter's weights in '{place.location}' cannot be read: {brief(error)}") from error
    return weights


def _folder(place: Place) -> str:
    """The folder of an adapter's files, that of the hub's cache where they were fetched."""
    file = place.find(ADAPTER_CONFIG)
    return place.location if file is None else str(file.parent)


def _check_saved(record: Mapping[str, Any], weights: Mapping[str, Any], location: str) -> None:
    """Refuse an adapter whose file lacks the modules that were trained whole: its head."""
    saved = record.get("modules_to_save") or []
    if saved and not any(f".{name}." in f"{weight}." for name in saved for weight in weights):
        raise ExportError(
            f"the PEFT adapter '{location}' has no weights for the modules that were trained with it ({listed(saved)}, "
            "modules_to_save): its head would be random. Save it again with its head."
        )


def _head(config: Any, weights: Mapping[str, Any]) -> tuple[tuple[str, ...], int | None]:
    """The adapter's weights whose size is the number of classes, and that number; none where the head is the base's."""
    import torch
    from transformers import AutoModelForSequenceClassification

    probe = copy.deepcopy(config)
    probe.num_labels = NO_SIZE
    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(probe)
    except Exception:  # a class of its own code: the usual names
        names = [f"{name}.weight" for name in ("classifier", "classifier.out_proj", "score")]
    else:
        names = [name for name, weight in model.named_parameters() if weight.dim() and weight.shape[0] == NO_SIZE]
    found = tuple(name for name in names if f"{PREFIX}{name}" in weights)
    sizes = {int(weights[f"{PREFIX}{name}"].shape[0]) for name in found}
    return found, sizes.pop() if len(sizes) == 1 else None


def _set_classes(config: Any, outputs: int | None, described: Place, place: Place) -> list[str]:
    """Have a configuration say how many classes there are and their names; and what a person should know of them."""
    if outputs is not None and outputs != config.num_labels:
        config.num_labels = outputs  # with names LABEL_0, LABEL_1, …
    if outputs is None or described == place or config.num_labels == 1:
        return []
    names = [config.id2label[index] for index in range(config.num_labels)]
    if all(name == f"LABEL_{index}" for index, name in enumerate(names)):
        return [
            f"the adapter holds no names of its {len(names)} classes: they are called LABEL_0 to "
            f"LABEL_{len(names) - 1}, in the order of its head"
        ]
    return [
        f"warning: the adapter holds no names of its classes; those of its base are taken ({listed(names)}). Where it "
        f"was trained with others, write a config.json with its id2label into '{place.location}'"
    ]


def _tokenizer(place: Place, base: Place, wishes: Wishes, fields: Mapping[str, Any]) -> tuple[Any, Place, list[str]]:
    """The tokenizer: the adapter's own, else its base's."""
    at, notices = tokenizer_place(place, wishes), []
    if at == place and not any(place.find(name) is not None for name in (TOKENIZER_FILE, "tokenizer_config.json")):
        at = base
        if base != place:
            notices.append("the adapter's folder has no tokenizer: its base's is taken")
    tokenizer = load_tokenizer(at)
    taken = take_file(tokenizer, at.location, at.revision, writer(fields if at == base else written_at(at)))
    return tokenizer, at, [*notices, *([] if taken is None else [taken])]


def _merge(base: Any, place: Place, weights: Mapping[str, Any], tokenizer: Any) -> Any:
    """Base and adapter as one model, which answers as peft does with both."""
    from peft import PeftModel, set_peft_model_state_dict

    try:
        both = PeftModel.from_pretrained(base, _folder(place)).eval()
        loading = set_peft_model_state_dict(both, dict(weights))
    except Exception as error:
        raise ExportError(
            f"the PEFT adapter '{place.location}' does not fit its base model: {brief(error)} Check that both belong "
            "together, or name the right base with --base."
        ) from error
    missing = [name for name in loading.missing_keys if ".default" in name]
    beyond = [name for name in loading.unexpected_keys if not _is_written_twice(name, weights)]
    if missing or beyond:
        what = f"has no weights for {listed(missing)}" if missing else f"has weights for {listed(beyond)}"
        why = "they would be random" if missing else "which its base model has no place for"
        raise ExportError(
            f"the PEFT adapter '{place.location}' {what}: {why}. Check that adapter and base belong together, and that "
            "the adapter was saved with its head (modules_to_save)."
        )
    if not hasattr(both, "merge_and_unload"):
        raise ExportError(f"the PEFT adapter '{place.location}' cannot be merged into its base.")
    before = _answers(both, tokenizer)
    try:
        _take_saved_modules(both)
        merged = both.merge_and_unload(safe_merge=True).float().eval()
    except Exception as error:
        raise ExportError(
            f"the PEFT adapter '{place.location}' cannot be merged into its base: {brief(error)}"
        ) from error
    after = _answers(merged, tokenizer)
    moved = float((after - before).abs().max())
    if not moved <= MERGED_WITHIN * max(1.0, float(before.abs().max())):  # NaN too
        raise ExportError(
            f"the PEFT adapter '{place.location}' answers otherwise once it is merged into its base: a logit changes "
            f"by {moved:.2g}. It cannot be exported; merge it yourself, and judge what comes out."
        )
    return merged


def _is_written_twice(name: str, weights: Mapping[str, Any]) -> bool:
    """Whether a weight is there under another name too: with biases trained, peft writes that of the head twice."""
    import torch

    twin = name.replace(".modules_to_save", "")
    return twin != name and name in weights and twin in weights and torch.equal(weights[name], weights[twin])


def _take_saved_modules(both: Any) -> None:
    """Put modules that were trained whole, such as the head, in their place, before the rest is merged.

    What peft does with them as it merges an IA3 adapter fails on a head of several layers.
    """
    from peft.utils import ModulesToSaveWrapper

    for name, module in list(both.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            parent, _, last = name.rpartition(".")
            setattr(both.get_submodule(parent), last, module.modules_to_save["default"])


def _answers(model: Any, tokenizer: Any) -> Any:
    """Logits of a few texts, one at a time: float32 [B, C]."""
    import torch

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = inspect.signature(base.forward).parameters
    answers = []
    for text in BUILT_IN_TEXTS[:8]:
        asked = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.inference_mode():
            answers.append(model(**{name: ids for name, ids in asked.items() if name in takes}).logits)
    return torch.cat(answers).float()
