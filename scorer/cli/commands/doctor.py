"""What this machine offers a run: packages, providers that really start, threads. It changes nothing."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from scorer.arithmetic.batching import Batch
from scorer.cli.commands.demo import demo_model
from scorer.distribution import VERSION, install_command
from scorer.errors import ProviderError, ScorerError
from scorer.export.checkpoint.exporters import choose_exporter
from scorer.model.classifier import OnnxClassifier
from scorer.model.model_directory import Exporter, open_model_directory
from scorer.model.session import PROVIDER_NAMES, import_onnxruntime, installed_onnxruntime
from scorer.system.machine import allowed_threads, cgroup_cpus

# Packages of each extra, by the name that pip knows.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "export": ("torch", "transformers", "onnx", "onnxscript"),
    "export-optimum": ("torch", "transformers", "onnx", "optimum", "optimum-onnx"),
    "hub": ("datasets", "huggingface_hub"),
    "argilla": ("argilla",),
}
PURPOSES = {"hub": "data sets of the hub", "argilla": "Argilla"}
CORE = ("numpy", "polars", "pyarrow", "tokenizers", "click", "rich")


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        python: version and platform.
        packages: version of every package of the core and of the extras; None where it is missing.
        onnxruntime: installed ONNX Runtime distributions and their versions.
        built_in_providers: providers that the installed package was built with.
        providers: for each provider this project knows, "starts" or why it does not.
        exporter: what `scorer export-onnx` writes graphs with, or None where it cannot.
        cpus: CPUs of the machine.
        affinity: CPUs that this process may run on.
        cgroup_cpus: CPUs that the cgroup's quota grants, or None without a quota.
        threads: threads that a run would use.
        advice: what to install or do, a sentence each.
    """

    python: str
    packages: Mapping[str, str | None]
    onnxruntime: Mapping[str, str]
    built_in_providers: tuple[str, ...]
    providers: Mapping[str, str]
    exporter: Exporter | None
    cpus: int
    affinity: int
    cgroup_cpus: float | None
    threads: int
    advice: tuple[str, ...]

    @property
    def can_score(self) -> bool:
        """Whether at least one provider starts."""
        return "starts" in self.providers.values()


def diagnose() -> Diagnosis:
    """Look at the machine and try every provider on a real session."""
    names = dict.fromkeys((*CORE, *(name for names in EXTRAS.values() for name in names)))
    packages = {"scorer": VERSION, **{name: _version(name) for name in names}}
    advice = []
    built_in: tuple[str, ...] = ()
    providers: dict[str, str] = {}
    try:
        onnxruntime = import_onnxruntime()
    except ScorerError as error:
        advice.append(str(error))
    else:
        built_in = tuple(onnxruntime.get_available_providers())
        providers = {name: _try_provider(name, built_in) for name in PROVIDER_NAMES}
        if providers["cuda"] != "starts" and _has_nvidia_device():
            advice.append(
                f"This machine has an NVIDIA device, but CUDA does not start: {providers['cuda']}. Install: "
                f"pip uninstall -y onnxruntime, then {install_command('gpu')}"
            )
    exporter = None
    try:
        exporter = choose_exporter("auto")
    except ProviderError:  # has been told
        pass
    except ScorerError as error:
        advice.append(str(error))
    for extra, purpose in PURPOSES.items():
        missing = [name for name in EXTRAS[extra] if packages[name] is None]
        if missing:
            advice.append(f"For {purpose} ({', '.join(missing)} missing): {install_command(extra)}")
    return Diagnosis(
        python=f"{platform.python_version()} on {platform.platform()}",
        packages=packages,
        onnxruntime=installed_onnxruntime(),
        built_in_providers=built_in,
        providers=providers,
        exporter=exporter,
        cpus=os.cpu_count() or 1,
        affinity=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        cgroup_cpus=cgroup_cpus(),
        threads=allowed_threads(),
        advice=tuple(advice),
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _try_provider(name: Any, built_in: tuple[str, ...]) -> str:
    """Start a session on the provider and run one batch of the demo's model through it."""
    if PROVIDER_NAMES[name] not in built_in:
        return "not in the installed package"
    try:
        model = open_model_directory(demo_model())
        classifier = OnnxClassifier(model.model_file, model.contract.label_names, name)
        ids, ones = np.ones((1, 4), dtype=np.int32), np.ones((1, 4), dtype=np.int8)
        classifier(Batch(np.zeros(1, dtype=np.int64), ids, ones, ones * 0))
    except ScorerError as error:
        return str(error)
    return "starts"


def _has_nvidia_device() -> bool:
    return any(name.startswith("nvidia") for name in os.listdir("/dev")) if os.path.isdir("/dev") else False  # noqa: PTH112, PTH208


def diagnosis_lines(found: Diagnosis) -> list[str]:
    """The diagnosis as lines for a person."""
    quota = "no quota" if found.cgroup_cpus is None else f"{found.cgroup_cpus:g}"
    lines = [f"Python       {found.python}"]
    lines += [f"{name:<12} {version or 'not installed'}" for name, version in found.packages.items()]
    runtimes = ", ".join(f"{name} {version}" for name, version in found.onnxruntime.items())
    lines += [
        "",
        f"ONNX Runtime packages   {runtimes or 'none'}",
        f"Providers built in      {', '.join(found.built_in_providers) or 'none'}",
    ]
    lines += [f"Provider {name:<14} {state}" for name, state in found.providers.items()]
    lines += [
        f"Exporter                {found.exporter or 'none'}",
        "",
        f"CPUs {found.cpus}, allowed by affinity {found.affinity}, by cgroup {quota}: runs use {found.threads} threads",
    ]
    if found.advice:
        lines += ["", *found.advice]
    return lines
