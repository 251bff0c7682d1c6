"""Batches to logits, through ONNX Runtime."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from scorer.arithmetic.batching import Batch
from scorer.arithmetic.scoring import FloatArray
from scorer.config import Provider
from scorer.errors import ModelError
from scorer.model.session import start_session

# What the allocators of ONNX Runtime, CUDA, TensorRT and OpenVINO say, and the standard library, when memory runs out.
OUT_OF_MEMORY = re.compile(
    r"out of (host |device |GPU )?(memory|resources)|out_of_(host_|device_)?(memory|resources)|outofmemory"
    r"|failed to allocate|unable to allocate|alloc(ation)?_fail(ed|ure)|bad_alloc|bad allocation"
    r"|available memory of \d+ is smaller than requested",
    re.IGNORECASE,
)


class OutOfMemoryError(ModelError):
    """A batch does not fit into memory; a smaller one may."""


class Classifier(Protocol):
    """What the pipeline needs of a model; tests pass a five-line fake."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The C class names, in the order of the logits' columns."""
        ...

    def __call__(self, batch: Batch) -> FloatArray:
        """Logits of the batch: float32 [B, C]."""
        ...

    def close(self) -> None:
        """Give its memory back; nothing is computed any more."""
        ...


class OnnxClassifier:
    """An ONNX Runtime session that is known to run on the provider asked for.

    Args:
        model_file: the ONNX graph.
        labels: the C class names, in the order of the logits' columns.
        provider: where to run; "auto" takes CUDA where it starts and the CPU elsewhere.
        threads: threads that share one batch, or what tells them for the device on which the session starts. Callers
            may also compute batches side by side, each on its own thread.
        options: options of the execution provider, such as gpu_mem_limit.
        equal_lengths: compute rows of each length by themselves, without padding: for models whose answers padding
            would move.

    Attributes:
        device: short name of the provider that is active: cpu, cuda, tensorrt or openvino.
        provider: ONNX Runtime's name of it.

    Raises:
        ProviderError: ONNX Runtime is absent, doubly installed, or the provider asked for did not start.
        ModelError: the graph cannot be loaded, or its inputs or outputs are not a classifier's.
    """

    def __init__(
        self,
        model_file: Path,
        labels: tuple[str, ...],
        provider: Provider = "auto",
        *,
        threads: int | Callable[[str], int] = 1,
        options: Mapping[str, str] | None = None,
        equal_lengths: bool = False,
    ) -> None:
        self.labels = labels
        self._equal_lengths = equal_lengths
        self._session, self.device = start_session(model_file, provider, threads, options or {})
        self.provider: str = self._session.get_providers()[0]
        known = {"input_ids", "attention_mask", "token_type_ids"}
        self._inputs = tuple(node.name for node in self._session.get_inputs())
        if "input_ids" not in self._inputs or not set(self._inputs) <= known:
            raise ModelError(
                f"'{model_file}' takes the inputs {', '.join(self._inputs)}; a text classifier takes input_ids "
                "and at most attention_mask and token_type_ids. Export the model with: scorer export-onnx"
            )
        self._output: str = self._session.get_outputs()[0].name

    def __call__(self, batch: Batch) -> FloatArray:
        """Logits of the batch: float32 [B, C], as they come: not all of them need be finite.

        Raises:
            OutOfMemoryError: the batch does not fit into memory.
            ModelError: inference failed, or the width of the logits is not the number of labels.
        """
        try:
            logits = self._run_by_length(batch) if self._equal_lengths else self._run(batch)
        except Exception as error:
            failed = f"inference failed on a batch of {batch.rows.size} rows x {batch.input_ids.shape[1]} tokens"
            if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
                raise OutOfMemoryError(
                    f"{failed}: {error}. A smaller --max-batch-tokens or --max-length may help."
                ) from error
            raise ModelError(f"{failed}: {str(error).strip()}.") from error
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            raise ModelError(
                f"the model returns logits of shape {list(logits.shape)}, but its directory names "
                f"{len(self.labels)} labels. Export the model again."
            )
        return logits.astype(np.float32, copy=False)

    def close(self) -> None:
        """Give the session's memory back; nothing is computed any more."""
        del self._session

    def _run_by_length(self, batch: Batch) -> FloatArray:
        lengths = batch.attention_mask.sum(axis=1, dtype=np.int64)  # [B]
        parts = {int(length): np.flatnonzero(lengths == length) for length in np.unique(lengths)}
        found = [self._run(batch.take(rows).cut(length)) for length, rows in parts.items()]
        logits: FloatArray = np.concatenate(found)[np.argsort(np.concatenate([*parts.values()]))]
        return logits

    def _run(self, batch: Batch) -> FloatArray:
        feeds = {name: getattr(batch, name).astype(np.int64) for name in self._inputs}  # int64 [B, T] each
        if self.device == "cpu":
            logits: FloatArray = self._session.run([self._output], feeds)[0]
            return logits
        # The output is bound to host memory once; nothing but ids goes to the device and nothing but logits comes back.
        binding = self._session.io_binding()
        for name, ids in feeds.items():
            binding.bind_cpu_input(name, ids)
        binding.bind_output(self._output)
        self._session.run_with_iobinding(binding)
        copied: FloatArray = binding.copy_outputs_to_cpu()[0]
        return copied


def finite(logits: FloatArray, cure: str) -> FloatArray:
    """The logits [B, C], once it is certain that all are numbers.

    Args:
        logits: of a batch.
        cure: a sentence: what to do where they are not.

    Raises:
        ModelError: one is infinite or not a number.
    """
    bad = ~np.isfinite(logits).all(axis=1)  # [B]
    if bad.any():
        raise ModelError(
            f"the model returned logits that are not finite for {int(bad.sum())} of {len(logits)} rows. {cure}"
        )
    return logits
