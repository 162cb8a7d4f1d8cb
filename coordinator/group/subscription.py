"""What a consumer says that it reads: the one thing in a member's metadata that brokers look at.

Kafka's `ConsumerProtocolSubscription`: a version, then topics; later versions only add fields
behind, so the oldest form reads them all. Counterpart: the clients' assignors.
"""

from __future__ import annotations

import struct

_VERSION_AND_COUNT = struct.Struct(">hi")
_LENGTH = struct.Struct(">h")


def subscribed_topics(metadata: bytes) -> frozenset[str] | None:
    """The topics that `metadata` names; None where it is no consumer's subscription."""
    topics = []
    try:
        version, count = _VERSION_AND_COUNT.unpack_from(metadata)
        position = _VERSION_AND_COUNT.size
        # A topic takes two bytes at least: a count beyond that is none.
        if version < 0 or not 0 <= count <= len(metadata) // _LENGTH.size:
            return None
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(metadata, position)
            position += _LENGTH.size
            if length < 0 or position + length > len(metadata):
                return None
            topics.append(metadata[position : position + length].decode())
            position += length
    except (struct.error, UnicodeDecodeError):
        return None
    return frozenset(topics)
