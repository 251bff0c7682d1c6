"""Texts to token ids. The only module that imports `tokenizers`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from scorer.arithmetic.batching import Encoded
from scorer.errors import ModelError, UsageError
from scorer.system.prefetch import prefetch

# Texts, and their characters, that the library works on at a time: what it makes of a text takes a hundred bytes and
# more per token, until the ids are taken from it.
CHUNK_TEXTS, CHUNK_CHARACTERS = 1024, 2**20
# Characters per token to keep above which a text is shortened before it is tokenized with others.
LONG_TEXT, LONG_TEXT_OF_PAIR = 32, 2
# Characters per token to keep in which the place to cut is looked for first; of a pair the longer text must be found.
FIRST_LOOK, FIRST_LOOK_OF_PAIR = 16, 64
# Tokens by which the longer text of a pair stays longer: the longer one gets the odd token of the room for both.
LEAD = 16


@dataclasses.dataclass(frozen=True, slots=True)
class _Shortened:
    """A text without most of what truncation takes away.

    Attributes:
        short: enough of it beside a longer text.
        longer: enough of it beside one that is not longer.
        tokens: tokens of the whole text; 0 where it was short enough, its characters where nobody counted further.
    """

    short: str
    longer: str
    tokens: int

    def beside(self, other: _Shortened) -> str:
        """What to tokenize beside the other text of a pair."""
        return self.longer if self.tokens > other.tokens else self.short


class TextEncoder:
    """A fast tokenizer with truncation set and padding off.

    Args:
        tokenizer_file: tokenizer.json of the model directory.
        max_length: tokens kept of a text or pair, special tokens included.
        truncation_side: the side from which long texts are cut.
        threads: threads that tokenize; the library reads this once per process.
        segments: give the tokenizer's segments; without, all are 0.

    Raises:
        ModelError: the tokenizer cannot be read.
        UsageError: `max_length` leaves no room for a token of text.
    """

    def __init__(
        self,
        tokenizer_file: Path,
        max_length: int,
        truncation_side: Literal["left", "right"] = "right",
        threads: int | None = None,
        *,
        segments: bool = True,
    ) -> None:
        if threads is not None:
            os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:
            raise ModelError(
                f"cannot read the tokenizer '{tokenizer_file}': {error}. Export the model again."
            ) from error
        self._max_length, self._segments = max_length, segments
        self._keeps_start = truncation_side == "right"
        self.check_room(pairs=False)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, direction=truncation_side)

    def check_room(self, *, pairs: bool) -> None:
        """Refuse a maximum length that the special tokens of a text, or of a pair, fill up.

        Raises:
            UsageError: no token of text would be left.
        """
        special = self._tokenizer.num_special_tokens_to_add(is_pair=pairs)
        if self._max_length <= special:
            raise UsageError(
                f"--max-length {self._max_length} leaves no room for text: this tokenizer adds {special} special "
                f"tokens to each {'pair' if pairs else 'text'}. Give more than {special}."
            )

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Encoded:
        """Tokenize W texts, or W pairs of texts.

        Args:
            texts: W texts.
            pairs: the W second texts of pairs, or None.

        Returns:
            Token ids, ragged, with special tokens, each at most `max_length` long.
        """
        with contextlib.closing(prefetch(self._encodings(texts, pairs))) as chunks:
            encoded = Encoded.joined([_taken_from(chunk, segments=pairs is not None) for chunk in chunks])
        return encoded if self._segments else dataclasses.replace(encoded, type_ids=None)

    def _encodings(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Generator[list[Encoding]]:
        """What the library makes of the texts, a chunk at a time."""
        for chunk in _chunks(texts, pairs):
            first = texts[chunk]
            if pairs is None:
                yield self._tokenizer.encode_batch_fast(
                    [text.short for text in self._shortened(first, LONG_TEXT, FIRST_LOOK)]
                )
            else:
                both = (self._shortened(part, LONG_TEXT_OF_PAIR, FIRST_LOOK_OF_PAIR) for part in (first, pairs[chunk]))
                inputs = [(a.beside(b), b.beside(a)) for a, b in zip(*both, strict=True)]
                yield self._tokenizer.encode_batch_fast(inputs)

    def _shortened(self, texts: Sequence[str], long: int, look: int) -> list[_Shortened]:
        """The texts; those of over `long` characters per token to keep without most of what truncation takes away.

        The library works through the whole of a text before it cuts. What it cuts off it keeps, at a hundred bytes and
        more per token, and of a pair every piece of one text with every piece of the other. So the place to cut is
        looked for in `look` characters per token to keep, and in more where they hold too few tokens.
        """
        shortened = [_Shortened(text, text, 0) for text in texts]
        left = [index for index, text in enumerate(texts) if len(text) > long * self._max_length]
        size = look * self._max_length
        while left:
            pieces = [self._end(texts[index], size) for index in left]
            encodings = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
            too_few = []
            for index, piece, encoding in zip(left, pieces, encodings, strict=True):
                spans = [span for part in (encoding, *encoding.overflowing) for span in part.offsets]
                whole = len(piece) == len(texts[index])
                if whole or len(spans) > 2 * self._max_length + LEAD:
                    reach = sorted(stop if self._keeps_start else len(piece) - start for start, stop in spans)
                    # Twice the tokens to keep: a word that is cut at the far end is cut off in any case.
                    cuts = (reach[2 * self._max_length + lead :][:1] for lead in (0, LEAD))
                    short, longer = (self._end(piece, *cut) for cut in cuts)
                    shortened[index] = _Shortened(short, longer, len(spans) if whole else len(texts[index]))
                else:
                    too_few.append(index)
            left, size = too_few, 4 * size
        return shortened

    def _end(self, text: str, size: int | None = None) -> str:
        """So many characters from the end that truncation keeps, or all."""
        if size is None:
            return text
        return text[:size] if self._keeps_start else text[-size:]


def _chunks(texts: Sequence[str], pairs: Sequence[str] | None) -> Generator[slice]:
    """Slices of the texts that are tokenized at a time."""
    start = characters = 0
    for position, text in enumerate(texts):
        size = len(text) + (len(pairs[position]) if pairs is not None else 0)
        if position - start == CHUNK_TEXTS or (position > start and characters + size > CHUNK_CHARACTERS):
            yield slice(start, position)
            start, characters = position, 0
        characters += size
    if start < len(texts):
        yield slice(start, len(texts))


def _taken_from(encodings: Sequence[Encoding], *, segments: bool) -> Encoded:
    """The ids of a chunk; segments of single texts are looked at as well, since a template may give them one."""
    lengths = np.fromiter((len(e) for e in encodings), dtype=np.int64, count=len(encodings))  # [W]
    offsets = np.zeros(len(encodings) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    ids = np.empty(offsets[-1], dtype=np.int32)  # [total_tokens]
    type_ids = None
    # A template gives every single text the same segments; one look tells whether they are all zero.
    if segments or any(encodings[0].type_ids):
        type_ids = np.empty(offsets[-1], dtype=np.int8)
    for encoding, start, stop in zip(encodings, offsets[:-1], offsets[1:], strict=True):
        ids[start:stop] = encoding.ids
        if type_ids is not None:
            type_ids[start:stop] = encoding.type_ids
    truncated = np.fromiter((bool(e.overflowing) for e in encodings), np.bool_, len(encodings))
    return Encoded(ids, offsets, truncated, type_ids)
