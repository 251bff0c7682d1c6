"""A checkpoint's weights, loaded so that the model is the one that was trained: none missing, none left out.

transformers fills what is missing with random numbers and drops what it has no place for, with a warning that scrolls
by. Here both are refused where they can move an answer. Imports `transformers` and `torch`, and only when it loads.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.files import check_weights
from scorer.export.checkpoint.weight_names import without_prefix, wrapper_prefix

WEIGHTS_SHOWN = 4
LONGEST_MESSAGE = 400
# Weights that have a place in no text classifier and move no answer: tables that the code computes by itself, and heads
# of pretraining, which read the encoder's output beside the classifier.
COMPUTED = re.compile(r"(^|\.)(position_ids|token_type_ids|inv_freq|masked_bias|version)$")
# What torch says of weights of another size: rows and further sizes, as they are and as they are expected.
_SIZE = r"torch\.Size\(\[(\d+)((?:, \d+)*)\]\)"
SIZES = re.compile(rf"{_SIZE} from checkpoint, the shape in current model is {_SIZE}")
PRETRAINING_HEADS = (
    "cls.",
    "lm_head.",
    "vocab_transform.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "generator_predictions.",
    "generator_lm_head.",
    "discriminator_predictions.",
    "predictions.",
    "sop_classifier.",
    "mask_predictions.",
    "lm_predictions.",
    "lm_loss.",
)


def load_model(location: str, config: Any, options: Mapping[str, Any], *, classes_known: bool) -> tuple[Any, list[str]]:
    """The text classifier in float32, in evaluation mode, and what a person should know of it.

    Args:
        location: hub id or folder.
        config: the configuration to load it by.
        options: revision and trust_remote_code.
        classes_known: whether the checkpoint tells its number of classes; where it does not, the weights do.

    Raises:
        ExportError: weights are absent, damaged, missing, or left out; or they are another task's.
    """
    check_weights(location)
    with _uncompiled(), _without_bar_of_weights():
        model, loading = _load(location, config, options, classes_known=classes_known)
        prefix = wrapper_prefix(loading["missing_keys"], loading["unexpected_keys"])
        if prefix is not None:
            renamed = {**options, "key_mapping": without_prefix(prefix)}
            model, loading = _load(location, config, renamed, classes_known=classes_known)
    model.config.return_dict = True  # answers by name, whatever its owner preferred
    if missing := sorted(loading["missing_keys"]):
        raise ExportError(
            f"'{location}' has no weights for {listed(missing)}: they would be random. It is not a fine-tuned text "
            "classifier; fine-tune it first, or give the checkpoint that was."
        )
    notices = [] if prefix is None else [f"weights were read without the prefix '{prefix}' of a wrapped model's names"]
    notices += _judge_left_out(location, model, loading["unexpected_keys"])
    notices += _judge_architecture(location, model, config.architectures or [], loading["unexpected_keys"])
    return model.eval(), notices


def load_part(
    location: str, config: Any, options: Mapping[str, Any], *, kind: str, given: Callable[[str], bool]
) -> tuple[Any, list[str]]:
    """A model to which other files give the rest, in float32, in evaluation mode; and what a person should know of it.

    Args:
        location: hub id or folder.
        config: the configuration to load it by.
        options: revision and trust_remote_code.
        kind: name of the class of transformers that loads it.
        given: whether weights of a name come from elsewhere, or move no answer.

    Raises:
        ExportError: weights are absent, damaged, left out, or missing though nothing else gives them.
    """
    import torch
    import transformers

    check_weights(location)
    with _uncompiled(), _without_bar_of_weights():
        try:
            model, loading = getattr(transformers, kind).from_pretrained(
                location,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
        except Exception as error:
            if not options["trust_remote_code"] and "trust_remote_code" in str(error):
                raise needs_remote_code(location) from error
            raise ExportError(f"the weights of '{location}' do not load: {brief(error)}") from error
    absent = {*loading["missing_keys"], *(name for name, *_ in loading["mismatched_keys"])}
    if missing := sorted(name for name in absent if not given(name)):
        raise ExportError(
            f"'{location}' has no weights for {listed(missing)}, or weights of another size, and nothing else gives "
            "them: they would be random. Give the model that was fine-tuned, complete."
        )
    return model.eval(), _judge_left_out(location, model, loading["unexpected_keys"])


@contextlib.contextmanager
def _uncompiled() -> Iterator[None]:
    """Leave functions as they are that a model would compile: what is compiled cannot be traced."""
    import torch

    before = torch.compile
    torch.compile = lambda *_, **__: lambda function: function
    try:
        yield
    finally:
        torch.compile = before


def _load(location: str, config: Any, options: Mapping[str, Any], *, classes_known: bool) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        loaded: tuple[Any, Any] = AutoModelForSequenceClassification.from_pretrained(
            location, config=config, dtype=torch.float32, output_loading_info=True, **options
        )
        return loaded
    except Exception as error:
        if not options["trust_remote_code"] and "trust_remote_code" in str(error):
            raise needs_remote_code(location) from error
        message, shown = str(error), brief(error)
        if "ignore_mismatched_sizes" in message and not SIZES.search(message):  # transformers 5 logs the sizes
            sizes = _mismatched_sizes(location, config, options)
            message, shown = "; ".join(sizes), f"weights are of another size, {listed(sizes)}."
        outputs = _outputs_of_head(message, config.num_labels)
        if outputs is not None and not classes_known:
            config.num_labels = outputs
            return _load(location, config, options, classes_known=True)
        if outputs is not None:
            known = (
                f"the weights of its head have {outputs} outputs, but its config.json names {config.num_labels} "
                "classes. Correct id2label, a name for each output."
            )
        elif setting := _setting_at_fault(error, config):
            known = f"its config.json says {setting}, which no model can be made with. Correct it."
        else:
            known = f"{shown} Check that the weights are complete and belong to its config.json."
        raise ExportError(f"the weights of '{location}' do not load as a text classifier: {known}") from error


def _setting_at_fault(error: Exception, config: Any) -> str | None:
    """The setting whose value keeps a model from being made, as far as the error tells, with its value."""
    fields = config.to_dict()
    if "Padding_idx must be within num_embeddings" in str(error):
        name = "pad_token_id"
    elif isinstance(error, KeyError) and error.args:
        name = next((name for name, value in fields.items() if value == error.args[0]), "")
    else:
        return None
    return f"{name} = {fields[name]!r}" if name in fields else None


@contextlib.contextmanager
def _without_bar_of_weights() -> Iterator[None]:
    """Hide the progress bar that transformers 5 shows for each loading of weights; downloads keep theirs."""
    from huggingface_hub.utils.tqdm import enable_progress_bars
    from transformers.utils import logging

    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()  # of the hub's client too
    enable_progress_bars()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _mismatched_sizes(location: str, config: Any, options: Mapping[str, Any]) -> list[str]:
    """Which weights are of another size than the model's, each in the words of torch."""
    import torch
    from transformers import AutoModelForSequenceClassification

    _, loading = AutoModelForSequenceClassification.from_pretrained(
        location, config=config, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True, **options
    )
    return [
        f"{name}: {torch.Size(found)} from checkpoint, the shape in current model is {torch.Size(expected)}"
        for name, found, expected in sorted(loading["mismatched_keys"])
    ]


def _outputs_of_head(message: str, classes: int) -> int | None:
    """How many classes the weights are for, where by torch's message that alone keeps them from loading."""
    found = SIZES.findall(message)
    outputs = {int(rows) for rows, rest, expected, rest_expected in found if rest == rest_expected}
    others = [each for each in found if each[1] != each[3] or int(each[2]) != classes]
    return outputs.pop() if len(outputs) == 1 and not others else None


def _judge_left_out(location: str, model: Any, unexpected: Iterable[str]) -> list[str]:
    """Refuse weights that the classifier has no place for, unless they cannot move an answer."""
    has_pooler = any(name.split(".")[-1] == "pooler" for name, _ in model.named_modules())
    left_out = [name for name in sorted(unexpected) if not COMPUTED.search(name)]
    harmless = [
        name
        for name in left_out
        if name.startswith(PRETRAINING_HEADS) or ("pooler" in name.split(".")[:-1] and not has_pooler)
    ]
    trained = [name for name in left_out if name not in harmless]
    if trained:
        raise ExportError(
            f"'{location}' holds weights that {type(model).__name__} does not use: {listed(trained)}. Without them it "
            "is not the model that was trained. If adapters were trained, export the folder of the adapter; if the "
            "checkpoint has a class of its own, save it with its code and export with --trust-remote-code; remove what "
            "is left over from elsewhere."
        )
    return [f"left out, since they move no answer of a text classifier: {listed(harmless)}"] if harmless else []


def _judge_architecture(location: str, model: Any, named: Sequence[str], unexpected: Iterable[str]) -> list[str]:
    """What to say of a config.json that names another class; refuses weights that were saved as another task's."""
    loaded = type(model).__name__
    if not named or loaded in named:
        return []
    other = str(named[0])
    if not other.endswith("ForSequenceClassification") and _fits(other, model, unexpected):
        raise ExportError(
            f"'{location}' was saved as {other} (architectures in its config.json), which is another task's model; "
            f"its weights also fit {loaded}, but were not trained for that. Give a text classifier, or, if it is one, "
            f'correct architectures to ["{loaded}"].'
        )
    return [
        f"warning: the config.json of '{location}' names the class {other}, and {loaded} is exported: all weights "
        "have their place in it, but what it does with them may differ from what was trained"
    ]


def _fits(name: str, model: Any, unexpected: Iterable[str]) -> bool:
    """Whether the checkpoint has the weights of another class of transformers, all of them and no others."""
    import torch
    import transformers

    try:
        with torch.device("meta"):
            other = getattr(transformers, name)(model.config)
    except Exception:  # no such class, or not one for this configuration
        return False
    return bool(other.state_dict().keys() == model.state_dict().keys() | set(unexpected))


def needs_remote_code(location: str) -> ExportError:
    """The refusal of a checkpoint with code of its own."""
    return ExportError(
        f"'{location}' brings its own Python code, which loading it would run. Read that code; if you trust it, "
        "export again with --trust-remote-code."
    )


def brief(error: Exception) -> str:
    """The first line of a foreign message, or two where it ends in a colon, as a sentence that is not too long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    said = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    if isinstance(error, KeyError):
        said = f"{said} is not known"
    return (said if len(said) <= LONGEST_MESSAGE else f"{said[:LONGEST_MESSAGE]}…").rstrip(". ") + "."


def listed(names: Sequence[str]) -> str:
    """The first of some names."""
    more = f" and {len(names) - WEIGHTS_SHOWN} more" if len(names) > WEIGHTS_SHOWN else ""
    return ", ".join(names[:WEIGHTS_SHOWN]) + more
