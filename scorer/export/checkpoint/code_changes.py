"""Settings that versions of transformers compute otherwise, though config.json says the same.

Found by reading checkpoints in other versions than those that recorded what they answer. A checkpoint whose settings
mean something else to the installed version than to the one that wrote it is refused. Imports nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any

Version = tuple[int, int]
Fields = Mapping[str, Any]
# The usual attention of some models passed over a setting up to the first version, and obeys it in the second.
IGNORED, OBEYED = (5, 0), (5, 24)


def changed_settings(fields: Fields, wrote: str | None, reads: str | None) -> list[str]:
    """Names of settings that two versions compute differently.

    Args:
        fields: the content of config.json.
        wrote: version of transformers that wrote it; None where it does not say, and nothing can be told.
        reads: the installed one.
    """
    versions = _version(wrote), _version(reads)
    if None in versions:
        return []
    before, now = (version for version in versions if version is not None)
    return [name for name, meaning in MEANINGS.items() if meaning(fields, before) != meaning(fields, now)]


def _version(number: str | None) -> Version | None:
    found = re.match(r"(\d+)\.(\d+)", number or "")
    return None if found is None else (int(found[1]), int(found[2]))


def _yarn(fields: Fields, version: Version) -> Hashable:
    """YaRN's factor, and the length that it starts from."""
    scaling = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    if "yarn" not in (scaling.get("rope_type"), scaling.get("type")):
        return None
    factor, most = scaling.get("factor"), fields.get("max_position_embeddings")
    original = scaling.get("original_max_position_embeddings") or most
    if version < (4, 51):
        return factor, most
    if version < (4, 56) and most and original != most:
        return most / original, original
    return factor, original


def _windows(fields: Fields, version: Version) -> Hashable:
    """Qwen2's window, and the first layer that has it."""
    window, most = fields.get("sliding_window"), fields.get("max_position_embeddings")
    if fields.get("model_type") not in {"qwen2", "qwen2_moe"} or not window or (most and window >= most):
        return None
    used = bool(fields.get("use_sliding_window"))
    first, layers = fields.get("max_window_layers", 0), fields.get("num_hidden_layers", 0)
    if version < (4, 53):
        return (window, 0) if used or version < (4, 52) else None
    return (window, first) if used and first < layers else None


def _layer_scale(fields: Fields, version: Version) -> Hashable:
    """Whether GPT-2 divides attention scores by the number of the layer."""
    return fields.get("model_type") == "gpt2" and fields.get("scale_attn_by_inverse_layer_idx") and _obeyed(version)


def _softcap(fields: Fields, version: Version) -> Hashable:
    """Whether Gemma 2 caps attention scores."""
    capped = fields.get("attn_logit_softcapping", "by default") is not None
    return fields.get("model_type") == "gemma2" and capped and _obeyed(version)


def _local_rotary(fields: Fields, version: Version) -> Hashable:
    """Base of ModernBERT decoder's rotary positions in local layers: transformers 4 took the global one there."""
    layers = fields.get("layer_types") or ["sliding_attention"]
    if fields.get("model_type") != "modernbert-decoder" or "sliding_attention" not in layers:
        return None
    usual = fields.get("global_rope_theta", 160_000.0)
    if version < (5, 0):
        return float(usual)
    return float(fields.get("local_rope_theta", 10_000.0)) if "rope_parameters" not in fields else None


def _obeyed(version: Version) -> Hashable:
    """Whether a version obeys what earlier ones passed over; itself where nobody knows."""
    if version <= IGNORED:
        return False
    return True if version >= OBEYED else version


MEANINGS: Mapping[str, Callable[[Fields, Version], Hashable]] = {
    "rope_scaling of type yarn": _yarn,
    "sliding_window": _windows,
    "scale_attn_by_inverse_layer_idx": _layer_scale,
    "attn_logit_softcapping": _softcap,
    "local_rope_theta": _local_rotary,
}
