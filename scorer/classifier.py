"""Batches to logits. The only module that imports `onnxruntime`, and only when a session or a report needs it."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scorer.batching import Batch
from scorer.config import Provider
from scorer.errors import ModelError, ProviderError
from scorer.scoring import FloatArray

# Distributions that all unpack into the folder `onnxruntime` and overwrite each other's files.
ONNXRUNTIME_DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-training",
)
PROVIDER_NAMES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Classifier(Protocol):
    """What the pipeline needs of a model; tests pass a five-line fake."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The C class names, in the order of the logits' columns."""
        ...

    def __call__(self, batch: Batch) -> FloatArray:
        """Logits of the batch: float32 [B, C]."""
        ...


class OnnxClassifier:
    """An ONNX Runtime session that is known to run on the provider asked for.

    Args:
        model_file: the ONNX graph.
        labels: the C class names, in the order of the logits' columns.
        provider: "cpu", "cuda", or "auto" for CUDA where it starts and the CPU elsewhere.
        threads: threads that share one batch. Callers may also compute batches side by side, each on its own thread.

    Raises:
        ProviderError: ONNX Runtime is absent, doubly installed, or the provider asked for did not start.
        ModelError: the graph cannot be loaded, or its inputs or outputs are not a classifier's.
    """

    def __init__(
        self,
        model_file: Path,
        labels: tuple[str, ...],
        provider: Provider = "auto",
        threads: int = 1,
    ) -> None:
        self.labels = labels
        self._session = _start_session(model_file, provider, threads)
        self.provider: str = self._session.get_providers()[0]  # the one really active
        known = {"input_ids", "attention_mask", "token_type_ids"}
        self._inputs = tuple(node.name for node in self._session.get_inputs())
        if "input_ids" not in self._inputs or not set(self._inputs) <= known:
            raise ModelError(
                f"'{model_file}' takes the inputs {', '.join(self._inputs)}; a text classifier takes input_ids "
                "and at most attention_mask and token_type_ids. Export the model with: scorer export-onnx"
            )
        self._output: str = self._session.get_outputs()[0].name

    def __call__(self, batch: Batch) -> FloatArray:
        """Logits of the batch: float32 [B, C].

        Raises:
            ModelError: inference failed, the width of the logits is not the number of labels, or a logit is
                not finite.
        """
        feeds = {name: getattr(batch, name) for name in self._inputs}
        try:
            logits: FloatArray = self._session.run([self._output], feeds)[0]
        except Exception as error:
            raise ModelError(
                f"inference failed on a batch of {batch.rows.size} rows x {batch.input_ids.shape[1]} tokens: "
                f"{error}. A smaller --max-batch-tokens or --max-length may help."
            ) from error
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            raise ModelError(
                f"the model returns logits of shape {list(logits.shape)}, but its directory names "
                f"{len(self.labels)} labels. Export the model again."
            )
        if not np.isfinite(logits).all():
            raise ModelError(
                f"the model returned logits that are not finite for {int((~np.isfinite(logits)).any(1).sum())} "
                f"of {batch.rows.size} rows. Export it in fp32, and check the checkpoint's weights."
            )
        return logits.astype(np.float32, copy=False)


def allowed_threads() -> int:
    """Threads that this process may really use: the smaller of its CPU affinity and its cgroup's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, int(cgroup_cpus() or affinity)))


def cgroup_cpus() -> float | None:
    """CPUs that the cgroup's quota grants (v2, then v1), or None without a quota."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text().strip()
            period = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in {"max", "-1"} else int(quota) / int(period)


def installed_onnxruntime() -> dict[str, str]:
    """Installed ONNX Runtime distributions and their versions."""
    found = {}
    for name in ONNXRUNTIME_DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def import_onnxruntime() -> Any:
    """The `onnxruntime` module, once it is certain that exactly one distribution provides it.

    Raises:
        ProviderError: none or several are installed, or the one installed does not load.
    """
    installed = installed_onnxruntime()
    if not installed:
        raise ProviderError(
            "ONNX Runtime is not installed. Install it with: pip install 'scorer[cpu]', or, on a machine with "
            "an NVIDIA GPU: pip install 'scorer[gpu]'"
        )
    if len(installed) > 1:
        raise ProviderError(
            f"{' and '.join(sorted(installed))} are installed together; they overwrite each other's files and "
            f"CUDA may silently be missing. Keep one: pip uninstall -y {' '.join(sorted(installed))}, then "
            "pip install 'scorer[cpu]' or pip install 'scorer[gpu]'"
        )
    try:
        import onnxruntime
    except ImportError as error:
        name = next(iter(installed))
        raise ProviderError(
            f"{name} {installed[name]} is installed but does not load: {error}. Install it again with: "
            f"pip install --force-reinstall {name}"
        ) from error
    return onnxruntime


def _start_session(model_file: Path, provider: Provider, threads: int) -> Any:
    """A session on the provider asked for; "auto" tries CUDA first where the package has it."""
    onnxruntime = import_onnxruntime()
    built_in = onnxruntime.get_available_providers()
    wanted = provider
    if provider == "auto":
        wanted = "cuda" if PROVIDER_NAMES["cuda"] in built_in else "cpu"
    if PROVIDER_NAMES[wanted] not in built_in:
        raise ProviderError(
            f"--provider {wanted} was asked for, but the installed ONNX Runtime ({', '.join(built_in)}) has no "
            f"{PROVIDER_NAMES[wanted]}. Install the GPU package: pip uninstall -y onnxruntime, then "
            "pip install 'scorer[gpu]'; `scorer doctor` shows what starts."
        )
    session = start_session(onnxruntime, model_file, wanted, threads)
    if session.get_providers()[0] != PROVIDER_NAMES[wanted]:
        if provider == "auto":
            return start_session(onnxruntime, model_file, "cpu", threads)
        raise ProviderError(
            f"--provider {wanted} was asked for, but the session started on {session.get_providers()[0]}: the "
            "driver or the CUDA libraries are missing. Run `scorer doctor`, or choose --provider cpu."
        )
    return session


def start_session(onnxruntime: Any, model_file: Path, provider: str, threads: int) -> Any:
    """An inference session; the caller checks which provider is really active.

    Raises:
        ModelError: the graph cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what matters reaches the caller as an exception or as get_providers()
    # Every batch has another shape, and a memory plan made for one is of no use to the next. The arena stays: without
    # it every batch returns its memory to the system, and a tenth of the time can go into page faults.
    options.enable_mem_pattern = False
    if provider == "cuda" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    try:
        return onnxruntime.InferenceSession(str(model_file), sess_options=options, providers=[PROVIDER_NAMES[provider]])
    except Exception as error:
        raise ModelError(f"cannot load '{model_file}': {str(error).rstrip('. ')}. Export the model again.") from error
