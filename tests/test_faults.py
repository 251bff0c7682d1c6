"""What breaks under a run: each fault ends in a message with file and rows, and keeps what was finished before."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from bag_model import write_bag_model
from disks import mounted

from scorer import RunConfig, score
from scorer.errors import DataError, LeftOutError, ModelError, OutputError
from scorer.listener import Silence
from scorer.model.tokenization import TextEncoder
from scorer.sources import UnreadableError
from scorer.system.documents import plain

FILES, ROWS = 5, 120
Scorer = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag_model(tmp_path_factory.mktemp("bag") / "model")


@pytest.fixture
def data(corpus: pl.DataFrame, tmp_path: Path) -> list[Path]:
    """The corpus in five Parquet files of 120 rows in three row groups, with a bad row in each."""
    files = []
    for number in range(FILES):
        part = corpus.slice(number * ROWS, ROWS)
        part = part.with_columns(text=pl.when(pl.int_range(ROWS) == 5).then(None).otherwise(pl.col("text")))
        files.append(tmp_path / f"{number + 1}.parquet")
        pq.write_table(part.to_arrow(), files[-1], row_group_size=40, use_dictionary=False, compression="none")
    return files


@pytest.fixture
def config(bag: Path, data: list[Path], tmp_path: Path) -> RunConfig:
    """Three shards per file."""
    return RunConfig(
        model=bag,
        data=tuple(map(str, data)),
        output=tmp_path / "out",
        provider="cpu",
        shard_rows=40,
        window_rows=40,
    )


def corrupt_row_group(file: Path, group: int) -> None:
    """Damage the text of a row group; its labels stay readable."""
    metadata = pq.read_metadata(file)
    chunk = metadata.row_group(group).column(metadata.schema.names.index("text"))
    with file.open("r+b") as handle:
        handle.seek(chunk.data_page_offset)
        handle.write(b"\xff" * 100)


def finished_shards(directory: Path) -> list[int]:
    return [int(file.stem.split("-")[1]) for file in sorted((directory / "scores").glob("*.parquet"))]


def assert_accounts_for_every_row(directory: Path, rows: int) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((directory / "run.json").read_text())
    counts = report["counts"]
    ranked = pl.read_parquet(directory / "ranked.parquet")
    rejects = pl.read_parquet(directory / "rejects.parquet")
    assert counts["read"] == counts["scored"] + counts["rejected"] == rows
    assert (ranked.height, rejects.height) == (counts["scored"], counts["rejected"])
    assert pl.concat([ranked["row"], rejects["row"]]).n_unique() == rows
    return report


# --- data -------------------------------------------------------------------------------------------------------


def test_a_corrupt_row_group_in_file_3_of_5_names_file_and_rows_and_keeps_the_rest(
    config: RunConfig, data: list[Path]
) -> None:
    corrupt_row_group(data[2], 1)
    with pytest.raises(UnreadableError, match=r"cannot read '.*3\.parquet' as Parquet.*rows 40 to 79") as failed:
        score(config)
    assert failed.value.exit_code == DataError.exit_code
    assert failed.value.__notes__ == ["7 of 15 shards are finished. They are kept; the same command goes on with them."]
    assert finished_shards(config.output) == list(range(7))
    with pytest.raises(UnreadableError):
        score(config)
    assert finished_shards(config.output) == list(range(7))


def test_bad_files_can_be_left_out_and_are_listed(config: RunConfig, data: list[Path]) -> None:
    corrupt_row_group(data[2], 1)
    data[3].write_bytes(b"no Parquet")
    report = score(dataclasses.replace(config, skip_bad_files=True))
    rows = (FILES - 1) * ROWS - 40
    listed = assert_accounts_for_every_row(config.output, rows)["left_out"]
    assert [(Path(each["name"]).name, each["start"], each["rows"]) for each in listed] == [
        ("4.parquet", None, None),
        ("3.parquet", 40, 40),
    ]
    assert listed == plain(report.left_out)
    assert report.counts.rejected == FILES - 1


def test_windows_before_the_damage_are_not_counted(config: RunConfig, data: list[Path]) -> None:
    corrupt_row_group(data[2], 1)
    report = score(dataclasses.replace(config, skip_bad_files=True, shard_rows=120, window_rows=15))
    assert_accounts_for_every_row(config.output, (FILES - 1) * ROWS)
    assert [(each.start, each.rows) for each in report.left_out] == [(0, 120)]
    assert report.counts.rejected == FILES - 1


def test_left_out_files_show_in_summary_and_exit_code(
    scorer: Scorer, bag: Path, data: list[Path], tmp_path: Path
) -> None:
    corrupt_row_group(data[2], 1)
    arguments = ["run", bag, *data, "-o", tmp_path / "out", "--skip-bad-files"]
    for _ in range(2):  # a finished run says the same again
        done = scorer(*arguments)
        assert done.returncode == LeftOutError.exit_code, done.stderr
        assert "Scored 476 of 480 rows" in done.stdout
        assert "3.parquet', rows 0 to 119: cannot read" in done.stderr
    strict = scorer(*arguments[:-1])
    assert strict.returncode == DataError.exit_code
    assert "3.parquet', rows 0 to 119" in strict.stderr


def test_a_file_that_breaks_while_it_is_counted_can_be_left_out(config: RunConfig, tmp_path: Path) -> None:
    broken = tmp_path / "6.jsonl"
    good = '{"id": "x", "text": "a text", "label": 0}\n'
    broken.write_text(good * 1_500 + "{broken\n")
    config = dataclasses.replace(config, data=(*config.data[:4], str(broken), config.data[4]))
    with pytest.raises(DataError, match=r"line 1,501 of '.*6\.jsonl' is not JSON"):
        score(config)
    score(dataclasses.replace(config, skip_bad_files=True))
    report = assert_accounts_for_every_row(config.output, FILES * ROWS)
    assert report["left_out"][0]["reason"].startswith("line 1,501")
    (config.output / "run.json").unlink()
    with pytest.raises(DataError, match=r"line 1,501"):  # the earlier plan does not hide it
        score(config)


def test_an_input_that_vanishes_names_file_and_rows(config: RunConfig, data: list[Path]) -> None:
    class Removing(Silence):
        def advanced(self, rows: int, tokens: int) -> None:
            data[3].unlink(missing_ok=True)

    with pytest.raises(UnreadableError, match=r"'.*4\.parquet' does not exist any more.*rows 0 to 39"):
        score(config, Removing())
    assert finished_shards(config.output) == list(range(9))


# --- the model --------------------------------------------------------------------------------------------------


def test_logits_that_are_not_finite_name_the_row(config: RunConfig, data: list[Path], tmp_path: Path) -> None:
    model = write_bag_model(tmp_path / "bad", bad_word="xylophone")
    frame = pl.read_parquet(data[1])
    frame = frame.with_columns(text=pl.when(pl.int_range(ROWS) == 77).then(pl.lit("a xylophone")).otherwise("text"))
    frame.write_parquet(data[1])
    with pytest.raises(
        ModelError, match=rf"not finite.*row {ROWS + 77:,} of the data.*{frame['id'][77]}.*2\.parquet"
    ) as failed:
        score(dataclasses.replace(config, model=model))
    assert "weights are damaged" in str(failed.value)
    assert "fp32" not in str(failed.value)  # which the model is
    assert finished_shards(config.output) == [0, 1, 2, 3]


def test_a_batch_that_fails_names_its_rows(
    config: RunConfig, data: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session fails on every batch that holds one of two texts, and says nothing of memory."""
    from scorer.model.classifier import OnnxClassifier

    frame = pl.read_parquet(data[1])
    at_fault = pl.int_range(ROWS).is_in([50, 77])
    frame.with_columns(text=pl.when(at_fault).then(pl.lit("§ §")).otherwise("text")).write_parquet(data[1])
    run = OnnxClassifier._run
    unknown: list[int] = []

    def fail(classifier: OnnxClassifier, batch: Any) -> Any:
        if not unknown:
            unknown.extend(TextEncoder(config.model / "tokenizer.json", 9).encode(["§ §"]).ids[1:2])
        if (batch.input_ids[:, 1] == unknown[0]).any() and (batch.attention_mask.sum(axis=1) == 4).any():
            raise RuntimeError("Status Message: the input tensor cannot be reshaped")
        return run(classifier, batch)

    monkeypatch.setattr(OnnxClassifier, "_run", fail)
    with pytest.raises(
        ModelError, match=rf"reshaped\. It fails on row {ROWS + 50:,} of the data, id '.*', '.*2\.parquet"
    ):
        score(config)


# --- the output -------------------------------------------------------------------------------------------------


def test_a_full_disk_ends_the_run_and_more_room_lets_it_go_on(config: RunConfig, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "96k") as disk:
        config = dataclasses.replace(config, output=disk / "out")
        with pytest.raises(OutputError, match=r"cannot write to '.*': No space left on device\. Free space") as failed:
            score(config)
        done = finished_shards(config.output)
        assert 0 < len(done) < 15
        assert f"{len(done)} of 15 shards are finished. They are kept" in failed.value.__notes__[0]
        assert not [file for file in config.output.rglob("*") if ".tmp" in file.name]
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert score(config).resumed.shards == len(done)
        assert_accounts_for_every_row(config.output, FILES * ROWS)


def test_a_disk_that_is_full_when_the_ranking_is_made_keeps_all_shards(config: RunConfig, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "4m") as disk:
        config = dataclasses.replace(config, output=disk / "out")

        class Filling(Silence):
            def info(self, message: str) -> None:
                if message.startswith("Ranking"):
                    free = subprocess.run(
                        ["df", "--output=avail", "-B1", str(disk)], capture_output=True, text=True, check=True
                    )
                    (disk / "filler").write_bytes(b"\0" * (int(free.stdout.split()[1]) - 8_192))

        with pytest.raises(OutputError, match="No space left on device"):
            score(config, Filling())
        assert finished_shards(config.output) == list(range(15))
        (disk / "filler").unlink()
        assert score(config).resumed.shards == 15
        assert_accounts_for_every_row(config.output, FILES * ROWS)


def test_a_read_only_output_is_refused_before_anything_is_scored(config: RunConfig, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(OutputError, match=r"cannot write to '.*': Read-only file system"):
            score(dataclasses.replace(config, output=disk / "out"))
