"""Sessions: memory that runs out, outputs bound to the host, providers and their options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scorer.batching import Batch, Encoded, batches, bucket, collate
from scorer.classifier import OnnxClassifier
from scorer.errors import ProviderError
from scorer.inference import Careful, FailedTextsError
from scorer.model_directory import open_model_directory


def a_batch(rows: int = 6, tokens: int = 9) -> Batch:
    random = np.random.default_rng(0)
    lengths = np.sort(random.integers(3, tokens + 1, rows))[::-1]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = random.integers(5, 200, offsets[-1]).astype(np.int32)
    return collate(Encoded(ids, offsets, np.zeros(rows, dtype=bool)), np.arange(rows), 0)


@pytest.fixture
def classifier(model: Path, label_names: tuple[str, ...]) -> OnnxClassifier:
    return OnnxClassifier(open_model_directory(model).model_file, label_names, "cpu")


class Scarce:
    """The real session on a device whose memory holds so many rows."""

    def __init__(self, session: object, rows: int, message: str) -> None:
        self._session, self._rows, self._message = session, rows, message
        self.sizes: list[int] = []

    def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.sizes.append(len(feeds["input_ids"]))
        if self.sizes[-1] > self._rows:
            raise RuntimeError(self._message)
        return self._session.run(outputs, feeds)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("message", ["CUDA error: out of memory", "Failed to allocate memory for requested buffer"])
def test_a_batch_that_does_not_fit_is_computed_in_halves(classifier: OnnxClassifier, message: str) -> None:
    batch = a_batch()
    expected = classifier(batch)
    scarce = Scarce(classifier._session, 2, message)
    classifier._session = scarce
    logits, again = Careful(classifier)(batch)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert not again.any()
    assert scarce.sizes == [6, 3, 1, 2, 3, 1, 2]


def test_a_row_that_does_not_fit_alone_is_an_error(classifier: OnnxClassifier) -> None:
    classifier._session = Scarce(classifier._session, 0, "out of memory")
    with pytest.raises(FailedTextsError, match=r"1 rows x 8 tokens: out of memory.*--max-batch-tokens") as failed:
        Careful(classifier)(a_batch())
    assert failed.value.positions == (0,)


def test_bound_outputs_are_those_of_a_plain_call(classifier: OnnxClassifier) -> None:
    expected = classifier(a_batch())
    classifier.device = "cuda"  # takes the way of devices with memory of their own; the session stays on the CPU
    np.testing.assert_array_equal(classifier(a_batch()), expected)


def test_a_provider_that_is_not_there_is_an_error(model: Path, label_names: tuple[str, ...]) -> None:
    for provider in ("cuda", "tensorrt", "openvino"):
        with pytest.raises(ProviderError, match=f"--provider {provider} was asked for"):
            OnnxClassifier(open_model_directory(model).model_file, label_names, provider)


@pytest.mark.parametrize("multiple", [1, 8])
def test_lengths_are_rounded_up_and_change_no_answer(classifier: OnnxClassifier, multiple: int) -> None:
    random = np.random.default_rng(1)
    lengths = random.integers(3, 40, 50)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    encoded = Encoded(random.integers(5, 200, offsets[-1]).astype(np.int32), offsets, np.zeros(50, dtype=bool))
    rows = []
    for batch in batches(encoded, 256, 0, multiple):
        assert batch.input_ids.shape[1] % multiple == 0
        assert batch.input_ids.size <= 256
        alone = np.concatenate([classifier(collate(encoded, batch.rows[[i]], 0)) for i in range(batch.rows.size)])
        np.testing.assert_allclose(classifier(batch), alone, atol=2e-5)
        rows += batch.rows.tolist()
    assert sorted(rows) == list(range(50))
    assert len(bucket(lengths, 256, multiple)) >= len(bucket(lengths, 256))
