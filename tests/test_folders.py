"""What of a folder is data: not results, models, corrections or a clone's metadata; and splits by names of files."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from bag_model import write_bag_model

from scorer import RunConfig, score
from scorer.errors import DataError, UsageError
from scorer.ranking.head import Selection, read_head
from scorer.sources import open_source
from scorer.sources.splits import split_of


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag_model(tmp_path_factory.mktemp("bag") / "model")


def files_of(folder: Path, said: list[str] | None = None, **options: object) -> list[str]:
    """The data files that are found in a folder, by their paths in it."""
    config = RunConfig(model=Path("none"), data=(str(folder),), output=Path("none"), **options)
    notify: Callable[[str], None] = (lambda _: None) if said is None else said.append
    return [str(Path(table.name).relative_to(folder)) for table in open_source(config, notify).tables]


def csv(file: Path, frame: pl.DataFrame) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(file.absolute())  # polars takes a leading ~ for a home
    return file


@pytest.mark.parametrize("output", ["scores", "", "deep/er"])
def test_the_same_command_goes_on_where_its_output_lies_in_the_data_folder(
    output: str, bag: Path, corpus: pl.DataFrame, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    csv(data / "train.csv", corpus.head(20))
    config = RunConfig(model=bag, data=(str(data),), output=data / output, provider="cpu")
    first = score(config)
    assert score(config).scoring_s == pytest.approx(first.scoring_s, abs=1e-3)  # the report of the first
    (config.output / "run.json").unlink()
    (config.output / "ranked.parquet").unlink()
    assert score(config).resumed.shards == 1
    said: list[str] = []
    assert files_of(data, said) == ["train.csv"]
    assert any("results of scorer" in each for each in said)


def test_models_corrections_pages_and_metadata_are_no_data_and_it_is_said(
    bag: Path, corpus: pl.DataFrame, tmp_path: Path
) -> None:
    csv(tmp_path / "rows.csv", corpus.head(9))
    shutil.copytree(bag, tmp_path / "model")
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    names = ("config", "tokenizer_config", "special_tokens_map", "generation_config", "model.safetensors.index")
    for name in (*names, "trainer_state", "all_results"):
        (checkpoint / f"{name}.json").write_text('{"a": {"b": 1}}')
    answer = {"id": "a", "text_hash": "0" * 32, "given_label": "x", "verdict": "keep"}
    (tmp_path / "ada.jsonl").write_text(json.dumps({"scorer_corrections": 1, "label_names": []}) + "\n")
    (tmp_path / "bo.jsonl").write_text(json.dumps(answer) + "\n")
    (tmp_path / "head.csv").write_text('"rank","row","id","source_file","text"\n1,1,"b","x.csv","t"\n')
    (tmp_path / "metadata.json").write_text('{"@context": {"@language": "en"}}')
    for name in ("dataset_info.json", "dataset_infos.json", "README.md", ".gitattributes", "report.html"):
        (tmp_path / name).write_text("{}")
    tasks = tmp_path / "label-studio"
    tasks.mkdir()
    (tasks / "tasks.json").write_text("[]")
    (tasks / "config.xml").write_text("<View/>")
    (tmp_path / "map.json").write_text('{"a": "b"}')
    (tmp_path / "other.xlsx").write_bytes(b"PK\x03\x04")
    said: list[str] = []
    assert files_of(tmp_path, said, label_map=tmp_path / "map.json") == ["rows.csv"]
    for part in ("ada.jsonl, bo.jsonl (corrections)", "head.csv (", "dataset_info.json", "map.json (", "1 .xlsx"):
        assert part in said[0]
    for reason in ("parts of a model", "tasks for Label Studio"):
        assert reason in said[0]


def test_a_folder_without_data_says_what_it_holds(bag: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for index in range(3):
        (images / f"{index}.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(DataError, match=r"holds no data file; it holds 3 \.png\. Known are"):
        files_of(images)
    with pytest.raises(DataError, match=r"passed over is .*scorer\.json.*\(parts of a model\)"):
        files_of(bag)


def test_files_of_caches_are_no_data(corpus: pl.DataFrame, tmp_path: Path) -> None:
    corpus.head(5).write_ipc_stream(tmp_path / "news-train.arrow")
    corpus.head(9).write_ipc_stream(tmp_path / "cache-0a1b.arrow")
    assert files_of(tmp_path) == ["news-train.arrow"]


def test_a_saved_selection_among_folders_is_not_read_as_the_whole(corpus: pl.DataFrame, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict(corpus.head(9).to_dict(as_series=False))
    rows.save_to_disk(tmp_path / "one" / "a")
    assert files_of(tmp_path / "one") == ["a/data-00000-of-00001.arrow"]
    state = tmp_path / "one" / "a" / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "_indices_data_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(DataError, match="saved selection"):
        files_of(tmp_path / "one")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00003.parquet", "train"),
        ("data/test-00001-of-00002-0a1b2c.parquet", "test"),
        ("data/train_sft-00000-of-00001.parquet", "train_sft"),
        ("unsupervised-00000-of-00001.parquet", "unsupervised"),
        ("train.csv", "train"),
        ("Train.csv", "train"),
        ("validation.jsonl", "validation"),
        ("dev.tsv", "validation"),
        ("my_test.csv", "test"),
        ("test1.csv", "test"),
        ("news-eval.json.gz", "test"),
        ("train/part-0.csv", "train"),
        ("default/partial-train/0000.parquet", "train"),
        ("ag_news-train-00000-of-00002.arrow", "train"),
        ("test/train_like.csv", "test"),
        ("latest.csv", None),
        ("training_data.csv", "train"),
        ("restrained.csv", None),
        ("values.csv", None),
        ("train_test.csv", None),
        ("data-00000-of-00001.arrow", None),
        ("part-00000-of-00010.parquet", None),
    ],
)
def test_names_tell_of_splits_as_datasets_reads_them(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_splits_by_names_are_those_of_datasets(corpus: pl.DataFrame, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    layouts = (
        ("data/train-00000-of-00002.csv", "data/train-00001-of-00002.csv", "data/test-00000-of-00001.csv"),
        ("train.csv", "my_test.csv", "dev.csv"),
        ("train/a.csv", "train/b.csv", "valid/a.csv"),
        ("a-training.csv", "b.testing.csv", "c_val.csv", "eval 2.csv"),
    )
    for number, names in enumerate(layouts):
        folder = tmp_path / str(number)
        for name in names:
            csv(folder / name, corpus.head(3))
        found = datasets.data_files.get_data_patterns(str(folder))
        expected = datasets.data_files.DataFilesDict.from_patterns(found, str(folder))
        for split, files in expected.items():
            assert files_of(folder, split=str(split)) == sorted(str(Path(file).relative_to(folder)) for file in files)


def test_a_clone_has_splits_of_which_one_is_chosen_or_all_are_said(corpus: pl.DataFrame, tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / "data").mkdir(exist_ok=True)
        corpus.slice(index * 5, 5).write_parquet(tmp_path / "data" / f"train-{index:05}-of-00003.parquet")
    corpus.tail(5).write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("---\nconfigs: []\n---\n")
    (tmp_path / ".huggingface").mkdir()
    (tmp_path / ".huggingface" / "x.json").write_text("{}")
    said: list[str] = []
    assert len(files_of(tmp_path, said)) == 4
    assert any("test (1 file), train (3 files). All are read; --split chooses one." in each for each in said)
    assert files_of(tmp_path, split="test") == ["data/test-00000-of-00001.parquet"]
    assert [file[5:10] for file in files_of(tmp_path, split="train")] == ["train"] * 3
    with pytest.raises(UsageError, match=r"no split 'validation'\. Choose with --split: test \(1 file\), train"):
        files_of(tmp_path, split="validation")


@pytest.mark.parametrize("name", ["scores[2]", "a*b", "what?", "~", "~root", "50%", "a b", "#1", "x:y", "k=1", "{a,b}"])
def test_paths_are_paths(
    name: str, bag: Path, corpus: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data, model and results in folders of odd names, given as absolute and as relative paths."""
    monkeypatch.chdir(tmp_path)
    for neighbour in ("scores2", "aXb", "whatX", "ab"):
        csv(Path(neighbour) / "data" / "other[1].csv", corpus.tail(3))
    shutil.copytree(bag, Path(name) / "model")
    file = csv(Path(name) / "data" / f"{name}.csv", corpus.head(7))
    for index, data in enumerate((file, file.absolute(), file.parent, file.parent.absolute())):
        output = Path(name) / f"out-{index}"
        config = RunConfig(model=Path(name) / "model", data=(str(data),), output=output, provider="cpu")
        assert score(config).counts.read == 7
        rows = read_head(output, Selection(50)).rows
        assert len(rows) == 7
        assert {Path(row["source_file"]).absolute() for row in rows} == {file.absolute()}


def test_a_file_wins_over_the_pattern_that_its_name_is(corpus: pl.DataFrame, tmp_path: Path) -> None:
    csv(tmp_path / "part[1].csv", corpus.head(3))
    csv(tmp_path / "part1.csv", corpus.head(4))
    config = RunConfig(model=Path("none"), data=(str(tmp_path / "part[1].csv"),), output=Path("none"))
    assert [Path(table.name).name for table in open_source(config, print).tables] == ["part[1].csv"]
    url = dataclasses.replace(config, data=(f"file://{tmp_path}/part[1].csv",))
    assert [Path(table.name).name for table in open_source(url, print).tables] == ["part[1].csv"]
    pattern = dataclasses.replace(config, data=(str(tmp_path / "part*.csv"),))
    assert len(open_source(pattern, print).tables) == 2


def test_the_model_comes_first(bag: Path, corpus_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"The model comes first, then the data: scorer run {bag} {corpus_file}"):
        score(RunConfig(model=corpus_file, data=(str(bag),), output=tmp_path / "out"))


def test_no_id_column_means_the_numbers_of_the_rows(corpus: pl.DataFrame, tmp_path: Path) -> None:
    file = csv(tmp_path / "rows.csv", corpus.head(5))
    config = RunConfig(model=Path("none"), data=(str(file),), output=Path("none"), id_column="none")
    assert open_source(config, print).columns.id is None
    csv(file, corpus.head(5).rename({"id": "none"}))
    assert open_source(config, print).columns.id == "none"


@pytest.mark.parametrize("data", ["folder", "glob", "file"])
def test_a_link_to_nothing_is_a_file_that_cannot_be_read(
    data: str, bag: Path, corpus: pl.DataFrame, tmp_path: Path
) -> None:
    csv(tmp_path / "data" / "a.csv", corpus.head(5))
    (tmp_path / "data" / "b.csv").symlink_to("../gone/object")
    given = {"folder": tmp_path / "data", "glob": tmp_path / "data" / "*.csv", "file": tmp_path / "data" / "b.csv"}[
        data
    ]
    config = RunConfig(model=bag, data=(str(given),), output=tmp_path / "out", provider="cpu")
    with pytest.raises(DataError, match=r"b\.csv' is a link to '\.\./gone/object', which is gone"):
        score(config)
    if data != "file":
        report = score(dataclasses.replace(config, skip_bad_files=True))
        assert (report.counts.read, len(report.left_out)) == (5, 1)


def test_linked_folders_are_read_once(corpus: pl.DataFrame, tmp_path: Path) -> None:
    csv(tmp_path / "data" / "a.csv", corpus.head(5))
    csv(tmp_path / "data" / "z" / "own.csv", corpus.head(5))
    csv(tmp_path / "elsewhere" / "more.csv", corpus.head(5))
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "twin").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "inner").symlink_to(tmp_path / "data" / "z")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "data")
    assert files_of(tmp_path / "data") == ["a.csv", "linked/more.csv", "z/own.csv"]


def test_files_without_a_suffix_are_named(corpus: pl.DataFrame, tmp_path: Path) -> None:
    csv(tmp_path / "a.csv", corpus.head(5))
    csv(tmp_path / "part-00000", corpus.head(5))
    (tmp_path / "LICENSE").write_text("free")
    said: list[str] = []
    assert files_of(tmp_path, said) == ["a.csv"]
    assert "part-00000 (whose name has no suffix" in said[0]
    assert "LICENSE" not in said[0]


def test_empty_parts_hold_no_rows_and_it_is_said(bag: Path, corpus: pl.DataFrame, tmp_path: Path) -> None:
    csv(tmp_path / "data" / "a.csv", corpus.head(5))
    (tmp_path / "data" / "b.json").write_text("[]")
    (tmp_path / "data" / "c.jsonl").write_bytes(b"")
    (tmp_path / "data" / "d.jsonl").write_bytes(b"\n\n")
    (tmp_path / "data" / "e.csv").write_bytes(b"")
    said: list[str] = []
    assert files_of(tmp_path / "data", said) == ["a.csv"]
    assert said[0].startswith("4 of 5 files are empty and hold no rows; the first: ")
    config = RunConfig(model=bag, data=(str(tmp_path / "data"),), output=tmp_path / "out", skip_bad_files=True)
    report = score(config)
    assert (report.counts.read, report.left_out) == (5, ())
    with pytest.raises(DataError, match="empty"):
        open_source(dataclasses.replace(config, data=(str(tmp_path / "data" / "c.jsonl"),)), said.append)


def test_a_file_that_is_given_twice_is_said(corpus: pl.DataFrame, tmp_path: Path) -> None:
    file = csv(tmp_path / "data" / "a.csv", corpus.head(5))
    config = RunConfig(model=tmp_path, data=(str(file), str(tmp_path / "data")), output=tmp_path / "out")
    said: list[str] = []
    assert len(open_source(config, said.append).tables) == 2
    assert any("a.csv' is among the data 2 times" in each for each in said)


def test_the_folder_that_one_stands_in_is_data(
    bag: Path, corpus: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv(tmp_path / "a.csv", corpus.head(5))
    shutil.copytree(bag, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    config = RunConfig(model=Path("model"), data=(".",), output=Path("scores"), provider="cpu")
    assert score(config).counts.read == 5
    assert score(config).counts.read == 5
