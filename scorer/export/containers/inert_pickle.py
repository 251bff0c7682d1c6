"""A pickle read without running it: numbers and text come out, every class of another library as an inert record.

Unpickling calls what the file names, so a pickle of unknown origin can run any code. Here a few harmless names of numpy
and torch are what they are, and any other becomes a `Recorded` object, which keeps what it is given and does nothing.
joblib's files are read too: there the bytes of an array follow its description, outside the stream of the pickle.
"""

from __future__ import annotations

import importlib
import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

JOBLIB_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
# Names that are taken as they are: they make arrays, numbers, bytes and mappings, and nothing else.
NUMPY_NAMES = frozenset({"_reconstruct", "scalar", "_frombuffer"})
NUMPY_MODULES = frozenset(f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric"))


class UnreadableError(Exception):
    """The file is no pickle, or one that cannot be read without running it."""


class Recorded:
    """An object of a class that was not loaded.

    Attributes:
        kind: its class, as module and name.
        arguments: what it was made with.
        state: its attributes, by name.
    """

    kind: ClassVar[str]

    def __new__(cls, *arguments: Any, **_: Any) -> Recorded:
        """Keep what the file gives, and call nothing."""
        made = object.__new__(cls)
        made.arguments, made.state = arguments, {}
        return made

    def __init__(self, *arguments: Any, **_: Any) -> None:
        self.arguments: tuple[Any, ...] = arguments
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.state |= part


def read_pickle(file: Path) -> Any:
    """What a pickle holds, of the module pickle or of joblib, not compressed.

    Raises:
        UnreadableError: it cannot be read so.
    """
    try:
        with file.open("rb") as stream:
            return _Reader(stream).load()
    except Exception as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


# The reader of the standard library that is written in Python: only there can the bytes of an array be taken out of
# the stream, as joblib itself does.
_PurePython: Any = pickle._Unpickler


class _Reader(_PurePython):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(_PurePython.dispatch)

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._stream = stream

    def find_class(self, module: str, name: str) -> Any:
        """A harmless name as it is, and any other as a class of records."""
        known = _known(module, name)
        return type(name, (Recorded,), {"kind": f"{module}.{name}"}) if known is None else known

    def load_build(self) -> None:
        """As the standard library does; a description of an array is replaced by the array that follows."""
        super().load_build()
        described = self.stack[-1]
        if isinstance(described, Recorded) and described.kind == JOBLIB_ARRAY:
            self.stack[-1] = self._array(described.state)

    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, described: dict[str, Any]) -> np.ndarray:
        kind, shape = described["dtype"], tuple(int(size) for size in described["shape"])
        if kind.hasobject:
            found = _Reader(self._stream).load()
            return np.asarray(found, dtype=object)
        if described.get("numpy_array_alignment_bytes") is not None:
            self._stream.read(self._stream.read(1)[0])
        size = math.prod(shape) * kind.itemsize
        content = self._stream.read(size)
        if len(content) != size:
            raise EOFError("it ends within an array")
        return np.frombuffer(content, dtype=kind).reshape(shape, order=described["order"])


def _known(module: str, name: str) -> Any:
    """What a name of a pickle stands for, or None where it is not one of those that do no harm."""
    if module in NUMPY_MODULES and name in NUMPY_NAMES:
        return getattr(importlib.import_module(f"numpy._core.{module.rpartition('.')[2]}"), name)
    if module == "torch.storage" and name == "_load_from_bytes":
        return _tensor_bytes
    if module == "torch._utils" and name in {"_rebuild_tensor_v2", "_rebuild_parameter"}:
        import torch._utils

        return getattr(torch._utils, name)
    harmless: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encoded,
        ("collections", "OrderedDict"): dict,
        ("builtins", "set"): set,
    }
    return harmless.get((module, name))


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as old protocols write them."""
    if encoding not in {"latin1", "latin-1"}:
        raise UnreadableError(f"bytes are encoded as {encoding}")
    return text.encode("latin1")


def _tensor_bytes(content: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
