"""Texts of every kind and size go through to the ranking, the terminal and back from Parquet unchanged."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from scorer import RunConfig, score
from scorer.model.model_directory import open_model_directory

HUGE = ("A text of ten megabytes, with an end. " * 280_000)[:10_000_000]
TEXTS = {
    "huge": HUGE,
    "one character": "x",
    "one emoji": "😀",
    "emoji": "👨‍👩‍👧‍👦 🇩🇪 🏳️‍🌈 👍🏽",
    "nul": "before\x00after",
    "right to left": "שלום עולם — مرحبا بالعالم",
    "override": "safe\u202egnp.exe\u202c and \u2066isolated\u2069",
    "controls": "".join(map(chr, [*range(1, 32), 127, *range(0x80, 0xA0)])),
    "terminal": "\x1b[31mred\x1b[0m \x1b]0;a title\x07 \x9b2J",
    "separators": "a\u2028b\u2029c\u200b\ufeffd",
    "lines": "first\nsecond\r\nthird\r",
    "combining": "e" + "\u0301" * 200,
    "private": "\ue000 \U0010ffff",
    "mathematical": "\U0001d4d7\U0001d4ee",
    "spaces": "  inside   it  ",
}
FORMATS = ["parquet", "jsonl", "csv", "arrow"]


@pytest.fixture
def rows(model: Path) -> pl.DataFrame:
    names = open_model_directory(model).contract.label_names
    return pl.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values()), "label": [names[0]] * len(TEXTS)})


@pytest.mark.parametrize("kind", FORMATS)
def test_extreme_texts_come_back_unchanged(kind: str, rows: pl.DataFrame, model: Path, tmp_path: Path) -> None:
    file = tmp_path / f"data.{kind}"
    write = {
        "parquet": rows.write_parquet,
        "jsonl": rows.write_ndjson,
        "csv": lambda path: rows.write_csv(path, quote_style="always"),
        "arrow": rows.write_ipc,
    }[kind]
    write(file)
    report = score(RunConfig(model=model, data=(str(file),), output=tmp_path / "out", provider="cpu"))
    assert report.counts.scored == len(TEXTS)
    ranked = pq.read_table(tmp_path / "out" / "ranked.parquet").to_pydict()
    assert dict(zip(ranked["id"], ranked["text"], strict=True)) == TEXTS


@pytest.mark.parametrize("full", [False, True])
def test_the_terminal_shows_them_and_obeys_none(
    *,
    full: bool,
    rows: pl.DataFrame,
    model: Path,
    tmp_path: Path,
    scorer: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    rows = rows.filter(pl.col("id") != "huge") if full else rows  # whole, it is 100,000 lines
    rows.write_parquet(tmp_path / "data.parquet")
    run = scorer("run", model, tmp_path / "data.parquet", "-o", tmp_path / "out")
    shown = scorer("show", tmp_path / "out", "--top", 50, *(["--full"] if full else []))
    dangerous = {chr(code) for code in (*range(32), 127, *range(0x80, 0xA0), 0x202E, 0x2066)} - {"\n"}
    for done in (run, shown):
        assert done.returncode == 0, done.stderr
        assert not dangerous & set(done.stdout)
    for fragment in ("␀", "<U+202E>", "😀", "␛[31mred", "שלום"):
        assert fragment in shown.stdout
    assert full or f"(+{len(HUGE) - 600:,} characters)" in " ".join(shown.stdout.split())
