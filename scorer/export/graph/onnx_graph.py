"""From a PyTorch model to model.onnx: exported, optimized, converted. Proves nothing; that is `proof.parity`.

Two exporters write graphs, optimum's (`graph.optimum_graph`) and torch's own (`graph.torch_graph`); what comes after
is the same. Imports `onnx`, and only when a graph is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

from scorer.errors import ExportError
from scorer.export.containers.checkpoint import Checkpoint
from scorer.export.graph.graph_precision import fuse, to_fp16, to_int8
from scorer.export.graph.optimum_graph import write_optimum_graph
from scorer.export.graph.torch_graph import accepted_inputs, write_torch_graph
from scorer.export.onnx.files import DATA_FILE, FP32_DATA_FILE, gather_external_data, save
from scorer.export.positions.read_token import NO_PADDING_ID, read_last_token
from scorer.export.rewrites.graph_rewrites import rewrite
from scorer.model.model_directory import CONFIG_FILE, FP32_FILE, MODEL_FILE, Exporter, Optimization, Precision


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What was really done to a graph.

    Attributes:
        exporter: which wrote it.
        optimize: the level applied: where optimum knows no fusions for the architecture, O1 or "none".
        one_position: whether the last layer is computed for one position alone.
    """

    exporter: Exporter
    optimize: Optimization
    one_position: bool


def write_graph(
    checkpoint: Checkpoint,
    directory: Path,
    optimize: Optimization,
    precision: Precision,
    notify: Callable[[str], None],
    *,
    exporter: Exporter,
) -> Applied:
    """Write model.onnx (and model.onnx_data, where it is large) and config.json into a directory.

    A precision below fp32 is written with the fp32 graph beside it, as model_fp32.onnx.

    Args:
        checkpoint: what to export.
        directory: an existing directory.
        optimize: the level wanted.
        precision: number format of the weights; logits are float32 always.
        notify: is told where something wanted cannot be had.
        exporter: what writes the graph.

    Returns:
        What was applied.

    Raises:
        ExportError: the export or the conversion failed.
    """
    workshop, scratch = directory / "export", directory / "scratch"
    scratch.mkdir()
    write = write_optimum_graph if exporter == "optimum" else _write_torch_graph
    try:
        # For large models, shape inference leaves temporary files in the working directory.
        with contextlib.chdir(scratch):
            level, one_position = write(checkpoint, workshop, optimize, notify)
            graph = workshop / MODEL_FILE
            if precision != "fp32":
                _convert(graph, exporter, precision)
            gather_external_data(graph)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"'{checkpoint.source}' could not be exported as {precision} with --optimize {optimize}: "
            f"{type(error).__name__}: {error}. Try --optimize none, or --precision fp32."
        ) from error
    for name in (MODEL_FILE, DATA_FILE, FP32_FILE, FP32_DATA_FILE):
        if (workshop / name).exists():
            (workshop / name).rename(directory / name)
    (directory / CONFIG_FILE).write_text(checkpoint.model.config.to_json_string(), encoding="utf-8")
    shutil.rmtree(workshop)  # tokenizer files and library settings that no run reads
    shutil.rmtree(scratch)
    return Applied(exporter, level, one_position)


def _write_torch_graph(
    checkpoint: Checkpoint, workshop: Path, optimize: Optimization, notify: Callable[[str], None]
) -> tuple[Optimization, bool]:
    """As `write_optimum_graph`, by torch's exporter.

    "none" and O1 leave the graph to the session; O2 cuts the last layer and packs attention, O3 approximates GELU too.
    """
    import onnx

    workshop.mkdir()
    graph = workshop / MODEL_FILE
    network = checkpoint.fresh_model()
    text_config = network.config.get_text_config()
    if text_config.pad_token_id is None:
        text_config.pad_token_id = NO_PADDING_ID  # in this copy alone: the checkpoint goes without
    write_torch_graph(network, accepted_inputs(network, checkpoint.tokenizer.model_input_names), graph)
    model = onnx.load(graph)
    read_last_token(model)
    cut = optimize in {"O2", "O3"}
    reason = rewrite(model, cut=cut, longest=checkpoint.max_length)
    if cut and reason is not None:
        notify(f"the last layer is computed for all tokens: {reason}")
    save(model, graph)
    if optimize == "O3":
        fuse(graph, fast_gelu=True)
    return optimize, cut and reason is None


def _convert(graph: Path, exporter: Exporter, precision: Precision) -> None:
    """Bring a graph to less precision, and keep a copy of it in fp32."""
    import onnx

    save(onnx.load(graph), graph.with_name(FP32_FILE))
    if exporter == "torch":
        fuse(graph, fast_gelu=False)
    if precision == "fp16":
        to_fp16(graph)
    else:
        to_int8(graph)
