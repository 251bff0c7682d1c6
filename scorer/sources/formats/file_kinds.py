"""What a file really is, by its first bytes; its name may say otherwise. Nothing here opens or runs what it finds."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from scorer.errors import DataError
from scorer.sources.storage.storage import EmptyFileError, reading

# Bytes that tell.
HEAD_BYTES = 512
PARQUET, ARROW, TEXT = "Parquet", "Arrow IPC", "text"

_AS_PARQUET = "Save it as Parquet or CSV with the program that wrote it"
_READ_PICKLE = (
    'scorer opens no pickle, for it may run code. Where you trust it: python -c "import pandas; '
    "pandas.read_pickle('FILE').to_parquet('FILE.parquet')\""
)
_DOWNLOAD = "Download the file again; the address may need a log-in, or lead to a page about the file"
# First bytes of files that are no text, what they begin, and what to do about it; the first that fits wins.
_BINARY: tuple[tuple[bytes, str, str], ...] = (
    (rb"PAR1", PARQUET, "Let its name end in .parquet"),
    (rb"PARE", "encrypted Parquet", "Write it without encryption"),
    (rb"ARROW1|\xff{4}[\s\S]{3}\x00[\x04-\x20]\x00\x00\x00", ARROW, "Let its name end in .arrow"),
    (rb"FEA1", "Feather of version 1", "Write it again with pyarrow.feather.write_feather, which writes version 2"),
    (rb"\x1f\x8b", "compressed with gzip", "Let its name end in .gz, behind that of the format: data.csv.gz"),
    (rb"BZh[1-9]", "compressed with bzip2", "Let its name end in .bz2, behind that of the format: data.csv.bz2"),
    (rb"\x28\xb5\x2f\xfd", "compressed with zstd", "Let its name end in .zst, behind that of the format: data.csv.zst"),
    (rb"\xfd7zXZ\x00", "compressed with xz", "Unpack it with: xz -d 'FILE'"),
    (rb"\x04\x22\x4d\x18", "compressed with lz4", "Unpack it with: lz4 -d 'FILE'"),
    (rb"PK(\x03\x04|\x05\x06)", "a ZIP archive", "Unpack it, and name the files in it"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", "Save the sheet as CSV UTF-8"),
    (rb"SQLite format 3\x00", "an SQLite database", "Export: sqlite3 -header -csv 'FILE' 'SELECT * FROM …' > data.csv"),
    (rb"[\s\S]{8}DUCK", "a DuckDB database", "Export the table: COPY … TO 'data.parquet'"),
    (rb"\x80[\x02-\x05]", "a Python pickle", _READ_PICKLE),
    (rb"\x89HDF\r\n", "HDF5", _AS_PARQUET),
    (rb"\x93NUMPY", "a NumPy array", _AS_PARQUET),
    (rb"ORC", "ORC", _AS_PARQUET),
    (rb"Obj\x01", "Avro", _AS_PARQUET),
    (rb"%PDF-", "a PDF document", "Take the texts out of it, into CSV or JSON Lines"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF[\s\S]{4}WEBP", "an image", "Name a file of texts and labels"),
    (rb"7z\xbc\xaf\x27\x1c|Rar!|[\s\S]{257}ustar", "an archive", "Unpack it, and name the files in it"),
)
# First characters of texts that are no table.
_WRITTEN: tuple[tuple[bytes, str, str], ...] = (
    (rb"version https://git-lfs\.github\.com/", "a Git LFS pointer; its content is not here yet", "Run: git lfs pull"),
    (rb"(?i)\s*(<!doctype html|<html|<head)", "a web page (HTML)", _DOWNLOAD),
    (rb"\s*<\?xml", "XML, as a store's error messages are", _DOWNLOAD),
    (rb"%PDF-", "a PDF document", "Take the texts out of it, into CSV or JSON Lines"),
)
_JSON = re.compile(rb'\s*(\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*\{\s*")')
_COMPRESSED = {".gz": "compressed with gzip", ".bz2": "compressed with bzip2", ".zst": "compressed with zstd"}


def refuse_another_kind(path: str, expected: str, compression: str | None) -> None:
    """Check that a local file is of the kind that its name says, as far as its first bytes tell.

    Args:
        path: the file.
        expected: PARQUET, ARROW or TEXT.
        compression: the suffix of its compression, or None.

    Raises:
        DataError: it is of another kind; the message says of which, and what to do.
    """
    head = first_bytes(path)
    named = expected if compression is None else f"{expected}, {_COMPRESSED[compression]}"
    if not head:
        raise EmptyFileError(
            f"cannot read '{path}' as {named}: it is empty (0 bytes). Write or download it again, or leave it out."
        )
    what, cure = _kind(path, head)
    if what is None:
        return  # its reader will say more
    if what != (expected if compression is None else _COMPRESSED[compression]):
        if compression is not None and what == TEXT:
            cure = f"Take '{compression}' away from the end of its name"
        raise DataError(f"cannot read '{path}' as {named}: it is {what}. {cure}.")
    if what == TEXT and path.lower().endswith((".csv", ".tsv")) and _JSON.match(_without_mark(head)):
        raise DataError(f"cannot read '{path}' as a table with a header line: it holds JSON. {cure}.")


def described(path: str) -> str:
    """What a file of unknown name is and what to do about it, as sentences; nothing where its bytes do not tell."""
    head = first_bytes(path)
    what, cure = _kind(path, head) if head else ("empty (0 bytes)", "Write or download it again")
    return "" if what is None else f" It is {what}. {cure}."


def first_bytes(path: str) -> bytes:
    """The first bytes of a local file.

    Raises:
        DataError: it cannot be opened.
    """
    with reading(path, "a file"), Path(path).open("rb") as file:
        return file.read(HEAD_BYTES)


def _kind(path: str, head: bytes) -> tuple[str | None, str]:
    """What a file is and what to do about it; None and nothing where its first bytes do not tell."""
    text = _is_text(head)
    for pattern, what, cure in _WRITTEN if text else _BINARY:
        if re.match(pattern, _without_mark(head)):
            found = (_in_zip(path) if "ZIP" in what else None) or (what, cure)
            return found[0], found[1].replace("FILE", path)
    return (TEXT, f"Let its name end in {_text_suffix(head)}") if text else (None, "")


def _in_zip(path: str) -> tuple[str, str] | None:
    """What the members of a ZIP archive make it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError):
        return None
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook (.xlsx)", "Save the sheet as CSV UTF-8"
    if "content.xml" in names:
        return "an OpenDocument file", "Save the sheet as CSV, in UTF-8"
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays (.npz)", _AS_PARQUET
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch file", "Name a file of texts and labels"
    return None


def _is_text(head: bytes) -> bool:
    """Whether the bytes look like UTF-8 or UTF-16 text; the last character may be cut."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
    return not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head)


def _text_suffix(head: bytes) -> str:
    """How the name of such a text should end."""
    if _JSON.match(_without_mark(head)):
        return ".jsonl (one object a line) or .json"
    return ".tsv" if b"\t" in head.splitlines()[0] else ".csv"


def _without_mark(head: bytes) -> bytes:
    return head.removeprefix(b"\xef\xbb\xbf")
