"""What corrections say: counts, precision with its interval, and how many errors are left."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rankings import make_ranking

from scorer.errors import DataError
from scorer.review.answers.corrections import Correction, text_hash, write_corrections
from scorer.review.answers.decisions import merge
from scorer.review.answers.errors_left import errors_left, estimate_errors_left, log_odds
from scorer.review.answers.summary import summarize, wilson

LABELS = ("World", "Sports", "Business")
Scorer = Callable[..., subprocess.CompletedProcess[str]]


def answers(verdicts: str, annotator: str = "ada") -> list[Correction]:
    """Answers on rows of rank 1, 2, 3, …: k keep, r relabel, d drop, u unsure."""
    names = {"k": "keep", "r": "relabel", "d": "drop", "u": "unsure"}
    return [
        Correction(
            id=f"id-{row}",
            row=row,
            text_hash=text_hash(f"text {row}"),
            given_label=LABELS[row % 3],
            verdict=names[verdict],  # type: ignore[arg-type]
            corrected_label=LABELS[(row + 1) % 3] if verdict == "r" else None,
            annotator=annotator,
            rank=row + 1,
        )
        for row, verdict in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # from R: binom::binom.confint(x, n, methods = "wilson")
    [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (97, 100, 0.9155, 0.9897)],
)
def test_wilson_s_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_summary_counts_rows_not_answers() -> None:
    ada, bo = answers("rrkkduuk"), answers("rk", "bo")
    summary = summarize([*ada, *bo], merge([*ada, *bo]))
    assert (summary.answers, summary.people, summary.rows, summary.disputed) == (10, 2, 8, 1)
    assert dict(summary.verdicts) == {"relabel": 1, None: 1, "keep": 3, "drop": 1, "unsure": 2}
    assert (summary.wrong, summary.decided) == (2, 5)
    assert summary.relabelled == {("World", "Sports"): 1}


def test_precision_at_k_counts_what_people_decided_among_the_first_k() -> None:
    decisions = merge(answers("r" * 9 + "u" + "rk" * 20))
    at = {precision.k: precision for precision in summarize([], decisions).precision}
    assert sorted(at) == [10, 20, 50]
    assert (at[10].decided, at[10].wrong) == (9, 9)
    assert (at[20].decided, at[20].wrong) == (19, 14)
    assert (at[50].decided, at[50].wrong) == (49, 29)
    assert at[50].low < 29 / 49 < at[50].high
    assert summarize([], merge([])).precision == ()


def test_too_few_or_one_sided_answers_give_no_estimate() -> None:
    losses = np.linspace(9, 1, 100)
    decided = np.arange(100) < 30
    none, every = np.zeros(100, dtype=bool), np.ones(100, dtype=bool)
    assert errors_left(losses, decided, none) is None
    assert errors_left(losses, decided, every) is None
    assert errors_left(losses, np.arange(100) < 10, np.arange(100) < 5) is None


def test_the_estimate_finds_the_errors_of_a_curve_that_it_can_follow() -> None:
    """The interval should hold the truth in about 95 of 100 data sets; in 40 draws, 34 is far below chance."""
    generator = np.random.default_rng(5)
    held = 0
    for _ in range(40):
        losses = np.sort(generator.exponential(1.0, 5_000))[::-1]
        chance = 1 / (1 + np.exp(-1.5 * log_odds(losses) + 3))
        wrong = generator.random(5_000) < chance
        decided = np.arange(5_000) < 400
        left = errors_left(losses, decided, wrong)
        assert left is not None
        assert left.rows == 4_600
        held += left.low <= wrong[~decided].sum() <= left.high
    assert held >= 34


def test_a_ranking_of_another_run_is_refused(tmp_path: Path) -> None:
    directory = make_ranking(tmp_path, ["a", "b"], LABELS, id=["x", "y"])
    with pytest.raises(DataError, match="not the run that was reviewed"):
        estimate_errors_left(directory, merge(answers("rk" * 20)))


@pytest.mark.parametrize("loss", [1e-5, 0.3, 2.0, 60.0])
def test_log_odds_are_those_of_the_probability(loss: float) -> None:
    confidence = np.exp(-loss)
    assert log_odds(np.array([loss]))[0] == pytest.approx(np.log1p(-confidence) - np.log(confidence), rel=1e-5)


def test_the_command_sums_up_several_people_s_files(scorer: Scorer, tmp_path: Path) -> None:
    directory = make_ranking(tmp_path / "scores", [f"text {row}" for row in range(300)], LABELS)
    write_corrections(tmp_path / "ada.jsonl", LABELS, answers("rrrkr" * 12))
    write_corrections(tmp_path / "bo.jsonl", LABELS, answers("rrkkr" * 12, "bo"))
    done = scorer("corrections", tmp_path / "ada.jsonl", tmp_path / "bo.jsonl", "--ranking", directory)
    assert done.returncode == 0, done.stderr
    assert "120 answers by 2 people on 60 rows." in done.stdout
    assert "Wrong: 36 (75.0% of those decided): 36 with another label, 0 to drop. Right: 12." in done.stdout
    assert "People disagree on 12 rows; on 12 of them nothing decides:" in done.stdout
    assert "… and 2 more" in done.stdout
    assert re.search(r"10 +│ 8 +│ 6 +│ 75.0%", done.stdout)
    assert re.search(r"World +│ Sports +│ 12", done.stdout)
    assert "Errors left: about " in done.stdout
    assert "among the 252 rows that nobody has decided on" in done.stdout
    stopped = scorer("corrections", tmp_path / "ada.jsonl", tmp_path / "bo.jsonl", "--on-conflict", "error")
    assert (stopped.returncode, stopped.stdout) == (DataError.exit_code, "")
    assert "people disagree on 12 rows" in stopped.stderr


def test_the_header_alone_is_a_file_without_answers(scorer: Scorer, tmp_path: Path) -> None:
    write_corrections(tmp_path / "none.jsonl", LABELS, [])
    done = scorer("corrections", tmp_path / "none.jsonl")
    assert done.returncode == 0, done.stderr
    assert "0 answers on 0 rows." in done.stdout
    assert json.loads((tmp_path / "none.jsonl").read_text())["label_names"] == list(LABELS)


def test_the_estimate_is_about_the_rows_that_were_judged(tmp_path: Path) -> None:
    """Rows are inserted on top, ids are positions, one label is corrected since: the right rows count, or are said."""
    judged = answers("rk" * 15)
    texts = ["new", *(f"text {row}" for row in range(30)), *(f"rest {row}" for row in range(20))]
    given_labels = [2, *(row % 3 for row in range(30)), *[0] * 20]
    given_labels[1] = 1  # the first was relabelled so
    given_labels[2] = 0  # and the second is another now, which nobody judged
    names = [LABELS[label] for label in given_labels]
    ids = [str(row) for row in range(51)]
    directory = make_ranking(tmp_path, texts, LABELS, id=ids, label=given_labels, label_name=names)
    judged = [dataclasses.replace(answer, id=str(answer.row)) for answer in judged]
    said: list[str] = []
    left = estimate_errors_left(directory, merge(judged), said.append)
    losses = pl.read_parquet(directory / "ranked.parquet")["loss"].cast(pl.Float64).to_numpy()
    decided = np.array([1 <= row <= 30 and row != 2 for row in range(51)])
    wrong = np.array([1 < row <= 30 and row % 2 == 1 for row in range(51)])
    assert left == errors_left(losses, decided, wrong)
    assert said == [
        f"1 of the 30 rows that people decided on are not in '{directory}' as they were judged (id, text and label), "
        "and do not count here."
    ]


def test_annotators_rows_are_estimated_each_for_itself(tmp_path: Path) -> None:
    texts = [f"text {row // 3}" for row in range(90)]
    ids = [f"id-{row // 3}" for row in range(90)]
    directory = make_ranking(tmp_path, texts, LABELS, id=ids)
    judged = [dataclasses.replace(answer, row=3 * answer.row) for answer in answers("rk" * 15)]
    judged = [
        dataclasses.replace(answer, given_label="World", corrected_label=answer.corrected_label and "Sports")
        for answer in judged
    ]
    left = estimate_errors_left(directory, merge(judged))
    losses = np.linspace(9, 1, 90).astype(np.float32).astype(np.float64)
    places = np.arange(90)
    assert left == errors_left(losses, places % 3 == 0, places % 6 == 0)
