"""Length buckets under a token budget, and padded batches. Pure functions on arrays; numpy only.

Rows of like length go into one batch, so that little of it is padding. Which rows share a batch never changes
their scores, only the time and the memory that they take.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
# Up to this length a batch's memory grows with its tokens; beyond it, with the pairs of tokens that attention compares,
# in all models whose attention holds a score for each.
LINEAR_TOKENS = 2_048


@dataclasses.dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of W texts, ragged: text i owns ids[offsets[i]:offsets[i + 1]].

    Attributes:
        ids: int32 [total_tokens], special tokens included.
        offsets: int64 [W + 1], from 0 to total_tokens.
        truncated: bool [W], texts that were cut to the maximum length.
        type_ids: int8 [total_tokens] where the texts have segments, else None (all are zero).
    """

    ids: npt.NDArray[np.int32]
    offsets: IntArray
    truncated: npt.NDArray[np.bool_]
    type_ids: npt.NDArray[np.int8] | None = None

    @property
    def lengths(self) -> IntArray:
        """Tokens of each text: int64 [W]."""
        return np.diff(self.offsets)

    @staticmethod
    def joined(parts: Sequence[Encoded]) -> Encoded:
        """The texts of all parts, in their order; a part without segments beside one that has them has zeros."""
        ids = np.concatenate([np.empty(0, np.int32), *(part.ids for part in parts)])
        lengths = np.concatenate([np.empty(0, np.int64), *(part.lengths for part in parts)])
        truncated = np.concatenate([np.empty(0, np.bool_), *(part.truncated for part in parts)])
        type_ids = None
        if any(part.type_ids is not None for part in parts):
            zeros = (np.zeros(part.ids.size, np.int8) for part in parts)
            given = [zero if part.type_ids is None else part.type_ids for part, zero in zip(parts, zeros, strict=True)]
            type_ids = np.concatenate(given)
        return Encoded(ids, np.concatenate([[0], np.cumsum(lengths)]), truncated, type_ids)


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded rows, ready for a classifier; in narrow integers, since batches wait for it by the window.

    Attributes:
        rows: int64 [B], positions of these rows in their window.
        input_ids: int32 [B, T].
        attention_mask: int8 [B, T], 1 on real tokens.
        token_type_ids: int8 [B, T].
    """

    rows: IntArray
    input_ids: npt.NDArray[np.int32]
    attention_mask: npt.NDArray[np.int8]
    token_type_ids: npt.NDArray[np.int8]

    def take(self, rows: slice | IntArray | npt.NDArray[np.bool_]) -> Batch:
        """Some of the batch's rows, padded as they are."""
        return Batch(self.rows[rows], self.input_ids[rows], self.attention_mask[rows], self.token_type_ids[rows])

    def cut(self, length: int) -> Batch:
        """The first positions of all rows."""
        first = slice(length)
        return Batch(self.rows, self.input_ids[:, first], self.attention_mask[:, first], self.token_type_ids[:, first])


def bucket(lengths: IntArray, max_batch_tokens: int, length_multiple: int = 1) -> list[IntArray]:
    """Group rows of like length so that rows x longest stays within the budget, and below it where they are long.

    Args:
        lengths: int64 [W], tokens of each row.
        max_batch_tokens: cap on padded tokens per batch; a row that is longer is a batch of its own. Rows of more than
            LINEAR_TOKENS count for more than their tokens, by as much as they are longer.
        length_multiple: batches are padded to a multiple of this; a GPU likes few shapes.

    Returns:
        Row indices of each batch, int64 [B], the longest rows first; together a partition of all rows that have
        tokens. Rows of equal length keep their order.
    """
    order = np.argsort(-lengths, kind="stable")  # [W], longest first
    order = order[: np.count_nonzero(lengths)]
    batches = []
    start = 0
    while start < order.size:
        longest = round_up(int(lengths[order[start]]), length_multiple)
        most = max_batch_tokens * LINEAR_TOKENS // (longest * max(longest, LINEAR_TOKENS))
        stop = start + max(1, most)
        batches.append(order[start:stop])
        start = stop
    return batches


def round_up(value: int, multiple: int) -> int:
    """The lowest multiple that is not below the value."""
    return -(-value // multiple) * multiple


def collate(encoded: Encoded, rows: IntArray, pad_token_id: int, length_multiple: int = 1) -> Batch:
    """Lay the given rows side by side, padded on the right to the longest of them.

    Args:
        encoded: token ids of the window.
        rows: int64 [B], positions in the window.
        pad_token_id: id written into padding.
        length_multiple: T is a multiple of this.

    Returns:
        The batch; its arrays are [B, T] with T the longest of the rows, rounded up.
    """
    lengths = encoded.lengths[rows]  # [B]
    shape = (rows.size, round_up(int(lengths.max()), length_multiple))  # (B, T)
    columns = np.arange(shape[1])  # [T]
    real = columns < lengths[:, None]  # bool [B, T]
    # Position in `ids` of every real token, row after row: the row's offset plus the column.
    token = (encoded.offsets[rows][:, None] + columns)[real]
    input_ids = np.full(shape, pad_token_id, dtype=np.int32)
    input_ids[real] = encoded.ids[token]
    token_type_ids = np.zeros(shape, dtype=np.int8)
    if encoded.type_ids is not None:
        token_type_ids[real] = encoded.type_ids[token]
    return Batch(rows, input_ids, real.astype(np.int8), token_type_ids)


def batches(encoded: Encoded, max_batch_tokens: int, pad_token_id: int, length_multiple: int = 1) -> Iterator[Batch]:
    """Bucket a window and collate its batches one by one, longest first."""
    for rows in bucket(encoded.lengths, max_batch_tokens, length_multiple):
        yield collate(encoded, rows, pad_token_id, length_multiple)
