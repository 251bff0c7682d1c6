"""Files by name, on a disk or in an object store (s3://, gs://, hf:// and whatever else `fsspec` knows).

Credentials come from where the store's own tools take them: environment, configuration files, the machine's role.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer.errors import DataError, MissingExtraError, ScorerError
from scorer.sources.storage.table import Places
from scorer.system.urls import is_url, without_secrets

# Bytes read from an object store at a time.
REMOTE_BLOCK_BYTES = 8 * 2**20
_WILDCARD = re.compile(r"[*\[]")  # a question mark begins the query of a URL
# The package that opens each kind of URL, and our extra that brings it.
_EXTRAS = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gs"), "gcs": ("gcsfs", "gs"), "hf": ("huggingface_hub", "hub")}


class EmptyFileError(DataError):
    """A file in which there is nothing: no header and no row."""


@contextlib.contextmanager
def reading(name: str, what: str) -> Iterator[None]:
    """Turn the errors of opening and decoding a file into DataError."""
    shown = without_secrets(name)
    try:
        yield
    except ScorerError:
        raise
    except FileNotFoundError as error:
        if Path(name).is_symlink():
            raise DataError(
                f"'{shown}' is a link to '{Path(name).readlink()}', which is gone. Fetch the file, or remove the link."
            ) from error
        raise DataError(f"'{shown}' does not exist any more; it was there when the run began.") from error
    except PermissionError as error:
        raise DataError(f"cannot read '{shown}': permission denied.") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a damaged column name
        raise DataError(
            f"cannot read '{shown}' as {what}: {first_line(error)}. It may be damaged, cut short, or of another "
            "format; write or download it again."
        ) from error
    except Exception as error:
        if not is_url(name):
            raise
        raise DataError(  # each store has exceptions of its own
            f"cannot read '{shown}': {type(error).__name__}: {first_line(error)}. Check the address, the network and "
            "the store's credentials."
        ) from error


def open_file(name: str) -> Any:
    """A pyarrow file that can seek.

    Raises:
        OSError, Exception: it cannot be opened; see `reading`.
    """
    if not is_url(name):
        return pa.OSFile(name, "rb")
    system, path = _system(name)
    return pa.PythonFile(system.open(path, "rb", block_size=REMOTE_BLOCK_BYTES), mode="r")


def identity(name: str) -> dict[str, object]:
    """What changes when a file's content does: its size, and when it was modified or what the store calls its version.

    Raises:
        DataError: it is gone, or may not be looked at.
    """
    with reading(name, "a file"):
        if not is_url(name):
            stat = os.stat(name)  # noqa: PTH116 — asked of many files, several times
            return {"bytes": stat.st_size, "modified": stat.st_mtime_ns}
        system, path = _system(name)
        return {"bytes": system.size(path), "version": str(system.ukey(path))}


def expand(name: str) -> list[str] | None:
    """The URLs that a URL of a folder, or one with wildcards, stands for; None where it is one file.

    Raises:
        DataError: the store cannot be asked, or there is nothing.
    """
    if name.startswith(("http://", "https://")):
        return None  # a web server knows no folders
    with reading(name, "a file or folder"):
        system, path = _system(name)
        if _WILDCARD.search(path) and not system.exists(path):
            found = system.glob(path)
        elif system.isdir(path):
            found = [each for each in system.find(path) if "/." not in each.removeprefix(path)]
        elif system.exists(path):
            return None
        else:
            raise DataError(f"there is no file '{without_secrets(name)}'. Check the address and the credentials.")
        return [system.unstrip_protocol(each) for each in sorted(found)]


class FileTable:
    """What tables of one file share.

    Args:
        path: path or URL.

    Attributes:
        name: the path, or the URL without secrets.
        places: where rows begin.
        remarks: what a person should hear of how the file is read; complete when `schema` was asked.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = without_secrets(path)
        self.places: Places | None = None
        self.remarks: tuple[str, ...] = ()

    @property
    def of_datasets(self) -> bool:
        """Whether it belongs to `datasets`."""
        return False

    def identity(self) -> Mapping[str, object]:
        """Size, and time of modification or version."""
        return identity(self.path)


def _system(name: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    import fsspec

    scheme = name.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(name)
    except ImportError as error:
        package, extra = _EXTRAS.get(scheme, (f"for {scheme}://", "s3"))
        raise MissingExtraError(package, extra, f"reading '{without_secrets(name)}'") from error
    except ValueError as error:
        raise DataError(f"cannot read '{without_secrets(name)}': {first_line(error)}.") from error
    return system, path


def first_line(error: BaseException | None) -> str:
    """What a library says of an error, in one line without a full stop."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")
    return line if len(line) <= 300 else line[:300] + "…"
