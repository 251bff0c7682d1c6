"""Graphs of less precision than fp32, and with GELU by its tanh form. Works on files; proves nothing.

Imports `onnx` and `onnxruntime`, and only when a graph is converted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scorer.export.onnx.files import is_large, save
from scorer.export.positions.first_token import PREFIX as FIRST_TOKEN_PREFIX
from scorer.export.positions.one_query import PREFIX as ONE_POSITION_PREFIX
from scorer.model.session import SESSION_FUSION

# Operators with the error function; FastGelu takes the same inputs, a bias or none.
GELU = ("BiasGelu", "Gelu")
# Fusions to operators that a CPU alone has, and that are not quantized.
CPU_FUSIONS = ("GemmActivationFusion",)
# Products of one query per text are too small to gain anything from integers, and have a weight per attention head.
ONE_QUERY = (FIRST_TOKEN_PREFIX, ONE_POSITION_PREFIX)


def to_fp16(graph: Path) -> None:
    """Weights and arithmetic to float16; what goes in and comes out stays as it was."""
    import onnx
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = OnnxModel(onnx.load(graph))
    # Symbolic shape inference knows the fused operators of ONNX Runtime, onnx's own does not.
    model.convert_float_to_float16(use_symbolic_shape_infer=True, keep_io_types=True)
    save(model.model, graph)


def to_int8(graph: Path) -> None:
    """Weights to signed 7-bit integers, a scale per output channel; activations are quantized as they come.

    The eighth bit is left free: processors without 8-bit dot products add two products in 16 bits, which full weights
    would overflow, so that an export's answers would depend on the processor. GELU is taken by its tanh form, which is
    cheaper and off by less than the quantized activations are.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantized = graph.with_name("quantized.onnx")
    names = [node.name for node in onnx.load(graph, load_external_data=False).graph.node]
    quantize_dynamic(
        graph,
        quantized,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[name for name in names if name.startswith(ONE_QUERY)],
        # The fused operators hide their output types from onnx's shape inference; all of them are float.
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        use_external_data_format=is_large(graph),
    )
    model = onnx.load(quantized)
    _approximate_gelu(model)
    save(model, graph)


def fuse(graph: Path, *, fast_gelu: bool) -> None:
    """What a session fuses when it starts, done once: norms and GELU as single nodes, which conversions understand.

    Args:
        graph: as torch's exporter wrote it, rewritten.
        fast_gelu: also take GELU by its tanh form.
    """
    import onnx
    import onnxruntime

    fused = graph.with_name("fused.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(fused)
    options.log_severity_level = 4
    if is_large(graph):
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "fused.onnx_data")
    onnxruntime.InferenceSession(
        str(graph), options, providers=["CPUExecutionProvider"], disabled_optimizers=[SESSION_FUSION, *CPU_FUSIONS]
    )
    model = onnx.load(fused)
    if fast_gelu:
        _approximate_gelu(model)
    save(model, graph)


def _approximate_gelu(model: Any) -> None:
    for node in model.graph.node:
        if node.op_type in GELU and (node.domain == "com.microsoft" or node.op_type == "Gelu"):
            node.op_type, node.domain = "FastGelu", "com.microsoft"
            del node.attribute[:]  # ONNX's own Gelu has one
