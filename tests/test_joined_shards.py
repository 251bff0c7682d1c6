"""Small files share shards: the same ranking and account as one file, whatever is cut, killed, broken or shared out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from bag_model import write_bag_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer import RunConfig, score
from scorer.errors import DataError, RunInterrupted
from scorer.listener import Silence
from scorer.ranking.merging import merge
from scorer.results.manifest import Manifest
from scorer.sources import Shard, Span, UnreadableError
from scorer.sources.planning import _cut

ROWS = 120


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag_model(tmp_path_factory.mktemp("bag") / "model")


def write_parts(corpus: pl.DataFrame, sizes: list[int], folder: Path, kind: str = "parquet") -> list[Path]:
    """The corpus's first rows in files of these sizes."""
    folder.mkdir()
    files, start = [], 0
    for index, size in enumerate(sizes):
        part, file = corpus.slice(start, size), folder / f"{index:03}.{kind}"
        if kind == "csv":
            part.write_csv(file)
        else:
            pq.write_table(part.to_arrow(), file, use_dictionary=False, compression="none")
        files.append(file)
        start += size
    return files


def damage(file: Path) -> None:
    """Damage the text of a Parquet file; its labels, size and time stay."""
    stat, metadata = file.stat(), pq.read_metadata(file)
    chunk = metadata.row_group(0).column(metadata.schema.names.index("text"))
    with file.open("r+b") as handle:
        handle.seek(chunk.data_page_offset)
        handle.write(b"\xff" * 20)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def results(output: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return (
        pl.read_parquet(output / "ranked.parquet", glob=False).drop("source_file"),
        pl.read_parquet(output / "rejects.parquet", glob=False).drop("source_file"),
    )


def assert_equal_results(one: Path, other: Path) -> None:
    for mine, theirs in zip(results(one), results(other), strict=True):
        assert mine.equals(theirs)


SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=30)


@given(sizes=SIZES, shard_rows=st.integers(1, 50), joined_rows=st.integers(1, 50))
def test_shards_are_a_partition_in_which_small_tables_stay_whole(
    sizes: list[int], shard_rows: int, joined_rows: int
) -> None:
    joined = min(joined_rows, shard_rows)
    shards = list(_cut(list(enumerate(sizes)), shard_rows, joined))
    spans = [span for _, _, spans in shards for span in spans]
    read = [(span.table, span.start + row) for span in spans for row in range(span.rows)]
    assert read == [(table, row) for table, size in enumerate(sizes) for row in range(size)]
    assert [span.first_row for span in spans] == [sum(s.rows for s in spans[:i]) for i in range(len(spans))]
    assert [(index, first) for index, first, _ in shards] == [(i, s[2][0].first_row) for i, s in enumerate(shards)]
    for _, _, several in shards:
        rows = sum(span.rows for span in several)
        assert rows <= shard_rows
        assert len(several) == 1 or (rows <= joined and all(span.rows == sizes[span.table] for span in several))
    for (_, _, before), (_, _, after) in pairwise(shards):  # as few shards as whole tables allow
        if after[0].start == 0 and before[0].start == 0 and before[-1].rows == sizes[before[-1].table]:
            assert sum(span.rows for span in before) + sizes[after[0].table] > joined


def test_a_large_table_is_cut_as_if_it_were_alone() -> None:
    alone = [spans for _, _, spans in _cut([(0, 100)], 40, 10)]
    beside = [spans for _, _, spans in _cut([(0, 3), (1, 4), (2, 100), (3, 5)], 40, 10)]
    assert [span._replace(table=0, first_row=span.first_row - 7) for (span,) in beside[1:4]] == [s for (s,) in alone]
    assert beside[0] == (Span(0, 0, 3, 0), Span(1, 0, 4, 3))
    assert beside[4] == (Span(3, 0, 5, 107),)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_joined_broken_killed_and_shared_out_give_the_ranking_of_one_file(
    data: st.DataObject, bag: Path, corpus: pl.DataFrame
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, ROWS), max_size=25)))
    sizes = [stop - start for start, stop in pairwise([0, *cuts, ROWS])]
    bad = data.draw(st.sets(st.sampled_from([i for i, size in enumerate(sizes) if size]), max_size=4))
    window, shard = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 60))
    starts = [0, *cuts]
    kept = [row for i, size in enumerate(sizes) if i not in bad for row in range(starts[i], starts[i] + size)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        files = write_parts(corpus, sizes, path / "data")
        write_parts(corpus, [ROWS], path / "one")
        common = {"model": bag, "provider": "cpu", "shard_rows": shard, "window_rows": window}
        one = RunConfig(data=(str(path / "one"),), output=path / "whole", **common)
        several = RunConfig(data=(str(path / "data"),), output=path / "joined", skip_bad_files=True, **common)
        score(one)
        for index in bad:
            damage(files[index])
        if not kept:
            with pytest.raises(DataError, match="nothing could be read"):
                score(several)
            return
        stop = data.draw(st.integers(1, ROWS))

        class Interrupting(Silence):
            rows = 0

            def advanced(self, rows: int, tokens: int) -> None:
                self.rows += rows
                if self.rows > stop:
                    raise KeyboardInterrupt

        interrupted = dataclasses.replace(several, output=path / "resumed")
        with contextlib.suppress(RunInterrupted):
            score(interrupted, Interrupting())
        for config in (several, interrupted):
            report = score(config)
            assert report.counts.read == report.counts.scored + report.counts.rejected == len(kept)
            assert sorted((each.name, each.start, each.rows) for each in report.left_out) == sorted(
                (str(files[index]), start, min(shard, sizes[index] - start))
                for index in bad
                for start in range(0, sizes[index], shard)
            )
        assert_equal_results(several.output, interrupted.output)
        ranked, rejects = results(several.output)
        whole_ranked, whole_rejects = results(one.output)
        left = whole_ranked.filter(pl.col("row").is_in(kept))
        assert ranked.drop("rank").equals(left.drop("rank"))
        assert rejects.equals(whole_rejects.filter(pl.col("row").is_in(kept)))


def test_workers_leave_a_bad_small_file_out_and_score_its_neighbours(
    bag: Path, corpus: pl.DataFrame, tmp_path: Path
) -> None:
    files = write_parts(corpus, [3] * 40, tmp_path / "data")
    for index in (4, 5, 33):
        damage(files[index])
    alone = RunConfig(
        model=bag,
        data=(str(tmp_path / "data"),),
        output=tmp_path / "alone",
        provider="cpu",
        shard_rows=30,
        window_rows=30,
        skip_bad_files=True,
    )
    several = dataclasses.replace(alone, output=tmp_path / "several", workers=3)

    class Counting(Silence):
        rows = 0

        def advanced(self, rows: int, tokens: int) -> None:
            self.rows += rows

    listener = Counting()
    reports: list[Any] = [score(alone), score(several, listener)]
    for report in reports:
        assert report.counts.read == 111
        assert {each.name for each in report.left_out} == {str(files[index]) for index in (4, 5, 33)}
        assert not any(each.ends_shard for each in report.left_out)
    assert_equal_results(alone.output, several.output)
    assert listener.rows == 111


def test_a_bad_small_file_stops_a_strict_run_with_its_name_and_rows(
    bag: Path, corpus: pl.DataFrame, tmp_path: Path
) -> None:
    files = write_parts(corpus, [3] * 10, tmp_path / "data")
    damage(files[7])
    config = RunConfig(model=bag, data=(str(tmp_path / "data"),), output=tmp_path / "out", provider="cpu")
    with pytest.raises(UnreadableError, match=r"007\.parquet', rows 0 to 2"):
        score(config)
    skipping = dataclasses.replace(config, skip_bad_files=True)
    assert score(skipping).counts.read == 27
    with pytest.raises(UnreadableError, match=r"007\.parquet'"):  # what was left out is asked for again
        score(config)


def test_parts_of_joined_shards_are_ranked_together(bag: Path, corpus: pl.DataFrame, tmp_path: Path) -> None:
    write_parts(corpus, [5] * 24, tmp_path / "data", kind="csv")
    config = RunConfig(
        model=bag,
        data=(str(tmp_path / "data"),),
        output=tmp_path / "all",
        provider="cpu",
        shard_rows=20,
        window_rows=20,
    )
    score(config)
    parts = [dataclasses.replace(config, output=tmp_path / f"part-{n}", part=(n, 3)) for n in (1, 2, 3)]
    for part in parts:
        score(part)
    merge([part.output for part in parts], tmp_path / "merged", "loss", None, Silence())
    assert_equal_results(config.output, tmp_path / "merged")


def test_the_manifest_keeps_spans_and_places(bag: Path, corpus: pl.DataFrame, tmp_path: Path) -> None:
    write_parts(corpus, [5] * 6, tmp_path / "data", kind="csv")
    config = RunConfig(model=bag, data=(str(tmp_path / "data"),), output=tmp_path / "out", provider="cpu")
    score(config)
    text = (tmp_path / "out" / "manifest.json").read_text()
    manifest = Manifest.from_json(text)
    (shard,) = manifest.plan.shards
    assert [(span.table, span.first_row, span.rows) for span in shard.spans] == [(i, 5 * i, 5) for i in range(6)]
    assert all(span.place is not None and span.place.row == 0 for span in shard.spans)
    assert manifest.to_json() == text


def test_only_spans_that_hold_wanted_rows_are_read_again() -> None:
    spans = tuple(Span(table, 0, 3, 3 * table) for table in range(5))
    shard = Shard(0, 0, spans)
    wanted = pl.Series([1, 2, 7, 14]).to_numpy()
    assert [span.table for span in shard.among(wanted).spans] == [0, 2, 4]
