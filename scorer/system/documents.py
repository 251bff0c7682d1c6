"""JSON documents with a type: reading checks every value and names the place of a fault. Alone imports `msgspec`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

T = TypeVar("T")
D = TypeVar("D", bound="Document")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON object whose fields and types are those of the subclass; fields that it does not know are passed over.

    A subclass with a field `format_version` reads documents of its own `FORMAT` alone.
    """

    FORMAT: ClassVar[int | None] = None

    def to_dict(self) -> dict[str, Any]:
        """The document as plain JSON values."""
        return dict(plain(self))

    def to_json(self, indent: int | None = None) -> str:
        """The document, ending with a line break."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls: type[D], document: str | bytes) -> D:
        """Parse a document.

        Raises:
            ValueError: it is none of this kind and version; the message names the place.
        """
        if cls.FORMAT is not None:
            found = parsed(document, _Version).format_version
            if found != cls.FORMAT:
                raise ValueError(f"format_version is {found!r}, this scorer reads {cls.FORMAT}")
        return parsed(document, cls)

    def replaced(self: D, **changes: Any) -> D:
        """The same with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class _Version(msgspec.Struct):
    format_version: int | str | None = None


def parsed(document: str | bytes, kind: type[T]) -> T:
    """A JSON document as a value of a type: a `Document`, a data class, or a container of them.

    Raises:
        ValueError: it is none; the message names the place, such as `$.counts.scored`.
    """
    try:
        return msgspec.json.decode(document, type=kind, dec_hook=_from_plain)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def plain(value: object) -> Any:
    """A value as plain JSON values."""
    return msgspec.to_builtins(value, enc_hook=_to_plain)


def _to_plain(value: object) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON")


def _from_plain(kind: type, value: object) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} has no form in JSON")
