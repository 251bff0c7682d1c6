"""A PyTorch checkpoint, opened and judged: is it a single-label text classifier that scores can be trusted from?

Everything that cannot become a correct model directory is refused here, before any work is done. Imports
`transformers` and `torch`, and only when a checkpoint is opened.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from scorer.checkpoint_config import check_single_label, load_config, read_config
from scorer.checkpoint_settings import writer
from scorer.checkpoint_weights import brief, load_model, needs_remote_code
from scorer.config import DEFAULT_MAX_LENGTH
from scorer.errors import ExportError, UsageError
from scorer.tokenizer_file import take_file

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
# transformers writes 1e30 where a tokenizer knows no maximum; no real one comes near this.
LENGTH_SENTINEL = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that passed every check.

    Attributes:
        location: hub id or folder that the libraries load from.
        source: hub id, or the folder's name without its path.
        revision: the hub commit, or None for a folder.
        model: the PyTorch model in float32, in evaluation mode.
        tokenizer: the fast tokenizer.
        label_names: the C class names, in the order of the logits' columns.
        pad_token_id: id written into padding.
        max_length: tokens kept of a text by default, special tokens included.
        max_positions: the most tokens that the model can take, or None where it has no limit.
        written_by: version of transformers that wrote it, or None where its config.json does not say.
        notices: what a person should know of it.
    """

    location: str
    source: str
    revision: str | None
    model: Any
    tokenizer: Any
    label_names: tuple[str, ...]
    pad_token_id: int
    max_length: int
    max_positions: int | None
    written_by: str | None
    notices: tuple[str, ...]

    @property
    def truncation_side(self) -> Literal["left", "right"]:
        """The side from which long texts are cut."""
        return "left" if self.tokenizer.truncation_side == "left" else "right"

    @property
    def segments(self) -> bool:
        """Whether the tokenizer gives segments and the model takes them; where not, it has learned with none."""
        return "token_type_ids" in self.tokenizer.model_input_names and takes(self.model, "token_type_ids")

    def fresh_model(self) -> Any:
        """The model as it was loaded: the same weights, and a state of its own.

        Some models remember what they have seen: BigBird attends to everything for good once a text was short.
        """
        weights = {id(parameter): parameter for parameter in self.model.parameters()}
        return copy.deepcopy(self.model, weights)


def open_checkpoint(
    model: str, *, revision: str | None = None, max_length: int | None = None, trust_remote_code: bool = False
) -> Checkpoint:
    """Load a checkpoint and check that it is a single-label text classifier.

    Args:
        model: hub id or folder.
        revision: branch, tag or commit of a hub checkpoint.
        max_length: tokens to keep of a text; None takes what tokenizer and model allow, at most 512.
        trust_remote_code: let the checkpoint's own Python code run.

    Raises:
        ExportError: the checkpoint is missing, damaged, or not a single-label text classifier.
        UsageError: `max_length` is more than the model can take.
    """
    folder = _local_folder(model)
    if folder is not None and revision is not None:
        raise UsageError(f"--revision {revision} names a hub commit, but '{model}' is a local folder.")
    location = model if folder is None else str(folder)
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    fields = read_config(location, options, hub=folder is None)
    commit = _commit(location, revision) if folder is None else None
    if commit is not None:
        options["revision"] = commit  # all files come from one commit, whatever is pushed meanwhile
        fields = read_config(location, options, hub=True)
    config, knows_classes, notices = load_config(fields, location, options)
    tokenizer = _load_tokenizer(location, options)
    taken = take_file(tokenizer, location, commit, writer(fields))
    network, more = load_model(location, config, options, classes_known=knows_classes)
    check_single_label(config, location)  # again: the weights may have told the number of classes
    _check_vocabulary(tokenizer, network, location)
    max_positions = position_limit(network)
    return Checkpoint(
        location=location,
        source=model if folder is None else folder.name,
        revision=commit,
        model=network,
        tokenizer=tokenizer,
        label_names=tuple(config.id2label[index] for index in range(config.num_labels)),
        pad_token_id=_choose_padding(tokenizer, network, location),
        max_length=_choose_length(max_length, tokenizer.model_max_length, max_positions),
        max_positions=max_positions,
        written_by=writer(fields),
        notices=(*notices, *more, *([] if taken is None else [taken])),
    )


def takes(model: Any, name: str) -> bool:
    """Whether a model can be called with an input of that name."""
    parameters = inspect.signature(model.forward).parameters
    return name in parameters


def position_limit(model: Any) -> int | None:
    """The most tokens that a model can take, or None where positions are relative.

    Families after RoBERTa number positions from the padding id upwards, so that their tables hold padding id + 1
    rows more than tokens; such a table knows its padding row.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit <= 0:
        return None
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return limit - (int(module.padding_idx) + 1)
    return limit


def _local_folder(model: str) -> Path | None:
    """The folder that `model` names, or None for a hub id."""
    path = Path(model).expanduser()
    if path.is_dir():
        if (path / "config.json").is_file():
            return path.resolve()
        hint = "Give the folder that save_pretrained wrote."
        if (path / "adapter_config.json").is_file():
            hint = "It holds a PEFT adapter: merge it into its base model first (merge_and_unload) and save that."
        raise ExportError(f"'{model}' has no config.json, so it is not a transformers checkpoint. {hint}")
    if path.exists():
        raise ExportError(f"'{model}' is a file. Give the checkpoint's folder, or a hub id.")
    if not HUB_ID.fullmatch(model) or model.startswith("."):
        raise ExportError(f"'{model}' does not exist. Give a checkpoint's folder, or a hub id such as owner/name.")
    return None


def _commit(location: str, revision: str | None) -> str | None:
    """The commit of a hub checkpoint whose config.json has been read."""
    from transformers.utils import cached_file
    from transformers.utils.hub import extract_commit_hash

    commit: str | None = extract_commit_hash(cached_file(location, "config.json", revision=revision), None)
    return commit


def _load_tokenizer(location: str, options: Mapping[str, Any]) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(location, use_fast=True, **options)
    except Exception as error:
        if not options["trust_remote_code"] and "trust_remote_code" in str(error):
            raise needs_remote_code(location) from error
        raise ExportError(
            f"'{location}' has no tokenizer that loads as a fast one: {brief(error)} Add the tokenizer.json of the "
            "model it was trained from."
        ) from error
    if not tokenizer.is_fast:
        raise ExportError(
            f"the tokenizer of '{location}', {type(tokenizer).__name__}, has no fast form: scoring reads a "
            "tokenizer.json. Convert it with a library that writes one, or choose another checkpoint."
        )
    if _is_empty(tokenizer):
        raise ExportError(
            f"'{location}' has no tokenizer: {type(tokenizer).__name__}, which transformers made without its files, "
            "knows no word and no letter. Add the tokenizer.json of the model it was trained from."
        )
    return tokenizer


def _is_empty(tokenizer: Any) -> bool:
    """Whether all tokens are special: transformers 5 makes such a tokenizer where a checkpoint has no files of one."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    words = tokenizer.get_vocab().keys() - added - set(tokenizer.all_special_tokens)
    return not any(letter.isalnum() for word in words for letter in word)


def _check_vocabulary(tokenizer: Any, model: Any, location: str) -> None:
    highest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])  # (token, id)
    rows = model.get_input_embeddings().weight.shape[0]
    if highest[1] >= rows:
        raise ExportError(
            f"the tokenizer of '{location}' gives ids up to {highest[1]} ('{highest[0]}'), but the model has "
            f"embeddings for {rows} only: the two do not belong together. Give the tokenizer that the model was "
            "trained with."
        )


def _choose_padding(tokenizer: Any, model: Any, location: str) -> int:
    """The id that is written into padding."""
    rows = model.get_input_embeddings().weight.shape[0]
    # The model's own id comes first: where padding matters to it, that is the one its code looks for.
    for token_id in (model.config.get_text_config().pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token_id, int) and 0 <= token_id < rows:
            return token_id
    raise ExportError(
        f"'{location}' has neither a padding token nor an end-of-text token, so texts of different length cannot "
        "share a batch. Set pad_token_id in its config.json."
    )


def _choose_length(wanted: int | None, tokenizer_limit: int, max_positions: int | None) -> int:
    if wanted is None:
        limits = [DEFAULT_MAX_LENGTH, max_positions or DEFAULT_MAX_LENGTH]
        return min(limits if tokenizer_limit > LENGTH_SENTINEL else [*limits, int(tokenizer_limit)])
    if max_positions is not None and wanted > max_positions:
        raise UsageError(f"--max-length {wanted} is more than the {max_positions} tokens that the model can take.")
    return wanted
