"""A PyTorch checkpoint, opened and judged: is it a single-label text classifier that scores can be trusted from?

Everything that cannot become a correct model directory is refused here, before any work is done. What checkpoints come
in, and how each kind is read, stands in `containers`.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from typing import Any, Literal

from scorer.config import DEFAULT_MAX_LENGTH
from scorer.errors import ExportError, UsageError
from scorer.export.containers.opening import open_container
from scorer.export.containers.place import Wishes, place_of

# transformers writes 1e30 where a tokenizer knows no maximum; no real one comes near this.
LENGTH_SENTINEL = 1_000_000
# Special tokens around a text, at most: a limit that leaves no room beside them is a mistake.
MOST_SPECIAL_TOKENS = 2
NOTHING_SAID = Wishes()


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that passed every check.

    Attributes:
        source: hub id, or the folder's name without its path.
        revision: the hub commit, or None for a folder.
        tokenizer_location: hub id or folder that its tokenizer was read from.
        tokenizer_revision: the hub commit of that, or None for a folder.
        model: the PyTorch model in float32, in evaluation mode.
        tokenizer: the fast tokenizer.
        label_names: the C class names, in the order of the logits' columns.
        pad_token_id: id written into padding.
        max_length: tokens kept of a text by default, special tokens included.
        max_positions: the most tokens that the model can take, or None where it has no limit.
        written_by: version of transformers that wrote it, or None where its config.json does not say.
        notices: what a person should know of it.
    """

    source: str
    revision: str | None
    tokenizer_location: str
    tokenizer_revision: str | None
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
    model: str, *, revision: str | None = None, max_length: int | None = None, wishes: Wishes = NOTHING_SAID
) -> Checkpoint:
    """Load a checkpoint and check that it is a single-label text classifier.

    Args:
        model: hub id or folder.
        revision: branch, tag or commit of a hub checkpoint.
        max_length: tokens to keep of a text; None takes what tokenizer and model allow, at most 512.
        wishes: what else a person says of it.

    Raises:
        ExportError: the checkpoint is missing, damaged, or not a single-label text classifier.
        UsageError: `max_length` is more than the model can take, or an option does not fit the checkpoint.
        MissingExtraError: a package that this kind of checkpoint needs is not installed.
    """
    place = place_of(model, revision, trust_remote_code=wishes.trust_remote_code)
    if not place.hub and revision is not None:
        raise UsageError(f"--revision {revision} names a hub commit, but '{model}' is a local folder.")
    contents = open_container(place, wishes)
    network, tokenizer = contents.model, contents.tokenizer
    _check_vocabulary(tokenizer, network, place.location)
    _forget_padding(network)
    max_positions = position_limit(network)
    return Checkpoint(
        source=model if place.hub else place.name,
        revision=contents.commit,
        tokenizer_location=contents.tokenizer_place.location,
        tokenizer_revision=contents.tokenizer_place.revision,
        model=network,
        tokenizer=tokenizer,
        label_names=contents.label_names,
        pad_token_id=_choose_padding(tokenizer, network, place.location),
        max_length=_choose_length(max_length, tokenizer.model_max_length, max_positions),
        max_positions=max_positions,
        written_by=contents.written_by,
        notices=contents.notices,
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
            padding = int(module.padding_idx)
            return limit if padding == limit - 1 else limit - (padding + 1)  # so torch writes an id of -1
    return limit


def _forget_padding(model: Any) -> None:
    """Have a model without a padding id where its own is no token's, such as -1, in place.

    It answers a text alone as before; of several, it would take the last column for each one's last token.
    """
    config = model.config.get_text_config()
    padding = config.pad_token_id
    if isinstance(padding, int) and not 0 <= padding < _embedding_rows(model) and not model.config.is_encoder_decoder:
        config.pad_token_id = None


def _check_vocabulary(tokenizer: Any, model: Any, location: str) -> None:
    highest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])  # (token, id)
    rows = _embedding_rows(model)
    if highest[1] >= rows:
        raise ExportError(
            f"the tokenizer of '{location}' gives ids up to {highest[1]} ('{highest[0]}'), but the model has "
            f"embeddings for {rows} only: the two do not belong together. Give the tokenizer that the model was "
            "trained with."
        )


def _embedding_rows(model: Any) -> int:
    """How many token ids the model has embeddings for."""
    embeddings = model.get_input_embeddings()
    if not hasattr(embeddings, "weight"):  # Perceiver gives its latents, a parameter
        return int(model.config.vocab_size)
    return int(embeddings.weight.shape[0])


def _choose_padding(tokenizer: Any, model: Any, location: str) -> int:
    """The id that is written into padding."""
    rows = _embedding_rows(model)
    # The model's own id comes first: where padding matters to it, that is the one its code looks for.
    for token_id in (model.config.get_text_config().pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token_id, int) and 0 <= token_id < rows:
            return token_id
    raise ExportError(
        f"'{location}' has neither a padding token nor an end-of-text token, so texts of different length cannot "
        "share a batch. Set pad_token_id in its config.json."
    )


def _choose_length(wanted: int | None, tokenizer_limit: Any, max_positions: int | None) -> int:
    if wanted is None:
        if not isinstance(tokenizer_limit, int | float) or tokenizer_limit <= MOST_SPECIAL_TOKENS:
            raise UsageError(
                f"the checkpoint's tokenizer says model_max_length {tokenizer_limit!r}, which leaves no room "
                "for a text. Give --max-length, or set it right."
            )
        limits = [DEFAULT_MAX_LENGTH, max_positions or DEFAULT_MAX_LENGTH]
        return min(limits if tokenizer_limit > LENGTH_SENTINEL else [*limits, int(tokenizer_limit)])
    if max_positions is not None and wanted > max_positions:
        raise UsageError(f"--max-length {wanted} is more than the {max_positions} tokens that the model can take.")
    return wanted
