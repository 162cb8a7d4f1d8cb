"""What groups stored, in words."""

import pytest

from kbroker.cli.dump_offsets import describe_offset_record
from wire.errors import WireError
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
)
from wire.records.record import Record
from wire.versioned import encode_versioned

TIME = 1_700_000_000_000
COMMIT_KEY = encode_versioned(OffsetCommitKey(group="g", topic="t", partition=2), 1)
GROUP_KEY = encode_versioned(GroupMetadataKey(group="g"), 2)


def describe(key: bytes | None, value: bytes | None) -> tuple[str, dict[str, object]]:
    return describe_offset_record(Record(0, TIME, key, value))


def test_a_committed_offset():
    value = OffsetCommitValue(
        offset=17, leader_epoch=4, metadata="m\n", commit_timestamp=TIME, topic_id=bytes(16)
    )
    text, fields = describe(COMMIT_KEY, encode_versioned(value, 4))
    assert text == (
        "group g, t:2: committed 17, leader epoch 4, metadata m\\n, at 2023-11-14T22:13:20.000Z"
    )
    assert fields["committed"] == 17
    assert fields["metadata"] == "m\n"


def test_an_offset_with_an_expiry():
    value = OffsetCommitValue(
        offset=1, metadata="", commit_timestamp=TIME, expire_timestamp=TIME + 1000
    )
    text, _ = describe(COMMIT_KEY, encode_versioned(value, 1))
    assert text.endswith(", until 2023-11-14T22:13:21.000Z")


def test_a_forgotten_offset():
    text, fields = describe(COMMIT_KEY, None)
    assert text == "group g, t:2: forgotten"
    assert fields["committed"] is None


def test_a_group():
    member = MemberMetadata(
        member_id="m1",
        client_id="c",
        client_host="/127.0.0.1",
        rebalance_timeout=1,
        session_timeout=2,
        subscription=b"",
        assignment=b"",
    )
    value = GroupMetadataValue(
        protocol_type="consumer", generation=3, protocol="range", leader="m1", members=[member]
    )
    text, fields = describe(GROUP_KEY, encode_versioned(value, 3))
    assert text == "group g: generation 3, protocol range, leader m1, 1 member: m1"
    assert fields["generation"] == 3


def test_a_removed_group():
    assert describe(GROUP_KEY, None)[0] == "group g: removed"


@pytest.mark.parametrize("key", [None, b"\x00\x63rest"])
def test_other_kinds_are_shown_as_they_are(key: bytes | None):
    text, fields = describe(key, b"v")
    assert text.startswith("of another kind: key=")
    assert fields["kind"] == "other"


@pytest.mark.parametrize(
    ("key", "value"), [(b"", None), (COMMIT_KEY[:-1], None), (COMMIT_KEY, b"\x00\x63")]
)
def test_what_cannot_be_read_is_an_error(key: bytes, value: bytes | None):
    with pytest.raises(WireError):
        describe(key, value)
