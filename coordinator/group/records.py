"""The records of `__consumer_offsets`, in Kafka's own formats, so that Kafka's tools read them.

A key begins with its version, which also tells what kind of record it is (1: a committed offset,
2: a classic group); a value begins with its own version. Kafka 4.3 writes values of committed
offsets at version 4, or at 1 where an old client asked for a retention time, and values of groups
at version 3. Source: Kafka's `OffsetCommitKey.json`, `OffsetCommitValue.json`,
`GroupMetadataKey.json` and `GroupMetadataValue.json`.
"""

from __future__ import annotations

from coordinator.outcome import CoordinatorRecord
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from wire.versioned import decode_versioned, encode_versioned, read_version

OFFSET_COMMIT_KEY_VERSION = 1
VALUE_VERSION = 4
VALUE_VERSION_WITH_EXPIRY = 1
GROUP_METADATA_KEY_VERSION = 2
GROUP_METADATA_VALUE_VERSION = 3


def offset_commit_record(key: OffsetCommitKey, value: OffsetCommitValue) -> CoordinatorRecord:
    """The record that stores one committed offset."""
    version = VALUE_VERSION if value.expire_timestamp == -1 else VALUE_VERSION_WITH_EXPIRY
    return CoordinatorRecord(
        encode_versioned(key, OFFSET_COMMIT_KEY_VERSION), encode_versioned(value, version)
    )


def offset_tombstone(key: OffsetCommitKey) -> CoordinatorRecord:
    """The record that forgets one committed offset."""
    return CoordinatorRecord(encode_versioned(key, OFFSET_COMMIT_KEY_VERSION), None)


def decode_offset_commit_key(key: bytes) -> OffsetCommitKey | None:
    """None for another kind of record. Raises WireError."""
    if read_version(key) not in OffsetCommitKey.VERSIONS:
        return None
    return decode_versioned(OffsetCommitKey, key)


def decode_offset_commit_value(value: bytes) -> OffsetCommitValue:
    """Raises WireError, also for a version from the future."""
    return decode_versioned(OffsetCommitValue, value)


def group_metadata_record(group_id: str, value: GroupMetadataValue) -> CoordinatorRecord:
    """The record that stores a classic group."""
    key = GroupMetadataKey(group=group_id)
    return CoordinatorRecord(
        encode_versioned(key, GROUP_METADATA_KEY_VERSION),
        encode_versioned(value, GROUP_METADATA_VALUE_VERSION),
    )


def group_tombstone(group_id: str) -> CoordinatorRecord:
    """The record that forgets a classic group."""
    key = GroupMetadataKey(group=group_id)
    return CoordinatorRecord(encode_versioned(key, GROUP_METADATA_KEY_VERSION), None)


def decode_group_metadata_key(key: bytes) -> GroupMetadataKey | None:
    """None for another kind of record. Raises WireError."""
    if read_version(key) not in GroupMetadataKey.VERSIONS:
        return None
    return decode_versioned(GroupMetadataKey, key)


def decode_group_metadata_value(value: bytes) -> GroupMetadataValue:
    """Raises WireError, also for a version from the future."""
    return decode_versioned(GroupMetadataValue, value)
