"""The JSON of etcd's gateway: what goes out comes back, and what is askew is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.cluster.etcd_messages import (
    MalformedAnswerError,
    Message,
    all_keys,
    encoded,
    key_value_of,
    keys_after,
    version_of,
)
from kbroker.cluster.metadata_store import KeyValue

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.text(), st.binary(), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_key_comes_back_as_it_was(key: str, value: bytes, revision: int, lease: int) -> None:
    message = Message(
        {
            "key": encoded("/n/" + key),
            "value": encoded(value),
            "mod_revision": str(revision),
            "version": 1,
            "lease": str(lease),
        }
    )
    assert key_value_of(message, "/n/") == KeyValue(key, value, 0, revision, 1, lease)
    with pytest.raises(MalformedAnswerError):
        key_value_of(message, "/other/")


@given(json_values)
def test_a_field_of_another_type_is_refused(value: object) -> None:
    message = Message({"field": value})
    for read in (
        message.integer,
        message.text,
        message.data,
        message.flag,
        message.message,
        message.messages,
    ):
        try:
            read("field")
        except MalformedAnswerError:
            continue


def test_an_absent_field_is_zero_but_a_revision_has_to_be_there() -> None:
    empty = Message.parse(b"{}")
    assert (empty.integer("x"), empty.text("x"), empty.data("x")) == (0, "", b"")
    assert (empty.flag("x"), empty.messages("x"), "x" in empty) == (False, [], False)
    with pytest.raises(MalformedAnswerError):
        _ = empty.revision


@pytest.mark.parametrize("text", [b"", b"1", b"[]", b"\xff", b'{"a":', b"[" * 100_000])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        Message.parse(text)


def test_the_range_of_a_prefix_ends_before_its_neighbour() -> None:
    assert all_keys("a/") == {"key": encoded("a/"), "range_end": encoded("a0")}
    assert all_keys("") == {"key": encoded(b"\0"), "range_end": encoded(b"\0")}
    assert keys_after("a/b", "a/") == {"key": encoded(b"a/b\0"), "range_end": encoded("a0")}


@pytest.mark.parametrize("text", ["", "3.6", "3.6.x", "v3.6.9", "3.6.9.1", "३.6.9"])
def test_versions(text: str) -> None:
    assert version_of("3.6.9") == (3, 6, 9)
    assert version_of("3.7.0-rc.1") == (3, 7, 0)
    with pytest.raises(MalformedAnswerError):
        version_of(text)
