"""Texts to token ids. The only module that imports `tokenizers`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from scorer.batching import Encoded
from scorer.errors import ModelError, UsageError


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
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(inputs)
        lengths = np.fromiter((len(e) for e in encodings), dtype=np.int64, count=len(encodings))  # [W]
        offsets = np.zeros(len(encodings) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        ids = np.empty(offsets[-1], dtype=np.int32)  # [total_tokens]
        for encoding, start, stop in zip(encodings, offsets[:-1], offsets[1:], strict=True):
            ids[start:stop] = encoding.ids
        truncated = np.fromiter((bool(e.overflowing) for e in encodings), np.bool_, len(encodings))
        return Encoded(ids, offsets, truncated, self._type_ids(encodings, offsets, pairs is not None))

    def _type_ids(self, encodings: Sequence[Encoding], offsets: np.ndarray, pairs: bool) -> np.ndarray | None:
        # A template gives every single text the same segments; one look tells whether they are all zero.
        if not encodings or (not pairs and not any(encodings[0].type_ids)):
            return None
        type_ids = np.empty(offsets[-1], dtype=np.int8)
        for encoding, start, stop in zip(encodings, offsets[:-1], offsets[1:], strict=True):
            type_ids[start:stop] = encoding.type_ids
        return type_ids
