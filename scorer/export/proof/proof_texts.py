"""The texts that an export is proved on: given ones, and those that tokenizers and heads stumble over.

Whatever a corpus may hold must be among them: the tokenizer's own special tokens written as text, odd Unicode, texts of
which next to nothing is left, and texts of the full length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scorer.errors import DataError
from scorer.export.checkpoint.sample_texts import BUILT_IN_TEXTS, ODD_TEXTS
from scorer.sources.columns.values import text_values
from scorer.sources.formats.formats import open_table, refuse_misnamed

# Texts of a person's file: so many are compared with PyTorch, one by one, and so many between two graphs.
PARITY_TEXTS = 64
CALIBRATION_TEXTS = 1_024
# Special tokens that are written into texts; some tokenizers have hundreds, all of one kind.
SPECIAL_TOKENS = 10
# Pairs that are made of the texts.
PAIRS = 10


def proof_texts(tokenizer: Any, texts: Sequence[str], max_length: int) -> tuple[str, ...]:
    """The first of the given texts, and after them those that must be among the proof's.

    Args:
        tokenizer: the checkpoint's.
        texts: the given ones.
        max_length: tokens that runs keep of a text; texts of at least so many tokens, and of half of them, are made.
    """
    given = texts[:PARITY_TEXTS]
    long = [_long_text(tokenizer, given, length) for length in (max_length, max_length // 2)]
    made = (*given, *_with_special_tokens(tokenizer, given), *ODD_TEXTS, *long)
    return tuple(text for text in dict.fromkeys(made) if tokenizer(text)["input_ids"])


def proof_pairs(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of texts of many lengths: short beside long, and the longest beside each other."""
    by_length = sorted(texts, key=len)
    step = max(1, len(by_length) // PAIRS)
    chosen = [*by_length[::step], by_length[-1]]
    return (*zip(chosen, chosen[::-1], strict=True), (chosen[-1], chosen[-1]), (texts[0], texts[-1]))


def _with_special_tokens(tokenizer: Any, texts: Sequence[str]) -> list[str]:
    """Texts that hold the tokenizer's special tokens: each in the middle, at the end and alone, and several."""
    first, second = (min(texts, key=lambda text: abs(len(text) - size))[:80] for size in (20, 60))
    tokens = list(dict.fromkeys(map(str, tokenizer.all_special_tokens)))[:SPECIAL_TOKENS]
    made = []
    for token in tokens:
        made += [f"{first} {token} {second}", f"{second} {token}", f"{first}{token}{token}", token]
    made += ["".join(tokens), f" {second} ".join([first, *tokens, *reversed(tokens)])]
    return made


def _long_text(tokenizer: Any, texts: Sequence[str], length: int) -> str:
    """A text of at least so many tokens, of the given ones."""
    text, tokens = " ".join(texts), 0
    while tokens < (counted := len(tokenizer(text)["input_ids"])) < length:  # ends where more text makes no more tokens
        text, tokens = f"{text} {text}", counted
    return text


def read_texts(calibration: Path | None) -> tuple[str, ...]:
    """The first texts of a person's file, or the built-in ones.

    Args:
        calibration: a .txt file with a text per line, or a data file as a run reads it, with a column `text`.

    Raises:
        DataError: the file cannot be read or holds no text.
    """
    if calibration is None:
        return BUILT_IN_TEXTS
    try:
        texts = [text for text in _read_column(calibration) if text and text.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read calibration texts from '{calibration}': {error}") from error
    if not texts:
        raise DataError(f"calibration file '{calibration}' holds no text.")
    return tuple(texts[:CALIBRATION_TEXTS])


def _read_column(file: Path) -> list[str | None]:
    """Texts of a file, up to a few times as many as will be used, since some may be empty."""
    rows = 2 * CALIBRATION_TEXTS
    if file.suffix.lower() == ".txt":
        with file.open(encoding="utf-8") as lines:
            return [line.rstrip("\n") for line, _ in zip(lines, range(rows), strict=False)]
    table = open_table(str(file))
    refuse_misnamed(table)
    names = table.schema().names
    if "text" not in names:
        raise DataError(f"calibration file '{file}' has no column 'text', only {', '.join(names)}. Rename one.")
    texts: list[str | None] = []
    for batch in table.batches(["text"]):
        found, invalid = text_values(batch.column("text"))
        texts += [None if bad else text for text, bad in zip(found.to_pylist(), invalid, strict=True)]
        if len(texts) >= rows:
            break
    return texts
