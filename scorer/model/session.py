"""Sessions of ONNX Runtime that really run where they were asked to. The only module that imports `onnxruntime`.

What the installed package lists is not what starts: `session.get_providers()` after creation is the truth.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scorer.config import Provider
from scorer.distribution import install_command
from scorer.errors import ModelError, ProviderError

# Distributions that all unpack into the folder `onnxruntime` and overwrite each other's files.
ONNXRUNTIME_DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-training",
)
# What a session on a CPU must not do: its one node takes several times as long as the two that an export writes.
SESSION_FUSION = "SkipLayerNormFusion"
PROVIDER_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
# Where a provider leaves nodes to another one, that comes next; the CPU follows by itself.
_HELPERS = {"tensorrt": ("cuda",)}
# Options of our own, which --provider-option overrides: fp32 that is fp32 (TF32 keeps ten bits of the mantissa), and
# memory taken as needed, since every batch has another shape.
DEFAULT_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "cuda": {"use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"},
}
_INSTALL = {
    "cuda": f"pip uninstall -y onnxruntime, then {install_command('gpu')}",
    "tensorrt": f"pip uninstall -y onnxruntime, then {install_command('gpu')}, and NVIDIA's TensorRT",
    "openvino": "pip uninstall -y onnxruntime, then pip install onnxruntime-openvino",
}


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
            f"ONNX Runtime is not installed. Install it with: {install_command('cpu')}, or, on a machine with "
            f"an NVIDIA GPU: {install_command('gpu')}"
        )
    if len(installed) > 1:
        raise ProviderError(
            f"{' and '.join(sorted(installed))} are installed together; they overwrite each other's files and "
            f"CUDA may silently be missing. Keep one: pip uninstall -y {' '.join(sorted(installed))}, then "
            f"{install_command('cpu')} or {install_command('gpu')}"
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


def start_session(
    model_file: Path, provider: Provider, threads: int | Callable[[str], int], options: Mapping[str, str]
) -> tuple[Any, str]:
    """A session on the provider asked for; "auto" tries CUDA first where the package has it.

    Args:
        model_file: the ONNX graph.
        provider: where to run.
        threads: threads that share one batch, or what tells them for a provider by its short name.
        options: options of the provider, over our own.

    Returns:
        The session, and the short name of the provider that is active.

    Raises:
        ProviderError: ONNX Runtime is absent or doubly installed, or the provider asked for did not start.
        ModelError: the graph cannot be loaded.
    """
    onnxruntime = import_onnxruntime()
    built_in = onnxruntime.get_available_providers()
    wanted: str = provider
    if provider == "auto":
        wanted = "cuda" if PROVIDER_NAMES["cuda"] in built_in else "cpu"
    if PROVIDER_NAMES[wanted] not in built_in:
        raise ProviderError(
            f"--provider {wanted} was asked for, but the installed ONNX Runtime ({', '.join(built_in)}) has no "
            f"{PROVIDER_NAMES[wanted]}. Install it: {_INSTALL[wanted]}; `scorer doctor` shows what starts."
        )
    session = create_session(onnxruntime, model_file, wanted, _threads_on(wanted, threads), options)
    if session.get_providers()[0] != PROVIDER_NAMES[wanted]:
        if provider == "auto":
            return create_session(onnxruntime, model_file, "cpu", _threads_on("cpu", threads), {}), "cpu"
        raise ProviderError(
            f"--provider {wanted} was asked for, but the session started on {session.get_providers()[0]}: the "
            "driver or the provider's libraries are missing. Run `scorer doctor`, or choose --provider cpu."
        )
    return session, wanted


def _threads_on(device: str, threads: int | Callable[[str], int]) -> int:
    return threads if isinstance(threads, int) else threads(device)


def create_session(onnxruntime: Any, model_file: Path, provider: str, threads: int, options: Mapping[str, str]) -> Any:
    """An inference session; the caller checks which provider is really active.

    Raises:
        ProviderError: the provider refuses its options.
        ModelError: the graph cannot be loaded.
    """
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4  # what matters reaches the caller as an exception or as get_providers()
    # Every batch has another shape, and a memory plan made for one is of no use to the next. The arena stays: without
    # it every batch returns its memory to the system, and a tenth of the time can go into page faults.
    settings.enable_mem_pattern = False
    if provider != "cpu" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    chain = (provider, *_HELPERS.get(provider, ()))
    providers = [(PROVIDER_NAMES[name], dict(DEFAULT_OPTIONS.get(name, {}))) for name in chain]
    providers[0][1].update(options)
    disabled = [SESSION_FUSION] if provider == "cpu" else []
    try:
        return onnxruntime.InferenceSession(
            str(model_file), sess_options=settings, providers=providers, disabled_optimizers=disabled
        )
    except Exception as error:
        reason = str(error).rstrip(". ")
        if options:
            given = ", ".join(f"{name}={value}" for name, value in options.items())
            raise ProviderError(
                f"the session did not start with --provider-option {given}: {reason}. Check the options' names and "
                f"values for {PROVIDER_NAMES[provider]}."
            ) from error
        raise ModelError(f"cannot load '{model_file}': {reason}. Export the model again.") from error
