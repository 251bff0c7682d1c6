"""Which exporter writes the graph: torch's own or optimum's, by what is installed. Exports nothing.

torch's exporter needs transformers 5, optimum 4.57; so an environment holds one of them. Imports neither.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from typing import Literal

from scorer.distribution import VERSION, install_command
from scorer.errors import MissingExtraError, UsageError
from scorer.model.model_directory import Exporter
from scorer.model.session import import_onnxruntime, installed_onnxruntime

ExporterChoice = Literal["auto", "torch", "optimum"]
# The extra that brings each exporter.
EXTRAS: Mapping[Exporter, str] = {"torch": "export", "optimum": "export-optimum"}
# module to import -> distribution that brings it
REQUIRED: Mapping[Exporter, Mapping[str, str]] = {
    "torch": {"torch": "torch", "transformers": "transformers", "onnx": "onnx", "onnxscript": "onnxscript"},
    "optimum": {
        "torch": "torch",
        "transformers": "transformers",
        "onnx": "onnx",
        "optimum": "optimum",
        "optimum.exporters.onnx": "optimum-onnx",
    },
}
TRANSFORMERS_OF_TORCH = 5
TRANSFORMERS_OF_OPTIMUM = "4.57"
COMMON = ("torch", "transformers", "onnx", "tokenizers")
OWN: Mapping[Exporter, tuple[str, ...]] = {"optimum": ("optimum", "optimum-onnx"), "torch": ("onnxscript",)}


def choose_exporter(wanted: ExporterChoice) -> Exporter:
    """The exporter that writes the graph, once it is certain that all it needs is installed.

    Args:
        wanted: "auto" takes optimum where it is installed, and torch's own elsewhere.

    Raises:
        MissingExtraError, ProviderError: a package is not installed.
        UsageError: the one wanted does not work with the installed transformers.
    """
    exporter: Exporter = _found() if wanted == "auto" else wanted
    installed = version("transformers")
    if exporter == "torch" and installed is not None and not _reads_for_torch():
        subject = "exporting" if wanted == "auto" else "--exporter torch"
        raise UsageError(
            f"{subject} needs transformers {TRANSFORMERS_OF_TORCH}, and {installed} is installed. "
            f"{other_environment('torch')}"
        )
    if exporter == "optimum" and _reads_for_torch() and not _is_installed("optimum.exporters.onnx"):
        raise UsageError(
            f"--exporter optimum needs transformers {TRANSFORMERS_OF_OPTIMUM}, and {installed} is installed. "
            f"{other_environment('optimum')}"
        )
    for module, distribution in REQUIRED[exporter].items():
        if not _is_installed(module):
            raise MissingExtraError(distribution, EXTRAS[exporter], "scorer export-onnx")
    import_onnxruntime()
    return exporter


def other_environment(exporter: Exporter) -> str:
    """How to get an environment with the exporter, as a sentence: none replaces what is installed."""
    return f"Export in an environment of its own, with: {install_command(f'cpu,{EXTRAS[exporter]}')}"


def versions(exporter: Exporter) -> dict[str, str]:
    """Versions of all packages that take part in an export."""
    found = {name: importlib.metadata.version(name) for name in (*COMMON, *OWN[exporter])}
    return {"scorer": VERSION, **found, **installed_onnxruntime()}


def version(distribution: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _found() -> Exporter:
    """The exporter that is installed, or that can be added without another transformers than the installed one."""
    of_optimum = (version("transformers") or "").startswith(f"{TRANSFORMERS_OF_OPTIMUM}.")
    return "optimum" if of_optimum or _is_installed("optimum.exporters.onnx") else "torch"


def _reads_for_torch() -> bool:
    """Whether the installed transformers is one that torch's exporter can take models of."""
    return int((version("transformers") or "0").split(".")[0]) >= TRANSFORMERS_OF_TORCH


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False
