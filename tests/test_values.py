"""Foreign values as texts, ids and labels, whatever the column's type."""

import datetime
import decimal
import uuid

import pyarrow as pa
import pytest

from scorer.sources.columns.values import MIXED, id_values, is_text, label_values, text_values

NUMBER = uuid.UUID("12345678-1234-5678-1234-567812345678")


def mixed(*values: tuple[str, bytes] | None) -> pa.Array:
    return pa.array([None if v is None else {"kind": v[0], "text": v[1]} for v in values], MIXED)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([0, -1, None], pa.int8()), ["0", "-1", None]),
        (pa.array([2**63 + 1], pa.uint64()), ["9223372036854775809"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([1.0, 0.5, float("nan"), None]), ["1.0", "0.5", None, None]),
        (pa.array([1.0, 2.5], pa.float16()), ["1.0", "2.5"]),
        (pa.array([decimal.Decimal(3), None], pa.decimal128(38, 0)), ["3", None]),
        (pa.array([b" neg", b"caf\xc3\xa9"]), [" neg", "café"]),
        (pa.array(["01", "+1", " True "]), ["01", "+1", " True "]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([1, 0], pa.int32()).dictionary_encode(), ["1", "0"]),
        (pa.array(["a view longer than twelve bytes"], pa.string_view()), ["a view longer than twelve bytes"]),
        (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())), ["true", "false", None]),
        (mixed(("number", b"1.0"), ("boolean", b"true"), ("string", b"1"), None), ["1.0", "true", "1", None]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_labels_keep_the_spelling_of_the_data(values, expected):
    assert label_values(values).to_pylist() == expected
    assert label_values(values).type == pa.large_string()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([7, None], pa.uint64()), ["7", None]),
        (pa.array([1.0, 0.25, float("nan")]), ["1.0", "0.25", None]),
        (pa.array([NUMBER.bytes, None], pa.uuid()), [str(NUMBER), None]),
        (pa.array([NUMBER.bytes], pa.binary(16)), [str(NUMBER)]),
        (pa.array([b"key-1", b"\xff\x00"]), ["key-1", "ff00"]),
        (pa.array([datetime.date(2024, 1, 31)]), ["2024-01-31"]),
        (pa.array([decimal.Decimal("1.20")]), ["1.20"]),
        (pa.array([True]), ["true"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([2**63 + 1], pa.uint64()).dictionary_encode(), ["9223372036854775809"]),
        (pa.array([7.0, None]).dictionary_encode(), ["7.0", None]),
        (pa.array([123456789012345.0, 1e20, None]), ["123456789012345.0", "1e+20", None]),
        (pa.array([0.1, 3e9], pa.float32()), ["0.1", "3000000000.0"]),
        (pa.array([datetime.datetime(2024, 1, 31, 12, 30)], pa.timestamp("s")), ["2024-01-31 12:30:00"]),
        (pa.array([1_700_000_000_123], pa.timestamp("ms", "UTC")), ["2023-11-14 22:13:20.123Z"]),
        (pa.array([datetime.time(1, 2, 3)], pa.time64("us")), ["01:02:03.000000"]),
        (pa.array([b"order-0000000001"], pa.binary(16)), ["order-0000000001"]),
        (pa.array([b"key-1"], pa.binary_view()), ["key-1"]),
        (pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"])), ["a", "a"]),
        (mixed(("string", "a\ud83d".encode("utf-8", "surrogatepass")), ("array", b"[1]")), ["a\\xed\\xa0\\xbd", "[1]"]),
    ],
)
def test_ids_are_any_scalar_as_text(values, expected):
    assert id_values(values).to_pylist() == expected


def test_texts_that_are_no_text_are_marked_and_shown_repaired():
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"ok\xffx"))
    text, invalid = text_values(broken)
    assert text.to_pylist() == ["ok", "\ufffdx"]
    assert invalid.tolist() == [False, True]

    text, invalid = text_values(
        mixed(("string", b"fine"), ("string", "cut \ud83d".encode("utf-8", "surrogatepass")), ("number", b"12"), None)
    )
    assert text.to_pylist() == ["fine", "cut \ufffd\ufffd\ufffd", "12", None]
    assert invalid.tolist() == [False, True, True, False]

    for kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
        values = pa.array([b"bytes as text", None, b"caf\xe9"], kind)
        for each in (values, values.cast(pa.binary()).dictionary_encode(), pa.concat_arrays([values, values])[3:]):
            text, invalid = text_values(each)
            assert text.to_pylist() == ["bytes as text", None, "caf\ufffd"]
            assert invalid.tolist() == [False, False, True]


@pytest.mark.parametrize("data_type", [pa.string(), pa.large_binary(), pa.dictionary(pa.int8(), pa.string()), MIXED])
def test_types_that_may_hold_texts(data_type):
    assert is_text(data_type)


@pytest.mark.parametrize("data_type", [pa.int64(), pa.list_(pa.string()), pa.bool_(), pa.struct([("a", pa.string())])])
def test_types_that_hold_no_texts(data_type):
    assert not is_text(data_type)
