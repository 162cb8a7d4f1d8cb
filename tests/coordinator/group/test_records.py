"""The records of `__consumer_offsets`, byte for byte as Apache Kafka 4.3.1 writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.group.records import (
    decode_offset_commit_key,
    decode_offset_commit_value,
    offset_commit_record,
    offset_tombstone,
)
from wire.errors import WireError
from wire.messages.offset_records import OffsetCommitKey, OffsetCommitValue

# Dumped from a real topic: group g1, topic t, partition 0, offset 5, leader epoch 3, "hello".
KAFKAS_KEY = bytes.fromhex("0001 0002 6731 0001 74 00000000")
KAFKAS_VALUE = bytes.fromhex(
    "0004 0000000000000005 00000003 06 68656c6c6f 000001a2043214a4 01 00 10"
    "9f5d8658de8c4b1d96617458db6cb770"
)
KEY = OffsetCommitKey(group="g1", topic="t", partition=0)
VALUE = OffsetCommitValue(
    offset=5,
    leader_epoch=3,
    metadata="hello",
    commit_timestamp=0x000001A2043214A4,
    topic_id=bytes.fromhex("9f5d8658de8c4b1d96617458db6cb770"),
)


def test_a_committed_offset_is_written_as_kafka_writes_it() -> None:
    record = offset_commit_record(KEY, VALUE)
    assert record.key == KAFKAS_KEY
    assert record.value == KAFKAS_VALUE


def test_a_committed_offset_of_kafkas_is_read() -> None:
    assert decode_offset_commit_key(KAFKAS_KEY) == KEY
    assert decode_offset_commit_value(KAFKAS_VALUE) == VALUE


def test_a_tombstone_has_the_same_key_and_no_value() -> None:
    record = offset_tombstone(KEY)
    assert (record.key, record.value) == (KAFKAS_KEY, None)


def test_an_expiry_is_written_in_the_version_that_has_one() -> None:
    value = OffsetCommitValue(offset=5, metadata="m", commit_timestamp=10, expire_timestamp=20)
    record = offset_commit_record(KEY, value)
    assert record.value == bytes.fromhex(
        "0001 0000000000000005 0001 6d 000000000000000a 0000000000000014"
    )


@given(
    group=st.text(max_size=20),
    topic=st.text(max_size=20),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(-1, 2**63 - 1),
    epoch=st.integers(-1, 2**31 - 1),
    metadata=st.text(max_size=50),
    expiry=st.one_of(st.just(-1), st.integers(0, 2**62)),
)
def test_what_is_written_is_read(group, topic, partition, offset, epoch, metadata, expiry) -> None:
    key = OffsetCommitKey(group=group, topic=topic, partition=partition)
    value = OffsetCommitValue(
        offset=offset,
        leader_epoch=epoch if expiry == -1 else -1,  # the old version has none
        metadata=metadata,
        commit_timestamp=7,
        expire_timestamp=expiry,
    )
    record = offset_commit_record(key, value)
    assert record.value is not None
    assert decode_offset_commit_key(record.key) == key
    assert decode_offset_commit_value(record.value) == value


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01\x00\x05ab"])
def test_a_key_that_cannot_be_read_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_offset_commit_key(data)


def test_a_key_of_another_kind_of_record_is_none_of_ours() -> None:
    assert decode_offset_commit_key(b"\x00\x02\x00\x01g") is None


@pytest.mark.parametrize("data", [b"", b"\x00\x04\x00", b"\x00\x05" + b"\x00" * 40])
def test_a_value_that_cannot_be_read_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_offset_commit_value(data)


@given(st.binary(max_size=60))
def test_no_bytes_make_anything_but_a_wire_error(data: bytes) -> None:
    for read in (decode_offset_commit_key, decode_offset_commit_value):
        try:
            read(data)
        except WireError:
            continue
