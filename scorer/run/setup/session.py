"""Third step of a run's preparation: the model's session, opened once, and the predictor around it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from scorer.config import LENGTH_MULTIPLE, ModelConfig, Provider, RunConfig
from scorer.model.classifier import OnnxClassifier
from scorer.model.model_directory import ModelDirectory
from scorer.model.tuning import Setting, choose_setting, setting_of
from scorer.predictors.distinct import most_texts
from scorer.predictors.one_classifier import OneClassifier
from scorer.results.manifest import Manifest
from scorer.run.setup.model import OpenModel, open_encoder

# Where the NVIDIA driver lists its devices.
_NVIDIA_DEVICES = Path("/proc/driver/nvidia/gpus")


@dataclasses.dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that runs, and how batches are computed in it.

    Attributes:
        predictor: the model, ready to predict.
        setting: batches side by side, threads of each, and their size.
        device: short name of the provider that is active.
        provider: ONNX Runtime's name of it.
        window_rows: rows that pass through the model together.
    """

    predictor: OneClassifier
    setting: Setting
    device: str
    provider: str
    window_rows: int


def open_session(config: RunConfig, model: OpenModel, earlier: Manifest | None) -> OpenSession:
    """Start the session on the provider asked for.

    Args:
        config: what is asked for.
        model: the model, opened.
        earlier: manifest of the run that is resumed, whose setting is kept; None begins anew.

    Raises:
        ProviderError: the provider asked for did not start.
        ModelError: the graph cannot be loaded.
    """

    def setting_on(device: str) -> Setting:
        known = None if earlier is None else setting_of(earlier.fingerprint, device, model.threads)
        return known or choose_setting(model.directory, device, model.threads, max_batch_tokens=config.max_batch_tokens)

    classifier = open_classifier(config, model.directory, threads=lambda device: setting_on(device).session_threads)
    setting = setting_on(classifier.device)
    return OpenSession(
        predictor=_predictor(config, model, classifier, setting),
        setting=setting,
        device=classifier.device,
        provider=classifier.provider,
        window_rows=min(config.window_rows, most_texts(len(model.contract.label_names))),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class PredictorElsewhere:
    """Opens the run's predictor in another process.

    Attributes:
        config: what is asked of the model.
        directory: the model directory.
        max_length: tokens kept of a text.
        setting: of the run, which decides the last digits of scores.
        device: short name of the provider that is active in the run.
    """

    config: ModelConfig
    directory: ModelDirectory
    max_length: int
    setting: Setting
    device: str

    def __call__(self, number: int, threads: int) -> OneClassifier:
        """For the worker of this number, of so many threads; it has a GPU of its own where there are several."""
        config = on_own_gpu(self.config, self.device, number)
        session_threads = self.setting.session_threads
        streams = max(1, min(self.setting.streams, threads // session_threads))
        return _predictor(
            config,
            OpenModel(self.directory, self.max_length, threads, open_encoder(self.directory, self.max_length, threads)),
            open_classifier(config, self.directory, threads=session_threads),
            msgspec.structs.replace(self.setting, streams=streams),
        )


def open_classifier(
    config: ModelConfig, model: ModelDirectory, *, fp32: bool = False, threads: int | Callable[[str], int] = 1
) -> OnnxClassifier:
    """The model's session, or that of the fp32 graph beside it.

    Raises:
        ProviderError: the provider asked for did not start.
        ModelError: the graph cannot be loaded.
    """
    file = model.fp32_file if fp32 else None
    return OnnxClassifier(
        file or model.model_file,
        model.contract.label_names,
        config.provider,
        threads=threads,
        options=dict(config.provider_options),
        equal_lengths=model.contract.equal_lengths,
    )


def _predictor(config: ModelConfig, model: OpenModel, classifier: OnnxClassifier, setting: Setting) -> OneClassifier:
    fp32 = partial(open_classifier, config, model.directory, fp32=True, threads=setting.session_threads)
    multiple = LENGTH_MULTIPLE[classifier.device]
    return OneClassifier(
        encoder=model.encoder,
        classifier=classifier,
        precision=model.contract.precision,
        make_fp32=None if model.directory.fp32_file is None else fp32,
        max_batch_tokens=setting.max_batch_tokens,
        length_multiple=multiple if model.max_length % multiple == 0 else 1,
        pad_token_id=model.contract.pad_token_id,
        streams=setting.streams,
    )


def on_own_gpu(config: ModelConfig, device: str, number: int) -> ModelConfig:
    """The configuration of the worker of this number: on a GPU of its own, unless the user chose one.

    It names the provider that is active in the run, where "auto" was asked for: only a provider that is named takes
    options, and a worker must not fall back to the CPU.
    """
    if device not in {"cuda", "tensorrt"} or "device_id" in dict(config.provider_options):
        return config
    provider: Provider = "tensorrt" if device == "tensorrt" else "cuda"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = len(visible.split(",")) if visible else sum(1 for _ in _NVIDIA_DEVICES.glob("*"))
    options = (*config.provider_options, ("device_id", str(number % max(1, devices))))
    return dataclasses.replace(config, provider=provider, provider_options=options)
