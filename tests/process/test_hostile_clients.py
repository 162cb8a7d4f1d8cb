"""Clients that send garbage, half a frame or too much, that never read, or that are very many: what
they cost in memory, measured on the real process, and that the others are served meanwhile.

Memory is the process's resident set as the system counts it; the bounds are a few times what the
limits of docs/configs.md add up to, and a small part of what the clients ask for.
"""

import contextlib
import os
import random
import resource
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.process.broker_process import Address, BrokerProcess, running
from tests.process.raw_client import (
    FETCH_VERSION,
    RawClient,
    batch,
    fetch_request,
    produce_request,
)
from wire.frame import request_frame
from wire.messages.api_versions import ApiVersionsRequest
from wire.messages.metadata import MetadataRequest
from wire.messages.produce import ProduceResponse

MIB = 1 << 20
CLIENTS = 200
IDLE_CONNECTIONS = 5000
SPARE_FILES = 300


def resident_bytes(broker: BrokerProcess, field: str = "VmRSS") -> int:
    """Memory of the process now (Linux)."""
    status = Path(f"/proc/{broker.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024


def peak_bytes(broker: BrokerProcess) -> int:
    """The most memory that the process ever had."""
    return resident_bytes(broker, "VmHWM")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    arguments = ("--set", "offsets.topic.num.partitions=1", "--log-level", "error", "--dev")
    with running(tmp_path / "data", *arguments) as process:
        yield process
        assert process.stop() == 0
        assert "Traceback" not in process.errors, process.errors


def assert_served(address: Address) -> None:
    """Somebody who asks as usual is answered."""
    with RawClient(address) as client:
        assert client.produce("orders", 0, batch(b"value")).error_code == 0
        assert client.metadata("orders").topics[0].error_code == 0


def prepared(broker: BrokerProcess) -> int:
    """Make a topic, ask for everything once, and tell how much memory that leaves in use."""
    with RawClient(broker.address) as client:
        client.create_topic("orders")
        client.produce("orders", 0, batch(b"value"))
        client.fetch("orders", 0, 0)
        client.metadata("orders")
    return resident_bytes(broker)


def connected(stack: ExitStack, address: Address) -> socket.socket:
    return stack.enter_context(closing(socket.create_connection(address, timeout=60)))


def wait_until_hung_up(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass


def test_garbage_ends_its_own_connection(broker: BrokerProcess) -> None:
    before = prepared(broker)
    chance = random.Random(1)
    frames = [chance.randbytes(chance.randrange(4, 2000)) for _ in range(CLIENTS)]
    for body in frames[::2]:
        # Half of them with a length that is true, so that what is in the frame is looked at.
        frames[frames.index(body)] = struct.pack(">i", len(body)) + body
    with ExitStack() as stack:
        for frame in frames:
            connection = connected(stack, broker.address)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(frame)
                connection.shutdown(socket.SHUT_WR)
            wait_until_hung_up(connection)
            assert peak_bytes(broker) - before < 16 * MIB
        assert_served(broker.address)


@pytest.mark.parametrize("length", [2**31 - 1, -1, -(2**31), (100 << 20) + 1])
def test_a_length_that_no_request_has_is_hung_up_on(broker: BrokerProcess, length: int) -> None:
    before = prepared(broker)
    with ExitStack() as stack:
        for _ in range(20):
            connection = connected(stack, broker.address)
            connection.sendall(struct.pack(">i", length) + bytes(100))
            wait_until_hung_up(connection)
    assert peak_bytes(broker) - before < 8 * MIB
    assert_served(broker.address)


def test_half_a_frame_costs_what_has_arrived_of_it(broker: BrokerProcess) -> None:
    before = prepared(broker)
    with ExitStack() as stack:
        # Together they announce 20 GB.
        for _ in range(CLIENTS):
            connected(stack, broker.address).sendall(struct.pack(">i", 100 << 20) + bytes(1000))
        assert_served(broker.address)
        assert peak_bytes(broker) - before < 16 * MIB


def test_requests_that_never_end_share_a_budget(tmp_path: Path) -> None:
    budget = ("--set", f"queued.max.request.bytes={16 * MIB}", "--log-level", "error")
    with running(tmp_path / "data", *budget) as broker, ExitStack() as stack:
        before = prepared(broker)
        connections = [connected(stack, broker.address) for _ in range(20)]
        for connection in connections:
            connection.setblocking(False)
            connection.send(struct.pack(">i", 100 << 20))
        flood(connections, 400 * MIB)
        assert_served(broker.address)
        # The budget, and the one request that may go on beyond it, so that somebody finishes.
        assert peak_bytes(broker) - before < 160 * MIB


def flood(connections: list[socket.socket], most_bytes: int) -> None:
    """Send so many bytes, or until nobody takes any more."""
    data = bytes(MIB)
    sent = 0
    while sent < most_bytes:
        _, writable, _ = select.select([], connections, [], 0.5)
        if not writable:
            return
        for connection in writable:
            try:
                sent += connection.send(data)
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):  # it was whole, and no request
                connections.remove(connection)


def test_who_never_reads_what_it_fetches_costs_no_copy_of_it(broker: BrokerProcess) -> None:
    value = random.Random(1).randbytes(900_000)
    with RawClient(broker.address) as client:
        client.create_topic("large")
        for _ in range(64):
            client.send(produce_request("large", 0, batch(value), acks=1), 9)
            for frame in client.read_frames():
                client.decode(ProduceResponse, 9, frame)
    before = prepared(broker)
    request = fetch_request("large", {0: 0}, max_bytes=55 << 20)
    with ExitStack() as stack:
        readers = []
        for _ in range(100):  # they ask for 5.5 GB, and each asks again
            client = stack.enter_context(RawClient(broker.address))
            for _ in range(10):
                client.send(request, FETCH_VERSION)
            readers.append(client)
        for reader in readers:
            select.select([reader], [], [], 60)
        assert_served(broker.address)
        assert peak_bytes(broker) - before < 64 * MIB


def test_who_never_reads_many_answers_is_not_answered_on_and_on(broker: BrokerProcess) -> None:
    with RawClient(broker.address) as client:
        client.create_topic("wide", partitions=300)
    before = prepared(broker)
    frame = b"".join(bytes(part) for part in request_frame(all_topics(), 12, 1, "x"))
    with ExitStack() as stack:
        for _ in range(4):  # 4,000 answers of 10 KB and more
            connection = stack.enter_context(closing(socket.socket()))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(broker.address)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.send(frame * 1000)
        assert_served(broker.address)
        assert peak_bytes(broker) - before < 48 * MIB


def all_topics() -> MetadataRequest:
    return MetadataRequest(topics=None, allow_auto_topic_creation=False)


def test_a_request_of_too_many_entries_is_not_unpacked(broker: BrokerProcess) -> None:
    before = prepared(broker)
    # A Produce of version 9 whose topics are empty: three bytes for each.
    count = 5_000_000
    body = struct.pack(">hhihsb", 0, 9, 1, 1, b"x", 0) + b"\0" + struct.pack(">hi", 1, 1000)
    frame = body + unsigned_varint(count + 1) + b"\1\1\0" * count + b"\0"
    with ExitStack() as stack:
        connection = connected(stack, broker.address)
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        wait_until_hung_up(connection)
        assert_served(broker.address)
        assert peak_bytes(broker) - before < 96 * MIB


def unsigned_varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def test_5000_idle_connections_fit_into_100_mb(broker: BrokerProcess) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE_CONNECTIONS, hard - 2 * SPARE_FILES)
    if count < IDLE_CONNECTIONS:
        pytest.skip(f"the system allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + SPARE_FILES), hard))
    before = prepared(broker)
    frame = b"".join(bytes(part) for part in request_frame(ApiVersionsRequest(), 0, 1, "x"))
    with ExitStack() as stack:
        for _ in range(count):
            connection = connected(stack, broker.address)
            connection.sendall(frame)
            assert connection.recv(65536)
        assert len(os.listdir(f"/proc/{broker.process.pid}/fd")) > count
        assert_served(broker.address)
        assert peak_bytes(broker) - before < 100_000_000
