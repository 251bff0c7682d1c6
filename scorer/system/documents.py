"""JSON documents of a known form: every value is checked when one is read, and a fault is named by its place.

A form is a msgspec Struct; dataclasses and named tuples may stand within it. Of a document that carries a version, the
version is looked at first. Keys that the form does not know are passed over: what would change the meaning of the
others comes with a new version.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from scorer.errors import ScorerError

Form = TypeVar("Form")
# Characters of a faulty value that a message shows.
SHOWN_CHARACTERS = 60


class _Versioned(msgspec.Struct):
    format_version: msgspec.Raw = msgspec.Raw(b"null")


def parse(content: bytes | str, form: type[Form], *, version: int | None = None) -> Form:
    """Read a document.

    Args:
        content: the JSON.
        form: what it must be.
        version: the `format_version` that this form is of; None where documents carry none.

    Raises:
        ValueError: it is not JSON, of another version, or a value is not what the form says. The message names the
            place, such as `$.counts.scored`, and the value.
    """
    try:
        if version is not None:
            found = bytes(msgspec.json.decode(content, type=_Versioned).format_version)
            if found != str(version).encode():
                raise ValueError(f"format_version is {_excerpt(found)}, this scorer reads {version}")
        return msgspec.json.decode(content, type=form, dec_hook=_made)
    except msgspec.ValidationError as error:
        raise ValueError(_told(content, str(error))) from error
    except (msgspec.DecodeError, ScorerError) as error:  # no JSON; a configuration that contradicts itself
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error


def written(document: Any, *, indent: int = 0) -> str:
    """A document as JSON, indented or in one line, as Python's own `json` writes it."""
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=_plain), indent=indent).decode()


def plain(document: Any) -> Any:
    """A document as the dictionaries, lists and scalars that reading its JSON without a form would give."""
    return msgspec.json.decode(msgspec.json.encode(document, enc_hook=_plain))


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"JSON has no form for {type(value).__name__}")


def _made(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


def _told(content: bytes | str, fault: str) -> str:
    """A fault that msgspec found, led by its place, with the value that stands there."""
    what, _, place = fault.partition(" - at ")
    place = place.strip("`")
    what = what[:1].lower() + what[1:]
    if not place:
        return what
    found: Any = msgspec.json.decode(content, type=msgspec.Raw)
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", place):
        children: Any = msgspec.json.decode(found, type=dict[str, msgspec.Raw] if key else list[msgspec.Raw])
        found = children[key or int(index)]
    is_whole = "[...]" not in place and bytes(found)[:1] not in (b"{", b"[")
    return f"{place} is {_excerpt(bytes(found))}: {what}" if is_whole else f"{place}: {what}"


def _excerpt(value: bytes) -> str:
    shown = value.decode("utf-8", "replace")
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"
