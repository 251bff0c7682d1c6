"""The checkpoint's own tokenizer.json against the tokenizer that transformers makes of all its files.

The class of a tokenizer may build it anew, from another file or by its settings, and differently from version to
version: transformers 5 builds the tokenizers of SentencePiece models by its own rules where 4 took the file. The ids
that were trained on are one or the other's. Imports `transformers`, and only when it compares.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from scorer.checkpoint_settings import major_of
from scorer.errors import ExportError
from scorer.exporters import TRANSFORMERS_OF_TORCH, version
from scorer.model_directory import TOKENIZER_FILE

# The model in a tokenizer.json that was made of SentencePiece.
SENTENCEPIECE = "Unigram"


def take_file(tokenizer: Any, location: str, revision: str | None, wrote: str | None) -> str | None:
    """Have a SentencePiece tokenizer that transformers 4 wrote read as 4 read it, from its file, in place.

    Args:
        tokenizer: as the installed transformers loaded it.
        location: hub id or folder.
        revision: the hub commit, or None.
        wrote: version of transformers that wrote the checkpoint, or None where nobody knows.

    Returns:
        What a person should know of it, or None where nothing was done.
    """
    wrote_major, reads = major_of(wrote), major_of(version("transformers"))
    if wrote_major is None or reads is None or not wrote_major < TRANSFORMERS_OF_TORCH <= reads:
        return None
    content = _content(location, revision)
    if content is None or json.loads(content)["model"].get("type") != SENTENCEPIECE:
        return None
    backend = _without_limits(content, location)
    if backend.to_str() == _without_limits(tokenizer.backend_tokenizer.to_str(), location).to_str():
        return None
    tokenizer._tokenizer = backend
    return (
        f"token ids are those of tokenizer.json, as transformers {wrote} took it; {type(tokenizer).__name__} of "
        f"{version('transformers')} would build another tokenizer"
    )


def check_tokenizer_file(
    tokenizer: Any, location: str, revision: str | None, texts: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> None:
    """Compare token ids of texts and of pairs; does nothing where the checkpoint has no tokenizer.json.

    Raises:
        ExportError: they differ, or the file cannot be read.
    """
    content = _content(location, revision)
    if content is None:
        return
    plain = _without_limits(content, location)
    loaded = _without_limits(tokenizer.backend_tokenizer.to_str(), location)
    several: tuple[tuple[Any, ...], ...] = (*((text,) for text in texts), *pairs)
    for both in several:
        if plain.encode(*both).ids != loaded.encode(*both).ids:
            raise ExportError(
                f"the tokenizer.json of '{location}' and {type(tokenizer).__name__}, which transformers "
                f"{version('transformers')} makes of its files, give {both[0][:40]!r} different token ids, and only "
                "one of them is what the model was trained on. Save the tokenizer again with the version of "
                "transformers that it was trained with (tokenizer.save_pretrained), so that both agree."
            )


def _content(location: str, revision: str | None) -> str | None:
    from transformers.utils import cached_file

    file = cached_file(
        location,
        TOKENIZER_FILE,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if file is None else Path(file).read_text(encoding="utf-8")


def _without_limits(content: str, location: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:
        raise ExportError(
            f"the tokenizer.json of '{location}' cannot be read: {error}. It is damaged, or written by a later version "
            "of tokenizers than the installed one."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
