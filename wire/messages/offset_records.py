"""Keys and values of the records on __consumer_offsets: no API, but declared the same way.

On the log each is preceded by its version as an int16 (`wire.versioned`). For a key that number
is its type: 0 or 1 an offset, 2 a group.
"""

from __future__ import annotations

from wire.schema import (
    NIL_UUID,
    Struct,
    array,
    binary,
    int32,
    int64,
    string,
    uuid,
)


class OffsetCommitKey(Struct, versions="0-1"):
    """Whose offset: a group's, in one partition. Versions 0 and 1 are alike; 1 is written."""

    group: str = string()
    topic: str = string()
    partition: int = int32()


class OffsetCommitValue(Struct, versions="0-4", flexible="4+"):
    """The committed offset. Kafka 4.3 writes v4, and v1 where a client set an expiry."""

    offset: int = int64()
    leader_epoch: int = int32("3+", default=-1)
    metadata: str = string()
    commit_timestamp: int = int64()
    expire_timestamp: int = int64("1", default=-1)
    topic_id: bytes = uuid("4+", tag=0, default=NIL_UUID)


class GroupMetadataKey(Struct, versions="2"):
    """Which classic group."""

    group: str = string()


class MemberMetadata(Struct):
    """A member of a classic group."""

    member_id: str = string()
    group_instance_id: str | None = string("3+", nullable="3+", default=None)
    client_id: str = string()
    client_host: str = string()
    rebalance_timeout: int = int32("1+", default=-1)
    session_timeout: int = int32()
    subscription: bytes = binary()
    assignment: bytes = binary()


class GroupMetadataValue(Struct, versions="0-4", flexible="4+"):
    """A classic group: its generation, protocol, leader and members."""

    protocol_type: str = string()
    generation: int = int32()
    protocol: str | None = string(nullable="0+")
    leader: str | None = string(nullable="0+")
    current_state_timestamp: int = int64("2+", default=-1)
    members: list[MemberMetadata] = array(MemberMetadata)
