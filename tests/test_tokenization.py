"""Very long texts: the tokens that are kept are those of the whole text, though most of it is never looked at."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from scorer.tokenization import LONG_TEXT, TextEncoder

MAX_LENGTH = 16
MOST = LONG_TEXT * MAX_LENGTH
WORDS = ["news", "a", "unbelievable", "☃", "新闻", "naïve", "x" * 90, "😀", "e\u0301", "...", "\u200f", "don't"]


def texts_of(words: int) -> list[str]:
    noise = random.Random(7)
    return [" ".join(noise.choices(WORDS, k=noise.randint(1, words))) for _ in range(12)]


def assert_like_whole_texts(model: Path, side: Any, texts: list[str], seconds: list[str] | None = None) -> None:
    whole = Tokenizer.from_file(str(model / "tokenizer.json"))
    whole.enable_truncation(MAX_LENGTH, direction=side)
    expected = whole.encode_batch(texts if seconds is None else list(zip(texts, seconds, strict=True)))
    encoded = TextEncoder(model / "tokenizer.json", MAX_LENGTH, side).encode(texts, seconds)
    for index, encoding in enumerate(expected):
        found = encoded.ids[encoded.offsets[index] : encoded.offsets[index + 1]]
        np.testing.assert_array_equal(found, encoding.ids, err_msg=repr(texts[index][:80]))
        assert encoded.truncated[index] == bool(encoding.overflowing)


@pytest.mark.parametrize("side", ["right", "left"])
def test_long_texts_have_the_tokens_of_the_whole(side: str, model: Path) -> None:
    odd = ["x" * (3 * MOST), " " * (9 * MOST) + "end", "start" + " " * (9 * MOST), "新" * (3 * MOST)]
    odd += ["word " * MOST + "x" * MOST, "x" * MOST + " word" * MOST, "\n".join(["", "line"] * MOST)]
    assert_like_whole_texts(model, side, [*texts_of(3_000), *odd])


@pytest.mark.parametrize("side", ["right", "left"])
def test_long_pairs_have_the_tokens_of_the_whole(side: str, model: Path) -> None:
    assert_like_whole_texts(model, side, texts_of(60), texts_of(60)[::-1])  # the reference grows with the square
    few = ["x" * (3 * MOST), " " * (9 * MOST) + "end", "short"]
    assert_like_whole_texts(model, side, few, ["a second"] * 3)
    assert_like_whole_texts(model, side, ["a first"] * 3, few)


def test_a_pair_of_long_texts_takes_little_memory(model: Path) -> None:
    encoder = TextEncoder(model / "tokenizer.json", MAX_LENGTH)
    text = "some long news of the day " * 40_000  # 1 MB: beside another one, 10**9 pieces
    encoded = encoder.encode([text], [text])
    assert encoded.lengths.tolist() == [MAX_LENGTH]
    assert encoded.truncated.all()
