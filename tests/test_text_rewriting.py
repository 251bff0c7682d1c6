"""Random text files, written here by hand, through reading and rewriting: nothing but the changed labels changes."""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorer.errors import DataError
from scorer.review.correct.outputs import rewrite
from scorer.sources.columns.values import label_values
from scorer.sources.formats.delimited import DelimitedTable
from scorer.sources.formats.json_lines import JsonTable
from scorer.sources.storage import text_stream
from scorer.sources.storage.edits import Edits
from scorer.sources.storage.text_stream import TextOptions, TextTable

PATIENT = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
ENCODINGS = {
    "utf-8": (b"", "utf-8"),
    "utf-8-sig": (codecs.BOM_UTF8, "utf-8"),
    "utf-16-le": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "utf-16-be": (codecs.BOM_UTF16_BE, "utf-16-be"),
    "cp1252": (b"", "cp1252"),
    "gb18030": (b"", "gb18030"),
}


@dataclasses.dataclass
class Written:
    """A file that was written by hand.

    Attributes:
        options: what a user would say of it.
        rows: its values by position.
        parts: its text: strings, and for each row's label (row, how it stands).
        label: position of the label's column.
        spell: how a label would be written in the place of another.
    """

    options: TextOptions
    rows: list[list[str]]
    parts: list[str | tuple[int, str]]
    label: int
    spell: Any

    def text(self, changes: dict[int, str]) -> str:
        """The file's text with labels changed."""
        pieces = []
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(part)
            else:
                row, field = part
                new = changes.get(row)
                pieces.append(field if new is None or new == self.rows[row][self.label] else self.spell(new, field))
        return "".join(pieces)


def field_of(value: str, quoting: str, delimiter: str, quoted: bool) -> str:
    special = [delimiter, "\n", "\r"]
    if quoting == "none":
        return value
    needs = any(mark in value for mark in special) or '"' in value
    escaped = value.replace('"', '""')
    if quoting == "backslash":
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if quoted or needs else escaped


@st.composite
def delimited_files(draw: Any) -> Written:
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", "§"]))
    quoting = draw(st.sampled_from(["double", "backslash", "none"]))
    encoding = draw(st.sampled_from(sorted(ENCODINGS)))
    letters = "ab é ü\\'\"0" + ("" if quoting == "none" else delimiter + "\n\r")
    cells = st.text(alphabet=letters, max_size=6)
    columns = draw(st.integers(2, 4))
    label = draw(st.integers(0, columns - 1))
    names = ["label" if place == label else draw(st.sampled_from(["text", "x", "ä", ""])) for place in range(columns)]
    rows = draw(st.lists(st.lists(cells, min_size=columns, max_size=columns), max_size=5))
    rows = [row for row in rows if any(row)]  # with one column only, that would be a blank line
    breaks = st.sampled_from(["\n", "\r\n"])
    parts: list[str | tuple[int, str]] = [draw(st.sampled_from(["", "\n", "\r\n\n"]))]
    parts.append(delimiter.join(draw(st.sampled_from(["", " "])) + n for n in names))
    for number, row in enumerate(rows):
        parts.append(draw(breaks) + draw(st.sampled_from(["", "", "\n", "\r\n"])))
        for place, value in enumerate(row):
            field = field_of(value, quoting, delimiter, draw(st.booleans()))
            parts.append(delimiter if place else "")
            parts.append((number, field) if place == label else field)
    parts.append(draw(st.sampled_from(["", "\n", "\r\n", "\n\n"])))

    def spell(new: str, field: str) -> str:
        return field_of(new, quoting, delimiter, field.startswith('"'))

    return Written(TextOptions(delimiter, quoting, encoding), rows, parts, label, spell)


def content_of(text: str, encoding: str) -> bytes:
    mark, codec = ENCODINGS[encoding]
    return mark + text.encode(codec)


def edits_of(table: TextTable, rows: int, changes: dict[int, str], dropped: frozenset[int] = frozenset()) -> Edits:
    return Edits(table.name, rows, "label", changes, dropped, keep_original=False)


def rows_of(table: DelimitedTable) -> list[list[str]]:
    names = table.schema().names
    found = [batch.columns for batch in table.batches(names)]
    return [list(row) for columns in found for row in zip(*(column.to_pylist() for column in columns), strict=True)]


@PATIENT
@given(delimited_files(), st.data())
def test_delimited_text_keeps_every_byte_outside_of_changed_labels(written: Written, data: Any) -> None:
    rows, encoding = written.rows, str(written.options.encoding)
    alphabet = "ab é\\\"'" + ("" if written.options.quoting == "none" else f"{written.options.delimiter}\n\r")
    labels = st.text(alphabet=alphabet, min_size=1, max_size=5)
    changes = data.draw(st.dictionaries(st.integers(0, max(len(rows) - 1, 0)), labels)) if rows else {}
    dropped = data.draw(st.frozensets(st.sampled_from(range(len(rows))), max_size=1)) if rows else frozenset()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_stream, "BLOCK_BYTES", data.draw(st.integers(1, 60)))
        file, output = Path(folder) / "data.csv", Path(folder) / "out.csv"
        file.write_bytes(content_of(written.text({}), encoding))
        table = DelimitedTable(str(file), ",", written.options)
        assert rows_of(table) == rows
        rewrite(table, output, edits_of(table, len(rows), changes))
        assert output.read_bytes() == content_of(written.text(changes), encoding)
        again = rows_of(DelimitedTable(str(output), ",", written.options))
        expected = [list(row) for row in rows]
        for row, label in changes.items():
            expected[row][written.label] = label
        assert again == expected
        rewrite(table, output, edits_of(table, len(rows), {}, dropped))
        left = rows_of(DelimitedTable(str(output), ",", written.options))
        assert left == [row for number, row in enumerate(rows) if number not in dropped]
        for start in range(len(rows) + 1):
            rest = [batch.column("label").to_pylist() for batch in table.batches(["label"], start)]
            assert list(itertools.chain(*rest)) == [row[written.label] for row in rows[start:]]


@PATIENT
@given(delimited_files())
def test_delimited_text_is_read_rightly_without_options_or_not_at_all(written: Written) -> None:
    encoding = str(written.options.encoding)
    if written.options.delimiter == "§" or encoding in {"cp1252", "gb18030"}:
        return  # nobody could know
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.csv"
        file.write_bytes(content_of(written.text({}), encoding))
        table = DelimitedTable(str(file), ",")
        try:
            found = rows_of(table)
        except DataError:
            return
        if found != written.rows and written.options.quoting != "double":
            # a file of another dialect that keeps every rule of the standard one is of the standard one
            standard = DelimitedTable(str(file), ",", TextOptions(table.layout.dialect.delimiter, "double"))
            assert found == rows_of(standard)
            return
        assert found == written.rows


def test_a_label_that_the_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    file, output = tmp_path / "data.csv", tmp_path / "out.csv"
    for content, options, label, words in (
        (b"text\tlabel\na\tx\n", TextOptions("tab", "none"), "x\ty", "without quoting and cannot hold"),
        (b"text,label\na,x\n", TextOptions(encoding="cp1252"), "ž\u4e00", "is in cp1252, which has no"),
    ):
        file.write_bytes(content)
        table = DelimitedTable(str(file), ",", options)
        with pytest.raises(DataError, match=words):
            rewrite(table, output, edits_of(table, 1, {0: label}))
        assert not output.exists()


# --- JSON -------------------------------------------------------------------------------------------------------

NUMBERS = ["0", "1", "-3", "1.10", "1e5", "1E-07", "12345678901234567890", "-0", "3.0"]


SHORT = {'"': ['\\"'], "\\": ["\\\\"], "\n": ["\\n"], "\t": ["\\t"], "/": ["/", "\\/"]}


@st.composite
def strings(draw: Any) -> tuple[str, str]:
    """A string, and how it stands."""
    value = draw(st.text(alphabet='ab"\\/é😀\n\t\u2028', max_size=6))
    shown = []
    for character in value:
        forms = ["".join(f"\\u{unit:04x}" for unit in units_of(character))]
        forms += SHORT.get(character, [character])
        shown.append(draw(st.sampled_from(forms)))
    return value, '"' + "".join(shown) + '"'


def units_of(character: str) -> list[int]:
    raw = character.encode("utf-16-be")
    return [int.from_bytes(raw[start : start + 2], "big") for start in range(0, len(raw), 2)]


@st.composite
def labels(draw: Any) -> tuple[str, str]:
    return draw(
        st.one_of(
            strings(),
            st.sampled_from(NUMBERS).map(lambda number: (number, number)),
            st.sampled_from(["true", "false"]).map(lambda value: (value, value)),
        )
    )


OTHERS = ["null", "[1, 2.50, {}]", '{"label": "inner"}', '"x"', "1.10", '"[{,]}"', "[]"]


@st.composite
def json_files(draw: Any) -> Written:
    form = draw(st.sampled_from(["lines", "array", "objects", "columns"]))
    space = draw(st.sampled_from(["", " "]))
    line = draw(st.sampled_from(["\n", "\r\n"]))
    rows, parts = [], []
    count = draw(st.integers(1, 4))
    found = [(draw(strings()), draw(labels())) for _ in range(count)]
    rows = [[text[0], label[0]] for text, label in found]
    if form == "columns":
        parts.append('{"text":' + space + "{")
        parts.append(("," + space).join(f'"{row}":{space}{text[1]}' for row, (text, _) in enumerate(found)))
        parts.append("}," + line + '"label":' + space + "{")
        for row, (_, label) in enumerate(found):
            parts += [("," + space if row else "") + f'"{row}":{space}', (row, label[1])]
        parts.append("}}" + line)
        return Written(TextOptions(), rows, parts, 1, spelled)
    between = {"lines": line, "array": "," + line, "objects": line}[form]
    within = line + "  " if form == "objects" or (form == "array" and draw(st.booleans())) else space
    parts.append({"array": "[" + line}.get(form, ""))
    for row, (text, label) in enumerate(found):
        if row:
            parts.append(between + (draw(st.sampled_from(["", line, " " + line])) if form != "array" else space))
        members: list[list[str | tuple[int, str]]] = [
            [f'"text":{space}{text[1]}'],
            [f'"label":{space}', (row, label[1])],
        ]
        if draw(st.booleans()):
            members.append([f'"other":{space}{draw(st.sampled_from(OTHERS))}'])
        members = draw(st.permutations(members))
        if draw(st.integers(0, 4)) == 0:
            members.insert(0, [f'"label":{space}"a value that the later one replaces"'])
        parts.append("{" + (within if "\n" in within else ""))
        for place, member in enumerate(members):
            parts += ["," + within if place else "", *member]
        parts.append((line if "\n" in within else "") + "}")
        if form == "lines" and draw(st.integers(0, 4)) == 0:
            parts.append(",")
    parts.append(
        {"array": line + "]" + line, "lines": draw(st.sampled_from(["", line, "\n\n", "\0\0"]))}.get(form, line)
    )
    return Written(TextOptions(), rows, parts, 1, spelled)


def spelled(new: str, field: str) -> str:
    """A label in the JSON type of the one before it."""
    if not field.startswith('"'):
        try:
            if not isinstance(json.loads(new), str | dict | list | None):
                return new
        except ValueError:
            pass
    return json.dumps(new, ensure_ascii=False)


def json_rows(table: JsonTable) -> list[list[str | None]]:
    batches = list(table.batches(["text", "label"]))
    return [
        list(row)
        for batch in batches
        for row in zip(batch.column("text").to_pylist(), label_values(batch.column("label")).to_pylist(), strict=True)
    ]


@PATIENT
@given(json_files(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]), st.data())
def test_json_keeps_every_byte_outside_of_changed_labels(written: Written, encoding: str, data: Any) -> None:
    rows = written.rows
    label = st.one_of(st.text(alphabet='xy"\\', min_size=1, max_size=4), st.sampled_from([*NUMBERS, "true", "false"]))
    changes = data.draw(st.dictionaries(st.integers(0, len(rows) - 1), label))
    dropped = data.draw(st.frozensets(st.sampled_from(range(len(rows))), max_size=2))
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder) / "data.json", Path(folder) / "out.json"
        file.write_bytes(content_of(written.text({}), encoding))
        table = JsonTable(str(file))
        assert json_rows(table) == rows
        rewrite(table, output, edits_of(table, len(rows), changes))
        assert output.read_bytes() == content_of(written.text(changes), encoding)
        if table.form == "columns" or len(dropped) == len(rows):
            return
        rewrite(table, output, edits_of(table, len(rows), {}, dropped))
        left = json_rows(JsonTable(str(output)))
        assert left == [row for number, row in enumerate(rows) if number not in dropped]
        for start in range(len(rows) + 1):
            rest = [label_values(batch.column("label")).to_pylist() for batch in table.batches(["label"], start)]
            assert list(itertools.chain(*rest)) == [row[1] for row in rows[start:]]
