"""The records of `__consumer_offsets`, byte for byte as Apache Kafka 4.3.1 writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.group.records import (
    decode_group_metadata_key,
    decode_group_metadata_value,
    decode_offset_commit_key,
    decode_offset_commit_value,
    group_metadata_record,
    group_tombstone,
    offset_commit_record,
    offset_tombstone,
)
from wire.errors import WireError
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
)

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

# Dumped as well: group g1 when it began, and when its only member had its assignment "x".
KAFKAS_GROUP_KEY = bytes.fromhex("0002 0002 6731")
KAFKAS_NEW_GROUP = bytes.fromhex("0003 0000 00000000 ffff ffff 000001a204cda2ea 00000000")
KAFKAS_STABLE_GROUP = bytes.fromhex(
    "0003 0008 636f6e73756d6572 00000001 0005 72616e6765 002d"
    "7265636f726465722d36383836646431352d306262322d343666662d393734662d326231303536343034393333"
    "000001a204cda30e 00000001 002d"
    "7265636f726465722d36383836646431352d306262322d343666662d393734662d326231303536343034393333"
    "ffff 0008 7265636f72646572 000a 2f3132372e302e302e31 00004e20 00002710"
    "0000000a 000000000000ffffffff 00000001 78"
)
MEMBER_ID = "recorder-6886dd15-0bb2-46ff-974f-2b1056404933"
NEW_GROUP = GroupMetadataValue(
    protocol_type="",
    generation=0,
    protocol=None,
    leader=None,
    current_state_timestamp=0x000001A204CDA2EA,
    members=[],
)
STABLE_GROUP = GroupMetadataValue(
    protocol_type="consumer",
    generation=1,
    protocol="range",
    leader=MEMBER_ID,
    current_state_timestamp=0x000001A204CDA30E,
    members=[
        MemberMetadata(
            member_id=MEMBER_ID,
            client_id="recorder",
            client_host="/127.0.0.1",
            rebalance_timeout=20_000,
            session_timeout=10_000,
            subscription=bytes.fromhex("000000000000ffffffff"),
            assignment=b"x",
        )
    ],
)


@pytest.mark.parametrize(
    ("value", "written"),
    [(NEW_GROUP, KAFKAS_NEW_GROUP), (STABLE_GROUP, KAFKAS_STABLE_GROUP)],
    ids=["new", "stable"],
)
def test_a_group_is_written_as_kafka_writes_it_and_read(value, written) -> None:
    record = group_metadata_record("g1", value)
    assert (record.key, record.value) == (KAFKAS_GROUP_KEY, written)
    assert decode_group_metadata_key(record.key) == GroupMetadataKey(group="g1")
    assert decode_group_metadata_value(written) == value


def test_a_group_is_forgotten_by_its_key() -> None:
    record = group_tombstone("g1")
    assert (record.key, record.value) == (KAFKAS_GROUP_KEY, None)
    assert decode_group_metadata_key(KAFKAS_KEY) is None


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
    for read in (
        decode_offset_commit_key,
        decode_offset_commit_value,
        decode_group_metadata_key,
        decode_group_metadata_value,
    ):
        try:
            read(data)
        except WireError:
            continue
