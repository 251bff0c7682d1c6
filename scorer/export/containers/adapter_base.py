"""The base model of a PEFT adapter: where it lies, whether it is the one meant, and that it is not merged yet.

Imports `torch`, and only to compare heads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.config import read_config
from scorer.export.containers.place import Place, Wishes, place_of

ADAPTER_CONFIG, CONFIG = "adapter_config.json", "config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# What peft writes before the names of a model's weights.
PREFIX = "base_model.model."


@dataclasses.dataclass(frozen=True, slots=True)
class Base:
    """The base model of an adapter.

    Attributes:
        place: where it lies.
        embedded: whether that is the adapter's own folder.
    """

    place: Place
    embedded: bool


def find_base(record: Mapping[str, Any], place: Place, wishes: Wishes) -> Base:
    """Where the base model lies: where a person says, in the adapter's own folder, or where its record says."""
    if wishes.base is not None:
        return Base(place_of(wishes.base, None, trust_remote_code=place.trust_remote_code), False)
    if not place.hub and place.find(CONFIG) is not None and any(place.find(name) is not None for name in WEIGHTS):
        return Base(place, True)
    name = record.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ExportError(
            f"the PEFT adapter '{place.location}' does not say which model it was trained on "
            f"(base_model_name_or_path in its {ADAPTER_CONFIG}). Name that model's folder or hub id with --base."
        )
    beside = [] if place.hub else [Path(place.location, name)]
    for path in (Path(name).expanduser(), *beside):
        if path.is_dir():
            return Base(Place(str(path.resolve()), False, None, place.trust_remote_code), False)
    try:
        found = place_of(name, record.get("revision"), trust_remote_code=place.trust_remote_code)
    except ExportError as error:
        raise _no_base(name, place, "there is no such folder here.") from error
    return Base(found.pinned(CONFIG), False)


def read_base_config(base: Base, place: Place) -> Mapping[str, Any]:
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


@contextlib.contextmanager
def without_adapter(base: Base) -> Iterator[str]:
    """Where a base can be loaded from alone: transformers applies an adapter that lies beside it."""
    if not base.embedded:
        yield base.place.location
        return
    with tempfile.TemporaryDirectory() as folder:
        for file in Path(base.place.location).iterdir():
            if file.name not in {ADAPTER_CONFIG, *ADAPTER_WEIGHTS}:
                Path(folder, file.name).symlink_to(file)
        yield folder


def refuse_merged(base: Any, head: tuple[str, ...], weights: Mapping[str, Any], location: str) -> None:
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


def _no_base(name: str, place: Place, reason: str) -> ExportError:
    return ExportError(
        f"the base model of the PEFT adapter '{place.location}' is not found: '{name}', as its {ADAPTER_CONFIG} calls "
        f"it. Name its folder or hub id with --base. ({reason})"
    )


def of_another_name(record: Mapping[str, Any], base: Base, location: str) -> list[str]:
    """A warning where a person names another base than an adapter's record does, as far as names tell."""
    recorded = record.get("base_model_name_or_path")
    if (
        base.embedded
        or not isinstance(recorded, str)
        or Path(recorded).name in {"", base.place.name.rpartition("/")[2]}
    ):
        return []
    return [
        f"warning: the adapter '{location}' was trained on a base called '{recorded}', and is merged with "
        f"'{base.place.location}': where that is another model, so is what is exported"
    ]


def quantized_in_training(own: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """A warning where the config.json beside an adapter tells that its base was quantized in training."""
    if "quantization_config" not in own or "quantization_config" in base:
        return []
    return [
        "warning: the adapter was trained on a quantized base (quantization_config in its config.json), and is merged "
        "with the full weights: answers differ from those in training by what quantization takes away"
    ]
