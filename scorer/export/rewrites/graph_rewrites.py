"""The rewrites of a graph that torch's exporter wrote, in the order in which they help each other."""

from __future__ import annotations

from typing import Any

from scorer.config import DEFAULT_MAX_LENGTH
from scorer.export.attention.long_attention import bound_attention
from scorer.export.onnx.names import remove_idle_reshapes, remove_idle_transposes, remove_unread
from scorer.export.positions.one_position import keep_one_position
from scorer.export.rewrites.flat_products import unflatten_products
from scorer.export.rewrites.packed_attention import pack_attention
from scorer.export.rewrites.rms_norm import fuse_rms_norm
from scorer.export.rewrites.rotary import fuse_rotary
from scorer.export.rewrites.split_products import split_products


def rewrite(model: Any, *, cut: bool = True, longest: int = DEFAULT_MAX_LENGTH) -> str | None:
    """Compute the last layer for the position that is read, and attention's products at once, in place.

    Attention is bounded in memory whatever else is done.

    Args:
        model: an ONNX model as torch's exporter writes it, with the shapes of its tensors.
        cut: do so; without, only drop what no output depends on.
        longest: tokens of the longest text that it will be given.

    Returns:
        None where the last layer is computed for one position; otherwise why it is computed for all.
    """
    if not cut:
        bound_attention(model, longest)
        remove_unread(model)
        return "it was not asked for"
    unflatten_products(model)
    remove_idle_transposes(model)
    split_products(model)
    reason = keep_one_position(model)  # before packing: a cut attention has another query
    fuse_rotary(model)  # after the cut, which knows the rules of the plain nodes
    fuse_rms_norm(model)
    remove_idle_reshapes(model)
    bound_attention(model, longest)
    remove_unread(model)  # packing asks who reads a projection
    pack_attention(model)
    remove_idle_reshapes(model)
    remove_unread(model)
    return reason
