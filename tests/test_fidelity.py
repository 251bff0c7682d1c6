"""How cheap losses are held against exact ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scorer.arithmetic.fidelity import kth_highest, log_odds, loss_of_log_odds, measure_fidelity, spearman

LOSSES = st.lists(st.floats(0, 50, width=32), min_size=2, max_size=50).map(lambda v: np.array(v, dtype=np.float32))


@given(LOSSES, st.randoms())
def test_spearman_is_scipys(losses: np.ndarray, random: object) -> None:
    other = np.roll(losses, 1)
    if np.unique(losses).size > 1:
        assert spearman(losses, other) == pytest.approx(stats.spearmanr(losses, other).statistic, abs=1e-9)
    assert spearman(losses, losses) == pytest.approx(1)


@given(LOSSES)
def test_log_odds_rise_with_the_loss_and_come_back(losses: np.ndarray) -> None:
    ordered = np.unique(losses)
    odds = log_odds(ordered)
    assert np.isfinite(odds).all()
    assert (np.diff(odds) >= 0).all()
    for loss, value in zip(ordered.tolist(), odds.tolist(), strict=True):
        assert loss_of_log_odds(value) == pytest.approx(loss, rel=1e-6, abs=1e-6)


def test_log_odds_of_an_even_chance_are_zero() -> None:
    assert log_odds(np.array([np.log(2)]))[0] == pytest.approx(0, abs=1e-12)


@given(LOSSES, st.integers(1, 60))
def test_kth_highest(losses: np.ndarray, k: int) -> None:
    assert kth_highest(losses, k) == np.sort(losses)[::-1][min(k, losses.size) - 1]


def test_equal_losses_are_of_perfect_fidelity() -> None:
    losses = np.random.default_rng(0).exponential(size=2_000).astype(np.float32)
    found = measure_fidelity(losses, losses, "test")
    assert (found.spearman, found.head_overlap, found.max_loss_difference) == (pytest.approx(1), 1.0, 0.0)
    assert found.keeps_the_ranking


def test_shuffled_losses_do_not_keep_the_ranking() -> None:
    random = np.random.default_rng(0)
    losses = random.exponential(size=2_000).astype(np.float32)
    found = measure_fidelity(random.permutation(losses), losses, "test")
    assert abs(found.spearman) < 0.1
    assert found.head_overlap < 0.2
    assert not found.keeps_the_ranking


def test_the_head_is_one_row_in_a_hundred_and_no_fewer_than_ten() -> None:
    losses = np.arange(2_000, dtype=np.float32)
    swapped = losses.copy()
    swapped[[1_999, 0]] = swapped[[0, 1_999]]  # one row of the head of twenty is lost
    assert measure_fidelity(swapped, losses, "test").head_overlap == pytest.approx(19 / 20)
    assert measure_fidelity(swapped[1_800:], losses[1_800:], "test").head_overlap == pytest.approx(9 / 10)
