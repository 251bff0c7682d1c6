"""What a foreign column holds, as texts, ids and labels: one value out of order is one value out of order.

Nothing here stops for a value. A text that is no valid Unicode, or no text at all, is marked and shown repaired; an id
is any scalar as text; a label is text in the data's own spelling, and what it means is settled in `scorer.labels`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# A column whose values are not all of one type, or hold what is no valid Unicode: each with its JSON type (string,
# number, boolean, array, object) and its text: a string's bytes (lone surrogates included), else the JSON it stands in.
MIXED = pa.struct([("kind", pa.string()), ("text", pa.large_binary())])

UUID_BYTES = 16

BoolArray = npt.NDArray[np.bool_]


def text_values(values: pa.Array) -> tuple[pa.Array, BoolArray]:
    """Texts, and which of them are no valid Unicode or no text at all.

    Args:
        values: a text column [N] of any type that `is_text` takes, nulls allowed.

    Returns:
        large_string [N], what is not valid replaced by U+FFFD; bool [N].
    """
    values = plain(values)
    if values.type != MIXED:
        return _decoded(values)
    text, invalid = _decoded(pc.struct_field(values, "text"))
    other = pc.fill_null(pc.not_equal(pc.struct_field(values, "kind"), "string"), fill_value=False)
    return text, invalid | other.to_numpy(zero_copy_only=False)


def id_values(values: pa.Array) -> pa.Array:
    """Ids as text: any scalar as it is written, UUIDs as UUIDs, other bytes that are no text in hexadecimal digits.

    Returns:
        large_string [N]; null where there is none (null, NaN).
    """
    values = plain(values)
    if pa.types.is_fixed_size_binary(values.type) and values.type.byte_width == UUID_BYTES:
        return _each(values, _text_or_uuid)
    if _is_binary(values.type):
        return _each(values, _text_or_hex)
    if values.type == MIXED:
        return _each(pc.struct_field(values, "text"), lambda raw: raw.decode("utf-8", "backslashreplace"))
    if pa.types.is_floating(values.type):
        return _written_floats(values)
    return _decoded(values)[0]


def label_values(values: pa.Array) -> pa.Array:
    """Labels as text in the data's own spelling: 1 as "1", true as "true", 1.0 as "1.0"; strings as they are.

    Returns:
        large_string [N]; null where there is none (null, NaN).
    """
    values = plain(values)
    if values.type == MIXED:
        values = pc.struct_field(values, "text")
    if pa.types.is_floating(values.type):
        return _written_floats(values)
    return _decoded(values)[0]


def plain(values: pa.Array) -> pa.Array:
    """The values without the dictionary, runs or extension type around them."""
    while True:
        if pa.types.is_dictionary(values.type):
            values = decoded_dictionary(values)
        elif pa.types.is_run_end_encoded(values.type):
            values = pc.run_end_decode(values)
        elif isinstance(values.type, pa.BaseExtensionType):
            boolean = values.type.extension_name == "arrow.bool8"
            values = values.storage.cast(pa.bool_()) if boolean else values.storage
        else:
            return values


def decoded_dictionary(values: pa.Array) -> pa.Array:
    """The values of a dictionary array; of views, from which Arrow cannot take, in the large type of the same."""
    members = values.dictionary
    if pa.types.is_string_view(members.type) or pa.types.is_binary_view(members.type):
        large = pa.large_string() if pa.types.is_string_view(members.type) else pa.large_binary()
        values = pa.DictionaryArray.from_arrays(values.indices, members.cast(large))
    return values.dictionary_decode()


def plain_type(data_type: pa.DataType) -> pa.DataType:
    """The type that `plain` gives."""
    return plain(pa.nulls(0, data_type)).type


def is_text(data_type: pa.DataType) -> bool:
    """Whether a column of this type may hold texts."""
    data_type = plain_type(data_type)
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return data_type == MIXED or _is_binary(data_type) or any(is_kind(data_type) for is_kind in kinds)


def _decoded(values: pa.Array) -> tuple[pa.Array, BoolArray]:
    """Values as large_string, bytes read as UTF-8 and repaired where they are not; which were repaired, bool [N].

    Foreign writers leave bytes in string columns that nobody checked, so strings are checked too.
    """
    invalid = np.zeros(len(values), dtype=bool)
    try:
        text = values.cast(pa.large_string())
        text.validate(full=True)
    except pa.ArrowInvalid:
        texts: list[str | None] = []
        for position, raw in enumerate(values.cast(pa.large_binary()).to_pylist()):
            try:
                texts.append(None if raw is None else raw.decode())
            except UnicodeDecodeError:
                texts.append(raw.decode("utf-8", "replace"))
                invalid[position] = True
        text = pa.array(texts, pa.large_string())
    return text, invalid


def _written_floats(values: pa.Array) -> pa.Array:
    """Floats as Python writes them, large_string [N]; NaN is null."""
    text = pc.replace_substring_regex(values.cast(pa.large_string()), r"^(-?\d+)$", r"\1.0")  # 1 is written 1.0
    if pc.any(pc.match_substring(text, "e")).as_py():  # Arrow writes powers of ten from 1e10 on
        text = pa.array([str(value) for value in values.to_numpy(zero_copy_only=False)], pa.large_string())
    return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.large_string()), text)


def _is_binary(data_type: pa.DataType) -> bool:
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(is_kind(data_type) for is_kind in kinds)


def _each(values: pa.Array, text: Callable[[bytes], str]) -> pa.Array:
    return pa.array([None if raw is None else text(raw) for raw in values.to_pylist()], pa.large_string())


def _text_or_uuid(raw: bytes) -> str:
    """Sixteen bytes: a UUID, unless all are letters, digits and the like."""
    return raw.decode() if raw.isascii() and raw.decode().isprintable() else str(uuid.UUID(bytes=raw))


def _text_or_hex(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.hex()
