"""Kafka's 16-byte ids and their text form: base64url without padding (pure).

Topic ids, cluster ids, log directory ids and incarnation ids all look like this in Kafka's tools
and files. Source: `org.apache.kafka.common.Uuid`.
"""

from __future__ import annotations

import base64
from typing import Protocol

ID_SIZE_BYTES = 16
ZERO_ID = bytes(ID_SIZE_BYTES)


class RandomBits(Protocol):
    """What is needed of a `random.Random`."""

    def getrandbits(self, bit_count: int, /) -> int: ...


def topic_id_text(topic_id: bytes) -> str:
    """22 characters, e.g. `PoH9zvkWSv2hJj4Gw8gAYA`."""
    assert len(topic_id) == ID_SIZE_BYTES
    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode("ascii")


def parse_topic_id(text: str) -> bytes:
    """The 16 bytes behind the text. ValueError if it is not the text of an id."""
    try:
        topic_id = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except ValueError as error:
        raise ValueError(f"not an id in Kafka's base64 form: {text!r}") from error
    if len(topic_id) != ID_SIZE_BYTES or topic_id_text(topic_id) != text:
        raise ValueError(f"not an id in Kafka's base64 form: {text!r}")
    return topic_id


def random_id(random: RandomBits) -> bytes:
    """A random version 4 UUID whose text does not start with a dash, as Kafka makes them.

    (A leading dash would look like an option on a command line.)
    """
    while True:
        bits = random.getrandbits(128)
        bits = bits & ~(0xF << 76) | (0x4 << 76)  # version 4
        bits = bits & ~(0x3 << 62) | (0x2 << 62)  # variant of RFC 4122
        new_id = bits.to_bytes(ID_SIZE_BYTES, "big")
        if not topic_id_text(new_id).startswith("-"):
            return new_id
