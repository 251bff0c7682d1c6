"""Attention as one node of ONNX Runtime, for every model whose attention goes through transformers' interface.

Fusion by construction, not by pattern: transformers 5 asks a function of our own for the attention of each layer, and
this one writes `com.microsoft.MultiHeadAttention` into the traced graph. It is for tracing alone: the node has no
PyTorch code behind it. Padding is taken to be on the right, as the collator puts it. Local attention is written as
attributes of the node, which `attention.long_attention` turns into what the operator knows.
"""

from __future__ import annotations

from typing import Any

from scorer.export.attention.attention_window import CAUSAL, EVERYTHING, Window, measured_window, window_attributes

# The name under which transformers finds the two functions below.
NAME = "scorer"
# Where a mask says which window it stands for.
WINDOW = "scorer_window"
# Arguments that attention functions are given and that change nothing in a pass without cache and gradients.
HARMLESS = frozenset(
    {
        "cache", "cache_position", "dropout", "head_mask", "is_causal", "layer_idx", "logits_to_keep",
        "output_attentions", "output_hidden_states", "past_key_values", "position_bias", "position_embeddings",
        "position_ids", "return_dict", "scaling", "sliding_window", "token_type_ids", "use_cache",
    }
)  # fmt: skip


class UnfusableError(Exception):
    """A layer computes attention in a way that the fused operator does not."""


def register() -> None:
    """Make the attention known to transformers, as the implementation `NAME`."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, make_mask)


def make_mask(  # noqa: PLR0917 — transformers' signature
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    mask_function: Any = None,
    attention_mask: Any = None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    **options: Any,
) -> Any:
    """What each query may look at: None, or a bool tensor that broadcasts to [B, n, T, S], true where it may.

    Causal masks leave the padding out: it is on the right, where no real token looks. Padding alone is [B, 1, 1, S],
    which the operator takes as it is. The mask of a window holds it, with the padding, as an attribute: a layer that is
    given this very tensor needs none of its numbers, and what no layer reads is not written.
    """
    from transformers.masking_utils import bidirectional_mask_function, causal_mask_function, sdpa_mask

    if mask_function is bidirectional_mask_function and attention_mask is not None:
        return attention_mask[:, None, None, :]
    if mask_function is causal_mask_function and allow_is_causal_skip:
        return None
    mask = sdpa_mask(
        batch_size,
        q_length,
        kv_length,
        q_offset=q_offset,
        kv_offset=kv_offset,
        mask_function=mask_function,
        attention_mask=attention_mask,
        allow_is_causal_skip=False,
        allow_is_bidirectional_skip=False,
        **options,
    )
    window = measured_window(mask_function) if (q_offset, kv_offset) == (0, 0) else None
    if window is not None:
        padded = attention_mask is not None and window.right > 0
        setattr(mask, WINDOW, (window, attention_mask[:, None, None, :] if padded else None))
    return mask


def attend(  # noqa: PLR0917 — transformers' signature
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Any = None,
    **options: Any,
) -> tuple[Any, None]:
    """The attention of one layer.

    Args:
        module: the layer, which may say `is_causal`.
        query: float32 [B, n, T, d].
        key: float32 [B, m, S, d], where m divides n.
        value: float32 [B, m, S, e].
        attention_mask: None, or bool or float, as `make_mask` or the model made it.
        scaling: of the scores; None is 1 / sqrt(d).
        is_causal: of this call, over the module's own.
        position_bias: float, added to the scores; broadcasts to [B, n, T, S].
        **options: whatever else the model passes on.

    Returns:
        float32 [B, T, n, e], and no probabilities.

    Raises:
        UnfusableError: an option changes the scores in another way.
    """
    import torch

    strange = sorted(name for name, given in options.items() if name not in HARMLESS and _matters(given))
    if strange:
        raise UnfusableError(f"its attention takes {', '.join(strange)}")
    batch, heads, length, width = query.shape
    groups = heads // key.shape[1]
    causal = attention_mask is None and (getattr(module, "is_causal", True) if is_causal is None else bool(is_causal))
    window, attention_mask = _window_and_mask(attention_mask, causal=causal)
    padding, bias = _padding_and_bias(attention_mask, position_bias, query, key)
    out = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        (_side_by_side(query), _side_by_side(key, groups), _side_by_side(value, groups), None, padding, bias),
        attrs={
            "num_heads": heads,
            "scale": float(width**-0.5 if scaling is None else scaling),
        }
        | window_attributes(window),
        dtype=query.dtype,
        shape=(batch, length, heads * value.shape[3]),
        version=1,
    )
    return out.reshape(batch, length, heads, value.shape[3]), None


def _window_and_mask(mask: Any, *, causal: bool) -> tuple[Window, Any]:
    """The window of a layer, and what of its mask is left besides."""
    if causal:
        return CAUSAL, None
    found: tuple[Window, Any] = getattr(mask, WINDOW, (EVERYTHING, mask))
    return found


def _matters(given: Any) -> bool:
    return given is not None and given is not False and not isinstance(given, str)


def _side_by_side(states: Any, groups: int = 1) -> Any:
    """[B, m, T, d] to [B, T, m groups d]: heads beside each other, each as often as query heads share it."""
    batch, heads, length, width = states.shape
    states = states.transpose(1, 2)
    if groups > 1:
        states = states[:, :, :, None].expand(batch, length, heads, groups, width)
    return states.reshape(batch, length, heads * groups * width)


def _padding_and_bias(mask: Any, position_bias: Any, query: Any, key: Any) -> tuple[Any, Any]:
    """The operator's two masks: padding int32 [B, S], and float [1 or B, 1 or n, T, S] to be added to the scores."""
    import torch

    padding, bias = None, position_bias
    if mask is not None and mask.dtype == torch.bool and mask.ndim == 4 and _is_one(mask.shape[1], mask.shape[2]):
        padding = mask[:, 0, 0, :].to(torch.int32)
    elif mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.where(mask, 0.0, torch.finfo(query.dtype).min)
        bias = mask if bias is None else bias + mask
    if bias is not None:
        bias = bias.expand(bias.shape[0], bias.shape[1], query.shape[2], key.shape[2])
    return padding, bias


def _is_one(*sizes: Any) -> bool:
    """Whether sizes are 1 as the model wrote them, and not by chance of the example."""
    return all(isinstance(size, int) and size == 1 for size in sizes)
