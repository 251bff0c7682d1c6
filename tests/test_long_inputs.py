"""Long texts: the same answers at every length, alone and beside others, and no T x T numbers in memory."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `export-torch`")
ort = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from onnx import TensorProto, helper

from scorer.export.attention.attention_window import (
    CAUSAL,
    EVERYTHING,
    UNLIMITED,
    Window,
    measured_window,
    window_attributes,
)
from scorer.export.attention.long_attention import BLOCK, SHORT, SMALL_BLOCK, bound_attention

HEADS, WIDTH, LONGEST = 2, 8, 8_192
# Windows as models have them: two sides (ModernBERT), the past (Mistral), larger than a text or a block, and odd ones.
WINDOWS = {
    "everything": EVERYTHING,
    "causal": CAUSAL,
    "two sides": Window(64, 64),
    "the past": Window(127, 0),
    "large past": Window(700, 0),
    "large": Window(600, 600),
    "itself": Window(0, 0),
    "uneven": Window(3, 130),
}
# Lengths around the windows, the blocks and the change from one form to the other.
LENGTHS = (1, 63, 64, 65, 128, 129, SHORT, SHORT + 1, 5 * SMALL_BLOCK, 3 * BLOCK + 1, 1_000)


def one_attention(window: Window, *, padding: bool = True, longest: int = LONGEST) -> Any:
    """A session of one attention, rewritten; it takes queries, keys, values [B, T, n d] and padding int32 [B, T]."""
    floats = [(name, TensorProto.FLOAT, ["rows", "tokens", HEADS * WIDTH]) for name in ("query", "key", "value")]
    inputs = [*floats, ("padding", TensorProto.INT32, ["rows", "tokens"])][: 4 if padding else 3]
    names = ["query", "key", "value", *(["", "padding"] if padding else [])]
    attributes = {"num_heads": HEADS, "scale": 0.5} | window_attributes(window)
    node = helper.make_node("MultiHeadAttention", names, ["out"], domain="com.microsoft", **attributes)
    graph = helper.make_graph(
        [node],
        "attention",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info("out", *floats[0][1:])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    bound_attention(model, longest)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def states(rows: int, tokens: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(tokens)
    return {
        name: random.standard_normal((rows, tokens, HEADS * WIDTH), dtype=np.float32)
        for name in ("query", "key", "value")
    }


def by_definition(feeds: dict[str, np.ndarray], lengths: list[int], window: Window) -> np.ndarray:
    """Softmax over the scores of the keys that each query sees, in float64: [B, T, n d]."""
    rows, tokens, _ = feeds["query"].shape
    query, key, value = (
        feeds[name].astype(np.float64).reshape(rows, tokens, HEADS, WIDTH).transpose(0, 2, 1, 3)
        for name in ("query", "key", "value")
    )
    ahead = np.arange(tokens) - np.arange(tokens)[:, None]  # key minus query [T, T]
    seen = (ahead <= window.right) & (ahead >= -window.left)
    real = np.arange(tokens) < np.array(lengths)[:, None]  # [B, T]
    scores = np.where(seen & real[:, None, None], 0.5 * query @ key.transpose(0, 1, 3, 2), -1e30)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    out = weights / weights.sum(axis=-1, keepdims=True) @ value
    return out.transpose(0, 2, 1, 3).reshape(rows, tokens, -1)


@pytest.mark.parametrize("name", WINDOWS)
def test_attention_is_its_definition_at_every_length_with_padding_beside(name: str) -> None:
    window, session = WINDOWS[name], one_attention(WINDOWS[name])
    for tokens in LENGTHS:
        lengths = [tokens, max(1, tokens // 2 - 1)]
        padding = (np.arange(tokens) < np.array(lengths)[:, None]).astype(np.int32)
        feeds = states(2, tokens)
        (found,) = session.run(None, feeds | {"padding": padding})
        expected = by_definition(feeds, lengths, window)
        for row, length in enumerate(lengths):
            np.testing.assert_allclose(found[row, :length], expected[row, :length], atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", ["everything", "causal", "two sides", "large past"])
def test_a_full_length_text_is_what_its_last_and_first_queries_say(name: str) -> None:
    window, tokens = WINDOWS[name], 8_192
    feeds = states(1, tokens)
    (found,) = one_attention(window).run(None, feeds | {"padding": np.ones((1, tokens), np.int32)})
    for query in (0, 1, 4_095, 4_096, tokens - 1):
        first, last = max(0, query - window.left), min(tokens, query + window.right + 1)
        keys, values = (feeds[name][0, first:last].reshape(-1, HEADS, WIDTH) for name in ("key", "value"))
        scores = 0.5 * np.einsum("nd,snd->ns", feeds["query"][0, query].reshape(HEADS, WIDTH).astype(float), keys)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        expected = np.einsum("ns,snd->nd", weights / weights.sum(axis=1, keepdims=True), values)
        np.testing.assert_allclose(found[0, query], expected.reshape(-1), atol=2e-5, rtol=0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("name", ["everything", "causal", "two sides", "large past"])
def test_scores_of_a_long_text_are_never_held_at_once(name: str) -> None:
    tokens = 4_096
    session = one_attention(WINDOWS[name])
    before = peak_bytes()
    session.run(None, states(1, tokens) | {"padding": np.ones((1, tokens), np.int32)})
    scores = 4 * HEADS * tokens * tokens
    assert peak_bytes() - before < scores / 2


def peak_bytes() -> int:
    """Peak resident memory of this process since it was last asked."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return int(peak.split()[1]) * 1024


def operators(graph: Any) -> set[str]:
    return {node.op_type for node in graph.node}


def test_short_texts_alone_need_one_form_and_no_window_that_they_cannot_reach() -> None:
    def rewritten(window: Window, longest: int) -> Any:
        node = helper.make_node(
            "MultiHeadAttention",
            ["q", "q", "q"],
            ["out"],
            domain="com.microsoft",
            num_heads=2,
            **window_attributes(window),
        )
        shaped = helper.make_tensor_value_info("q", TensorProto.FLOAT, ["rows", "tokens", 16])
        graph = helper.make_graph([node], "attention", [shaped], [helper.make_tensor_value_info("out", 1, None)])
        model = helper.make_model(graph)
        bound_attention(model, longest)
        return model.graph

    plain = rewritten(Window(4_095, 0), 512)
    assert operators(plain) == {"MultiHeadAttention"}
    assert {given.name: given.i for given in plain.node[0].attribute}["unidirectional"] == 1
    assert operators(rewritten(Window(64, 64), 65)) == {"MultiHeadAttention"}
    assert "If" not in operators(rewritten(Window(64, 64), SHORT))
    assert "If" in operators(rewritten(Window(64, 64), SHORT + 1))


# --- windows of transformers, and whole models ---------------------------------------------------------------------


def test_windows_are_measured_from_transformers_masks() -> None:
    pytest.importorskip("transformers", minversion="5", reason="needs transformers 5")
    torch = pytest.importorskip("torch")
    from transformers import masking_utils as masks

    for mask, expected in (
        (masks.bidirectional_mask_function, EVERYTHING),
        (masks.causal_mask_function, CAUSAL),
        (masks.sliding_window_causal_mask_function(4_096), Window(4_095, 0)),
        (masks.sliding_window_bidirectional_mask_function(64), Window(64, 64)),
        (masks.sliding_window_overlay(5), Window(4, UNLIMITED)),
        (masks.chunked_overlay(128, torch.zeros(1, dtype=torch.long)), None),
        (masks.padding_mask_function(torch.ones(1, 5, dtype=torch.bool)), None),
        (masks.or_masks(masks.causal_mask_function, lambda _row, _head, _query, key: key < 9), None),
    ):
        assert measured_window(mask) == expected


@functools.cache
def traced(kind: str, *, cut: bool) -> tuple[Any, Any]:
    """A tiny model whose last layer is local, and its graph as torch's exporter writes it."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers", minversion="5", reason="needs transformers 5")
    from tiny_models import make_model

    from scorer.export.graph.torch_graph import write_torch_graph

    own = {"layer_types": ["full_attention", "sliding_attention"], "classifier_pooling": "cls" if cut else "mean"}
    model = make_model(kind, max_position_embeddings=2_048, **(own if kind == "modernbert" else {}))
    with tempfile.TemporaryDirectory() as folder:
        write_torch_graph(model, ("input_ids", "attention_mask"), Path(folder) / "model.onnx")
        return model, onnx.load(Path(folder) / "model.onnx")


def answers(session: Any, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return session.run(None, {given.name: feeds[given.name] for given in session.get_inputs()})[0]


@pytest.mark.parametrize(("kind", "cut"), [("modernbert", True), ("modernbert", False), ("mistral", True)])
def test_a_model_answers_as_pytorch_does_at_every_length(kind: str, cut: bool) -> None:
    torch = pytest.importorskip("torch")
    from tiny_models import padded

    from scorer.export.rewrites.graph_rewrites import rewrite

    model, written = traced(kind, cut=cut)
    graph = onnx.ModelProto()
    graph.CopyFrom(written)
    assert (rewrite(graph, longest=2_048) is None) == cut
    assert "If" in operators(graph.graph)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for lengths in ([1], [15, 16, 17, 33], [512, 511, 7], [513, 512], [1_000, 700, 90], [2_048]):
        feeds = padded(len(lengths), max(lengths), lengths)
        found = answers(session, feeds)
        for row, length in enumerate(lengths):
            alone = {
                name: torch.tensor(feeds[name][row : row + 1, :length]) for name in ("input_ids", "attention_mask")
            }
            with torch.inference_mode():
                np.testing.assert_allclose(found[row], model(**alone).logits[0].numpy(), atol=2e-5, rtol=0)


@pytest.mark.parametrize(("precision", "within"), [("int8", 1.0), ("fp16", 5e-2)])
def test_both_forms_are_converted_to_less_precision(precision: str, within: float, tmp_path: Path) -> None:
    from tiny_models import padded

    from scorer.export.graph.graph_precision import fuse, to_fp16, to_int8
    from scorer.export.rewrites.graph_rewrites import rewrite

    graph = onnx.ModelProto()
    graph.CopyFrom(traced("modernbert", cut=False)[1])
    rewrite(graph, longest=2_048)
    plain, converted = tmp_path / "plain.onnx", tmp_path / "converted.onnx"
    onnx.save(graph, plain)
    onnx.save(graph, converted)
    fuse(converted, fast_gelu=False)
    (to_int8 if precision == "int8" else to_fp16)(converted)
    assert "If" in operators(onnx.load(converted).graph)
    sessions = [ort.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in (plain, converted)]
    for lengths in ([30, 20], [700, 600]):
        feeds = padded(len(lengths), max(lengths), lengths)
        expected, found = (answers(session, feeds) for session in sessions)
        np.testing.assert_allclose(found, expected, atol=within, rtol=0)
