"""Records as text: what is printed in each format, and JSON that comes back as it went."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.cli.record_lines import (
    FORMATS,
    IncomingRecord,
    LineError,
    OutgoingRecord,
    json_line,
    read_json_line,
    read_plain_line,
    readable,
)

RECORD = IncomingRecord("t", 2, 17, 1_700_000_000_000, b"k", b"v", (("h", b"1"), ("n", None)))


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("value", b"v"),
        ("key-value", b"k\tv"),
        ("full", b"t:2:17 2023-11-14T22:13:20.000Z key=k h=1 n=null value=v"),
    ],
)
def test_formats(form: str, line: bytes):
    assert FORMATS[form](RECORD) == line


def test_json_has_everything():
    assert json.loads(FORMATS["json"](RECORD)) == {
        "topic": "t",
        "partition": 2,
        "offset": 17,
        "timestamp": 1_700_000_000_000,
        "key": "k",
        "value": "v",
        "headers": [["h", "1"], ["n", None]],
    }


BYTES = st.none() | st.binary() | st.text().map(lambda text: text.encode(errors="replace"))


@given(BYTES, BYTES, st.lists(st.tuples(st.text(), BYTES)), st.integers(0, 2**62))
def test_what_consume_prints_as_json_produce_takes(key, value, headers, timestamp):
    headers = [(name.encode(errors="replace").decode(), data) for name, data in headers]
    line = json_line(IncomingRecord("t", 1, 2, timestamp, key, value, tuple(headers)))
    assert b"\n" not in line
    assert read_json_line(line) == OutgoingRecord(key, value, tuple(headers), 1, timestamp)


def test_little_is_needed_in_json():
    assert read_json_line(b'{"value": "v", "headers": {"a": "1"}}') == OutgoingRecord(
        None, b"v", (("a", b"1"),)
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"valeu": "x"}', "unknown field 'valeu'"),
        (b'{"value": 1}', "value is neither a string"),
        (b'{"value": "\\ud800"}', "half of a surrogate pair"),
        (b'{"key": {"base64": "?"}}', "key is not base64"),
        ('{"key": {"base64": "\u00e9AAA"}}'.encode(), "key is not base64"),
        (b'{"headers": "x"}', "headers are neither"),
        (b'{"headers": [["x"]]}', "not a pair"),
        (b'{"partition": -1}', "partition is not a number"),
        (b'{"timestamp": true}', "timestamp is not a number"),
    ],
)
def test_a_line_that_is_no_record_says_why(line: bytes, words: str):
    with pytest.raises(LineError, match=words):
        read_json_line(line)


def test_key_and_value_in_a_line():
    assert read_plain_line(b"a:b:c", b":") == OutgoingRecord(b"a", b"b:c")
    assert read_plain_line(b":", b":") == OutgoingRecord(b"", b"")
    assert read_plain_line(b"a:b", None) == OutgoingRecord(None, b"a:b")
    with pytest.raises(LineError, match="no key separator '::'"):
        read_plain_line(b"a:b", b"::")


@given(st.none() | st.binary())
def test_readable_is_one_printable_line(data):
    assert readable(data).isprintable()


def test_readable():
    assert readable(None) == "null"
    assert readable("é\n\x1b\udcff".encode(errors="surrogateescape")) == "é\\n\\x1b\\xff"
