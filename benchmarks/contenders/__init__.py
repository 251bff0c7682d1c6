"""The contenders, in the order of the table: what people do, what careful people do, scorer, its ceiling."""

NOTEBOOK = "notebook"
REFERENCE = "torch_sorted"
# Whose head of the ranking the exact head must be.
EXACT = "scorer_fp32"
NAMES = (
    NOTEBOOK,
    "transformers_pipeline",
    REFERENCE,
    "torch_sorted_bf16",
    "torch_sorted_fp16",
    "optimum_onnx",
    "cross_encoder_onnx",
    "openvino_sorted",
    "openvino_sorted_bf16",
    "ctranslate2_sorted",
    "ctranslate2_sorted_int8",
    "ctranslate2_sorted_fp16",
    EXACT,
    "scorer_int8",
    "scorer_int8_exact",
    "scorer_fp16",
    "scorer_fp16_exact",
    "scorer_fp16_warm",
    "bare_session",
)
