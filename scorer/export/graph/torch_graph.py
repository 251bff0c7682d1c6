"""From a PyTorch model to an ONNX graph, by torch's own exporter. Optimizes nothing and proves nothing.

For checkpoints that transformers 5 reads, of any architecture with a text classifier: encoders, decoders, both.
Attention becomes one node where the model's attention goes through transformers' interface, see
`attention.fused_attention`. Imports `torch` and `transformers`, and only when a graph is written.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scorer.errors import ExportError
from scorer.export.attention import fused_attention
from scorer.export.attention.disentangled_attention import disentangled_as_one
from scorer.export.graph.delta_rule import CHUNK
from scorer.export.graph.traceable import goes_by_chunks, traceable

OPSET = 20
OUTPUT = "logits"
# Texts of the example that is traced: sizes that no model has by itself, and a padded row.
EXAMPLE_ROWS, EXAMPLE_TOKENS = 3, 19
# How mixtures of experts are computed: the one that torch's exporter can write.
EXPERTS = "batched_mm"
# Encoder-decoders whose decoder begins with the last token of the text, its language.
LAST_TOKEN_FIRST = frozenset({"mbart", "plbart"})
# Models that hand `use_cache` on without naming it.
UNNAMED_CACHE = frozenset({"qwen3_5"})
# Models that subtract their mask from 1.0, which torch's exporter cannot write of integers.
FLOAT_MASK = frozenset({"xlnet"})
# What torch says where the model's code is for one size alone, with the number of the dimension.
ONE_SIZE = re.compile(r"inferred a static shape of \d+ for dimension \S+\.shape\[(\d)\]")
DIMENSIONS = {"0": "texts in a batch", "1": "tokens in a text"}
# Inputs that a classifier of texts can be given, in the order of the graph.
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def accepted_inputs(model: Any, offered: Sequence[str]) -> tuple[str, ...]:
    """Those inputs of a tokenizer that a model takes.

    Args:
        model: the PyTorch model.
        offered: the tokenizer's `model_input_names`.
    """
    parameters = inspect.signature(model.forward).parameters
    return tuple(name for name in INPUTS if name in parameters and (name != "token_type_ids" or name in offered))


def write_torch_graph(model: Any, inputs: Sequence[str], file: Path) -> bool:
    """Write a model's graph, with the numbers of rows and of tokens left open.

    Args:
        model: the PyTorch model in float32, in evaluation mode; its pad_token_id is set.
        inputs: what the model is fed.
        file: where to write; large weights go into a file beside it.

    Returns:
        Whether its attention is fused.

    Raises:
        ExportError: the model cannot be traced.
    """
    fused_attention.register()
    reasons = []
    # Decoders that know no sdpa may be causal by their mask alone, and not say so, as BigBird-Pegasus's is.
    silent = model.config.is_encoder_decoder and not type(model)._supports_sdpa
    possible = ("eager",) if silent else (fused_attention.NAME, "sdpa", "eager")
    for implementation in possible:
        try:
            fused = implementation == fused_attention.NAME
            one_node = disentangled_as_one(model) if fused else contextlib.nullcontext()
            with _silence(), _attention(model, implementation), traceable(model), one_node:
                program = _trace(model, inputs)
        except Exception as error:
            reasons.append(_brief(error))
            continue
        program.save(file)
        return implementation == fused_attention.NAME and _has_fused_attention(file)
    raise ExportError(
        f"{type(model).__name__} cannot be traced by torch's exporter: {reasons[-1]} Choose a checkpoint of another "
        "architecture."
    )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hold back the graphs and tracebacks that torch prints and logs where it cannot trace: the reason is raised."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def _trace(model: Any, inputs: Sequence[str]) -> Any:
    import torch

    tokens = EXAMPLE_TOKENS + CHUNK * goes_by_chunks(model)  # two chunks: with one, a trace is of one alone
    rows = torch.arange(EXAMPLE_ROWS * tokens).reshape(EXAMPLE_ROWS, tokens)
    mask = torch.ones_like(rows)
    mask[1, tokens // 2 :] = 0
    example = {"input_ids": rows % 50 + 3, "attention_mask": mask, "token_type_ids": torch.zeros_like(rows)}
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        return torch.onnx.export(
            _Classifier(model, inputs).module,
            args=tuple(example[name] for name in inputs),
            dynamo=True,
            dynamic_shapes=[tuple(free for _ in inputs)],
            input_names=list(inputs),
            output_names=[OUTPUT],
            opset_version=OPSET,
            verbose=False,
        )


class _Classifier:
    """A model as a function of its inputs alone: no cache, no labels, nothing but logits."""

    def __init__(self, model: Any, inputs: Sequence[str]) -> None:
        import torch

        named = "use_cache" in inspect.signature(model.forward).parameters
        options = {"use_cache": False} if named or model.config.model_type in UNNAMED_CACHE else {}

        class Module(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, *given: Any) -> Any:
                feeds = dict(zip(inputs, given, strict=True)) | options
                if model.config.model_type in FLOAT_MASK:
                    feeds["attention_mask"] = feeds["attention_mask"].float()
                if _reads_end_token(model):
                    return _logits_at_end_token(self.model, **feeds)
                return self.model(**feeds, return_dict=True).logits

        self.module = Module().eval()


def _reads_end_token(model: Any) -> bool:
    """Whether a model's head reads the decoder's state at the last end token, as those of BART's and T5's kin do."""
    return bool(getattr(model.config, "is_encoder_decoder", False)) and hasattr(model, "classification_head")


def _logits_at_end_token(model: Any, input_ids: Any, **feeds: Any) -> Any:
    """What such a model answers for each text alone: their own code asks for as many end tokens in every text."""
    import torch

    if hasattr(model, "_shift_right"):  # T5
        feeds["decoder_input_ids"] = model._shift_right(input_ids)
    elif model.config.model_type in LAST_TOKEN_FIRST:  # the others shift by themselves, these for several texts only
        last = (input_ids != model.config.pad_token_id).sum(dim=1, keepdim=True) - 1  # [B, 1]
        feeds["decoder_input_ids"] = torch.cat([input_ids.gather(1, last), input_ids[:, :-1]], dim=1)
    states = model.base_model(input_ids=input_ids, **feeds, return_dict=True).last_hidden_state  # [B, T, H]
    order = torch.arange(input_ids.shape[1], dtype=torch.int32)
    end = (order * (input_ids == model.config.eos_token_id)).argmax(-1)  # [B]
    return model.classification_head(states[torch.arange(input_ids.shape[0]), end])


@contextlib.contextmanager
def _attention(model: Any, implementation: str) -> Iterator[None]:
    """Have a model compute its attention in a certain way, and its experts, if it has any, by plain products."""
    before = model.config._attn_implementation
    model.set_attn_implementation(implementation)
    experts = model.get_experts_implementation() if _chooses_experts(model) else None
    if experts is not None:
        model.set_experts_implementation(EXPERTS)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        if experts is not None:
            model.set_experts_implementation(experts)


def _chooses_experts(model: Any) -> bool:
    return bool(getattr(model, "_can_set_experts_implementation", lambda: False)())


def _has_fused_attention(file: Path) -> bool:
    import onnx

    graph = onnx.load(file, load_external_data=False).graph
    return any(node.op_type == "MultiHeadAttention" for node in graph.node)


def _brief(error: Exception) -> str:
    """The innermost cause as one sentence: what torch says of it first, without its lists of what it tried."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if fixed := ONE_SIZE.search(str(cause)):
        return f"its code fixes the number of {DIMENSIONS.get(fixed[1], 'elements')}."
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    return lines[0].removesuffix("Tried overloads:").rstrip(".: ") + "."
