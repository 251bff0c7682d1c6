"""Texts to token ids. The only module that imports `tokenizers`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from scorer.batching import Encoded
from scorer.errors import ModelError, UsageError

# Characters per token to keep above which a text is shortened before it is tokenized with others.
LONG_TEXT, LONG_TEXT_OF_PAIR = 64, 2
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
        self._max_length = max_length
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
        inputs: list[str] | list[tuple[str, str]]
        if pairs is None:
            inputs = [text.short for text in self._shortened(texts, LONG_TEXT)]
        else:
            first, second = (self._shortened(part, LONG_TEXT_OF_PAIR) for part in (texts, pairs))
            inputs = [(a.beside(b), b.beside(a)) for a, b in zip(first, second, strict=True)]
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(inputs)
        lengths = np.fromiter((len(e) for e in encodings), dtype=np.int64, count=len(encodings))  # [W]
        offsets = np.zeros(len(encodings) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        ids = np.empty(offsets[-1], dtype=np.int32)  # [total_tokens]
        for encoding, start, stop in zip(encodings, offsets[:-1], offsets[1:], strict=True):
            ids[start:stop] = encoding.ids
        truncated = np.fromiter((bool(e.overflowing) for e in encodings), np.bool_, len(encodings))
        return Encoded(ids, offsets, truncated, self._type_ids(encodings, offsets, pairs is not None))

    def _shortened(self, texts: Sequence[str], long: int) -> list[_Shortened]:
        """The texts; those of over `long` characters per token to keep without most of what truncation takes away.

        The library works through the whole of a text before it cuts. What it cuts off it keeps, at a hundred bytes and
        more per token, and of a pair every piece of one text with every piece of the other.
        """
        shortened = [_Shortened(text, text, 0) for text in texts]
        left = [index for index, text in enumerate(texts) if len(text) > long * self._max_length]
        size = LONG_TEXT * self._max_length
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

    def _type_ids(self, encodings: Sequence[Encoding], offsets: np.ndarray, pairs: bool) -> np.ndarray | None:
        # A template gives every single text the same segments; one look tells whether they are all zero.
        if not encodings or (not pairs and not any(encodings[0].type_ids)):
            return None
        type_ids = np.empty(offsets[-1], dtype=np.int8)
        for encoding, start, stop in zip(encodings, offsets[:-1], offsets[1:], strict=True):
            type_ids[start:stop] = encoding.type_ids
        return type_ids
