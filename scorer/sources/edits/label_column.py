"""Labels put into arrays of a label column, in the column's own type: all other values stay what and where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from scorer.errors import LabelError

ENUM_KEY = b"_PL_ENUM_VALUES"  # with which polars marks a dictionary that is an Enum: it takes no new member


class LabelColumn:
    """Puts labels into arrays of the label's column, in its own type.

    Args:
        field: the column.
        shared: labels that the dictionary of every array must hold, so that all have the same.
    """

    def __init__(self, field: pa.Field, shared: Iterable[str] = ()) -> None:
        self._field = field
        self._is_dictionary = pa.types.is_dictionary(field.type)
        self._type = field.type.value_type if self._is_dictionary else field.type
        self._shared = list(dict.fromkeys(shared)) if self._is_dictionary else []
        self._known: dict[str, pa.Array] = {}

    def replaced(self, values: pa.Array, labels: Mapping[int, str]) -> pa.Array:
        """The array with labels at some positions; what is there already stays."""
        if not self._is_dictionary:
            changes = {at: self._value(text) for at, text in labels.items()}
            return _spliced(values, {at: new for at, new in changes.items() if not _equal(values[at], new[0])})
        changes = {at: text for at, text in labels.items() if not _equal(values[at], self._value(text)[0])}
        members = self._members(values.dictionary, [*self._shared, *changes.values()])
        if not changes and members is values.dictionary:
            return values
        return self._dictionary_array(_spliced(values.indices, self._places(members, changes)), members)

    def alone(self, values: pa.Array, labels: Mapping[int, str]) -> pa.Array:
        """The labels at their positions, and null elsewhere: an array beside `values`, with its dictionary."""
        if not self._is_dictionary:
            nulls = pa.nulls(len(values), self._type)
            return _spliced(nulls, {at: self._value(text) for at, text in labels.items()})
        nulls = pa.nulls(len(values), self._field.type.index_type)
        return self._dictionary_array(_spliced(nulls, self._places(values.dictionary, labels)), values.dictionary)

    def _value(self, text: str) -> pa.Array:
        """The label as one value of the column's type, or of its dictionary's: an array [1]."""
        if text not in self._known:
            try:
                self._known[text] = pa.array([text], pa.string()).cast(self._type)
            except pa.ArrowException as error:
                raise self._refusal(text, f"holds {self._type} values") from error
        return self._known[text]

    def _members(self, dictionary: pa.Array, labels: Iterable[str]) -> pa.Array:
        """The dictionary, with the labels that it lacks behind its own members."""
        known = dictionary.to_pylist()
        for text in dict.fromkeys(labels):
            value = self._value(text)
            if value[0].as_py() in known:
                continue
            if any(key.startswith(ENUM_KEY) for key in self._field.metadata or {}):
                raise self._refusal(text, f"is an Enum of {', '.join(map(str, known[:20]))}")
            if len(known) > _largest(self._field.type.index_type):
                raise self._refusal(text, f"has a dictionary that is full: {len(known):,} members")
            dictionary = pa.concat_arrays([dictionary, value])
            known.append(value[0].as_py())
        return dictionary

    def _places(self, members: pa.Array, labels: Mapping[int, str]) -> dict[int, pa.Array]:
        """Where the labels stand among the members: arrays [1] by position of the row."""
        known = members.to_pylist()
        places = {text: known.index(self._value(text)[0].as_py()) for text in set(labels.values())}
        return {at: pa.array([places[text]], self._field.type.index_type) for at, text in labels.items()}

    def _dictionary_array(self, indices: pa.Array, members: pa.Array) -> pa.Array:
        return pa.DictionaryArray.from_arrays(indices, members, ordered=self._field.type.ordered)

    def _refusal(self, text: str, why: str) -> LabelError:
        return LabelError(
            f"people gave rows the label '{text}', which column '{self._field.name}' cannot hold: it {why}. Write the "
            "data with a column of names, or leave those corrections out."
        )


def _spliced(values: pa.Array, at: Mapping[int, pa.Array]) -> pa.Array:
    """The array with other values, arrays [1], at some positions; by slices, which there are of every type."""
    if not at:
        return values
    pieces, done = [], 0
    for position in sorted(at):
        pieces += [values.slice(done, position - done), at[position]]
        done = position + 1
    return pa.concat_arrays([*pieces, values.slice(done)])


def _equal(value: pa.Scalar, other: pa.Scalar) -> bool:
    return bool(value.as_py() == other.as_py())


def _largest(index_type: pa.DataType) -> int:
    """The largest index of a type of integers."""
    return int(2 ** (index_type.bit_width - (0 if pa.types.is_unsigned_integer(index_type) else 1)) - 1)
