"""The corrections file: what is written comes back, what is damaged is named, answers come to decisions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.errors import DataError, OutputError
from scorer.review.answers.corrections import Correction, read_corrections, text_hash, write_corrections
from scorer.review.answers.decisions import Decision, merge

LABELS = ("World", "Sports", "Business")


def answer(label: str | None = None, annotator: str | None = "ada", row: int = 7, **fields: object) -> Correction:
    """An answer on a row given World: another label, World itself, or a verdict given by name."""
    verdict = fields.pop("verdict", "keep" if label in (None, "World") else "relabel")
    corrected = label if verdict == "relabel" else None
    whole = {"id": f"n-{row}", "row": row, "text_hash": text_hash(f"text {row}"), "given_label": "World"} | fields
    return Correction(**whole, verdict=verdict, corrected_label=corrected, annotator=annotator)  # type: ignore[arg-type]


def only(decisions: list[Decision]) -> Decision:
    assert len(decisions) == 1
    return decisions[0]


def test_the_hash_is_sha_256_over_the_text_and_over_a_pair() -> None:
    assert text_hash("naïve 😀") == hashlib.sha256("naïve 😀".encode()).hexdigest()[:32]
    assert text_hash("a", "b") == hashlib.sha256(b"a\0b").hexdigest()[:32]
    assert len({text_hash("ab"), text_hash("a", "b"), text_hash("ab", ""), text_hash("", "ab")}) == 4


texts = st.text(max_size=20).filter(lambda text: "\ud800" not in text)
moments = st.none() | st.sampled_from(["2026-11-24T06:30:00Z", "2026-11-24T07:30:00.5+01:00"])


@given(
    st.lists(
        st.builds(
            Correction,
            id=texts,
            row=st.integers(0, 2**62),
            text_hash=texts,
            given_label=st.sampled_from(LABELS),
            verdict=st.sampled_from(["keep", "unsure", "drop"]),
            source_file=st.none() | texts,
            annotator=st.none() | texts,
            at=moments,
            source=st.none() | texts,
            rank=st.none() | st.integers(1, 2**62),
        )
    )
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, answers: list[Correction]) -> None:
    file = tmp_path_factory.mktemp("corrections") / "answers.jsonl"
    write_corrections(file, LABELS, answers, model="a model")
    read = read_corrections([file])
    assert read.answers == tuple(answers)
    assert (read.label_names, read.model) == (LABELS, "a model")


def test_files_are_read_together_without_header_with_blank_lines_and_with_unknown_keys(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    write_corrections(first, LABELS, [answer("Sports")])
    document = dataclasses.asdict(answer(annotator="bo")) | {"seconds": 3}
    second.write_text("\n" + json.dumps(document) + "\n\n")
    read = read_corrections([first, second])
    assert read.answers == (answer("Sports"), answer(annotator="bo"))
    assert read_corrections([second]).label_names is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no json", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"id": "1"}', "lacks 'row', 'text_hash', 'given_label', 'verdict'"),
        ({"row": "7"}, "'row' is '7', not an integer"),
        ({"row": True}, "'row' is True, not an integer"),
        ({"id": 7}, "'id' is 7, not a string"),
        ({"id": None}, "'id' is None, not a string"),
        ({"verdict": "maybe"}, "'verdict' is 'maybe'; known are keep, relabel, unsure, drop"),
        ({"verdict": "relabel"}, "'corrected_label' is None with the verdict relabel"),
        ({"corrected_label": "Sports"}, "'corrected_label' is 'Sports' with the verdict keep"),
        ({"given_label": "Weather"}, "no label 'Weather'; the file's labels are World, Sports, Business"),
        ({"at": "yesterday"}, "'at' is 'yesterday', not a time such as"),
        ({"rank": 1.5}, "'rank' is 1.5, not an integer"),
    ],
)
def test_a_damaged_line_is_named_with_its_file(tmp_path: Path, line: str | dict[str, object], says: str) -> None:
    file = tmp_path / "answers.jsonl"
    write_corrections(file, LABELS, [answer()])
    damaged = line if isinstance(line, str) else json.dumps(dataclasses.asdict(answer()) | line)
    file.write_text(file.read_text() + damaged + "\n")
    with pytest.raises(DataError) as raised:
        read_corrections([file])
    assert f"line 3 of '{file}'" in str(raised.value)
    assert says in str(raised.value)


def test_files_about_other_labels_or_of_another_version_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    write_corrections(first, LABELS, [])
    write_corrections(second, LABELS[::-1], [])
    with pytest.raises(DataError, match="Business, Sports, World"):
        read_corrections([first, second])
    second.write_text('{"scorer_corrections": 2, "label_names": []}\n')
    with pytest.raises(DataError, match="version 2"):
        read_corrections([second])
    with pytest.raises(DataError, match="No such file"):
        read_corrections([tmp_path / "absent.jsonl"])


def test_a_file_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_corrections(tmp_path / "absent" / "answers.jsonl", LABELS, [])
    assert list(tmp_path.iterdir()) == []


def test_agreement_is_no_conflict_and_saying_the_given_label_is_keeping_it() -> None:
    same = only(merge([answer("Sports", "ada"), answer("Sports", "bo")]))
    assert (same.verdict, same.label, same.disputed) == ("relabel", "Sports", False)
    kept = only(merge([answer("World", "ada"), answer(None, "bo")]))
    assert (kept.verdict, kept.label, kept.disputed) == ("keep", "World", False)


def test_majority_decides_and_a_tie_does_not() -> None:
    two_to_one = only(merge([answer("Sports", "ada"), answer("Business", "bo"), answer("Sports", "cy")]))
    assert (two_to_one.label, two_to_one.disputed) == ("Sports", True)
    tie = only(merge([answer("Sports", "ada"), answer(None, "bo")]))
    assert (tie.verdict, tie.label, tie.disputed) == (None, None, True)


def test_being_unsure_is_a_voice() -> None:
    assert only(merge([answer("Sports", "ada"), answer(annotator="bo", verdict="unsure")])).verdict is None
    outvoted = [answer("Sports", "ada"), answer("Sports", "bo"), answer(annotator="cy", verdict="unsure")]
    assert only(merge(outvoted)).label == "Sports"
    assert only(merge([answer(verdict="unsure")])).verdict == "unsure"


def test_a_label_that_is_named_like_a_verdict_is_a_label() -> None:
    votes = [answer("drop", "ada"), answer(annotator="bo", verdict="drop")]
    assert only(merge(votes)).verdict is None


def test_latest_takes_the_newest_answer_whatever_the_time_zone() -> None:
    early, late = "2026-11-24T08:00:00+02:00", "2026-11-24T06:30:00Z"
    decision = only(merge([answer("Sports", "ada", at=late), answer("Business", "bo", at=early)], "latest"))
    assert decision.label == "Sports"
    assert only(merge([answer("Sports", "ada", at=late), answer("Business", "bo")], "latest")).verdict is None
    both = [answer("Sports", "ada", at=late), answer("Business", "bo", at=late)]
    assert only(merge(both, "latest")).verdict is None


def test_error_names_the_rows() -> None:
    with pytest.raises(DataError, match=r"disagree on 1 rows:\n  id n-3 .given World.: ada: 'Sports', bo: 'World'"):
        merge([answer("Sports", "ada", 3), answer(None, "bo", 3), answer("Sports", "ada", 4)], "error")
    assert len(merge([answer("Sports", "ada", 3), answer("Sports", "bo", 3)], "error")) == 1


def test_a_person_who_answers_again_has_one_voice_the_latest() -> None:
    early, late = "2026-11-24T06:00:00Z", "2026-11-24T06:30:00Z"
    again = merge([answer("Business", at=late), answer("Sports", at=early), answer("Sports", "bo")])
    assert [a.label for a in only(again).answers] == ["Business", "Sports"]
    untimed = only(merge([answer("Sports"), answer("Business")]))
    assert (untimed.label, untimed.disputed) == ("Business", False)


def test_answers_without_a_name_are_voices_of_their_own_and_a_repeated_line_is_one() -> None:
    first, second = answer("Sports", None), answer("Business", None)
    assert only(merge([first, first])).answers == (first,)
    assert only(merge([first, second])).disputed


def test_rows_with_one_id_and_other_texts_are_rows_of_their_own() -> None:
    other = answer("Business", text_hash=text_hash("another"))
    assert [decision.label for decision in merge([answer("Sports"), other])] == ["Sports", "Business"]


def test_rows_of_one_id_and_text_never_vote_on_each_other() -> None:
    """Five annotators' labels of one item are five rows: what is said of one says nothing of the others."""
    item = {"id": "n-7", "text_hash": text_hash("text 7")}
    found = merge(
        [
            answer("World", row=0, given_label="World", **item),
            answer("World", verdict="relabel", row=1, given_label="Sports", **item),
            answer(verdict="unsure", row=2, given_label="Business", **item),
        ]
    )
    assert [(each.first.given_label, each.verdict, each.label) for each in found] == [
        ("World", "keep", "World"),
        ("Sports", "relabel", "World"),
        ("Business", "unsure", None),
    ]
    assert not any(each.disputed for each in found)


def test_rows_that_are_alike_have_one_decision_or_none() -> None:
    """Two rows of one id, text and label are the same to every reader of the data."""
    item = {"id": "n-7", "text_hash": text_hash("text 7")}
    first = [answer("Sports", "ada", row=3, **item), answer("Sports", "bo", row=3, **item)]
    same = only(merge([*first, answer("Sports", row=4, **item)]))
    assert (same.verdict, same.label, same.rows, same.contradictory) == ("relabel", "Sports", (3, 4), False)
    for other in (
        answer(row=4, **item),
        answer(verdict="drop", row=4, **item),
        answer(verdict="unsure", row=4, **item),
    ):
        unlike = only(merge([*first, other], "latest"))
        assert (unlike.verdict, unlike.label, unlike.disputed, unlike.contradictory) == (None, None, True, True)
    with pytest.raises(DataError, match="rows 3, 4 of the run, which nothing tells apart"):
        merge([*first, answer(row=4, **item)], "error")
