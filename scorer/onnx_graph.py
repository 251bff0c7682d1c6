"""From a PyTorch model to model.onnx: exported, optimized, converted. Proves nothing; that is `scorer.parity`.

Imports `optimum` and `onnx`, and only when a graph is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scorer.checkpoint import Checkpoint
from scorer.errors import ExportError
from scorer.first_token import PREFIX as FIRST_TOKEN_PREFIX
from scorer.first_token import keep_first_token
from scorer.layer_norm import unfuse_skip_layer_norm
from scorer.model_directory import CONFIG_FILE, EXACT_FILE, MODEL_FILE, Optimization, Precision
from scorer.read_token import NO_PADDING_ID, read_last_end_token, read_last_token

TASK = "text-classification"
TEXT_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
DATA_FILE = "model.onnx_data"
EXACT_DATA_FILE = "model_fp32.onnx_data"
# Fused operators with the error function; FastGelu takes the same inputs, a bias or none.
GELU = ("BiasGelu", "Gelu")
# Protocol buffers end at 2 GiB; graphs near that keep their weights in a file beside them.
EXTERNAL_DATA_BYTES = 2_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What was really done to a graph.

    Attributes:
        optimize: the level applied: where no transformer fusions are known for the architecture, O1 or "none".
        first_token: whether the last layer is computed for the first token alone.
    """

    optimize: Optimization
    first_token: bool


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
            "Choose a checkpoint of another architecture."
        )


def write_graph(
    checkpoint: Checkpoint,
    directory: Path,
    optimize: Optimization,
    precision: Precision,
    notify: Callable[[str], None],
) -> Applied:
    """Write model.onnx (and model.onnx_data, where it is large) and config.json into a directory.

    A precision below fp32 is written with the fp32 graph beside it, as model_fp32.onnx.

    Args:
        checkpoint: what to export.
        directory: an existing directory.
        optimize: the level wanted.
        precision: number format of the weights; logits are float32 always.
        notify: is told where something wanted cannot be had.

    Returns:
        What was applied.

    Raises:
        ExportError: the export or the conversion failed.
    """
    workshop, scratch = directory / "export", directory / "scratch"
    scratch.mkdir()
    try:
        # For large models, shape inference leaves temporary files in the working directory.
        with contextlib.chdir(scratch):
            level = _export(checkpoint, workshop, optimize, notify)
            graph = workshop / MODEL_FILE
            _read_right_tokens(graph)
            first_token = level in {"O2", "O3"} and _rewrite(graph, notify)
            if precision != "fp32":
                _keep_exact(graph)
            if precision == "fp16":
                _to_fp16(graph)
            elif precision == "int8":
                _to_int8(graph)
            _gather_external_data(graph)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"'{checkpoint.source}' could not be exported as {precision} with --optimize {optimize}: "
            f"{type(error).__name__}: {error}. Try --optimize none, or --precision fp32."
        ) from error
    for name in (MODEL_FILE, DATA_FILE, EXACT_FILE, EXACT_DATA_FILE):
        if (workshop / name).exists():
            (workshop / name).rename(directory / name)
    (directory / CONFIG_FILE).write_text(checkpoint.model.config.to_json_string(), encoding="utf-8")
    shutil.rmtree(workshop)  # tokenizer files and library settings that no run reads
    shutil.rmtree(scratch)
    return Applied(level, first_token)


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
        do_validation=False,  # its few dummy inputs all have one length; scorer.parity compares real texts
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
    _save(optimized.model, graph)


def _read_right_tokens(graph: Path) -> None:
    """Have every row of a batch read where it is read alone."""
    import onnx

    model = onnx.load(graph)
    changed = [read_last_token(model), read_last_end_token(model)]
    if any(changed):
        _save(model, graph)


def _rewrite(graph: Path, notify: Callable[[str], None]) -> bool:
    """What fusion leaves to gain; returns whether the last layer is computed for the first token alone."""
    import onnx

    model = onnx.load(graph)
    reason = keep_first_token(model)
    if reason is not None:
        notify(f"the last layer is computed for all tokens: {reason}")
    if unfuse_skip_layer_norm(model) or reason is None:
        _save(model, graph)
    return reason is None


def _keep_exact(graph: Path) -> None:
    """Lay a copy of the fp32 graph beside it, before it is converted."""
    import onnx

    _save(onnx.load(graph), graph.with_name(EXACT_FILE))


def _to_fp16(graph: Path) -> None:
    """Weights and arithmetic to float16; what goes in and comes out stays as it was."""
    import onnx
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = OnnxModel(onnx.load(graph))
    # Symbolic shape inference knows the fused operators of ONNX Runtime, onnx's own does not.
    model.convert_float_to_float16(use_symbolic_shape_infer=True, keep_io_types=True)
    _save(model.model, graph)


def _to_int8(graph: Path) -> None:
    """Weights to signed 7-bit integers, a scale per output channel; activations are quantized as they come.

    The eighth bit is left free: processors without 8-bit dot products add two products in 16 bits, which full weights
    would overflow, so that an export's answers would depend on the processor. GELU is taken by its tanh form, which is
    cheaper and off by less than the quantized activations are.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantized = graph.with_name("quantized.onnx")
    # Products of one query per text are too small to gain anything, and have a weight per attention head.
    names = [node.name for node in onnx.load(graph, load_external_data=False).graph.node]
    quantize_dynamic(
        graph,
        quantized,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[name for name in names if name.startswith(FIRST_TOKEN_PREFIX)],
        # The fused operators hide their output types from onnx's shape inference; all of them are float.
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        use_external_data_format=_is_large(graph),
    )
    model = onnx.load(quantized)
    for node in model.graph.node:
        if node.op_type in GELU and node.domain == "com.microsoft":
            node.op_type = "FastGelu"
    _save(model, graph)


def _gather_external_data(graph: Path) -> None:
    """Have all weights outside the graph, if any, in one file of the name that the model directory promises."""
    import onnx

    model = onnx.load(graph, load_external_data=False)
    places = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    if places - {DATA_FILE}:
        _save(onnx.load(graph), graph)


def _save(model: Any, graph: Path) -> None:
    """Replace a graph, with its weights beside it where they are large."""
    import onnx

    data = graph.with_name(f"{graph.name}_data")
    data.unlink(missing_ok=True)  # onnx appends to a file that exists
    weight_bytes = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if weight_bytes < EXTERNAL_DATA_BYTES:
        onnx.save(model, graph)
    else:
        onnx.save(model, graph, save_as_external_data=True, all_tensors_to_one_file=True, location=data.name)


def _is_large(graph: Path) -> bool:
    files = [graph, *graph.parent.glob(f"{MODEL_FILE}[_.]data")]
    return sum(file.stat().st_size for file in files) >= EXTERNAL_DATA_BYTES
