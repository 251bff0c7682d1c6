"""Thrift's compact protocol, as far as Parquet's metadata speaks it: structs read into dictionaries and written back.

A struct is kept with every field that it has, known to us or not, so what is written back differs only where it was
changed.
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

# Fields by number, each with its type and value: bool, int, bytes (doubles too), (type, values) of a list, or a struct.
Struct = dict[int, tuple[int, Any]]


class CompactError(ValueError):
    """Bytes that are no struct, or of types that Parquet does not use."""


def read_struct(data: bytes, at: int = 0) -> tuple[Struct, int]:
    """The struct that begins at a byte, and where it ends.

    Raises:
        CompactError: there is none.
    """
    reader = _Reader(data, at)
    try:
        return reader.struct(), reader.at
    except (IndexError, RecursionError) as error:
        raise CompactError("cut short") from error


def write_struct(struct: Struct) -> bytes:
    """The struct's bytes."""
    out = bytearray()
    last = 0
    for number, (declared, value) in sorted(struct.items()):
        kind = (TRUE if value else FALSE) if declared in (TRUE, FALSE) else declared
        if 0 < number - last < 16:
            out.append((number - last) << 4 | kind)
        else:
            out.append(kind)
            out += _zigzag(number)
        if kind not in (TRUE, FALSE):
            out += _written(kind, value)
        last = number
    out.append(0)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def struct(self) -> Struct:
        found: Struct = {}
        number = 0
        while header := self._byte():
            kind = header & 15
            number = number + (header >> 4) if header >> 4 else self._integer()
            found[number] = (kind, kind == TRUE if kind in (TRUE, FALSE) else self._value(kind))
        return found

    def _value(self, kind: int) -> Any:
        if kind == BYTE:
            return self._byte()
        if kind in (I16, I32, I64):
            return self._integer()
        if kind == DOUBLE:
            return self._bytes(8)
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind in (LIST, SET):
            header = self._byte()
            size = header >> 4 if header >> 4 < 15 else self._varint()
            of = header & 15
            return of, [self._byte() if of in (TRUE, FALSE) else self._value(of) for _ in range(size)]
        if kind == STRUCT:
            return self.struct()
        raise CompactError(f"type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _bytes(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self._data):
            raise CompactError("cut short")
        return self._data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


def _written(kind: int, value: Any) -> bytes:
    if kind == BYTE:
        return bytes([value])
    if kind in (I16, I32, I64):
        return _zigzag(value)
    if kind == DOUBLE:
        return bytes(value)
    if kind == BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == STRUCT:
        return write_struct(value)
    of, values = value
    size = len(values)
    header = bytes([size << 4 | of]) if size < 15 else bytes([15 << 4 | of]) + _varint(size)
    return header + b"".join(bytes([each]) if of in (TRUE, FALSE) else _written(of, each) for each in values)


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
