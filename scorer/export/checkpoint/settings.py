"""Is a config.json read as it was meant? Settings that the installed transformers does not know, or changes, stop here.

transformers takes over a key that a configuration class does not know, and no code looks at it: a model trained with
it gives other answers, in silence. Old keys have new names from version to version, and a class may derive one from
another; so a key counts as known where the class has it, or where what it makes of the file depends on it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.code_changes import changed_settings
from scorer.export.checkpoint.exporters import TRANSFORMERS_OF_TORCH, other_environment, version

# Names of settings that move answers. Others, such as dropout and what is written beside a model, do not.
MOVES = re.compile(
    r"rope|rotary|theta|alibi|layer_?types|layers_block_type|window|sliding|local_att|global_att|pool|softcap|scal(e|ing)"
    r"|multiplier|position_embedding|relative|is_causal|causal_|bidirectional|attention_type|qk_norm"
    r"|hidden_act|activation|norm_eps|norm_type|pre_norm|attn_type|attention_bias"
)
# Names like these that no text classifier has ever read, written by the makers of BERT, ALBERT, BLOOM and others; and
# those that `containers` reads.
IDLE = frozenset(
    {
        "offset_alibi", "sbert_ce_default_activation_function", "cross_encoder_activation_fct", "activation_dropout",
        "down_scale_factor", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
        "pooler_size_per_head", "pooler_type",
    }
)  # fmt: skip
# What a setting is where code does not have it.
USUAL = {"position_embedding_type": "absolute", "is_causal": None, "attention_type": "original_full"}
# Settings that a class makes another one of, which says all where it stands in the file.
SAID_BY = dict.fromkeys(("global_attn_every_n_layers", "sliding_window_pattern"), "layer_types")
# Settings that makers wrote under a second name as well, and the name that code reads.
ALSO = {"hidden_act": "hidden_activation", "layer_norm_eps": "norm_eps", "sliding_window_size": "sliding_window"}
KEYS_SHOWN = 4


def writer(fields: Mapping[str, Any]) -> str | None:
    """The version of transformers that wrote a config.json, or None where it does not say."""
    found = fields.get("transformers_version")
    return found if isinstance(found, str) and found else None


def major_of(number: str | None) -> int | None:
    """The first part of a version, or None where there is none."""
    found = re.match(r"\d+", number or "")
    return None if found is None else int(found[0])


def check_writer(fields: Mapping[str, Any], location: str) -> None:
    """Refuse a checkpoint of a later major version of transformers than the installed one.

    Raises:
        ExportError: it is; the message says how to install the other.
    """
    wrote = writer(fields)
    major, installed = major_of(wrote), major_of(version("transformers"))
    if major is None or installed is None or major <= installed:
        return
    cure = (
        other_environment("torch")
        if major == TRANSFORMERS_OF_TORCH
        else f"Export in an environment with transformers {major}, once this project supports it."
    )
    raise ExportError(
        f"'{location}' was written by transformers {wrote}, and {version('transformers')} is installed, which would "
        f"pass over settings that it does not know, and answer otherwise. {cure}"
    )


def check_settings(fields: Mapping[str, Any], config: Any, location: str) -> None:
    """Refuse a config.json whose settings the loaded configuration has lost or changed, where they can move answers.

    Args:
        fields: the content of the file.
        config: what transformers made of it.
        location: hub id or folder.

    Raises:
        ExportError: naming the settings.
    """
    if changed := changed_settings(fields, writer(fields), version("transformers")):
        raise ExportError(
            f"the config.json of '{location}' was written by transformers {writer(fields)}, whose code computes "
            f"{', '.join(changed)} otherwise than {version('transformers')} does: it would not be the model that was "
            "trained. Export in an environment with the version that it was trained with."
        )
    lost = [f"{name} = {value!r}"[:80] for name, value in _lost(fields, config)]
    if lost:
        more = f" and {len(lost) - KEYS_SHOWN} more" if len(lost) > KEYS_SHOWN else ""
        raise ExportError(
            f"the config.json of '{location}' has settings that {type(config).__name__} of transformers "
            f"{version('transformers')} does not know or changes: {', '.join(lost[:KEYS_SHOWN])}{more}. With them the "
            "model may answer otherwise than it was trained to. Export with the version that it was trained with"
            f"{_written(fields)}, or remove them where they had no effect there either."
        )


def _written(fields: Mapping[str, Any]) -> str:
    wrote = writer(fields)
    return "" if wrote is None else f" (its config.json was written by {wrote})"


def _lost(fields: Mapping[str, Any], config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings that move answers and are not in force, with their values."""
    # What a class holds may be made of what the file says (Gemma3 halves its window); a save writes it as it was.
    kind, saved = type(config), config.to_dict()
    for key, value in fields.items():
        part = getattr(config, key, None)
        if isinstance(value, dict) and hasattr(part, "to_dict"):
            yield from _lost(value, part, f"{prefix}{key}.")
        elif MOVES.search(key) and key not in IDLE and value is not None and USUAL.get(key, object()) != value:
            if _said_otherwise(fields, config, key):
                continue
            known = _has(kind, key)
            changed = known and not (_same(value, part) or _same(value, saved.get(key)))
            changed = changed and fields.get(f"use_{key}") is not False
            unknown = not known and value is not False and not _takes(kind, fields, key)  # what is off has no effect
            if changed or unknown:
                yield prefix + key, value


def _said_otherwise(fields: Mapping[str, Any], config: Any, key: str) -> bool:
    """Whether what a setting says is in force by another one."""
    also = ALSO.get(key, "")
    if also in fields and not _has(type(config), key) and fields[also] == fields[key] == getattr(config, also, None):
        return True
    rotary = getattr(config, "rope_parameters", None) or {}
    return fields.get(SAID_BY.get(key, "")) is not None or (key in rotary and rotary[key] == fields[key])


def _has(kind: Any, key: str) -> bool:
    """Whether a configuration class has a setting of that name."""
    try:
        return hasattr(kind(), key)
    except Exception:  # some cannot be made without their parts
        return hasattr(kind, key)


def _takes(kind: Any, fields: Mapping[str, Any], key: str) -> bool:
    """Whether what a class makes of a file, beside the key itself, depends on the key."""
    made = _made(kind, fields, key)
    others = [{name: value for name, value in fields.items() if name != key}]
    value = fields[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        others += [{**fields, key: 2 * value + 1}, {**fields, key: 1}]
    return any(_made(kind, other, key) != made for other in others)


def _made(kind: Any, fields: Mapping[str, Any], key: str) -> Any:
    try:
        made = kind.from_dict(copy.deepcopy(dict(fields))).to_dict()
    except Exception:  # a value that it refuses has been looked at
        return None
    return {name: value for name, value in made.items() if name != key}


def _same(given: Any, loaded: Any) -> bool:
    """Whether a value is in force, written in another way maybe."""
    if isinstance(given, dict) and isinstance(loaded, dict):
        return all(_same(value, loaded.get("rope_type" if name == "type" else name)) for name, value in given.items())
    if isinstance(given, list | tuple) and isinstance(loaded, list | tuple):
        return len(given) == len(loaded) and all(map(_same, given, loaded))
    if isinstance(given, str) and isinstance(loaded, list | tuple):
        return given.split("|") == list(loaded)  # DeBERTa's kinds of attention
    return bool(given == loaded)
