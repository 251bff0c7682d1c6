"""A model directory whose answers are exact: logits are sums of a few numbers per token, whatever the batch or padding.

Every sum is a multiple of 1/4 and far below 2**22, so float32 holds it without rounding. Runs that cut the same rows in
other ways can thus be compared bit by bit. It is also the fastest model there can be.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from scorer.cli.commands.demo import demo_model
from scorer.model.model_directory import open_model_directory


def write_bag_model(directory: Path, *, bad_word: str | None = None, classes: int | None = None) -> Path:
    """Write the model directory, with the demo's tokenizer.

    Args:
        directory: where to write it; must not exist.
        bad_word: a word whose logits are NaN.
        classes: number of classes; None takes the demo's labels.
    """
    demo = open_model_directory(demo_model())
    tokenizer = Tokenizer.from_file(str(demo.tokenizer_file))
    names = demo.contract.label_names if classes is None else tuple(f"class {index}" for index in range(classes))
    tokens = np.arange(tokenizer.get_vocab_size())[:, None]
    table = ((tokens * 7_919 + np.arange(len(names)) * 104_729) % 13 - 6).astype(np.float32) / 4  # [V, C]
    if bad_word is not None:
        table[tokenizer.encode(bad_word, add_special_tokens=False).ids[0]] = np.nan
    directory.mkdir(parents=True)
    onnx.save(_graph(table), directory / "model.onnx")
    for name in ("tokenizer.json", "config.json"):
        (directory / name).write_bytes((demo.path / name).read_bytes())
    files = {
        name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in ("model.onnx", "tokenizer.json")
    }
    contract = msgspec.structs.replace(
        demo.contract, label_names=names, graph_inputs=("input_ids", "attention_mask"), files=files
    )
    (directory / "scorer.json").write_text(contract.to_json())
    return directory


def _graph(table: np.ndarray) -> onnx.ModelProto:
    """logits[b, c] = sum over t of table[input_ids[b, t], c] where attention_mask[b, t] is 1."""
    shape = ["batch", "sequence"]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["values"]),
        helper.make_node("Unsqueeze", ["attention_mask", "last"], ["mask"]),
        helper.make_node("Cast", ["mask"], ["real"], to=TensorProto.BOOL),
        helper.make_node("Where", ["real", "values", "zero"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "middle"], ["logits"], keepdims=0),
    ]
    constants = {
        "table": table,
        "last": np.array([-1], np.int64),
        "middle": np.array([1], np.int64),
        "zero": np.array(0, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "bag",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", table.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
