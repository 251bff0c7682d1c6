"""A PEFT adapter (LoRA, DoRA, IA3 and others that can be merged), made one model with its base.

The adapter's folder holds what was trained and the name of its base; the classes' names it holds not. peft itself loads
and merges, and what is merged must answer as what is not. Imports `peft`, `torch` and `transformers`, and only when an
adapter is opened.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib.util
import inspect
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scorer.checkpoint_config import load_config, read_config
from scorer.checkpoint_settings import writer
from scorer.checkpoint_weights import brief, listed, load_part
from scorer.containers.place import Contents, Place, Wishes, place_of
from scorer.containers.plain import label_names, written_at
from scorer.containers.tokenizers import TOKENIZER_FILE, load_tokenizer, tokenizer_place
from scorer.errors import ExportError, MissingExtraError
from scorer.parity_texts import BUILT_IN_TEXTS
from scorer.tokenizer_file import take_file

ADAPTER_CONFIG, CONFIG = "adapter_config.json", "config.json"
ADAPTER_FILES = (ADAPTER_CONFIG, "adapter_model.safetensors", "adapter_model.bin")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
TASK = "SEQ_CLS"
PREFIX = "base_model.model."
# Stands for the number of classes where a model is built to see which weights depend on it; no real size is like it.
NO_SIZE = 7_919
# By how much a logit of the merged model may differ, as a share of the largest one, where that is above 1.
MERGED_WITHIN = 1e-4
# Keys of adapter_config.json that configure no adapter.
BESIDE = frozenset({"peft_version", "runtime_config", "auto_mapping"})


@dataclasses.dataclass(frozen=True, slots=True)
class _Base:
    """The base model of an adapter.

    Attributes:
        place: where it lies.
        embedded: whether that is the adapter's own folder.
    """

    place: Place
    embedded: bool


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
    base = _find_base(record, place, wishes)
    fields = _read_base_config(base, place)
    described = place if place.find(CONFIG) is not None else base.place
    own = fields if described == base.place else read_config(place.location, place.options, hub=place.hub)
    config, _, notices = load_config(own, described.location, described.options)
    if getattr(config, "quantization_config", None) is not None:
        del config.quantization_config  # the base is loaded as it is
    head, outputs = _head(config, weights)
    said = [
        *notices,
        f"adapter merged in float32 with its base model, '{base.place.location}'",
        *_quantized(own, fields),
    ]
    said += _set_classes(config, outputs, described, place)
    tokenizer, at, more = _tokenizer(place, base.place, wishes, fields)
    said += more
    if config.get_text_config().pad_token_id is None and tokenizer.pad_token_id is not None:
        # Training in batches takes a padding id, which is set on the model and not saved with an adapter.
        config.get_text_config().pad_token_id = tokenizer.pad_token_id
        said.append(f"the padding token is the tokenizer's, '{tokenizer.pad_token}', since the base has none")
    with _without_adapter(base) as location:
        network, left = load_part(
            location,
            config,
            base.place.options,
            kind="AutoModelForSequenceClassification",
            given=lambda name: f"{PREFIX}{name}" in weights,
        )
    if base.embedded and head:
        _refuse_merged(network, head, weights, place.location)
    model = _merge(network, place, weights, tokenizer)
    names, widened = label_names(model, place.location, None, wishes)
    return Contents(model, tokenizer, at, names, place.revision, writer(fields), (*said, *left, *widened))


def _check_record(record: Mapping[str, Any], location: str) -> None:
    """Refuse an adapter of another task, or one that cannot be read with what is installed."""
    task, kind = record.get("task_type"), str(record.get("peft_type"))
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

    if not any(place.find(name) is not None for name in ADAPTER_FILES[1:]):
        raise ExportError(
            f"'{place.location}' has an {ADAPTER_CONFIG}, but no weights of an adapter ({ADAPTER_FILES[1]}). Give the "
            "folder that save_pretrained wrote, complete."
        )
    try:
        weights: Mapping[str, Any] = load_peft_weights(
            place.location, device="cpu", **({"revision": place.revision} if place.hub else {})
        )
    except Exception as error:
        raise ExportError(f"the adapter's weights in '{place.location}' cannot be read: {brief(error)}") from error
    return weights


def _check_saved(record: Mapping[str, Any], weights: Mapping[str, Any], location: str) -> None:
    """Refuse an adapter whose file lacks the modules that were trained whole: its head."""
    saved = record.get("modules_to_save") or []
    if saved and not any(f".{name}." in f"{weight}." for name in saved for weight in weights):
        raise ExportError(
            f"the PEFT adapter '{location}' has no weights for the modules that were trained with it ({listed(saved)}, "
            "modules_to_save): its head would be random. Save it again with its head."
        )


def _find_base(record: Mapping[str, Any], place: Place, wishes: Wishes) -> _Base:
    """Where the base model lies: where a person says, in the adapter's own folder, or where its record says."""
    if wishes.base is not None:
        return _Base(place_of(wishes.base, None, trust_remote_code=place.trust_remote_code), False)
    if not place.hub and place.find(CONFIG) is not None and any(place.find(name) is not None for name in WEIGHTS):
        return _Base(place, True)
    name = record.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ExportError(
            f"the PEFT adapter '{place.location}' does not say which model it was trained on "
            f"(base_model_name_or_path in its {ADAPTER_CONFIG}). Name that model's folder or hub id with --base."
        )
    beside = [] if place.hub else [Path(place.location, name)]
    for path in (Path(name).expanduser(), *beside):
        if path.is_dir():
            return _Base(Place(str(path.resolve()), False, None, place.trust_remote_code), False)
    try:
        found = place_of(name, record.get("revision"), trust_remote_code=place.trust_remote_code)
    except ExportError as error:
        raise _no_base(name, place, "there is no such folder here.") from error
    return _Base(found, False)


def _read_base_config(base: _Base, place: Place) -> Mapping[str, Any]:
    """The base's config.json."""
    found = base.place
    if not base.embedded and found.find(ADAPTER_CONFIG) is not None:
        raise ExportError(
            f"'{found.location}', the base model of the adapter '{place.location}', is an adapter itself. Merge that "
            "one first (merge_and_unload), save the merged model, and name it with --base."
        )
    try:
        fields = read_config(found.location, found.options, hub=found.hub)
    except ExportError as error:
        if found.find(CONFIG) is not None:
            raise
        raise _no_base(found.location, place, str(error)) from error
    if "quantization_config" in fields:
        raise ExportError(
            f"'{found.location}', the base model of the adapter '{place.location}', is quantized (quantization_config "
            "in its config.json), and an adapter is merged into full weights. Name the model that it was quantized "
            "from with --base."
        )
    return fields


def _no_base(name: str, place: Place, reason: str) -> ExportError:
    return ExportError(
        f"the base model of the PEFT adapter '{place.location}' is not found: '{name}', as its {ADAPTER_CONFIG} calls "
        f"it. Name its folder or hub id with --base. ({reason})"
    )


def _quantized(own: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    if "quantization_config" not in own or "quantization_config" in base:
        return []
    return [
        "warning: the adapter was trained on a quantized base (quantization_config in its config.json), and is merged "
        "with the full weights: answers differ from those in training by what quantization takes away"
    ]


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


@contextlib.contextmanager
def _without_adapter(base: _Base) -> Iterator[str]:
    """Where a base can be loaded from alone: transformers applies an adapter that lies beside it."""
    if not base.embedded:
        yield base.place.location
        return
    with tempfile.TemporaryDirectory() as folder:
        for file in Path(base.place.location).iterdir():
            if file.name not in ADAPTER_FILES:
                Path(folder, file.name).symlink_to(file)
        yield folder


def _refuse_merged(base: Any, head: tuple[str, ...], weights: Mapping[str, Any], location: str) -> None:
    """Refuse a base that has the adapter's head already: merged before, it would be merged twice."""
    import torch

    own = dict(base.named_parameters())
    pairs = [(own[name].float(), weights[f"{PREFIX}{name}"].float()) for name in head]
    if all(torch.allclose(ours, theirs, rtol=1e-2, atol=1e-4) for ours, theirs in pairs):
        raise ExportError(
            f"'{location}' holds a model and a PEFT adapter, and the model has the adapter's head: it seems to be "
            f"merged already. Move {ADAPTER_CONFIG} and the adapter's weights away to export the model as it is, or "
            "name the base model that is not merged with --base."
        )


def _merge(base: Any, place: Place, weights: Mapping[str, Any], tokenizer: Any) -> Any:
    """Base and adapter as one model, which answers as peft does with both."""
    from peft import PeftModel, set_peft_model_state_dict

    try:
        both = PeftModel.from_pretrained(
            base, place.location, **({"revision": place.revision} if place.hub else {})
        ).eval()
        loading = set_peft_model_state_dict(both, dict(weights))
    except Exception as error:
        raise ExportError(
            f"the PEFT adapter '{place.location}' does not fit its base model: {brief(error)} Check that both belong "
            "together, or name the right base with --base."
        ) from error
    missing = [name for name in loading.missing_keys if ".default" in name]
    # With biases trained, peft writes that of the head twice.
    beyond = [name for name in loading.unexpected_keys if name.replace(".modules_to_save", "") not in weights]
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
