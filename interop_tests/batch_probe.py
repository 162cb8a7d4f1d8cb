"""Reads record batch headers from a broker over a bare socket, written from the protocol's
documentation alone.

Clients hide which codec a stored batch has, who produced it and what kind of timestamp it carries;
this shows them. It shares no code with the broker: Fetch version 4 (the oldest that Kafka 4 serves,
so without topic ids and sessions) and the 61 bytes of a version 2 batch.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

FETCH_KEY = 1
FETCH_VERSION = 4
NOT_LEADER = 6
TIMEOUT_S = 30.0
MAX_BYTES = 16 << 20
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class StoredBatch(NamedTuple):
    """What a batch's header says."""

    base_offset: int
    record_count: int
    codec: str
    has_log_append_time: bool
    producer_id: int
    base_sequence: int
    size_bytes: int


def stored_batches(
    address: str, topic: str, partition: int = 0, offset: int = 0
) -> list[StoredBatch]:
    """Every batch of a partition from `offset` on that fits one fetch of 16 MiB, from its leader.

    `address` may name several brokers, with commas. Raises AssertionError when the broker answers
    an error.
    """
    *others, last = address.split(",")
    for each in others:
        answer = _fetch(each, topic, partition, offset)
        if _error(answer, topic) != NOT_LEADER:
            return _batches(_record_set(answer, topic))
    return _batches(_record_set(_fetch(last, topic, partition, offset), topic))


def _fetch(address: str, topic: str, partition: int, offset: int) -> bytes:
    """The answer, without its size."""
    with _connect(address) as connection:
        connection.sendall(_fetch_request(topic, partition, offset))
        stream = connection.makefile("rb")
        [size] = struct.unpack(">i", stream.read(4))
        return stream.read(size)


def hang_up_amid_answer(address: str, topic: str) -> None:
    """Asks each broker for 16 MiB, reads the beginning of the answer and resets the connection, as
    a client does that ends, or that finds an answer larger than it allows (kafka-python 2 by
    default)."""
    for each in address.split(","):
        with _connect(each) as connection:
            connection.sendall(_fetch_request(topic, 0, 0))
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _connect(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)


def _fetch_request(topic: str, partition: int, offset: int) -> bytes:
    name = topic.encode()
    body = struct.pack(">iiiib", -1, 100, 0, MAX_BYTES, 0)
    body += struct.pack(">ih", 1, len(name)) + name
    body += struct.pack(">iiqi", 1, partition, offset, MAX_BYTES)
    header = struct.pack(">hhih5s", FETCH_KEY, FETCH_VERSION, 1, 5, b"probe")
    return struct.pack(">i", len(header + body)) + header + body


def _error_position(topic: str) -> int:
    """Of the only partition: correlation id and throttle time, topic count and name, partition
    count and number precede."""
    return 4 + 4 + 4 + 2 + len(topic.encode()) + 4 + 4


def _error(answer: bytes, topic: str) -> int:
    [error] = struct.unpack_from(">h", answer, _error_position(topic))
    return int(error)


def _record_set(answer: bytes, topic: str) -> bytes:
    """The records of the only partition."""
    error = _error(answer, topic)
    assert error == 0, f"the fetch was answered with error {error}"
    position = _error_position(topic) + 2 + 8 + 8
    [aborted_count] = struct.unpack_from(">i", answer, position)
    position += 4 + 16 * max(aborted_count, 0)
    [size] = struct.unpack_from(">i", answer, position)
    return answer[position + 4 : position + 4 + size]


def _batches(records: bytes) -> list[StoredBatch]:
    """A cut batch at the end is left out."""
    batches, position = [], 0
    while position + 61 <= len(records):
        base_offset, batch_length = struct.unpack_from(">qi", records, position)
        [magic] = struct.unpack_from(">b", records, position + 16)
        [attributes] = struct.unpack_from(">h", records, position + 21)
        producer_id, _epoch, base_sequence, record_count = struct.unpack_from(
            ">qhii", records, position + 43
        )
        assert magic == 2, f"a batch of magic {magic} at offset {base_offset}"
        if position + 12 + batch_length > len(records):
            break
        batches.append(
            StoredBatch(
                base_offset=base_offset,
                record_count=record_count,
                codec=CODECS[attributes & 7],
                has_log_append_time=bool(attributes & 8),
                producer_id=producer_id,
                base_sequence=base_sequence,
                size_bytes=12 + batch_length,
            )
        )
        position += 12 + batch_length
    return batches
