"""A folder or repository that transformers itself reads: config.json and weights of a text classifier.

sentence-transformers' CrossEncoder is one too, with a record of its own beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.config import check_single_label, load_config, read_config
from scorer.export.checkpoint.settings import writer
from scorer.export.checkpoint.tokenizer_file import take_file
from scorer.export.checkpoint.weights import load_model
from scorer.export.containers.one_logit import SIGMOID, check_one_logit, names_of_two, to_two_logits
from scorer.export.containers.place import Contents, Place, Wishes
from scorer.export.containers.tokenizers import load_tokenizer, tokenizer_place

CONFIG_FILE = "config.json"
SENTENCE_TRANSFORMERS = "config_sentence_transformers.json"
# The activation's place in config.json, before sentence-transformers had a file of its own for it, and before that.
OLD_RECORD, OLDEST_ACTIVATION = "sentence_transformers", "sbert_ce_default_activation_function"


def open_plain(place: Place, wishes: Wishes) -> Contents:
    """The text classifier of a place.

    Raises:
        ExportError: it is none, or cannot be read rightly.
    """
    location = place.location
    fields = read_config(location, place.options, hub=place.hub)
    pinned = place.pinned(CONFIG_FILE)
    if pinned != place:
        place, fields = pinned, read_config(location, pinned.options, hub=True)
    commit = place.revision if place.hub else None
    check_own_code(place, fields)
    config, knows_classes, notices = load_config(fields, location, place.options)
    check_prompt(place)
    activation = recorded_activation(place, fields)
    if config.num_labels == 1 and knows_classes:
        check_one_logit(config, location, activation, wishes.one_logit)
    at = tokenizer_place(place, wishes)
    tokenizer = load_tokenizer(at)
    taken = take_file(tokenizer, at.location, at.revision, writer(fields if at == place else written_at(at)))
    network, more = load_model(location, config, place.options, classes_known=knows_classes)
    names, widened = label_names(network, location, activation, wishes)  # the weights may have told their number
    said = (*notices, *more, *([] if taken is None else [taken]), *widened)
    return Contents(network, tokenizer, at, names, commit, writer(fields), said)


def label_names(
    model: Any, location: str, activation: str | None, wishes: Wishes
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a model's classes; a head of one logit is made one of two, in place. And what to know of it.

    Raises:
        ExportError: it is not a classifier of one label.
    """
    config = model.config
    notices: tuple[str, ...] = ()
    check_single_label(config, location)
    if config.num_labels == 1:
        said = check_one_logit(config, location, activation, wishes.one_logit)
        names = names_of_two(config.id2label)
        to_two_logits(model, names, location)
        notices = (f"{said}; the classes are {names[0]} and {names[1]}",)
    elif activation == SIGMOID:
        raise ExportError(
            f"'{location}' is a multi-label classifier: sentence-transformers gives the sigmoid of each of its "
            f"{config.num_labels} logits, so its classes do not exclude each other, and a cross-entropy over them "
            "means nothing. Give a single-label classifier."
        )
    elif wishes.one_logit is not None:
        raise ExportError(f"--one-logit is for heads of one logit; that of '{location}' has {config.num_labels}.")
    return tuple(config.id2label[index] for index in range(config.num_labels)), notices


def check_own_code(place: Place, fields: Mapping[str, Any]) -> None:
    """Refuse a model whose own code lies beside it, where that is not to run: the library's class may answer otherwise.

    Raises:
        ExportError: it has code for the classifier or its body, and nobody asked to run it.
    """
    names = fields.get("auto_map")
    if place.trust_remote_code or not isinstance(names, Mapping):
        return
    for kind in ("AutoModelForSequenceClassification", "AutoModel"):
        target = names.get(kind)
        if isinstance(target, str) and place.find(f"{target.rpartition('--')[2].partition('.')[0]}.py") is not None:
            raise ExportError(
                f"'{place.location}' brings code of its own for {kind} ({target}), and the class that transformers has "
                "for its model_type may answer otherwise. Give --trust-remote-code to run its code, or take auto_map "
                "out of its config.json if it was trained with the class of transformers."
            )


def check_prompt(place: Place) -> None:
    """Refuse a model that sentence-transformers gives a prompt before every text.

    Raises:
        ExportError: it has one.
    """
    record = place.json(SENTENCE_TRANSFORMERS) or {}
    default = record.get("default_prompt_name")
    prompt = (record.get("prompts") or {}).get(default) if default else None
    if prompt:
        raise ExportError(
            f"'{place.location}' reads the prompt {prompt!r} before every text (default_prompt_name in its "
            f"{SENTENCE_TRANSFORMERS}), which scoring would leave out. Write the prompt into the texts and set "
            "default_prompt_name to null."
        )


def recorded_activation(place: Place, fields: Mapping[str, Any]) -> str | None:
    """The function that sentence-transformers' CrossEncoder puts after the logits, or None where it records none."""
    record = place.json(SENTENCE_TRANSFORMERS) or {}
    found = record.get("activation_fn") if record.get("model_type") == "CrossEncoder" else None
    old = fields.get(OLD_RECORD)
    if found is None and isinstance(old, Mapping):
        found = old.get("activation_fn")
    found = found or fields.get(OLDEST_ACTIVATION)
    return found if isinstance(found, str) else None


def written_at(place: Place) -> Mapping[str, Any]:
    """The config.json beside a tokenizer, which tells who wrote it; empty where there is none."""
    return place.json(CONFIG_FILE) or {}
