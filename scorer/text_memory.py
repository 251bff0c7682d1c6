"""The texts that a run computed, kept beside its shards until the last is done: a resumed run knows what it knew.

A file per shard holds what is known of the texts that were computed for it. So a text that comes again shards later is
not computed again, and a run that was killed and resumed has the same answers, to the last bit, as one that was not.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scorer.distinct import KnownTexts, known_type
from scorer.files import replacing
from scorer.shards import RunDirectory
from scorer.sources import Shard


class TextMemory:
    """What a run remembers of texts, from shard to shard.

    Args:
        directory: the run's directory.
        classes: the model's classes.
    """

    def __init__(self, directory: RunDirectory, classes: int) -> None:
        self._directory, self._type = directory, known_type(classes)

    def load(self) -> KnownTexts:
        """The texts of the finished shards, in their order, back to where texts were last forgotten.

        What cannot be read is computed again.
        """
        parts: list[KnownTexts] = []
        for scores in reversed(self._directory.score_files()):
            with (
                contextlib.suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile),
                np.load(self._directory.texts / f"{scores.stem}.npz") as file,
            ):
                texts, afresh = file["texts"], bool(file["afresh"])
                if texts.dtype == self._type:
                    parts.insert(0, texts)
                if afresh:
                    break
        return np.concatenate([np.empty(0, self._type), *parts])

    def save(self, shard: Shard, texts: Sequence[KnownTexts], *, afresh: bool) -> None:
        """Keep the texts computed for a shard; `afresh` where all texts before them were forgotten.

        Raises:
            OSError: the file cannot be written.
        """
        folder = self._directory.texts
        folder.mkdir(exist_ok=True)
        with replacing(folder / f"{Path(shard.file_name).stem}.npz") as temporary, temporary.open("wb") as content:
            np.savez(content, texts=np.concatenate([np.empty(0, self._type), *texts]), afresh=np.bool_(afresh))
