"""A run whose labels are in the wrong order, or whose model knows nothing, is told so."""

from __future__ import annotations

import numpy as np

from scorer.arithmetic.agreement import Agreement, measure_agreement

NAMES = ("World", "Sports", "Business", "Sci/Tech")


def agreement_of(given: np.ndarray, predicted: np.ndarray, classes: int = 4) -> Agreement:
    counts = np.zeros((classes, classes), np.int64)  # [C given, C predicted]
    np.add.at(counts, (given.astype(np.int32), predicted.astype(np.int32)), 1)
    return measure_agreement(counts)


def labels(seed: int, rows: int = 2_000, classes: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, rows)


def test_a_good_model_is_not_complained_about() -> None:
    true = labels(0)
    predicted = np.where(np.random.default_rng(1).random(true.size) < 0.9, true, labels(2))
    assert agreement_of(true, predicted).warning(NAMES) is None


def test_misordered_labels_are_recognised_and_the_order_is_shown() -> None:
    true = labels(0)
    order = np.array([2, 0, 3, 1])  # given label i means class order[i]
    given = np.argsort(order)[true]
    agreement = agreement_of(given, true)
    assert agreement.best_order.tolist() == order.tolist()
    assert agreement.best_share == 1
    warning = agreement.warning(NAMES)
    assert warning is not None
    assert "'World' -> 'Business'" in warning
    assert "--label-map" in warning


def test_two_swapped_classes_of_many_are_recognised() -> None:
    true = labels(0, rows=5_000, classes=3)
    agreement = agreement_of(np.array([1, 0, 2])[true], true, 3)
    assert agreement.other_order_far_better
    assert agreement.best_order.tolist() == [1, 0, 2]


def test_a_model_that_knows_nothing_is_recognised() -> None:
    warning = agreement_of(labels(0), labels(1)).warning(NAMES)
    assert warning is not None
    assert "no better than chance" in warning


def test_a_constant_model_is_no_better_than_chance() -> None:
    assert agreement_of(labels(0), np.zeros(2_000)).no_better_than_chance


def test_one_class_at_the_start_of_sorted_data_is_no_reason_to_complain() -> None:
    assert agreement_of(np.zeros(2_000), np.zeros(2_000)).warning(NAMES) is None


def test_a_handful_of_rows_allows_no_verdict() -> None:
    assert agreement_of(np.array([0, 1, 2]), np.array([1, 2, 0])).warning(NAMES) is None


def test_the_order_is_always_a_permutation() -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        counts = random.integers(0, 3, (6, 6)) * random.integers(0, 2, (6, 6))
        assert sorted(measure_agreement(counts).best_order.tolist()) == list(range(6))


def test_two_classes_turned_round_are_seen_in_few_rows() -> None:
    true = np.array([0, 1] * 6)
    agreement = agreement_of(1 - true, true, 2)
    warning = agreement.warning(("no", "yes"))
    assert warning is not None
    assert "misordered" in warning
    assert "'no' -> 'yes'" in warning


def test_agreement_far_below_chance_is_seen_in_few_rows() -> None:
    given, predicted = labels(0, rows=40), labels(1, rows=40)
    predicted = np.where(predicted == given, (given + 1 + labels(2, rows=40) % 3) % 4, predicted)
    warning = agreement_of(given, predicted).warning(NAMES)
    assert warning is not None
    assert "no better than chance" in warning


def test_few_rows_by_chance_are_not_complained_about() -> None:
    complaints = sum(
        agreement_of(labels(seed, rows), labels(seed + 1_000, rows)).warning(NAMES) is not None
        for rows in (1, 3, 10, 20, 49)
        for seed in range(200)
    )
    assert complaints <= 30  # of 1,000; each look allows one in a hundred, and there are two


def test_rows_that_are_too_few_to_tell_are_said_to_be() -> None:
    same = np.array([0, 1, 2])
    assert agreement_of(same, np.array([1, 2, 0])).too_few_to_tell
    assert agreement_of(same, same).too_few_to_tell
    assert agreement_of(np.zeros(9), np.zeros(9)).too_few_to_tell
    good = labels(0, rows=20)
    assert not agreement_of(good, good).too_few_to_tell
    assert not agreement_of(np.zeros(2_000), np.zeros(2_000)).too_few_to_tell
