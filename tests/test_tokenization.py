"""Very long texts: the tokens that are kept are those of the whole text, though most of it is never looked at."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from scorer.model.tokenization import CHUNK_CHARACTERS, CHUNK_TEXTS, FIRST_LOOK_OF_PAIR, TextEncoder

MAX_LENGTH = 16
MOST = FIRST_LOOK_OF_PAIR * MAX_LENGTH
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


@pytest.mark.parametrize("pairs", [False, True])
def test_chunks_of_texts_stay_in_order(pairs: bool, model: Path) -> None:
    noise = random.Random(8)
    by_number = [" ".join(noise.choices(WORDS, k=1 + i % 10)) for i in range(2 * CHUNK_TEXTS + 1)]
    assert_like_whole_texts(model, "right", by_number, by_number[::-1] if pairs else None)
    by_size = ["a", "x " * (CHUNK_CHARACTERS // 4), "b", "y " * (CHUNK_CHARACTERS // 2), "c", *by_number[:CHUNK_TEXTS]]
    assert_like_whole_texts(model, "right", by_size, ["a second"] * len(by_size) if pairs else None)


PEAK_OF_TOKENIZING = """
import resource, sys
from pathlib import Path
from scorer.model.tokenization import TextEncoder
TextEncoder(Path(sys.argv[1]), 512).encode(["some long news of the day " * 160] * int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_holds_what_the_library_makes_of_a_few_chunks(model: Path) -> None:
    def peak_mib(texts: int) -> float:
        command = [sys.executable, "-c", PEAK_OF_TOKENIZING, str(model / "tokenizer.json"), str(texts)]
        return int(subprocess.run(command, check=True, capture_output=True).stdout) / 1024

    assert peak_mib(2_500) < peak_mib(750) + 60  # it makes some 150 KB of each of these texts


def test_a_pair_of_long_texts_takes_little_memory(model: Path) -> None:
    encoder = TextEncoder(model / "tokenizer.json", MAX_LENGTH)
    text = "some long news of the day " * 40_000  # 1 MB: beside another one, 10**9 pieces
    encoded = encoder.encode([text], [text])
    assert encoded.lengths.tolist() == [MAX_LENGTH]
    assert encoded.truncated.all()
