"""Export and run, checkpoint to ranking, on eight architectures with their own tokenizer kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
pytest.importorskip("torch", reason="needs an extra that exports")

from checkpoints import KINDS, TRAINING_TEXT, make_checkpoint
from torch_reference import torch_losses

from scorer import ExportConfig, RunConfig, export_onnx, score
from scorer.export.checkpoint.exporters import choose_exporter
from scorer.model.model_directory import open_model_directory

pytestmark = pytest.mark.usefixtures("kept_graphs")

LABELS = ("politics", "sports", "science")
LOSS_TOLERANCE = 1e-4
EXPORTER = choose_exporter("auto")  # an environment holds one; the tests run in both
# Architectures whose tokenizer gives segments, to a pair's second text 1, in the transformers that each exporter needs.
SEGMENTS = {"optimum": {"bert", "electra", "albert"}, "torch": {"bert", "electra"}}[EXPORTER]
# Architectures whose last layer is cut: optimum fuses their attention and their head reads the first token; torch's
# exporter does so for any one position.
ONE_POSITION = {
    "optimum": {"bert", "distilbert", "roberta", "xlm-roberta", "electra", "albert"},
    "torch": set(KINDS),
}[EXPORTER]


def rows() -> pl.DataFrame:
    """Texts of many lengths and scripts, some long enough to be cut, with labels by name."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(TRAINING_TEXT, size=n)) for n in (1, 1, 2, 3, 5, 8, 13, 21) for _ in range(4)]
    return pl.DataFrame(
        {
            "id": [f"row {i}" for i in range(len(texts))],
            "text": texts,
            "text_pair": texts[::-1],
            "label": random.choice(LABELS, size=len(texts)),
        }
    )


@pytest.fixture(scope="module", params=KINDS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """Kind, checkpoint and model directory."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = make_checkpoint(request.param, folder / "checkpoint", label_names=LABELS)
    export_onnx(ExportConfig(model=str(checkpoint), output=folder / "model"))
    return request.param, checkpoint, folder / "model"


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
def test_losses_equal_pytorch(exported: tuple[str, Path, Path], tmp_path: Path, pairs: bool) -> None:
    _, checkpoint, model = exported
    data = rows()
    data.write_parquet(tmp_path / "data.parquet")
    score(
        RunConfig(
            model=model,
            data=(str(tmp_path / "data.parquet"),),
            output=tmp_path / "out",
            text_column="text",
            text_pair_column="text_pair" if pairs else None,
            max_batch_tokens=1_000,
        )
    )
    scores = pl.read_parquet(tmp_path / "out" / "scores" / "*.parquet")
    expected = torch_losses(
        checkpoint,
        data["text"].to_list(),
        [LABELS.index(name) for name in data["label"]],
        pairs=data["text_pair"].to_list() if pairs else None,
        max_length=open_model_directory(model).contract.max_length,
    )
    assert scores["truncated"].any()
    assert expected.std() > 0.01  # the texts differ in the model's eyes
    np.testing.assert_allclose(scores["loss"].to_numpy(), expected, atol=LOSS_TOLERANCE, rtol=0)


def test_token_types_are_fed_only_where_the_graph_has_them(exported: tuple[str, Path, Path]) -> None:
    kind, _, model = exported
    inputs = open_model_directory(model).contract.graph_inputs
    assert ("token_type_ids" in inputs) == (kind in SEGMENTS)


def test_the_last_layer_is_cut_where_it_can_be(exported: tuple[str, Path, Path]) -> None:
    kind, _, model = exported
    contract = open_model_directory(model).contract
    assert contract.exporter == EXPORTER
    assert contract.one_position == (kind in ONE_POSITION)
    operators = {node.op_type for node in onnx.load(model / "model.onnx").graph.node}
    if EXPORTER == "optimum":
        assert ("FusedMatMul" in operators) == (kind in ONE_POSITION)
