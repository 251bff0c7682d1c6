"""Corrections: what people found when they looked at ranked rows. One file format for every reviewing tool.

A file is JSON Lines. Its first line may be a header with the label names; every other line is one person's answer
on one row. Rows are known by id, by a hash of their text and by their given label, never by position. What several
answers on a row come to is decided in `scorer.review.answers.decisions`.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from scorer.errors import DataError
from scorer.system.files import replacing, writing

FORMAT_VERSION = 1
HEADER_KEY = "scorer_corrections"

Verdict = Literal["keep", "relabel", "unsure", "drop"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

HASH_DIGITS = 32


def text_hash(text: str, pair: str | None = None) -> str:
    """First 32 hexadecimal digits of the SHA-256 of a text, or of a pair with a NUL between its texts."""
    whole = text if pair is None else f"{text}\0{pair}"
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_DIGITS]


@dataclasses.dataclass(frozen=True, slots=True)
class Correction:
    """One person's answer on one row.

    Attributes:
        id: the row's id, as in the ranking.
        row: position in the data of the run, from 0; never used to join. It tells answers on one row from answers on
            rows that are alike.
        text_hash: `text_hash` of the row's text.
        given_label: name of the label that the data gave.
        verdict: keep (the given label is right), relabel, unsure (looked at, undecided), drop (not for this data set).
        corrected_label: name of the right label when the verdict is relabel, else None.
        source_file: file or data set that the row came from.
        annotator: who answered.
        at: when, as ISO 8601 in UTC, such as 2026-11-24T06:30:00Z.
        source: the tool and its data set, such as "argilla:ag-news-review".
        rank: the row's rank in the ranking.
    """

    id: str
    row: int
    text_hash: str
    given_label: str
    verdict: Verdict
    corrected_label: str | None = None
    source_file: str | None = None
    annotator: str | None = None
    at: str | None = None
    source: str | None = None
    rank: int | None = None

    def __post_init__(self) -> None:
        """Check the values once, so that every reader may trust them.

        Raises:
            ValueError: a value has the wrong type or contradicts another; the message names it.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kind = int if field.name in ("row", "rank") else str
            optional = field.default is not dataclasses.MISSING
            if not (optional and value is None) and (not isinstance(value, kind) or isinstance(value, bool)):
                raise ValueError(f"'{field.name}' is {value!r}, not {'an integer' if kind is int else 'a string'}")
        if self.verdict not in VERDICTS:
            raise ValueError(f"'verdict' is {self.verdict!r}; known are {', '.join(VERDICTS)}")
        if (self.verdict == "relabel") != (self.corrected_label is not None):
            raise ValueError(
                f"'corrected_label' is {self.corrected_label!r} with the verdict {self.verdict}; it goes with relabel, "
                "and with nothing else"
            )
        if self.at is not None:
            _moment(self.at)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells rows apart: id, text hash and given label."""
        return self.id, self.text_hash, self.given_label

    @property
    def label(self) -> str | None:
        """The label that the row should have by this answer; None for unsure and drop."""
        return self.given_label if self.verdict == "keep" else self.corrected_label

    @property
    def moment(self) -> datetime.datetime | None:
        """When the answer was given, comparable; None where that is not known."""
        return None if self.at is None else _moment(self.at)


@dataclasses.dataclass(frozen=True, slots=True)
class Corrections:
    """The content of one or more corrections files.

    Attributes:
        answers: every person's answer on every row, in the files' order.
        label_names: the model's C class names in its order, or None where no file has a header.
        model: the model that ranked the rows, or None where no header says.
    """

    answers: tuple[Correction, ...]
    label_names: tuple[str, ...] | None = None
    model: str | None = None


def read_corrections(paths: Sequence[Path]) -> Corrections:
    """Read corrections files; unknown keys are passed over.

    Raises:
        DataError: a file cannot be read, a line is no correction (the message names file and line), or two headers
            name other labels.
    """
    answers: list[Correction] = []
    label_names: tuple[str, ...] | None = None
    model: str | None = None
    for path in paths:
        for number, document in _documents(path):
            if number == 1 and HEADER_KEY in document:
                names = _header_names(document, path)
                if label_names is not None and names != label_names:
                    raise DataError(
                        f"'{path}' is about the labels {', '.join(names)}, the files before it about "
                        f"{', '.join(label_names)}. Treat them apart: they come from different models."
                    )
                label_names, model = names, document.get("model") or model
            else:
                answers.append(_correction(document, label_names, f"line {number:,} of '{path}'"))
    return Corrections(tuple(answers), label_names, model if isinstance(model, str) else None)


def holds_corrections(path: str) -> bool | None:
    """Whether a file begins as corrections do; None where it does not begin with a JSON object in a line."""
    try:
        with Path(path).open("rb") as file:
            first = next((line for line in file if line.strip()), b"")
        document = json.loads(first.decode("utf-8-sig"))
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict):
        return None
    return HEADER_KEY in document or {"text_hash", "verdict"} <= document.keys()


def write_corrections(
    path: Path, label_names: Sequence[str], corrections: Iterable[Correction], *, model: str | None = None
) -> None:
    """Write a corrections file with its header, whole or not at all.

    Args:
        path: the file; one that is there is replaced.
        label_names: the model's C class names, in its order.
        corrections: the answers.
        model: the model that ranked the rows.

    Raises:
        OutputError: the file cannot be written.
    """
    header = {HEADER_KEY: FORMAT_VERSION, "label_names": list(label_names), "model": model, "created": now()}
    with writing(path), replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for document in (header, *map(dataclasses.asdict, corrections)):
            file.write(json.dumps(document, ensure_ascii=False) + "\n")


def now() -> str:
    """This second, as corrections write it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(at: str) -> datetime.datetime:
    """Raises ValueError for what is no time."""
    try:
        moment = datetime.datetime.fromisoformat(at)
    except ValueError:
        raise ValueError(f"'at' is {at!r}, not a time such as 2026-11-24T06:30:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _documents(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number from 1 and JSON object of every line that is not blank."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"cannot read the corrections '{path}': {error.strerror or error}. Check the path.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line.decode("utf-8-sig"))
        except ValueError as error:
            raise DataError(f"line {number:,} of '{path}' is not JSON: {error}. {_EXPECTED}") from error
        if not isinstance(document, dict):
            raise DataError(f"line {number:,} of '{path}' is not a JSON object. {_EXPECTED}")
        yield number, document


_EXPECTED = "A corrections file holds one JSON object per line, as scorer's reviewing tools write it."


def _header_names(header: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    if header[HEADER_KEY] != FORMAT_VERSION:
        raise DataError(
            f"'{path}' is a corrections file of version {header[HEADER_KEY]!r}; this scorer reads version "
            f"{FORMAT_VERSION}. Use the scorer that wrote it, or a newer one."
        )
    names = header.get("label_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"line 1 of '{path}': 'label_names' is {names!r}, not a list of strings.")
    return tuple(names)


def _correction(document: Mapping[str, Any], label_names: Sequence[str] | None, where: str) -> Correction:
    names = [field.name for field in dataclasses.fields(Correction)]
    try:
        correction = Correction(**{name: document[name] for name in names if name in document})
    except TypeError as error:  # a key is missing
        absent = [name for name in names[:5] if name not in document]
        raise DataError(f"{where} lacks {', '.join(map(repr, absent))}. {_EXPECTED}") from error
    except ValueError as error:
        raise DataError(f"{where}: {error}.") from error
    for label in (correction.given_label, correction.corrected_label):
        if label is not None and label_names is not None and label not in label_names:
            raise DataError(f"{where}: there is no label '{label}'; the file's labels are {', '.join(label_names)}.")
    return correction
