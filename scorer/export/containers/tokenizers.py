"""A container's tokenizer: a fast one, of files that are really there. Imports `transformers`, and only to load it."""

from __future__ import annotations

from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.files import check_tokenizer
from scorer.export.checkpoint.weights import brief, needs_remote_code
from scorer.export.containers.place import Place, Wishes, place_of

TOKENIZER_FILE = "tokenizer.json"


def tokenizer_place(place: Place, wishes: Wishes) -> Place:
    """Where the tokenizer is read from: the container, unless a person names another place.

    Raises:
        ExportError: the other place does not exist.
    """
    if wishes.tokenizer is None:
        return place
    return place_of(wishes.tokenizer, None, trust_remote_code=wishes.trust_remote_code)


def load_tokenizer(place: Place) -> Any:
    """The fast tokenizer of a place.

    Raises:
        ExportError: it has none.
    """
    from transformers import AutoTokenizer

    location = place.location
    check_tokenizer(location)
    try:
        tokenizer = AutoTokenizer.from_pretrained(location, use_fast=True, **place.options)
    except Exception as error:
        if not place.trust_remote_code and "trust_remote_code" in str(error):
            raise needs_remote_code(location) from error
        raise ExportError(
            f"'{location}' has no tokenizer that loads as a fast one: {brief(error)} Add the tokenizer.json of the "
            "model it was trained from, or name a folder that holds it with --tokenizer."
        ) from error
    if not tokenizer.is_fast:
        raise ExportError(
            f"the tokenizer of '{location}', {type(tokenizer).__name__}, has no fast form: scoring reads a "
            "tokenizer.json. Convert it with a library that writes one, or choose another checkpoint."
        )
    if not has_vocabulary(place, tokenizer):
        raise ExportError(
            f"'{location}' holds no tokenizer: of {type(tokenizer).__name__} there is no file with a vocabulary. "
            "A Trainer writes none into its checkpoints unless it is given one. Name the folder or hub id of the "
            "tokenizer that the model was trained with, with --tokenizer."
        )
    try:
        tokenizer.backend_tokenizer.encode("\U000105c0 \u0e5b", add_special_tokens=False)
    except Exception as error:
        raise ExportError(
            f"the tokenizer of '{location}' fails on characters that it does not know: {brief(error)} It has no token "
            "for unknown ones. Give the complete tokenizer of the model, with --tokenizer."
        ) from error
    return tokenizer


def has_vocabulary(place: Place, tokenizer: Any) -> bool:
    """Whether one of the files is there that a tokenizer's class reads a vocabulary from.

    Without any, transformers 5 makes a tokenizer that knows its special tokens and nothing else.
    """
    names = {TOKENIZER_FILE, *getattr(type(tokenizer), "vocab_files_names", {}).values()}
    names |= set(getattr(tokenizer, "vocab_files_names", {}).values())
    return any(place.find(name) is not None for name in sorted(names) if isinstance(name, str))
