"""Buckets are a partition within the budget; batches hold exactly the rows' tokens."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scorer.arithmetic.batching import Encoded, batches, bucket, collate

lengths_and_budget = st.tuples(
    st.lists(st.integers(1, 300), max_size=200).map(lambda lengths: np.array(lengths, dtype=np.int64)),
    st.integers(1, 2_000),
)


def encoded(texts: list[list[int]], type_ids: list[list[int]] | None = None) -> Encoded:
    """Ragged ids of hand-written texts."""
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    flat = np.array([i for text in texts for i in text], dtype=np.int32)
    segments = None if type_ids is None else np.array([i for text in type_ids for i in text], dtype=np.int8)
    return Encoded(flat, offsets, np.zeros(len(texts), dtype=bool), segments)


@given(lengths_and_budget)
def test_buckets_partition_the_rows_within_the_budget(case: tuple[np.ndarray, int]) -> None:
    lengths, budget = case
    buckets = bucket(lengths, budget)
    assert sorted(np.concatenate(buckets).tolist() if buckets else []) == list(range(lengths.size))
    for rows in buckets:
        assert rows.size == 1 or rows.size * lengths[rows].max() <= budget
        assert rows.size > 0


@given(lengths_and_budget)
def test_longest_come_first_and_no_batch_could_take_the_next_row(case: tuple[np.ndarray, int]) -> None:
    lengths, budget = case
    buckets = bucket(lengths, budget)
    flat = np.concatenate(buckets) if buckets else np.empty(0, dtype=np.int64)
    assert (np.diff(lengths[flat]) <= 0).all()
    for rows in buckets[:-1]:
        assert (rows.size + 1) * lengths[rows].max() > budget


def test_rows_of_equal_length_keep_their_order() -> None:
    assert [rows.tolist() for rows in bucket(np.array([3, 5, 3, 5]), 10)] == [[1, 3], [0, 2]]


def test_a_row_above_the_budget_is_a_batch_of_its_own() -> None:
    assert [rows.tolist() for rows in bucket(np.array([4, 17, 40, 4]), 16)] == [[2], [1], [0, 3]]


def test_pairs_of_tokens_stay_within_the_budget_where_rows_are_long() -> None:
    most = [len(bucket(np.full(64, tokens), 65_536)[0]) for tokens in (1_024, 2_048, 4_096, 8_192)]
    assert most == [64, 32, 8, 2]


def test_collate_pads_right_and_masks() -> None:
    batch = collate(encoded([[1, 2, 3], [4], [5, 6]]), np.array([2, 0]), pad_token_id=9)
    assert batch.input_ids.tolist() == [[5, 6, 9], [1, 2, 3]]
    assert batch.attention_mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert [a.dtype for a in (batch.input_ids, batch.attention_mask, batch.token_type_ids)] == ["i4", "i1", "i1"]


def test_collate_carries_segments() -> None:
    batch = collate(encoded([[1, 2], [3]], [[0, 1], [1]]), np.array([0, 1]), pad_token_id=0)
    assert batch.token_type_ids.tolist() == [[0, 1], [1, 0]]


@given(st.lists(st.lists(st.integers(0, 30_000), min_size=1, max_size=40), max_size=60), st.integers(40, 400))
def test_batches_give_every_token_back(texts: list[list[int]], budget: int) -> None:
    back: dict[int, list[int]] = {}
    for batch in batches(encoded(texts), budget, pad_token_id=-1):
        for row, ids, mask in zip(batch.rows, batch.input_ids, batch.attention_mask, strict=True):
            back[int(row)] = ids[mask == 1].tolist()
            assert (ids[mask == 0] == -1).all()
    assert [back[i] for i in range(len(texts))] == texts


def test_joined_parts_keep_their_segments() -> None:
    one, two = np.array([[5, 6], [7, 8]], dtype=np.int32)
    cut, segments = np.zeros(1, dtype=bool), np.array([0, 1], dtype=np.int8)
    parts = [Encoded(one, np.array([0, 2]), cut), Encoded(two, np.array([0, 2]), ~cut, segments)]
    joined = Encoded.joined(parts)
    assert (joined.ids.tolist(), joined.offsets.tolist()) == ([5, 6, 7, 8], [0, 2, 4])
    assert joined.truncated.tolist() == [False, True]
    assert joined.type_ids is not None
    assert joined.type_ids.tolist() == [0, 0, 0, 1]
    assert Encoded.joined(parts[:1]).type_ids is None
    assert Encoded.joined([]).offsets.tolist() == [0]
