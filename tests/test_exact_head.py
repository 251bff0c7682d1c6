"""A cheap model scores all, fp32 the head again: the head is what fp32 alone would have made of it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from test_pipeline import NAMES, CodePoints

from scorer import RunConfig, score
from scorer.arithmetic.batching import Batch
from scorer.config import EXACT_ROWS
from scorer.errors import ModelError, ParityError
from scorer.labels import resolve_labels
from scorer.listener import Listener, Silence
from scorer.pipeline.loop import score_shards
from scorer.pipeline.stages import Stages
from scorer.predictors.one_classifier import OneClassifier
from scorer.ranking.rank import rank
from scorer.results.run_directory import RunDirectory
from scorer.results.shard_writer import ShardWriter, Written
from scorer.run.engines.engine import Work
from scorer.run.engines.local import ThisProcess
from scorer.run.exact_head import PILOT_FILE, Rescoring
from scorer.run.setup.prepare import Job, prepare
from scorer.sources import LeftOut, Shard, Source, plan_source
from scorer.sources.columns.columns import Columns
from scorer.sources.formats.columnar import ParquetTable
from scorer.system.clock import Clock
from scorer.system.documents import plain
from scorer.tasks.single_label import SingleLabel


class Logits:
    """Random logits that depend on the tokens of a row; `noise` is added to them, `broken` rows have none."""

    labels = NAMES

    def __init__(self, noise: float = 0.0, broken: Callable[[int], bool] = lambda total: False) -> None:
        self._noise, self._broken = noise, broken
        self.rows = 0

    def __call__(self, batch: Batch) -> np.ndarray:
        self.rows += batch.rows.size
        weights = np.arange(1, batch.input_ids.shape[1] + 1)
        totals = (batch.input_ids * batch.attention_mask * weights).sum(axis=1).tolist()
        return np.array([self._row(total) for total in totals], dtype=np.float32)

    def _row(self, total: int) -> np.ndarray:
        random = np.random.default_rng(total)
        logits = random.normal(0, 3, len(NAMES)) + self._noise * random.uniform(-1, 1, len(NAMES))
        return np.full(len(NAMES), np.nan) if self._broken(total) else logits


@dataclasses.dataclass
class Bench:
    stages: Stages
    directory: RunDirectory
    writer: ShardWriter
    rescoring: Rescoring

    def losses(self) -> pl.DataFrame:
        rank(self.directory.path)
        return pl.read_parquet(self.directory.ranked)


def bench(folder: Path, cheap: Logits, exact: Logits, *, rows: int = 700, seed: int = 0) -> Bench:
    """A corpus of several shards, scored by the cheap model."""
    random = np.random.default_rng(seed)
    file = folder / "corpus.parquet"
    texts = ["".join(map(chr, random.integers(97, 123, 12))) for _ in range(rows)]
    pl.DataFrame({"text": texts, "label": random.integers(0, 3, rows)}).write_parquet(file)
    source = Source((ParquetTable(str(file)),), Columns("text", None, "label", None), None, "test")
    plan = plan_source(source, shard_rows=128, limit=None)
    task = SingleLabel(resolve_labels(plan.label_counts, NAMES), NAMES)
    predictor = OneClassifier(
        encoder=CodePoints(),
        classifier=cheap,
        precision="int8",
        make_fp32=lambda: exact,
        max_batch_tokens=256,
        length_multiple=1,
        pad_token_id=0,
        streams=1,
    )
    stages = Stages(
        source=source,
        task=task,
        predictor=predictor,
        window_rows=64,
        clock=Clock(),
        progress=lambda rows, tokens: None,
    )
    directory = RunDirectory(folder / "out")
    for made in (directory.path, directory.scores, directory.rejects):
        made.mkdir()
    writer = ShardWriter(directory, task, pairs=False, keep_text=False, metadata={}, first_ends=rows)
    for _ in writer.write(score_shards(stages, plan.shards)):
        pass
    make = predictor.in_fp32
    assert make is not None
    rescoring = Rescoring(stages, make, plan.shards, directory=directory, writer=writer, listener=Silence())
    return Bench(stages, directory, writer, rescoring)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.5, 2.0])
@pytest.mark.parametrize("asked", [1, 25, 100])
def test_the_head_is_that_of_the_exact_model(noise: float, asked: int, tmp_path: Path) -> None:
    (tmp_path / "exact").mkdir()
    (tmp_path / "cheap").mkdir()
    expected = bench(tmp_path / "exact", Logits(), Logits()).losses()
    made = bench(tmp_path / "cheap", Logits(noise), Logits())
    head = made.rescoring.rescore(asked, expected_error=0.01)
    ranked = made.losses()
    assert ranked["rank"].to_list() == list(range(1, 701))
    assert sorted(ranked["row"]) == list(range(700))
    assert head.exact >= asked
    assert ranked["row"].head(head.exact).to_list() == expected["row"].head(head.exact).to_list()
    assert ranked["loss"].head(head.exact).to_list() == expected["loss"].head(head.exact).to_list()
    assert set(ranked["precision"].head(head.exact)) == {"fp32"}
    assert ranked["precision"].value_counts().filter(pl.col("precision") == "fp32")["count"].item() == head.rescored
    if noise < 1:
        assert head.rescored < 700, "a good cheap model spares the exact one most of the work"


def test_a_second_call_goes_on_with_what_is_there(tmp_path: Path) -> None:
    exact = Logits()
    made = bench(tmp_path, Logits(0.5), exact)
    first = made.rescoring.rescore(25, expected_error=0.01)
    before = exact.rows
    again = made.rescoring.rescore(25, expected_error=0.01)
    assert exact.rows == before
    assert msgspec.structs.replace(again, rounds=first.rounds) == first
    assert again.rounds == 0


def test_rows_whose_logits_are_not_finite_are_computed_again(tmp_path: Path) -> None:
    def broken(total: int) -> bool:
        return total % 5 == 0

    (tmp_path / "exact").mkdir()
    (tmp_path / "cheap").mkdir()
    expected = bench(tmp_path / "exact", Logits(), Logits()).losses()
    ranked = bench(tmp_path / "cheap", Logits(broken=broken), Logits()).losses()
    ways = ("source_file", "precision")  # which differ, and nothing else does
    assert ranked.drop(ways).equals(expected.drop(ways))
    assert 0 < (ranked["precision"] == "fp32").sum() < 700


def test_logits_that_are_finite_nowhere_end_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not finite"):
        bench(tmp_path, Logits(broken=lambda total: True), Logits(broken=lambda total: True))


def test_a_model_that_loses_the_ranking_is_refused_unless_allowed(tmp_path: Path) -> None:
    class Another(Logits):
        def _row(self, total: int) -> np.ndarray:
            return super()._row(total + 1_000)

    made = bench(tmp_path, Another(), Logits())
    with pytest.raises(ParityError, match=r"does not keep the ranking .*--allow-low-fidelity"):
        made.rescoring.judge(allow_low_fidelity=False)
    assert not (made.directory.rescored / PILOT_FILE).exists()
    found = made.rescoring.judge(allow_low_fidelity=True)
    assert found is not None
    assert abs(found.spearman) < 0.5


def test_a_sample_is_judged_once(tmp_path: Path) -> None:
    exact = Logits()
    made = bench(tmp_path, Logits(0.1), exact)
    first = made.rescoring.judge(allow_low_fidelity=False)
    rows = exact.rows
    assert rows == 64
    assert made.rescoring.judge(allow_low_fidelity=False) == first
    assert exact.rows == rows


# --- with real sessions -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def int8_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model in int8, with its fp32 form beside it."""
    pytest.importorskip("onnx", reason="needs the extra `export`")
    from scorer.export.graph.graph_precision import to_int8
    from scorer.model.model_directory import CONTRACT_FILE, FP32_FILE, MODEL_FILE, sha256_of

    folder = tmp_path_factory.mktemp("int8") / "model"
    shutil.copytree(model, folder)
    shutil.copy(folder / MODEL_FILE, folder / FP32_FILE)
    to_int8(folder / MODEL_FILE)
    (folder / "quantized.onnx").unlink(missing_ok=True)
    contract = json.loads((folder / CONTRACT_FILE).read_text())
    names = (*contract["files"], FP32_FILE)
    contract |= {"precision": "int8", "files": {name: sha256_of(folder / name) for name in names}}
    (folder / CONTRACT_FILE).write_text(json.dumps(contract))
    return folder


def config(model: Path, data: Path, output: Path, **options: object) -> RunConfig:
    return RunConfig(model=model, data=(str(data),), output=output, provider="cpu", **options)  # type: ignore[arg-type]


def test_a_run_in_int8_has_the_head_of_a_run_in_fp32(
    model: Path, int8_model: Path, corpus_file: Path, tmp_path: Path
) -> None:
    score(config(model, corpus_file, tmp_path / "fp32"))
    report = score(config(int8_model, corpus_file, tmp_path / "int8", rescore_top="40", keep_text=False))
    expected, ranked = (pl.read_parquet(tmp_path / name / "ranked.parquet") for name in ("fp32", "int8"))
    assert ranked.height == expected.height
    assert ranked["row"].head(40).to_list() == expected["row"].head(40).to_list()
    np.testing.assert_allclose(ranked["loss"].head(40), expected["loss"].head(40), atol=1e-5)
    assert report.exact_head is not None
    assert report.exact_head.exact >= 40
    assert report.exact_head.rescored < 600
    assert report.fidelity is not None
    shards = pl.read_parquet(tmp_path / "int8" / "scores" / "shard-*.parquet")
    assert set(shards["precision"]) == {"int8"}
    stored = json.loads((tmp_path / "int8" / "run.json").read_text())
    assert stored["exact_head"] == plain(report.exact_head)
    assert set(expected["precision"]) == {"fp32"}


def test_a_share_and_none_at_all(int8_model: Path, corpus_file: Path, tmp_path: Path) -> None:
    report = score(config(int8_model, corpus_file, tmp_path / "share", rescore_top="5%"))
    assert report.exact_head is not None
    assert report.exact_head.asked == 30
    report = score(config(int8_model, corpus_file, tmp_path / "none", rescore_top="0"))
    assert report.exact_head is None
    assert not list((tmp_path / "none" / "rescored").glob("round-*"))
    assert set(pl.read_parquet(tmp_path / "none" / "ranked.parquet")["precision"]) == {"int8"}


def test_a_run_that_ended_while_it_rescored_goes_on(int8_model: Path, corpus_file: Path, tmp_path: Path) -> None:
    one, two = (config(int8_model, corpus_file, tmp_path / name, rescore_top="40") for name in ("one", "two"))
    score(one)
    score(two)
    (two.output / "run.json").unlink()
    (two.output / "ranked.parquet").unlink()
    last = sorted((two.output / "rescored").glob("round-*.parquet"))[-1]
    last.rename(last.with_name(f".{last.name}.1.tmp"))  # as a killed run leaves it
    score(two)
    ranked = [pl.read_parquet(each.output / "ranked.parquet") for each in (one, two)]
    assert ranked[0].equals(ranked[1])
    assert not list((two.output / "rescored").glob(".*"))


class Reversed:
    """An engine that scores the last shard first."""

    def __init__(self, job: Job) -> None:
        self._engine = ThisProcess(job.session.predictor, job.clock)

    def score(self, work: Work, shards: Sequence[Shard], listener: Listener) -> Generator[Written | LeftOut]:
        return self._engine.score(work, reversed(shards), listener)


def test_int8_scores_are_the_same_in_one_process_in_several_and_in_any_order_of_the_shards(
    int8_model: Path, corpus: pl.DataFrame, tmp_path: Path
) -> None:
    file = tmp_path / "repeats.parquet"
    pl.concat([corpus, corpus.sample(fraction=1.0, shuffle=True, seed=3)]).write_parquet(file)
    options = {"rescore_top": "0", "shard_rows": 100, "window_rows": 50, "threads": 2}
    one = config(int8_model, file, tmp_path / "one", **options)
    score(one)
    score(dataclasses.replace(one, output=tmp_path / "several", workers=2))
    job = prepare(dataclasses.replace(one, output=tmp_path / "reversed"))
    with job.directory.opened(job.manifest, overwrite=False, notify=lambda _: None):
        metadata = {"label_names": job.model.contract.label_names}
        writer = ShardWriter(
            job.directory,
            job.data.task,
            pairs=False,
            keep_text=True,
            metadata=metadata,
            first_ends=0,
        )
        for _ in Reversed(job).score(job.work(writer), job.plan.shards, Silence()):
            pass
    parts = sorted(part.name for part in (tmp_path / "one" / "scores").iterdir())
    assert len(parts) == 2 * corpus.height // 100
    for name in parts:
        expected, *others = (
            pq.read_table(tmp_path / run / "scores" / name).replace_schema_metadata()
            for run in ("one", "several", "reversed")
        )
        assert all(other.equals(expected) for other in others), name


@pytest.mark.parametrize(
    ("asked", "rows", "exact"),
    [
        ("auto", 100, 100),
        ("auto", 8_000, EXACT_ROWS),
        ("auto", 1_000_000, 10_000),
        ("2%", 1_000, 20),
        ("0.5%", 100, 1),
        ("100%", 7, 7),
        ("500", 20, 20),
        ("0", 20, 0),
    ],
)
def test_rows_that_rescore_top_asks_for(asked: str, rows: int, exact: int) -> None:
    assert config(Path("m"), Path("d"), Path("o"), rescore_top=asked).exact_rows(rows) == exact
