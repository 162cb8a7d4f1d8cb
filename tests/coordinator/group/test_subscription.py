"""The topics in a consumer's metadata, of every version and of none."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.group.subscription import subscribed_topics
from tests.coordinator.requests import subscription


@given(topics=st.lists(st.text(max_size=8), max_size=5), more=st.binary(max_size=20))
def test_topics_are_read_whatever_a_later_version_adds(topics: list[str], more: bytes) -> None:
    written = subscription(topics)
    assert subscribed_topics(written + more) == frozenset(topics)
    newer = struct.pack(">h", 3) + written[2:]
    assert subscribed_topics(newer + more) == frozenset(topics)


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"\0",
        b"\0\0\0\0\0\1",
        b"\0\0\0\0\0\1\0\2a",
        b"\0\0\0\0\0\1\xff\xff",
        b"\0\0\0\0\0\1\0\1\xff",
        b"\0\0\xff\xff\xff\xff",
        b"\0\0\x7f\xff\xff\xff",
        b"\xff\xff\0\0\0\0",
    ],
)
def test_what_is_no_subscription_tells_nothing(metadata: bytes) -> None:
    assert subscribed_topics(metadata) is None


@given(st.binary(max_size=60))
def test_no_bytes_raise(metadata: bytes) -> None:
    subscribed_topics(metadata)
