"""The contenders, in the order of the table: what people do, what careful people do, scorer, its ceiling."""

NOTEBOOK = "notebook"
REFERENCE = "torch_sorted"
NAMES = (
    NOTEBOOK,
    "transformers_pipeline",
    REFERENCE,
    "torch_sorted_bf16",
    "optimum_onnx",
    "cross_encoder_onnx",
    "openvino_sorted",
    "ctranslate2_sorted",
    "scorer_fp32",
    "scorer_int8",
    "bare_session",
)
