"""The records of `__consumer_offsets`, in Kafka's own formats, so that Kafka's tools read them.

A key begins with its version, which also tells what kind of record it is (1: a committed offset);
a value begins with its own version. Kafka 4.3 writes values of committed offsets at version 4, or
at 1 where an old client asked for a retention time. Source: Kafka's `OffsetCommitKey.json` and
`OffsetCommitValue.json`.
"""

from __future__ import annotations

from struct import Struct

from coordinator.outcome import CoordinatorRecord
from wire.compiler import decode, encode
from wire.errors import WireError
from wire.messages.offset_records import OffsetCommitKey, OffsetCommitValue

OFFSET_COMMIT_KEY_VERSIONS = (0, 1)
OFFSET_COMMIT_KEY_VERSION = 1
OFFSET_COMMIT_VALUE_VERSION = 4
OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY = 1

_VERSION = Struct(">h")


def offset_commit_record(key: OffsetCommitKey, value: OffsetCommitValue) -> CoordinatorRecord:
    """The record that stores one committed offset."""
    version = (
        OFFSET_COMMIT_VALUE_VERSION
        if value.expire_timestamp == -1
        else OFFSET_COMMIT_VALUE_VERSION_WITH_EXPIRY
    )
    return CoordinatorRecord(
        _with_version(OFFSET_COMMIT_KEY_VERSION, encode(key, OFFSET_COMMIT_KEY_VERSION)),
        _with_version(version, encode(value, version)),
    )


def offset_tombstone(key: OffsetCommitKey) -> CoordinatorRecord:
    """The record that forgets one committed offset."""
    return CoordinatorRecord(
        _with_version(OFFSET_COMMIT_KEY_VERSION, encode(key, OFFSET_COMMIT_KEY_VERSION)), None
    )


def key_version(key: bytes) -> int:
    """The version in front, which is the kind of the record. Raises WireError."""
    if len(key) < _VERSION.size:
        raise WireError("a coordinator record's key without a version")
    return int(_VERSION.unpack_from(key)[0])


def decode_offset_commit_key(key: bytes) -> OffsetCommitKey:
    """Raises WireError."""
    decoded, _ = decode(OffsetCommitKey, key_version(key), memoryview(key), _VERSION.size)
    return decoded


def decode_offset_commit_value(value: bytes) -> OffsetCommitValue:
    """Raises WireError, also for a version from the future."""
    version = key_version(value)
    if version not in OffsetCommitValue.VERSIONS:
        raise WireError(f"a committed offset of version {version}")
    decoded, _ = decode(OffsetCommitValue, version, memoryview(value), _VERSION.size)
    return decoded


def _with_version(version: int, parts: list[object]) -> bytes:
    return b"".join([_VERSION.pack(version), *parts])  # type: ignore[list-item]
