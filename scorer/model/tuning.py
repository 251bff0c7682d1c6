"""How many batches side by side, of how many tokens: what a short probe finds fastest on this machine.

One session with all threads on a batch, or a thread per batch; small batches, which stay in the caches, or large ones,
which keep every unit busy: it depends on model and machine. The probe's answer is kept beside the model, by machine, so
that it is asked once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from scorer.arithmetic.batching import Batch, Encoded, batches
from scorer.config import DEFAULT_BATCH_TOKENS, LENGTH_MULTIPLE, Provider
from scorer.model.classifier import OnnxClassifier
from scorer.model.inference import infer
from scorer.model.model_directory import ModelDirectory
from scorer.model.session import installed_onnxruntime
from scorer.system.documents import parse, written
from scorer.system.files import replacing

TUNING_FILE = "tuning.json"
# Padded tokens per batch that are tried, by the kind of device.
HOST_BATCH_TOKENS = (256, 512, 1_024, 2_048, 4_096)
DEVICE_BATCH_TOKENS = (16_384, 32_768, 65_536, 131_072)
DEVICE_STREAMS = (1, 2)
# Tokens that a candidate computes per round, for each stream; the fastest of the rounds counts.
HOST_TOKENS, DEVICE_TOKENS = 8_192, 1_048_576
ROUNDS = 3
# Times the default's rate that another setting must reach to replace it: less is within a probe's noise.
CLEARLY_FASTER = 1.05
# Lengths of the probe's texts in tokens: many short ones and few long ones, as corpora have them.
MEDIAN_LENGTH, LENGTH_SPREAD = 40, 0.6


class Setting(msgspec.Struct, frozen=True):
    """How batches are computed.

    Attributes:
        streams: batches side by side.
        session_threads: threads that share one batch.
        max_batch_tokens: cap on padded tokens per batch.
    """

    streams: int
    session_threads: int
    max_batch_tokens: int

    def __str__(self) -> str:
        threads = "1 thread" if self.session_threads == 1 else f"{self.session_threads} threads"
        return f"batches of {self.max_batch_tokens:,} tokens, {self.streams} at a time, {threads} each"


@dataclasses.dataclass(frozen=True, slots=True)
class Tuning:
    """What a probe measured.

    Attributes:
        best: the fastest setting, or the default where none is clearly faster.
        tokens_per_s: real tokens per second of every setting tried.
    """

    best: Setting
    tokens_per_s: tuple[tuple[Setting, float], ...]


def default_setting(device: str, threads: int) -> Setting:
    """What was fastest elsewhere: a thread per batch on a CPU, one large batch after the other on a GPU.

    Args:
        device: provider that is active, by its short name.
        threads: threads that may compute.
    """
    streams = threads if on_host(device) else 1
    return Setting(streams, 1, DEFAULT_BATCH_TOKENS[device])


def on_host(device: str) -> bool:
    """Whether the provider computes on the CPU."""
    return device in {"cpu", "openvino"}


def choose_setting(
    model: ModelDirectory,
    device: str,
    threads: int,
    *,
    max_batch_tokens: int | None,
) -> Setting:
    """The setting of a run: what it asks for, what `scorer tune` found, or the default.

    Args:
        model: the model directory.
        device: provider that is active, by its short name.
        threads: threads that may compute.
        max_batch_tokens: what the run asks for; None leaves it open.
    """
    default = default_setting(device, threads)
    if max_batch_tokens is not None:
        return Setting(default.streams, default.session_threads, max_batch_tokens)
    return kept_setting(model, device, threads) or default


def decisive(setting: Setting) -> dict[str, Any]:
    """What of a setting may change the last digits of scores, for a run's fingerprint."""
    return {"batch_tokens": setting.max_batch_tokens, "session_threads": setting.session_threads}


def setting_of(fingerprint: Mapping[str, Any], device: str, threads: int) -> Setting | None:
    """The setting that an earlier part of a run had, on the threads of now; None where its fingerprint has none."""
    if "batch_tokens" not in fingerprint:
        return None
    session_threads = int(fingerprint["session_threads"])
    streams = max(1, threads // session_threads) if on_host(device) else DEVICE_STREAMS[0]
    return Setting(streams, session_threads, int(fingerprint["batch_tokens"]))


def tune(
    model: ModelDirectory,
    provider: Provider,
    threads: int,
    longest: int,
    notify: Callable[[str], None],
) -> tuple[Tuning, str]:
    """Try settings on the model and keep the fastest beside it, or the default where none is clearly faster.

    Args:
        model: the model directory; where it cannot be written, the answer is not kept, and `notify` is told.
        provider: where to run.
        threads: threads that may compute.
        longest: tokens of the longest text.
        notify: is told of every setting as it is measured.

    Returns:
        What was measured, and the short name of the provider that was active.

    Raises:
        ProviderError: the provider asked for did not start.
        ModelError: the graph cannot be loaded, or inference failed.
    """
    rates: dict[Setting, float] = {}
    device = ""
    for session_threads in dict.fromkeys((1, threads)):
        with contextlib.closing(
            OnnxClassifier(
                model.model_file,
                model.contract.label_names,
                provider,
                threads=session_threads,
                equal_lengths=model.contract.equal_lengths,
            )
        ) as classifier:
            device = classifier.device
            for setting in _candidates(device, threads, session_threads):
                rates[setting] = _rate(classifier, setting, model.contract.pad_token_id, longest)
                notify(f"{setting}: {rates[setting]:,.0f} tokens/s")
        if not on_host(device):
            break  # a GPU's sessions do not compute on threads
    best = max(rates, key=lambda setting: rates[setting])
    default = default_setting(device, threads)
    if rates[best] < CLEARLY_FASTER * rates.get(default, 0.0):
        best = default
    _keep(model, device, threads, best, notify)
    return Tuning(best, tuple(rates.items())), device


def kept_setting(model: ModelDirectory, device: str, threads: int) -> Setting | None:
    """What an earlier probe on this machine found, or None."""
    return _kept(model).get(_key(model, device, threads))


def _kept(model: ModelDirectory) -> dict[str, Setting]:
    """The answers beside a model, by machine; none where the file is not there or damaged."""
    with contextlib.suppress(OSError, ValueError):
        return parse((model.path / TUNING_FILE).read_bytes(), dict[str, Setting])
    return {}


def _candidates(device: str, threads: int, session_threads: int) -> Iterator[Setting]:
    """Settings of one session."""
    host = on_host(device)
    streams: Sequence[int] = (threads // session_threads,) if host else DEVICE_STREAMS
    budgets = HOST_BATCH_TOKENS if host else DEVICE_BATCH_TOKENS
    for count in streams:
        yield from (Setting(count, session_threads, tokens) for tokens in budgets)


def _rate(classifier: OnnxClassifier, setting: Setting, pad_token_id: int, longest: int) -> float:
    """Real tokens per second, the best of a few rounds."""
    host = on_host(classifier.device)
    encoded = _texts((HOST_TOKENS if host else DEVICE_TOKENS) * setting.streams, longest)
    multiple = LENGTH_MULTIPLE[classifier.device] if longest % LENGTH_MULTIPLE[classifier.device] == 0 else 1
    ready = list(batches(encoded, setting.max_batch_tokens, pad_token_id, multiple))
    _compute(classifier, ready[:: max(1, len(ready) // 4)], setting.streams)  # warm-up
    best_s = min(_compute(classifier, ready, setting.streams) for _ in range(ROUNDS))
    return int(encoded.lengths.sum()) / best_s


def _compute(classifier: OnnxClassifier, ready: list[Batch], streams: int) -> float:
    start = time.perf_counter()
    for _ in infer(classifier, ready, streams):
        pass
    return time.perf_counter() - start


def _texts(tokens: int, longest: int) -> Encoded:
    """Texts of about so many tokens in all, the same ones every time; which ids they hold changes no time."""
    random = np.random.default_rng(0)
    count = max(1, tokens // MEDIAN_LENGTH)
    lengths = np.clip(np.exp(random.normal(np.log(MEDIAN_LENGTH), LENGTH_SPREAD, count)), 3, longest).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Encoded(np.ones(offsets[-1], dtype=np.int32), offsets, np.zeros(count, dtype=np.bool_))


def _keep(model: ModelDirectory, device: str, threads: int, best: Setting, notify: Callable[[str], None]) -> None:
    file = model.path / TUNING_FILE
    entries = _kept(model) | {_key(model, device, threads): best}
    try:
        with replacing(file) as temporary:
            temporary.write_text(written(entries, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        notify(f"'{file}' cannot be written ({error.strerror}): the next run will not know of it.")


def _key(model: ModelDirectory, device: str, threads: int) -> str:
    """Machine and model, as far as they decide what is fastest."""
    runtime = "+".join(f"{name} {version}" for name, version in installed_onnxruntime().items())
    return f"{_processor()}, {threads} threads, {device}, {runtime}, model {model.model_hash[:12]}"


def _processor() -> str:
    """The processor's name as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
