"""Sessions: memory that runs out, outputs bound to the host, providers and their options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scorer.arithmetic.batching import Batch, Encoded, batches, bucket, collate
from scorer.errors import ProviderError
from scorer.model.classifier import OnnxClassifier
from scorer.model.inference import Careful, FailedTextsError
from scorer.model.model_directory import open_model_directory


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


# What ONNX Runtime says on a CPU with an arena and without, on CUDA, under gpu_mem_limit, and through CUDA's libraries.
NO_MEMORY = [
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Gather node. Name:'/bert/Gather' "
    "Status Message: bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, Stream*) "
    "Failed to allocate memory for requested buffer of size 393216000",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Gather node. Name:'/bert/"
    "Gather' Status Message: std::bad_alloc",
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=host ; expr=cudaMalloc((void**)&p, size);",
    "Status Message: Available memory of 1024 is smaller than requested bytes of 4096",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
    "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED",
]
OTHERWISE = [
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Reshape node. "
    "Name:'/Reshape' Status Message: reshape_helper.h:47 size != 0 && (input_shape_size % size) == 0 was false. "
    "Input shape:{13,32}, requested shape:{12,-1,32}",
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : indices element out of data bounds, idx=30522 must be within [-2,1]",
]


@pytest.mark.parametrize("message", NO_MEMORY)
def test_a_batch_that_does_not_fit_is_computed_in_halves(classifier: OnnxClassifier, message: str) -> None:
    batch = a_batch()
    expected = classifier(batch)
    scarce = Scarce(classifier._session, 2, message)
    classifier._session = scarce
    logits, again = Careful(classifier)(batch)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    assert not again.any()
    assert scarce.sizes == [6, 3, 1, 2, 3, 1, 2]


@pytest.mark.parametrize("message", OTHERWISE)
def test_a_batch_that_fails_otherwise_is_an_error_that_names_its_rows(classifier: OnnxClassifier, message: str) -> None:
    classifier._session = Scarce(classifier._session, 2, message)
    with pytest.raises(FailedTextsError, match=r"inference failed on a batch of 6 rows") as failed:
        Careful(classifier)(a_batch())
    assert failed.value.positions == (0, 1, 2, 3, 4, 5)  # none fails alone
    classifier._session = Scarce(classifier._session, 0, message)
    with pytest.raises(FailedTextsError) as failed:
        Careful(classifier)(a_batch().take(slice(3, 5)))
    assert failed.value.positions == (3, 4)


OUT_OF_MEMORY = """
import resource, sys
import subprocess
import sys
from pathlib import Path
import numpy as np
from scorer.arithmetic.batching import Batch
from scorer.model.classifier import OnnxClassifier, OutOfMemoryError
classifier = OnnxClassifier(Path(sys.argv[1]), tuple("abcdef"), "cpu")
ids = np.ones((6000, 128), np.int32)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 350 * 2**20, resource.RLIM_INFINITY))
try:
    classifier(Batch(np.arange(6000), ids, ids.astype(np.int8), ids.astype(np.int8) * 0))
except OutOfMemoryError as error:
    print("out of memory:", error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_that_really_runs_out_is_known_for_what_it_is(model: Path) -> None:
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(open_model_directory(model).model_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("out of memory: inference failed on a batch of 6000 rows x 128"), done.stderr


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
