"""Which kind of container a place holds, and the module that opens it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from scorer.errors import ExportError, UsageError
from scorer.export.containers.adapter import open_adapter
from scorer.export.containers.adapter_base import ADAPTER_CONFIG
from scorer.export.containers.place import Contents, Place, Wishes
from scorer.export.containers.plain import open_plain
from scorer.export.containers.setfit import HEAD, SETFIT_CONFIG, open_setfit
from scorer.export.containers.trainer_output import checkpoints_in, what_is_beside, which_to_give


def open_container(place: Place, wishes: Wishes) -> Contents:
    """What a place holds.

    Args:
        place: a folder or a repository of the hub.
        wishes: what a person says of it.

    Raises:
        ExportError: it holds no text classifier, or one that cannot be read rightly.
        UsageError: what is said of it does not fit its kind.
        MissingExtraError: a package that its kind needs is not installed.
    """
    adapter = place.find(ADAPTER_CONFIG) is not None
    if wishes.base is not None and not adapter:
        raise UsageError(f"--base names the base model of an adapter, but '{place.location}' holds none.")
    if adapter:
        contents = open_adapter(place, wishes)
    elif place.find(SETFIT_CONFIG) is not None or place.find(HEAD) is not None:
        contents = open_setfit(place, wishes)
    else:
        _check_folder(place)
        contents = open_plain(place, wishes)
    beside = None if place.hub else what_is_beside(Path(place.location))
    return contents if beside is None else dataclasses.replace(contents, notices=(beside, *contents.notices))


def _check_folder(place: Place) -> None:
    """Refuse a folder without a config.json, and say what may be meant."""
    if place.hub or place.find("config.json") is not None:
        return
    folder = Path(place.location)
    if steps := checkpoints_in(folder):
        raise ExportError(which_to_give(folder, steps))
    raise ExportError(
        f"'{place.location}' has no config.json, so it is not a transformers checkpoint. Give the folder that "
        "save_pretrained wrote."
    )
