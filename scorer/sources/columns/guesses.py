"""Which columns hold what, by their names, where nobody says so. A guess is said, and so is what it leaves out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError, UsageError
from scorer.sources.columns.label_column import holds_names
from scorer.sources.columns.values import is_text, text_values
from scorer.sources.storage.table import Table

# The first that exists wins; a case-sensitive find before another.
_TEXTS = ("text", "sentence", "content")
_PAIRS = (
    *(("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text", "text_pair")),
    *(("sentence_a", "sentence_b"), ("sentence_1", "sentence_2"), ("text_a", "text_b"), ("text1", "text2")),
    *(("text_1", "text_2"), ("question_1", "question_2"), ("sent1", "sent2"), ("s1", "s2")),
)
# Pairs where there is no column `text`.
_LOOSE_PAIRS = (
    *(("question", "sentence"), ("question", "passage"), ("question", "context"), ("query", "passage")),
    *(("query", "document"), ("claim", "evidence"), ("claim", "sentence")),
)
_LABELS = ("label", "labels", "label_name", "given_label")
# Taken where there is no other of them.
_LOOSE_LABELS = (
    *("target", "targets", "category", "intent", "class", "sentiment", "emotion", "topic", "gold_label", "label_text"),
    *("class_label", "stance", "toxicity", "y"),
)
_IDS = ("id",)
# What tells a row of a data set from other objects.
KNOWN_NAMES = frozenset((*_TEXTS, *_LABELS, *itertools.chain.from_iterable(_PAIRS)))

# Last words of names of further texts.
_TEXT_WORDS = (
    *("text", "sentence", "content", "title", "body", "question", "answer", "headline", "summary", "description"),
    *("context", "passage", "document", "article", "abstract", "subject", "message", "review", "comment", "response"),
    *("prompt", "query", "premise", "hypothesis", "claim", "evidence", "paragraph", "utterance", "tweet", "post"),
)
# Rows looked at, the mean length in characters and the share of values with a blank that make a text.
_LOOKED_AT, _LONG, _SPACED = 100, 40, 0.8


def guess_text(available: Sequence[str], where: str) -> tuple[str, str | None]:
    """The column of the text, and that of a pair's second text or None.

    Raises:
        UsageError: none looks like it.
    """
    pairs = _PAIRS if _find("text", available) else (*_PAIRS, *_LOOSE_PAIRS)
    for names in pairs:
        first, second = (_find(name, available) for name in names)
        if first is not None and second is not None:
            return first, second
    return _guess("text", _TEXTS, available, where), None


def guess_label(available: Sequence[str], where: str) -> str:
    """The column of the label.

    Raises:
        UsageError: none looks like it, or several do.
    """
    loose = [name for guess in _LOOSE_LABELS if (name := _find(guess, available)) is not None]
    if len(loose) == 1 and all(_find(guess, available) is None for guess in _LABELS):
        return loose[0]
    return _guess("label", _LABELS, available, where)


def guess_id(available: Sequence[str]) -> str | None:
    """The column of the id, or None."""
    return next((name for guess in _IDS if (name := _find(guess, available)) is not None), None)


def texts_beside(table: Table, schema: pa.Schema, taken: Sequence[str], label: str) -> list[str]:
    """Columns that look like texts too, by their names or their first values.

    Args:
        table: a table of the data.
        schema: its columns.
        taken: columns that have a part.
        label: the label's column; one that holds its names is no text.
    """
    others = [
        field.name
        for field in schema
        if is_text(field.type)
        and field.name not in taken
        and schema.names.count(field.name) == 1
        and not holds_names(field.name, label)
    ]
    named = [name for name in others if _last_word(name) in _TEXT_WORDS]
    rest = [name for name in others if name not in named]
    try:
        batch = next(iter(table.batches(rest)), None) if rest else None
    except DataError:  # a column that nobody asked for need not be readable
        batch = None
    long = [] if batch is None else [name for name in rest if _are_long(batch.column(name).slice(0, _LOOKED_AT))]
    return [name for name in others if name in named or name in long]


def listed(names: Sequence[str]) -> str:
    """Columns for a message."""
    shown = ", ".join(names[:30])
    return shown + (f", … ({len(names)} in all)" if len(names) > 30 else "")


def _guess(role: str, guesses: Sequence[str], available: Sequence[str], where: str) -> str:
    for guess in guesses:
        if (name := _find(guess, available)) is not None:
            return name
    raise UsageError(
        f"no column of {where} looks like the {role} (looked for {', '.join(guesses)}). Name it with "
        f"--{role}-column; the columns are: {listed(available)}."
    )


def _find(name: str, available: Sequence[str]) -> str | None:
    """The column of that name, or else the only one that differs in case alone."""
    if name in available:
        return name
    alike = [other for other in available if other.strip().casefold() == name]
    return alike[0] if len(alike) == 1 else None


def _last_word(name: str) -> str:
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    if len(words) > 1 and len(words[-1]) == 1:  # sentence_a
        words.pop()
    return words[-1] if words else ""


def _are_long(values: pa.Array) -> bool:
    text = text_values(values)[0].drop_null()
    if not len(text):
        return False
    spaced = pc.mean(pc.match_substring_regex(text, r"\S\s+\S").cast(pa.float64())).as_py()
    return bool(pc.mean(pc.utf8_length(text)).as_py() >= _LONG and spaced >= _SPACED)
