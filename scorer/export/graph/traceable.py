"""Parts of models that torch's exporter cannot trace, replaced while it traces by code that answers the same.

An export proves that it does. Imports `torch` and `transformers`, and only when a graph is written.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from scorer.export.attention import fused_attention
from scorer.export.graph.delta_rule import chunk_gated_delta_rule

# The function of linear attention that Qwen3-Next's and Qwen3.5's code calls.
CHUNKED = "torch_chunk_gated_delta_rule"


@contextlib.contextmanager
def traceable(model: Any) -> Iterator[None]:
    """Have a model computed by code that can be traced; does nothing to models that need none."""
    replacements = _replacements(model)
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replacements]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)
    try:
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)


def _replacements(model: Any) -> list[tuple[Any, str, Any]]:
    """What is replaced: owner, name, by what."""
    import torch

    code = sys.modules[type(model).__module__]
    if model.config.model_type == "longformer":
        return [
            (code.LongformerSelfAttention, "forward", _longformer_attention),
            (code.LongformerModel, "_pad_to_window_size", _no_padding),
        ]
    if model.config.model_type == "deepseek_v2":  # complex numbers, which ONNX has not
        return [(torch, "polar", _polar), (code, "apply_rotary_emb", _rotate)]
    if model.config.model_type == "falcon" and model.config.alibi:
        alibi = code.build_alibi_tensor(
            torch.ones(1, 2, dtype=torch.long), model.config.num_attention_heads, torch.float32
        )
        return [(code, "build_alibi_tensor", partial(_alibi, alibi[:, 0, 1]))]
    if goes_by_chunks(model):
        return [(code, CHUNKED, chunk_gated_delta_rule)]
    return []


def goes_by_chunks(model: Any) -> bool:
    """Whether some of a model's layers go over a text chunk by chunk."""
    return hasattr(sys.modules[type(model).__module__], CHUNKED)


def _no_padding(
    _: Any, input_ids: Any, attention_mask: Any, token_type_ids: Any, position_ids: Any, inputs_embeds: Any, **__: Any
) -> tuple[Any, ...]:
    """In place of padding to whole windows: attention is not computed by windows here."""
    return 0, input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds


def _longformer_attention(layer: Any, hidden_states: Any, attention_mask: Any = None, **_: Any) -> tuple[Any]:
    """Longformer's attention for a classifier of texts: each position looks at its window and at the first position.

    The first position looks at all, by projections of its own.

    Args:
        layer: the attention layer.
        hidden_states: float32 [B, T, H].
        attention_mask: float32 [B, T]: below 0 on padding, above 0 on the first position, 0 elsewhere.
        **_: what follows from the mask.
    """
    import torch

    batch, length, _hidden = hidden_states.shape

    def heads(states: Any) -> Any:  # [B, T, H] to [B, n, T, d]
        return states.view(batch, -1, layer.num_heads, layer.head_dim).transpose(1, 2)

    def attend(query: Any, key: Any, value: Any, allowed: Any) -> Any:
        out, _ = fused_attention.attend(layer, query, key, value, allowed, is_causal=False)
        return out.reshape(batch, -1, layer.embed_dim)

    real = attention_mask >= 0  # [B, T]
    order = torch.arange(length, device=hidden_states.device)
    near = (order[:, None] - order[None, :]).abs() <= layer.one_sided_attn_window_size  # [T, T]
    allowed = (near | (order == 0)[None, :])[None, None] & real[:, None, None, :]  # [B, 1, T, T]
    local = attend(
        heads(layer.query(hidden_states)), heads(layer.key(hidden_states)), heads(layer.value(hidden_states)), allowed
    )
    first = attend(
        heads(layer.query_global(hidden_states[:, :1])),
        heads(layer.key_global(hidden_states)),
        heads(layer.value_global(hidden_states)),
        real[:, None, None, :],
    )
    return (torch.cat([first, local[:, 1:]], dim=1),)


def _alibi(slopes: Any, attention_mask: Any, _: int, dtype: Any) -> Any:
    """Falcon's bias by distance, float32 [B * n, 1, T]: rounded to bfloat16, in which ONNX Runtime does not multiply.

    Args:
        slopes: float32 [n], rounded already.
        attention_mask: [B, T].
        _: the number of heads, n.
        dtype: of the answer.
    """
    import torch

    order = (attention_mask.cumsum(dim=-1) - 1) * attention_mask  # [B, T]
    products = slopes[None, :, None] * order[:, None, :].to(torch.bfloat16).float()  # [B, n, T]
    return products.to(torch.bfloat16).to(dtype).flatten(0, 1)[:, None, :]


def _polar(size: Any, angle: Any) -> Any:
    """In place of `torch.polar`: real and imaginary parts side by side, [..., 2]."""
    import torch

    return torch.stack([size * angle.cos(), size * angle.sin()], dim=-1)


def _rotate(query: Any, key: Any, rotation: Any) -> tuple[Any, Any]:
    """Pairs of neighbours turned as complex numbers: float32 [B, n, T, d] twice, by [B, T, d / 2, 2]."""
    import torch

    cos, sin = rotation[:, None, ..., 0], rotation[:, None, ..., 1]  # [B, 1, T, d / 2]

    def turned(states: Any) -> Any:
        even, odd = states[..., 0::2], states[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)

    return turned(query), turned(key)
