"""DeBERTa's attention, whose scores depend on relative positions too, as one node with few products around it.

Besides query and key, a score adds up query times position and position times key:

    score[i, j] = q_i k_j + q_i pk[i - j] + k_j pq[i - j]

transformers multiplies by all 512 positions and gathers T of them for each query. A text of T tokens has 2 T - 1
distances, so the two products here are with these alone, and a row's wanted columns lie side by side, each row's one
further left than the last one's: reading the rows with a stride that is one shorter puts them below each other.

For tracing alone, and for transformers 5. Padding is taken to be on the right.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from scorer.export.attention.fused_attention import attend


@contextlib.contextmanager
def disentangled_as_one(model: Any) -> Iterator[None]:
    """Have the attention of DeBERTa-v2 and v3 within a model computed so; other models are left alone."""
    from transformers.models.deberta_v2 import modeling_deberta_v2 as deberta

    changed: list[tuple[Any, str]] = []

    def replace(module: Any, name: str, function: Any) -> None:
        setattr(module, name, function.__get__(module))
        changed.append((module, name))

    try:
        for module in model.modules():
            if isinstance(module, deberta.DebertaV2Encoder):
                replace(module, "get_attention_mask", _padding)
                replace(module, "get_rel_pos", _distances)
            elif isinstance(module, deberta.DisentangledSelfAttention):
                replace(module, "forward", _forward)
        yield
    finally:
        for module, name in changed:
            delattr(module, name)


def _padding(_: Any, attention_mask: Any) -> Any:
    """Of every token whether it is real, [B, T], in place of every pair of tokens."""
    return attention_mask


def _distances(encoder: Any, hidden_states: Any, query_states: Any = None, relative_pos: Any = None) -> Any:
    """Rows of the table of positions for the distances T - 1 .. -T, and for -(T - 1) .. T: int64 [2, 2 T]."""
    import torch
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

    if query_states is not None or relative_pos is not None:
        raise ValueError("its queries are not its hidden states")
    if not encoder.relative_attention:
        return None
    length = hidden_states.shape[1]
    rising = torch.arange(2 * length, dtype=torch.int64) - (length - 1)
    distance = torch.stack([-rising, rising])
    buckets, furthest = encoder.position_buckets, encoder.max_relative_positions
    if buckets > 0 and furthest > 0:
        distance = make_log_bucket_position(distance, buckets, furthest).to(torch.int64)
    span = encoder.rel_embeddings.weight.shape[0] // 2
    return (distance + span).clamp(0, 2 * span - 1)


def _forward(  # noqa: PLR0917 — transformers' signature
    module: Any,
    hidden_states: Any,
    attention_mask: Any,
    output_attentions: bool = False,
    query_states: Any = None,
    relative_pos: Any = None,
    rel_embeddings: Any = None,
) -> Any:
    """In place of `DisentangledSelfAttention.forward`; hidden states [B, T, H], mask [B, T], rows [2, 2 T]."""
    heads, size = module.num_attention_heads, module.attention_head_size
    kinds = [kind for kind in ("c2p", "p2c") if kind in module.pos_att_type]
    scale = (size * (1 + len(kinds))) ** -0.5
    query, key, value = (
        _by_head(project(hidden_states), heads, size)
        for project in (module.query_proj, module.key_proj, module.value_proj)
    )
    bias = None
    if module.relative_attention and kinds:
        for kind in kinds:
            is_query = kind == "c2p"
            table = _table(module, rel_embeddings, "key" if is_query else "query") * scale  # [n, d, 2 span]
            rows = relative_pos[0 if is_query else 1]  # of distances falling from T - 1, or rising to T
            product = (query if is_query else key) @ table.index_select(2, rows)  # [B, n, T, 2 T]
            part = _shifted(product)  # [B, n, T, T], queries before keys, or keys before queries
            part = part if is_query else part.transpose(2, 3)
            bias = part if bias is None else bias + part
    mask = attention_mask[:, None, None, :].bool()
    out, _ = attend(module, query, key, value, mask, scaling=scale, is_causal=False, position_bias=bias)
    return out.reshape(*hidden_states.shape[:2], heads * size), None


def _table(module: Any, rel_embeddings: Any, side: str) -> Any:
    """What positions are as keys or queries: [n, d, 2 span], a constant of the graph."""
    name = f"{side}_proj" if module.share_att_key else f"pos_{side}_proj"
    projected = getattr(module, name)(rel_embeddings[: 2 * module.pos_ebd_size])  # [2 span, n d]
    return projected.reshape(-1, module.num_attention_heads, module.attention_head_size).permute(1, 2, 0)


def _by_head(states: Any, heads: int, size: int) -> Any:
    """[B, T, n d] to [B, n, T, d]."""
    return states.reshape(*states.shape[:2], heads, size).transpose(1, 2)


def _shifted(product: Any) -> Any:
    """From [B, n, T, 2 T] the columns T - 1 - i .. 2 T - 2 - i of each row i: [B, n, T, T]."""
    batch, heads, length, _ = product.shape
    flat = product.reshape(batch, heads, 2 * length * length)
    flat = flat.narrow(2, length - 1, length * (2 * length - 1))
    return flat.reshape(batch, heads, length, 2 * length - 1).narrow(3, 0, length)
