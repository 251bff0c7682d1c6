"""The gated delta rule of linear attention, in a form that torch's exporter writes for texts of any length.

The code of transformers goes through the chunks of a text in a Python loop, so that a trace holds as many chunks as its
example had. Here that loop is a scan, which becomes one ONNX `Scan` node. Imports `torch`, and only when it computes.
"""

from __future__ import annotations

from typing import Any

CHUNK = 64


def chunk_gated_delta_rule(
    query: Any,
    key: Any,
    value: Any,
    g: Any,
    beta: Any,
    *,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    **_: Any,
) -> tuple[Any, Any]:
    """What `torch_chunk_gated_delta_rule` of transformers answers, from an empty state.

    Args:
        query: float32 [B, T, heads of keys, K].
        key: float32, as queries.
        value: float32 [B, T, H, V].
        g: logarithm of the decay at each position, float32 [B, T, H].
        beta: how much each position overwrites, float32 [B, T, H].
        output_final_state: whether the state after the text is wanted.
        use_qk_l2norm_in_kernel: whether queries and keys are brought to length 1.
        **_: sizes of chunks and states that a classifier of texts does not use.

    Returns:
        float32 [B, T, H, V]; and the state [B, H, K, V], or None.
    """
    import torch
    from torch._higher_order_ops.scan import scan

    (rows, length, heads, width), groups = value.shape, value.shape[2] // query.shape[2]
    if groups > 1:
        query, key = (states.repeat_interleave(groups, dim=2) for states in (query, key))
    if use_qk_l2norm_in_kernel:
        query, key = (x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-6) for x in (query, key))
    query = query * query.shape[-1] ** -0.5

    def chunks(states: Any) -> Any:  # [B, T, H, *] to [N, B, H, CHUNK, *], N chunks, zeros after the text
        filler = torch.zeros_like(states[:, :1]).expand(-1, CHUNK - 1, *states.shape[2:])
        filled = torch.cat([states, filler], dim=1)[:, : (length + CHUNK - 1) // CHUNK * CHUNK]
        return filled.reshape(rows, -1, CHUNK, *states.shape[2:]).permute(1, 0, 3, 2, 4)

    query, key, value, decay, beta = map(chunks, (query, key, value, g[..., None], beta[..., None]))
    total = decay.cumsum(dim=3)  # [N, B, H, CHUNK, 1]
    lower = torch.ones(CHUNK, CHUNK).tril()
    between = (total - total.transpose(-1, -2)).masked_fill(lower == 0, float("-inf")).exp()  # [N, B, H, CHUNK, CHUNK]
    inverse = _inverse((key * beta) @ key.transpose(-1, -2) * between)
    values, keys = inverse @ (value * beta), inverse @ (key * beta * total.exp())
    within = query @ key.transpose(-1, -2) * between
    asked, kept = query * total.exp(), key * (total[:, :, :, -1:] - total).exp()
    parts = (values, keys, asked, within, kept.transpose(-1, -2), total[:, :, :, -1:].exp())

    def step(state: Any, chunk: tuple[Any, ...]) -> tuple[Any, Any]:  # state: [B, H, K, V]
        new, read, ask, inside, keep, fade = chunk
        change = new - read @ state
        return state * fade + keep @ change, ask @ state + inside @ change

    empty = (keys[0].transpose(-1, -2) @ values[0]) * 0.0
    last, out = scan(step, empty, parts, dim=0)  # [N, B, H, CHUNK, V]
    flat = out.permute(1, 0, 3, 2, 4).reshape(rows, -1, heads, width)
    # By index: the exporter leaves out a slice that cuts nothing off its example's chunks.
    return flat.index_select(1, torch.arange(length)), last if output_final_state else None


def _inverse(matrix: Any) -> Any:
    """Inverse of the lower triangle with ones on its diagonal: float32 [..., CHUNK, CHUNK].

    By blocks that double, each found from the two halves inverted before; as exact as forward substitution.
    """
    import torch

    place = torch.arange(CHUNK)
    inverse, size = torch.eye(CHUNK).expand_as(matrix), 1
    while size < CHUNK:
        pair, half = place // (2 * size), place // size
        corner = (pair[:, None] == pair[None]) & (half[:, None] > half[None])
        inverse = inverse - inverse @ (matrix * corner) @ inverse
        size *= 2
    return inverse
