"""The checkpoint's own tokenizer.json against the tokenizer that transformers makes of all its files.

The class of a tokenizer may build it anew, from another file or by its settings, and differently from version to
version: transformers 5 builds the tokenizers of SentencePiece models by its own rules, which its minor versions change,
where 4 took the file. Saving writes the file as the tokenizer was, so what another version wrote is read from it.
Imports `transformers`, and only when it compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from scorer.errors import ExportError
from scorer.export.checkpoint.exporters import TRANSFORMERS_OF_TORCH, version
from scorer.export.checkpoint.settings import major_of
from scorer.model.model_directory import TOKENIZER_FILE

SETTINGS_FILE = "tokenizer_config.json"
# Classes that gave segments in transformers 4.57 unless told otherwise, and give none in 5.
HAD_SEGMENTS = frozenset(
    {
        "AlbertTokenizer", "BertJapaneseTokenizer", "BertweetTokenizer", "CpmTokenizer", "CTRLTokenizer",
        "FlaubertTokenizer", "FunnelTokenizer", "HerbertTokenizer", "PhobertTokenizer", "PreTrainedTokenizer",
        "RemBertTokenizer", "RoCBertTokenizer", "RoFormerTokenizer", "SplinterTokenizer", "TokenizersBackend",
        "XLMTokenizer", "XLNetTokenizer",
    }
)  # fmt: skip
# Classes that build a tokenizer of byte-level BPE otherwise in transformers 5 than in 4.
REBUILT = frozenset({"DebertaTokenizer"})
# Settings by which a class changes the tokenizer that it has loaded, and what they add: a role's token at an end.
ADDED = {"add_bos_token": ("bos_token", 0), "add_eos_token": ("eos_token", -1)}


def take_file(tokenizer: Any, location: str, revision: str | None, wrote: str | None) -> str | None:
    """Have a tokenizer that another version of transformers wrote give what it gave there, in place.

    Args:
        tokenizer: as the installed transformers loaded it.
        location: hub id or folder.
        revision: the hub commit, or None.
        wrote: version of transformers that wrote the checkpoint, or None where nobody knows.

    Returns:
        What a person should know of it, or None where nothing was done.
    """
    reads = version("transformers")
    if wrote is None or wrote == reads or (major_of(reads) or 0) < TRANSFORMERS_OF_TORCH:
        return None
    done = (_take_ids(tokenizer, location, revision, wrote), _give_segments(tokenizer, location, revision, wrote))
    return "; ".join(said for said in done if said is not None) or None


def _give_segments(tokenizer: Any, location: str, revision: str | None, wrote: str) -> str | None:
    """Have a tokenizer give segments where its class gave them in transformers 4 and does not in 5."""
    if (major_of(wrote) or TRANSFORMERS_OF_TORCH) >= TRANSFORMERS_OF_TORCH:
        return None
    names = list(tokenizer.model_input_names)
    said = "model_input_names" in json.loads(_content(location, revision, SETTINGS_FILE) or "{}")
    if said or "token_type_ids" in names or type(tokenizer).__name__.removesuffix("Fast") not in HAD_SEGMENTS:
        return None
    tokenizer.model_input_names = [names[0], "token_type_ids", *names[1:]]
    return f"texts of a pair are told apart (token_type_ids), as transformers {wrote} did"


def _take_ids(tokenizer: Any, location: str, revision: str | None, wrote: str) -> str | None:
    """Take a tokenizer that its class would build anew from its file."""
    content = _content(location, revision)
    if content is None or not (_of_sentencepiece(content) or type(tokenizer).__name__ in REBUILT):
        return None
    backend = _without_limits(content, location)
    if _contradicts(json.loads(_content(location, revision, SETTINGS_FILE) or "{}"), tokenizer, backend):
        return None  # it is compared later, and refused
    if backend.to_str() == _without_limits(tokenizer.backend_tokenizer.to_str(), location).to_str():
        return None
    tokenizer._tokenizer = backend
    return (
        f"token ids are those of tokenizer.json, as transformers {wrote} took it; {type(tokenizer).__name__} of "
        f"{version('transformers')} would build another tokenizer"
    )


def _of_sentencepiece(content: str) -> bool:
    """Whether a tokenizer.json was made of a SentencePiece model: unigrams, or BPE that falls back to bytes."""
    try:
        model = json.loads(content)["model"]
        return bool(model.get("type") == "Unigram" or model.get("byte_fallback"))
    except (ValueError, KeyError, AttributeError, TypeError):
        return False  # reading it says what is wrong


def _contradicts(settings: Mapping[str, Any], tokenizer: Any, backend: Tokenizer) -> bool:
    """Whether the checkpoint's settings ask for other special tokens than its file adds."""
    prefix, asked = json.loads(backend.to_str())["pre_tokenizer"] or {}, settings.get("add_prefix_space")
    if isinstance(asked, bool) and prefix.get("add_prefix_space", asked) != asked:
        return True
    if type(tokenizer).__name__ in REBUILT:
        return False  # byte-level BPE passes over the others
    ids = backend.encode("a").ids
    for setting, (role, place) in ADDED.items():
        asked, token = settings.get(setting), getattr(tokenizer, f"{role}_id", None)
        if isinstance(asked, bool) and token is not None and asked != (bool(ids) and ids[place] == token):
            return True
    return False


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


def _content(location: str, revision: str | None, name: str = TOKENIZER_FILE) -> str | None:
    from transformers.utils import cached_file

    file = cached_file(
        location,
        name,
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
