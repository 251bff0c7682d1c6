"""Bytes of text files, plain or compressed (.gz, .zst, .bz2) and in any encoding, as UTF-8 from any place on."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.config import Quoting
from scorer.errors import DataError
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.storage import FileTable, open_file, reading
from scorer.sources.storage.table import Places
from scorer.sources.storage.text_encoding import (
    UTF_8,
    Decoding,
    encoded,
    find_encoding,
    refuse_ambiguous,
    refuse_foreign,
)
from scorer.system.urls import without_secrets

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
# Bytes taken from a file at a time.
BLOCK_BYTES = 4 * 2**20
# Bytes at a file's beginning by which is decided how the whole of it is read.
LOOK_BYTES = 2**20


@dataclasses.dataclass(frozen=True, slots=True)
class TextOptions:
    """How the user wants text files read; what is not given is found by a look.

    Attributes:
        delimiter: the character between the fields of delimited text, or a name of it.
        quoting: how a quote stands in quoted text: doubled, behind a backslash, or (none) quotes are text.
        encoding: a codec of Python.
        label_names: names that labels may have: lines within a quoted field that hold them may be rows.
    """

    delimiter: str | None = None
    quoting: Quoting = "auto"
    encoding: str | None = None
    label_names: tuple[str, ...] = ()


class TextTable(FileTable, abc.ABC):
    """What tables of one text file share.

    Attributes:
        places: where rows begin, in bytes of UTF-8.
        options: how the user wants it read; settled before the first reading.
        what: the format, for messages.
    """

    what = "text"

    def __init__(self, path: str, options: TextOptions | None = None) -> None:
        super().__init__(path)
        self.places: Places = Places()
        self.options = options or TextOptions()

    @contextmanager
    def open(self, start: int = 0) -> Iterator[Any]:
        """The text as UTF-8, from byte `start` on; has `read`. A plain UTF-8 file is entered there at once.

        Raises:
            DataError: it cannot be read.
        """
        encoding = self.encoding
        with reading(self.path, self.what), open_bytes(self.path, start if encoding == UTF_8 else 0) as file:
            if encoding == UTF_8:
                yield file
                return
            decoding = Decoding(file, encoding)
            _pass_over(decoding, start)
            yield decoding

    @cached_property
    def encoding(self) -> str:
        """The codec of the file."""
        with reading(self.path, self.what), open_bytes(self.path) as file:
            head = read_whole(file, LOOK_BYTES)
        encoding = find_encoding(head, self.options.encoding)
        if encoding == UTF_8 and self.options.encoding is None:
            self.say(refuse_foreign(head, self.name))
        elif encoding != UTF_8 and self.options.encoding is None:
            self.say(f"'{self.name}' is read as {encoding}.")
        return encoding

    def rewrite(self, output: Path, edits: Edits) -> None:
        """Write the file with labels changed: every byte that is not a changed label stays as it was."""
        with pa.output_stream(str(output), compression=COMPRESSIONS.get(Path(self.name).suffix.lower())) as file:
            for piece in self._encoded(edits):
                file.write(piece)

    @abc.abstractmethod
    def edited(self, edits: Edits) -> Iterator[bytes]:
        """The text as UTF-8, with the changes made."""

    def _encoded(self, edits: Edits) -> Iterator[bytes]:
        """The bytes of the text with the changes made, in its own encoding, not compressed."""
        with reading(self.path, self.what), open_bytes(self.path) as file:
            refuse_ambiguous(file, self.encoding, self.name)
        try:
            yield from encoded(self.edited(edits), self.encoding)
        except UnicodeEncodeError as error:
            raise DataError(
                f"'{self.name}' is in {self.encoding}, which has no {error.object[error.start : error.end]!r} for a "
                "label that people gave. Convert the file to UTF-8 first."
            ) from error

    def say(self, sentence: str | None) -> None:
        """Add a sentence on how the file is read to what a person should hear."""
        if sentence is not None:
            self.remarks = (*self.remarks, sentence)


@contextmanager
def open_bytes(path: str, start: int = 0) -> Iterator[Any]:
    """The file's bytes, decompressed by its name's last suffix, from byte `start` on.

    A plain file is entered there at once. A compressed one is decompressed up to there, but not parsed.
    """
    compression = COMPRESSIONS.get(Path(without_secrets(path)).suffix.lower())
    with open_file(path) as file:
        if compression is None:
            file.seek(start)
            yield file
            return
        with pa.CompressedInputStream(file, compression) as stream:
            _pass_over(stream, start)
            yield stream


def _pass_over(stream: Any, size: int) -> None:
    while size > 0 and (passed := stream.read(min(size, BLOCK_BYTES))):
        size -= len(passed)


def read_whole(file: Any, size: int) -> bytes:
    """So many bytes of a stream, or all where there are fewer: streams may give less than they are asked for."""
    pieces, left = [], size
    while left > 0 and (piece := file.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def lines_of(file: Any) -> Iterator[bytes]:
    """Lines without their line feed; the reader of pyarrow has no fast `readline`."""
    rest: list[bytes] = []  # of a line longer than a block
    while block := file.read(2**20):
        first, *lines = block.split(b"\n")
        rest.append(first)
        if lines:
            yield b"".join(rest)
            rest = [lines.pop()]
            yield from lines
    if last := b"".join(rest):
        yield last
