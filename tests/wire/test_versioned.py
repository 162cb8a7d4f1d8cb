"""Records of __consumer_offsets, against bytes that Apache Kafka 4.3.1's own classes wrote."""

import pytest

from wire.errors import WireError
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
)
from wire.versioned import decode_versioned, encode_versioned, read_version

COMMITTED = {"offset": 42, "metadata": "note", "commit_timestamp": 1_700_000_000_000}
TOPIC_ID = bytes(range(1, 17))
MEMBER = {
    "member_id": "member",
    "client_id": "client",
    "client_host": "/127.0.0.1",
    "session_timeout": 45000,
    "subscription": b"\1\2",
    "assignment": b"\3",
}


def group(version: int) -> GroupMetadataValue:
    member = MemberMetadata(**MEMBER)
    if version >= 1:
        member.rebalance_timeout = 60000
    if version >= 3:
        member.group_instance_id = "static"
    return GroupMetadataValue(
        protocol_type="consumer",
        generation=3,
        protocol="range",
        leader=None,
        current_state_timestamp=1_700_000_000_000 if version >= 2 else -1,
        members=[member],
    )


GOLDEN = [
    (
        1,
        OffsetCommitKey(group="group", topic="topic", partition=7),
        "0001000567726f75700005746f70696300000007",
    ),
    (2, GroupMetadataKey(group="group"), "0002000567726f7570"),
    (
        0,
        OffsetCommitValue(**COMMITTED),
        "0000000000000000002a00046e6f74650000018bcfe56800",
    ),
    (
        1,
        OffsetCommitValue(**COMMITTED, expire_timestamp=1_800_000_000_000),
        "0001000000000000002a00046e6f74650000018bcfe56800000001a3185c5000",
    ),
    (
        2,
        OffsetCommitValue(**COMMITTED),
        "0002000000000000002a00046e6f74650000018bcfe56800",
    ),
    (
        3,
        OffsetCommitValue(**COMMITTED, leader_epoch=5),
        "0003000000000000002a0000000500046e6f74650000018bcfe56800",
    ),
    (
        4,
        OffsetCommitValue(**COMMITTED, leader_epoch=5, topic_id=TOPIC_ID),
        "0004000000000000002a00000005056e6f74650000018bcfe5680001"
        "00100102030405060708090a0b0c0d0e0f10",
    ),
    (
        0,
        group(0),
        "00000008636f6e73756d657200000003000572616e6765ffff0000000100066d656d6265720006636c"
        "69656e74000a2f3132372e302e302e310000afc80000000201020000000103",
    ),
    (
        1,
        group(1),
        "00010008636f6e73756d657200000003000572616e6765ffff0000000100066d656d6265720006636c"
        "69656e74000a2f3132372e302e302e310000ea600000afc80000000201020000000103",
    ),
    (
        2,
        group(2),
        "00020008636f6e73756d657200000003000572616e6765ffff0000018bcfe568000000000100066d65"
        "6d6265720006636c69656e74000a2f3132372e302e302e310000ea600000afc8000000020102000000"
        "0103",
    ),
    (
        3,
        group(3),
        "00030008636f6e73756d657200000003000572616e6765ffff0000018bcfe568000000000100066d65"
        "6d62657200067374617469630006636c69656e74000a2f3132372e302e302e310000ea600000afc800"
        "00000201020000000103",
    ),
    (
        4,
        group(4),
        "000409636f6e73756d6572000000030672616e6765000000018bcfe5680002076d656d626572077374"
        "6174696307636c69656e740b2f3132372e302e302e310000ea600000afc803010202030000",
    ),
]


@pytest.mark.parametrize(
    ("version", "value", "encoded"),
    GOLDEN,
    ids=[f"{type(value).__name__}-v{version}" for version, value, _ in GOLDEN],
)
def test_stored_structs_are_kafkas(version, value, encoded):
    data = bytes.fromhex(encoded)
    assert encode_versioned(value, version) == data
    assert decode_versioned(type(value), data) == value
    assert read_version(data) == version


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\5" + bytes(40), b"\xff\xff", b"\0\3\0"])
def test_malformed_or_newer_structs_are_refused(data):
    with pytest.raises(WireError):
        decode_versioned(OffsetCommitValue, data)
