"""The encoding of a text file: found by a look at its beginning, or asked for; read as UTF-8, written back as it was.

Readers see UTF-8 alone. What an encoding cannot decode reaches them as bytes that are no valid UTF-8, so that the row
is rejected, and goes back into the file as the bytes that it was.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any

from scorer.errors import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_8 = "utf-8"
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Share of a UTF-16 file's characters that are ASCII, at least: delimiters, line breaks, labels.
_ASCII_SHARE = 0.05
# Bytes that are hardly ever meant where a file is Windows-1252: unassigned ones, and letters of no common word.
_UNLIKELY_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d\xc0\xc1\xfe\xff]")
# A share of rows that are no UTF-8 above which the encoding, not the rows, is at fault.
_FOREIGN_SHARE = 0.01


def find_encoding(head: bytes, asked: str | None) -> str:
    """The Python codec of a file, by its first bytes where nobody has said it.

    A byte order mark stays a character of the text, so that it is written back.

    Args:
        head: the first bytes of the file.
        asked: what the user named, or None.
    """
    marked = next((codec for mark, codec in _MARKS if head.startswith(mark)), None)
    if asked is None:
        return marked or _unmarked_utf16(head) or UTF_8
    name = codecs.lookup(asked).name
    if name in {"utf-16", "utf-32"}:
        fitting = marked if marked and marked.startswith(name) else None
        return fitting or (name == "utf-16" and _unmarked_utf16(head)) or f"{name}-le"
    return UTF_8 if name == "utf-8-sig" else name


def refuse_foreign(head: bytes, name: str) -> str | None:
    """Refuse a file that is no UTF-8; where a few of its rows are not, a sentence that says so.

    Args:
        head: the first bytes of the file, which are read as UTF-8.
        name: the file, for the message.

    Raises:
        DataError: with the line, and with the option that helps.
    """
    lines = head.split(b"\n")
    if _is_utf8(head) or not (invalid := [number for number, line in enumerate(lines, 1) if not _is_utf8(line)]):
        return None
    if not _is_utf8(lines[-1]) and len(lines) > 1:  # may be cut in the middle of a character
        invalid = [number for number in invalid if number < len(lines)]
        if not invalid:
            return None
    rows = sum(bool(line.strip()) for line in lines)
    plausible = sum(not _UNLIKELY_1252.search(lines[number - 1]) for number in invalid)
    foreign = sum(not line.isascii() for line in lines) - len(invalid)  # of other alphabets, and valid
    many = plausible > max(1, foreign, _FOREIGN_SHARE * rows) or len(invalid) >= rows
    first = _first_fault(lines[invalid[0] - 1])
    if many:
        raise DataError(
            f"line {invalid[0]:,} of '{name}' is not valid UTF-8 ({first}), nor are {len(invalid) - 1:,} others of the "
            f"first {len(lines):,}. Name the file's encoding: --encoding cp1252 for most files of Windows in Western "
            "languages, or whatever it was written in."
        )
    return (
        f"Line {invalid[0]:,} of '{name}' is not valid UTF-8 ({first}): such rows are rejected. If the whole file is "
        "in another encoding, name it with --encoding, such as cp1252."
    )


class Decoding:
    """A stream of bytes in some encoding, read as UTF-8."""

    def __init__(self, file: Any, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(_errors(encoding))
        self._rest = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """So many bytes of UTF-8, or fewer; none at the end alone."""
        while not (self._rest or self._ended):
            raw = self._file.read(size)
            self._ended = not raw
            self._rest = self._decoder.decode(raw, final=self._ended).encode("utf-8", "surrogatepass")
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def encoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Pieces of what `Decoding` read, in the encoding again."""
    if encoding == UTF_8:
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(UTF_8)("surrogatepass")
    encoder = codecs.getincrementalencoder(encoding)(_errors(encoding))
    for piece in pieces:
        yield encoder.encode(decoder.decode(piece))
    yield encoder.encode(decoder.decode(b"", final=True), final=True)


def refuse_ambiguous(file: Any, encoding: str, name: str) -> None:
    """Refuse to rewrite a file whose bytes its encoding would not write again as they are.

    Args:
        file: the file's bytes, as they are.
        encoding: its encoding.
        name: the file, for the message.

    Raises:
        DataError: the encoding has several ways to write a text, and the file another one.
    """
    if encoding == UTF_8:
        return
    read: list[bytes] = []

    class Remembered:
        def read(self, size: int) -> bytes:
            read.append(bytes(file.read(size)))
            return read[-1]

    decoding = Decoding(Remembered(), encoding)
    expected = b""
    same = True
    for written in encoded(iter(lambda: decoding.read(2**20), b""), encoding):
        expected += b"".join(read)
        read.clear()
        same = same and expected.startswith(written)
        expected = expected[len(written) :]
    if not same or expected:
        raise DataError(
            f"'{name}' cannot be rewritten in {encoding} without changing other bytes of it. Convert it to UTF-8 "
            "first, or name the encoding that it was written in with --encoding."
        )


def _errors(encoding: str) -> str:
    """How what cannot be decoded is kept: half a pair of surrogates as it is, a byte as Python keeps it."""
    return "surrogatepass" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other byte of ASCII characters is zero, the first one's too as a rule."""
    if 0 not in head[:2] and _is_utf8(head):
        return None
    characters = len(head) // 2
    first, second = head[0 : 2 * characters : 2].count(0), head[1 : 2 * characters : 2].count(0)
    for zeros, others, codec in ((second, first, "utf-16-le"), (first, second, "utf-16-be")):
        if zeros > _ASCII_SHARE * characters and zeros > 10 * others:
            try:
                codecs.getincrementaldecoder(codec)().decode(head[: 2 * characters])
            except UnicodeDecodeError:
                return None
            return codec
    return None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _first_fault(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{line[error.start]:02x} at position {error.start:,}"
    return ""
