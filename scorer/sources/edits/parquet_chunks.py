"""A Parquet file with some column chunks replaced: every other byte of the data is copied, and offsets are moved.

So what a file's writer knew and Arrow does not stays: physical types, encodings, annotations, page indexes. The numbers
are those of the fields of Parquet's own metadata, in parquet.thrift.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scorer.sources.edits.thrift_compact import I64, LIST, CompactError, Struct, read_struct, write_struct
from scorer.sources.storage.storage import reading

MAGIC = b"PAR1"
COPY_BYTES = 8 * 2**20

# FileMetaData
SCHEMA, ROW_GROUPS, ENCRYPTION = 2, 4, 8
# SchemaElement
TYPE, TYPE_LENGTH, REPETITION, CHILDREN = 1, 2, 3, 5
# RowGroup
COLUMNS, TOTAL_BYTES, SORTING, GROUP_OFFSET, GROUP_COMPRESSED = 1, 2, 4, 5, 6
SORTING_COLUMN = 1
# ColumnChunk
FILE_PATH, CHUNK_OFFSET, META, OFFSET_INDEX, OFFSET_INDEX_LENGTH, COLUMN_INDEX, COLUMN_INDEX_LENGTH, CRYPTO = range(
    1, 9
)
# ColumnMetaData
PATH, UNCOMPRESSED, COMPRESSED, KEY_VALUES, DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, BLOOM = 3, 6, 7, 8, 9, 10, 11, 14
# OffsetIndex, PageLocation
LOCATIONS, LOCATION_OFFSET = 1, 1


class CannotReplaceError(Exception):
    """The file is written in a way in which chunks cannot be exchanged; it must be written anew."""


class ParquetChunks:
    """A Parquet file as chunks.

    Args:
        file: a pyarrow file.
        name: what to call it where it cannot be read.

    Raises:
        CannotReplaceError: its metadata is encrypted, or lies elsewhere.
    """

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name
        tail = self._bytes(file.size() - 8, 8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != MAGIC:
            raise CannotReplaceError("encrypted")
        self._data_end = file.size() - 8 - length
        self._footer, _ = read_struct(self._bytes(self._data_end, length))
        if ENCRYPTION in self._footer:
            raise CannotReplaceError("encrypted")
        self._groups: list[Struct] = self._footer.get(ROW_GROUPS, (LIST, (0, [])))[1][1]
        for chunk in self._chunks():
            if META not in chunk or FILE_PATH in chunk or CRYPTO in chunk:
                raise CannotReplaceError("encrypted, or in several files")

    def leaf(self, position: int) -> int:
        """Index among all leaf columns of the top column at a position.

        Raises:
            CannotReplaceError: it is nested.
        """
        elements = iter(self._elements()[1:])
        before = sum(_leaves(next(elements), elements) for _ in range(position))
        if _get(next(elements), CHILDREN, 0):
            raise CannotReplaceError("a nested column")
        return before

    def is_like(self, position: int, other: ParquetChunks) -> bool:
        """Whether values of the top column at a position are stored as those of the only column of the other file."""
        elements = iter(self._elements()[1:])
        for _ in range(position):
            _leaves(next(elements), elements)
        ours, theirs = next(elements), other._elements()[1]
        return all(ours.get(field) == theirs.get(field) for field in (TYPE, TYPE_LENGTH, REPETITION))

    def write_with(self, sink: Any, leaf: int, replaced: Mapping[int, ParquetChunks]) -> None:
        """Write the file with the chunks of a leaf column replaced in some row groups.

        Args:
            sink: where to.
            leaf: the leaf column.
            replaced: for each such row group a file of one column and one row group.

        Raises:
            CannotReplaceError: the file's parts lie in an unusual order.
        """
        pieces: dict[int, tuple[int, bytes]] = {}  # begin of what is replaced → its end, what stands there
        for group, file in replaced.items():
            begin, end = _extent(_columns(self._groups[group])[leaf])
            pieces[begin] = end, file._bytes(*_span(_extent(_columns(file._groups[0])[0])))
        moved = _shift(pieces)
        for group, file in replaced.items():
            self._put(self._groups[group], leaf, file)
        indexes = self._offset_indexes(pieces, moved)
        moved = _shift({**pieces, **indexes})
        for row_group in self._groups:
            _move_group(row_group, moved)
        done = 0
        for begin, (end, content) in sorted({**pieces, **indexes}.items()):
            self._copy(sink, done, begin)
            sink.write(content)
            done = end
        self._copy(sink, done, self._data_end)
        footer = write_struct(self._footer)
        sink.write(footer + len(footer).to_bytes(4, "little") + MAGIC)

    def _put(self, row_group: Struct, leaf: int, file: ParquetChunks) -> None:
        """Describe the new chunk in place of the old one, as if it began where that did."""
        chunk = _columns(row_group)[leaf]
        old, new = chunk[META][1], dict(_columns(file._groups[0])[0][META][1])
        change = _extent(chunk)[0] - _extent({META: (0, new)})[0]
        for field in (DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE):
            if _get(new, field, 0) > 0:
                new[field] = I64, new[field][1] + change
        new[PATH] = old[PATH]
        new.pop(KEY_VALUES, None)
        if KEY_VALUES in old:
            new[KEY_VALUES] = old[KEY_VALUES]
        chunk[META] = chunk[META][0], new
        for field in (OFFSET_INDEX, OFFSET_INDEX_LENGTH, COLUMN_INDEX, COLUMN_INDEX_LENGTH):
            chunk.pop(field, None)
        for total, field in ((TOTAL_BYTES, UNCOMPRESSED), (GROUP_COMPRESSED, COMPRESSED)):
            if total in row_group:
                row_group[total] = I64, row_group[total][1] + new[field][1] - old[field][1]
        if any(_get(column, SORTING_COLUMN, -1) == leaf for column in _get(row_group, SORTING, (0, []))[1]):
            del row_group[SORTING]  # what is sorted by it may not be so any more

    def _offset_indexes(
        self, pieces: Mapping[int, tuple[int, bytes]], moved: Callable[[int], int]
    ) -> dict[int, tuple[int, bytes]]:
        """The page indexes that hold offsets, with theirs moved."""
        last = max((end for end, _ in pieces.values()), default=0)
        found = {}
        for chunk in self._chunks():
            begin, length = _get(chunk, OFFSET_INDEX, None), _get(chunk, OFFSET_INDEX_LENGTH, 0)
            if begin is None:
                continue
            if begin < last:
                raise CannotReplaceError("a page index among the pages")
            index, _ = read_struct(self._bytes(begin, length))
            for location in _get(index, LOCATIONS, (0, []))[1]:
                location[LOCATION_OFFSET] = I64, moved(location[LOCATION_OFFSET][1])
            content = write_struct(index)
            found[begin] = begin + length, content
            chunk[OFFSET_INDEX_LENGTH] = chunk[OFFSET_INDEX_LENGTH][0], len(content)
        return found

    def _elements(self) -> list[Struct]:
        elements: list[Struct] = self._footer[SCHEMA][1][1]
        return elements

    def _chunks(self) -> Iterator[Struct]:
        for group in self._groups:
            yield from _columns(group)

    def _bytes(self, begin: int, length: int) -> bytes:
        with reading(self._name, "Parquet"):
            self._file.seek(begin)
            return bytes(self._file.read(length))

    def _copy(self, sink: Any, begin: int, end: int) -> None:
        while begin < end:
            piece = self._bytes(begin, min(COPY_BYTES, end - begin))
            if not piece:
                raise CompactError("cut short")
            sink.write(piece)
            begin += len(piece)


def _columns(row_group: Struct) -> list[Struct]:
    columns: list[Struct] = row_group[COLUMNS][1][1]
    return columns


def _leaves(element: Struct, following: Iterator[Struct]) -> int:
    """Leaf columns of a schema element; takes its children, which follow it."""
    children = _get(element, CHILDREN, 0)
    return sum(_leaves(next(following), following) for _ in range(children)) if children else 1


def _extent(chunk: Struct) -> tuple[int, int]:
    """Where a chunk's bytes begin and end."""
    meta = chunk[META][1]
    dictionary = _get(meta, DICTIONARY_PAGE, 0)
    begin = min(place for place in (dictionary, _get(meta, INDEX_PAGE, 0), meta[DATA_PAGE][1]) if place > 0)
    return begin, begin + meta[COMPRESSED][1]


def _span(extent: tuple[int, int]) -> tuple[int, int]:
    return extent[0], extent[1] - extent[0]


def _shift(pieces: Mapping[int, tuple[int, bytes]]) -> Callable[[int], int]:
    """Where a byte of the file stands after pieces of it were replaced by others of another length."""
    ends, changes, total = [], [], 0
    for begin, (end, content) in sorted(pieces.items()):
        total += len(content) - (end - begin)
        ends.append(end)
        changes.append(total)

    def moved(place: int) -> int:
        index = bisect.bisect_right(ends, place)
        return place + (changes[index - 1] if index else 0)

    return moved


def _move_group(row_group: Struct, moved: Callable[[int], int]) -> None:
    _move(row_group, (GROUP_OFFSET,), moved)
    for chunk in _columns(row_group):
        _move(chunk, (CHUNK_OFFSET, OFFSET_INDEX, COLUMN_INDEX), moved)
        meta = chunk[META][1]
        begin = _extent(chunk)[0]
        change = moved(begin) - begin  # of all pages alike: those of a new chunk may lie where others lay
        _move(meta, (DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE), lambda place, change=change: place + change)  # type: ignore[misc]
        _move(meta, (BLOOM,), moved)


def _move(struct: Struct, fields: tuple[int, ...], moved: Callable[[int], int]) -> None:
    for field in fields:
        if _get(struct, field, 0) > 0:
            struct[field] = struct[field][0], moved(struct[field][1])


def _get(struct: Struct, field: int, default: Any) -> Any:
    return struct[field][1] if field in struct else default
