"""The range assignor of our own group members, in the form in which consumers write it down.

`ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`, version 0, as Kafka defines them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from simulator.workload.requests import Partition, by_topic

PROTOCOL_TYPE = "consumer"
PROTOCOL_NAME = "range"
_HEAD = struct.Struct(">hi")
_LENGTH = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_NO_USER_DATA = _INT32.pack(-1)


def encode_subscription(topics: Sequence[str]) -> bytes:
    names = b"".join(_LENGTH.pack(len(name)) + name.encode() for name in sorted(topics))
    return _HEAD.pack(0, len(topics)) + names + _NO_USER_DATA


def encode_assignment(partitions: Sequence[Partition]) -> bytes:
    topics = by_topic(sorted(partitions))
    parts = [_HEAD.pack(0, len(topics))]
    for name, indexes in topics.items():
        parts.append(_LENGTH.pack(len(name)) + name.encode() + _INT32.pack(len(indexes)))
        parts += [_INT32.pack(index) for index in indexes]
    return b"".join(parts) + _NO_USER_DATA


def decode_assignment(data: bytes) -> list[Partition]:
    """Nothing for a member that the leader forgot."""
    if not data:
        return []
    partitions: list[Partition] = []
    _, topic_count = _HEAD.unpack_from(data)
    position = _HEAD.size
    for _ in range(topic_count):
        (length,) = _LENGTH.unpack_from(data, position)
        name = data[position + 2 : position + 2 + length].decode()
        position += 2 + length
        (count,) = _INT32.unpack_from(data, position)
        position += 4
        for _ in range(count):
            partitions.append((name, _INT32.unpack_from(data, position)[0]))
            position += 4
    return partitions


def assign_ranges(members: Sequence[str], counts: Mapping[str, int]) -> dict[str, list[Partition]]:
    """Of each topic consecutive partitions to each member, the first ones get one more."""
    assigned: dict[str, list[Partition]] = {member: [] for member in sorted(members)}
    for topic, count in sorted(counts.items()):
        each, more = divmod(count, len(assigned))
        start = 0
        for place, partitions in enumerate(assigned.values()):
            end = start + each + (place < more)
            partitions += [(topic, index) for index in range(start, end)]
            start = end
    return assigned
