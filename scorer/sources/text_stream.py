"""Bytes of text files, plain or compressed (.gz, .zst, .bz2), from any place on; and lines that are not UTF-8."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.errors import DataError
from scorer.sources.storage import open_file, reading
from scorer.urls import without_secrets

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
# Bytes taken from a file at a time.
BLOCK_BYTES = 4 * 2**20


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
            while start > 0 and (passed := stream.read(min(start, BLOCK_BYTES))):
                start -= len(passed)
            yield stream


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


def not_utf8(path: str, lines: int | None = None) -> DataError | None:
    """What to say of the first line that is not UTF-8, among the first `lines` or all; None when all are."""
    with reading(path, "text"), open_bytes(path) as file:
        for number, line in enumerate(itertools.islice(lines_of(file), lines), start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(utf8_message(path, number, error))
    return None


def utf8_message(path: str, line: int, error: UnicodeDecodeError) -> str:
    """What to say of a line that is not UTF-8."""
    encoding = "UTF-16" if line == 1 and error.object[:2] in {b"\xff\xfe", b"\xfe\xff"} else "WINDOWS-1252"
    return (
        f"line {line:,} of '{without_secrets(path)}' is not valid UTF-8 (byte 0x{error.object[error.start]:02x} at "
        f"position {error.start:,}). Convert the file, for example: iconv -f {encoding} -t UTF-8 IN > OUT"
    )
