"""Garbage for the HTTP listener of the same broker, and whether it still tells what it should."""

from __future__ import annotations

import re
import socket
from contextlib import closing, suppress
from random import Random

from tests.fuzz.mutation import Sample, lines, mutated

TIMEOUT_S = 60.0
PLACE = re.compile(r"http +http://([0-9.]+):(\d+)/metrics")
REQUESTS = (
    b"GET /metrics HTTP/1.1\r\nHost: broker\r\nAccept: text/plain\r\nConnection: close\r\n\r\n",
    b"GET /livez HTTP/1.0\r\n\r\n",
    b"HEAD /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
)
SAMPLES: tuple[Sample, ...] = tuple(map(lines, REQUESTS))


def http_address(output: str) -> tuple[str, int]:
    """Where the broker says that it listens."""
    match = PLACE.search(output)
    assert match is not None, output
    return match[1], int(match[2])


def send_garbage(address: tuple[str, int], chance: Random, count: int) -> None:
    """So many requests, each on a connection of its own, read to its end; TimeoutError: a hang."""
    for _ in range(count):
        sample, other = chance.choice(SAMPLES), chance.choice(SAMPLES)
        exchange(address, mutated(sample, other, chance))


def exchange(address: tuple[str, int], data: bytes) -> bytes:
    """What is answered until the end, which sending has as well."""
    answer = bytearray()
    with (
        closing(socket.create_connection(address, timeout=TIMEOUT_S)) as connection,
        suppress(ConnectionResetError, BrokenPipeError),
    ):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(1 << 16):
            answer += piece
    return bytes(answer)


def what_is_wrong(address: tuple[str, int]) -> str | None:
    """Whether it lives and shows its metrics."""
    for path, part in ((b"livez", b"ok"), (b"metrics", b"kbroker_requests")):
        answer = exchange(
            address, b"GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path
        )
        if not answer.startswith(b"HTTP/1.1 200") or part not in answer:
            return f"/{path.decode()} answers {answer[:300]!r}"
    return None
