"""From a PyTorch model to an ONNX graph, by optimum: exported, optimized, its last layer cut. Proves nothing.

Imports `optimum` and `onnx`, and only when a graph is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.exporters import other_environment
from scorer.export.containers.checkpoint import Checkpoint
from scorer.export.onnx.files import save
from scorer.export.positions.first_token import keep_first_token
from scorer.export.positions.read_token import NO_PADDING_ID, read_last_end_token, read_last_token
from scorer.export.rewrites.layer_norm import unfuse_skip_layer_norm
from scorer.model.model_directory import MODEL_FILE, Optimization

TASK = "text-classification"
TEXT_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


def check_exportable(model_type: str, location: str) -> None:
    """Refuse an architecture that optimum cannot export as a text classifier.

    Raises:
        ExportError: naming the architecture.
    """
    import optimum.exporters.onnx.model_configs  # noqa: F401 — registers the architectures
    from optimum.exporters.tasks import TasksManager

    try:
        supported = TASK in TasksManager.get_supported_tasks_for_model_type(
            model_type, "onnx", library_name="transformers"
        )
    except KeyError:
        supported = False
    if not supported:
        raise ExportError(
            f"'{location}' has the architecture '{model_type}', which optimum cannot export as a text classifier. "
            f"torch's exporter may. {other_environment('torch')}"
        )


def write_optimum_graph(
    checkpoint: Checkpoint, workshop: Path, optimize: Optimization, notify: Callable[[str], None]
) -> tuple[Optimization, bool]:
    """Write model.onnx into a folder that does not exist yet.

    Args:
        checkpoint: what to export.
        workshop: receives the graph, and files that no run reads.
        optimize: the level wanted.
        notify: is told where something wanted cannot be had.

    Returns:
        The level applied, and whether the last layer is computed for the first token alone.
    """
    level = _export(checkpoint, workshop, optimize, notify)
    graph = workshop / MODEL_FILE
    _read_right_tokens(graph)
    return level, level in {"O2", "O3"} and _rewrite(graph, notify)


def _export(
    checkpoint: Checkpoint, workshop: Path, optimize: Optimization, notify: Callable[[str], None]
) -> Optimization:
    """Export at the level wanted, or at the highest one below it that the architecture supports."""
    if optimize == "none":
        _main_export(checkpoint, workshop, None)
        return "none"
    try:
        _main_export(checkpoint, workshop, optimize)
    except (NotImplementedError, KeyError):  # what optimum's table of architectures raises
        if not (workshop / MODEL_FILE).exists():
            raise
        notify(
            f"optimum has no {optimize} for the architecture '{checkpoint.model.config.model_type}'; general graph "
            "optimizations (O1) are applied instead"
        )
        shutil.rmtree(workshop)
        _main_export(checkpoint, workshop, None)
        _optimize_generally(workshop / MODEL_FILE)
        return "O1"
    return optimize


def _main_export(checkpoint: Checkpoint, workshop: Path, optimize: str | None) -> None:
    from optimum.exporters.onnx import onnx_export_from_model

    model = checkpoint.fresh_model()
    model.config.use_cache = False
    if model.config.pad_token_id is None:
        model.config.pad_token_id = NO_PADDING_ID  # in this copy alone: the checkpoint goes without
    onnx_export_from_model(
        model,
        workshop,
        task=TASK,
        optimize=optimize,
        custom_onnx_configs={"model": _inputs_of_texts(model)},
        do_validation=False,  # its few dummy inputs all have one length; scorer.export.proof.parity compares real texts
    )


def _inputs_of_texts(model: Any) -> Any:
    """Optimum's description of the model for its export, with the inputs that a tokenizer gives and no others."""
    from optimum.exporters.tasks import TasksManager

    # One kind of segment is no segment; optimum's dummy inputs would have two.
    names = TEXT_INPUTS - {"token_type_ids"} if getattr(model.config, "type_vocab_size", 2) == 1 else TEXT_INPUTS
    describe = TasksManager.get_exporter_config_constructor(
        model=model, exporter="onnx", task=TASK, library_name="transformers"
    )
    inputs = {name: axes for name, axes in describe(model.config).inputs.items() if name in names}
    kind = type("TextInputs", (describe.func,), {"inputs": property(lambda _: inputs)})
    return kind(model.config, *describe.args, **describe.keywords)


def _optimize_generally(graph: Path) -> None:
    """What O1 means in optimum, for any architecture: ONNX Runtime's basic level, no transformer fusions."""
    from onnxruntime.transformers.optimizer import optimize_model

    optimized = optimize_model(str(graph), model_type="bert", opt_level=1, only_onnxruntime=True)
    save(optimized.model, graph)


def _read_right_tokens(graph: Path) -> None:
    """Have every row of a batch read where it is read alone."""
    import onnx

    model = onnx.load(graph)
    changed = [read_last_token(model), read_last_end_token(model)]
    if any(changed):
        save(model, graph)


def _rewrite(graph: Path, notify: Callable[[str], None]) -> bool:
    """What fusion leaves to gain; returns whether the last layer is computed for the first token alone."""
    import onnx

    model = onnx.load(graph)
    reason = keep_first_token(model)
    if reason is not None:
        notify(f"the last layer is computed for all tokens: {reason}")
    if unfuse_skip_layer_norm(model) or reason is None:
        save(model, graph)
    return reason is None
