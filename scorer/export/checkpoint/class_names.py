"""The names of a checkpoint's classes, as its config.json gives them: in id2label, in label2id, or in neither.

The two tables are written by different hands: training scripts fill one and leave the other generic (LABEL_0, LABEL_1),
people edit one and forget the other. Names are taken from the table that has some; two tables that contradict each
other are refused, since one of them is wrong. Reads JSON values alone, and loads nothing.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from scorer.errors import ExportError

NAMES_SHOWN = 4


def class_names(fields: Mapping[str, Any], location: str) -> tuple[tuple[str, ...] | None, str | None]:
    """The C class names in the order of the logits' columns, and what a person should know of them.

    Args:
        fields: the content of config.json.
        location: the checkpoint, for messages.

    Returns:
        The names, or None where config.json has no table of them; a notice, or None.

    Raises:
        ExportError: a table is damaged, or the two contradict each other.
    """
    by_index, by_name = fields.get("id2label"), fields.get("label2id")
    names = _names_by_index(by_index, location) if by_index else None
    indices = _indices_by_name(by_name, location) if by_name else {}
    if _is_generic(indices):
        return names, None
    if names is not None and not _is_generic({name: index for index, name in enumerate(names)}):
        _refuse_contradiction(names, indices, location)
        return names, None
    if names is not None and any(name in names and names.index(name) != index for name, index in indices.items()):
        _refuse_contradiction(names, indices, location)
    names = _in_order(indices, location)
    listed = _listed(dict(enumerate(names)))
    return names, f"the classes' names are those of label2id, since id2label has none: {listed}"


def _names_by_index(table: object, location: str) -> tuple[str, ...]:
    """The names of id2label, in the order of their indices."""
    if not isinstance(table, Mapping) or not all(re.fullmatch(r"\d+", str(key)) for key in table):
        raise ExportError(
            f"id2label in the config.json of '{location}' is not a table from class index to name, but {_shown(table)}."
        )
    values = {int(key): value for key, value in table.items()}
    missing = sorted(set(range(len(table))) - values.keys())
    if missing:
        raise ExportError(
            f"id2label in the config.json of '{location}' has {len(table)} entries but none for class "
            f"{missing[0]}: the names cannot be put in the order of the logits. Number them from 0."
        )
    names = tuple(_name(values[index], index, location) for index in range(len(values)))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        classes = [str(index) for index, name in enumerate(names) if name == twice[0]]
        raise ExportError(
            f"'{location}' gives the name '{twice[0]}' to more than one class ({', '.join(classes)}). Make the names "
            "in the id2label of its config.json distinct."
        )
    return names


def _name(value: object, index: int, location: str) -> str:
    """A name, in the spelling of JSON where it is a number or a boolean there."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):  # bool is an int
        return json.dumps(value)
    raise ExportError(
        f"id2label in the config.json of '{location}' gives class {index} no name but {_shown(value)}. Give "
        "every class a name of its own."
    )


def _indices_by_name(table: object, location: str) -> dict[str, int]:
    """label2id, its indices as integers."""
    if not isinstance(table, Mapping):
        raise ExportError(
            f"label2id in the config.json of '{location}' is not a table from name to class index, but "
            f"{_shown(table)}. Correct it, or remove it where id2label has the names."
        )
    indices = {}
    for name, value in table.items():
        is_index = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        is_index |= isinstance(value, float) and value >= 0 and value.is_integer()
        if not (is_index or (isinstance(value, str) and re.fullmatch(r"\d+", value))):
            raise ExportError(
                f"label2id in the config.json of '{location}' gives '{name}' no class index but {_shown(value)}. "
                "Correct it, or remove label2id where id2label has the names."
            )
        indices[str(name)] = int(value)
    return indices


def _in_order(indices: Mapping[str, int], location: str) -> tuple[str, ...]:
    """The names of label2id where they alone name the classes."""
    at: dict[int, str] = {}
    for name, index in indices.items():
        if not name.strip():
            raise ExportError(
                f"label2id in the config.json of '{location}' gives class {index} the blank name {_shown(name)}. Give "
                "every class a name of its own."
            )
        if index in at:
            raise ExportError(
                f"label2id in the config.json of '{location}', where the names are, gives class {index} to both "
                f"'{at[index]}' and '{name}'. Keep one of them."
            )
        at[index] = name
    missing = sorted(set(range(len(at))) - at.keys())
    if missing:
        raise ExportError(
            f"label2id in the config.json of '{location}', where the names are, has {len(at)} entries but none for "
            f"class {missing[0]}: the names cannot be put in the order of the logits. Number them from 0."
        )
    return tuple(at[index] for index in range(len(at)))


def _is_generic(indices: Mapping[str, int]) -> bool:
    """Whether all names say no more than their index, as those that transformers makes up."""
    return all(name in (f"LABEL_{index}", str(index)) for name, index in indices.items())


def _refuse_contradiction(names: tuple[str, ...], indices: Mapping[str, int], location: str) -> None:
    """Refuse a label2id that gives a class another name, or a name another class."""
    if indices == {name: index for index, name in enumerate(names)}:
        return  # they agree to the letter, be it that names differ in case alone
    folded = [_folded(name) for name in names]
    given = [{_folded(name) for name, index in indices.items() if index == number} for number in range(len(names))]
    beyond = any(index >= len(names) for index in indices.values())
    elsewhere = any(_folded(name) in folded and folded.index(_folded(name)) != index for name, index in indices.items())
    if beyond or elsewhere or any(found and name not in found for name, found in zip(folded, given, strict=True)):
        raise ExportError(
            f"id2label and label2id in the config.json of '{location}' contradict each other: id2label has "
            f"{_listed(dict(enumerate(names)))}, label2id has {_listed(indices)}. One of them is wrong. Find out which "
            "(score a few texts whose class is certain), correct it, or remove it."
        )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _listed(table: Mapping[Any, Any]) -> str:
    """The first entries of a table."""
    entries = [f"{key}: {value}" for key, value in list(table.items())[:NAMES_SHOWN]]
    more = [f"{len(table) - NAMES_SHOWN} more"] if len(table) > NAMES_SHOWN else []
    return ", ".join(entries + more)


def _shown(value: object) -> str:
    """A JSON value, shortened."""
    written = json.dumps(value, ensure_ascii=False)
    return written if len(written) <= 60 else f"{written[:60]}…"
