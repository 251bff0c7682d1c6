"""Scores against torch's cross-entropy, cleanlab's quality scores, and their own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scorer.arithmetic.scoring import entropy, log_softmax, normalized_margin, score

logits_and_labels = st.tuples(st.integers(1, 20), st.integers(1, 12)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape, elements=st.floats(-1e4, 1e4, width=32)),
        arrays(np.int32, shape[0], elements=st.integers(0, shape[1] - 1)),
    )
)


@given(logits_and_labels)
def test_laws_of_the_loss(case: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = case
    scores = score(logits, labels)
    assert (scores.loss >= 0).all()
    assert not np.signbit(scores.loss).any()  # no -0.0
    np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(scores.self_confidence, np.exp(-scores.loss.astype(np.float64)), rtol=1e-4, atol=1e-30)
    assert (scores.predicted_label == logits.argmax(axis=1)).all()
    assert (scores.predicted_probability >= scores.self_confidence - 1e-7).all()


@given(logits_and_labels, st.floats(-100, 100))
def test_adding_a_constant_to_the_logits_changes_nothing(case: tuple[np.ndarray, np.ndarray], constant: float) -> None:
    logits, labels = case
    wide = logits.astype(np.float64)
    np.testing.assert_allclose(score(wide, labels).loss, score(wide + constant, labels).loss, rtol=1e-5, atol=1e-6)


@given(logits_and_labels)
def test_a_row_scores_the_same_alone(case: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = case
    together = score(logits, labels)
    for i in range(len(labels)):
        alone = score(logits[i : i + 1], labels[i : i + 1])
        assert alone.loss[0] == together.loss[i]
        assert (alone.probabilities[0] == together.probabilities[i]).all()


def test_loss_equals_torch_cross_entropy() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    logits = (random.standard_normal((500, 20)) * 10).astype(np.float32)
    labels = random.integers(0, 20, 500).astype(np.int32)
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).double(), torch.from_numpy(labels).long(), reduction="none"
    )
    np.testing.assert_allclose(score(logits, labels).loss, expected.numpy(), rtol=1e-6, atol=1e-7)


def test_a_sure_row_keeps_the_digits_of_its_tiny_loss() -> None:
    scores = score(np.array([[50.0, 0.0]]), np.array([0], dtype=np.int32))
    np.testing.assert_allclose(scores.loss, np.exp(-50.0), rtol=1e-6)


def test_extreme_logits_do_not_overflow() -> None:
    scores = score(np.array([[1e38, -1e38]], dtype=np.float32), np.array([1], dtype=np.int32))
    assert np.isfinite(log_softmax(np.array([[1e38, -1e38]], dtype=np.float32))).all()
    assert scores.probabilities.tolist() == [[1.0, 0.0]]


def test_softmax_runs_over_classes_not_over_the_batch() -> None:
    logits = np.array([[2.0, 0.0], [2.0, 0.0]])
    np.testing.assert_allclose(score(logits, np.zeros(2, np.int32)).probabilities.sum(axis=1), 1)


def test_quality_scores_equal_cleanlab() -> None:
    cleanlab = pytest.importorskip("cleanlab.rank")
    random = np.random.default_rng(1)
    labels = random.integers(0, 7, 300).astype(np.int32)
    scores = score(random.standard_normal((300, 7)) * 3, labels)
    for method, ours in (
        ("self_confidence", scores.self_confidence),
        ("normalized_margin", normalized_margin(scores.probabilities, labels)),
    ):
        theirs = cleanlab.get_label_quality_scores(labels, scores.probabilities.astype(np.float64), method=method)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_entropy_of_certainty_and_of_ignorance() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]], dtype=np.float32)
    np.testing.assert_allclose(entropy(probabilities), [0.0, np.log(4)], rtol=1e-6)


def test_margin_with_one_class() -> None:
    assert normalized_margin(np.ones((2, 1), np.float32), np.zeros(2, np.int32)).tolist() == [1.0, 1.0]
