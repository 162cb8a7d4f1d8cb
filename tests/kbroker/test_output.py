"""The way out: parts in order, slices as fast as the client reads, files closed when done."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.output import INLINE_SLICE_BYTES, OutputQueue
from log.file_system import OsFileSystem
from tests.kbroker.connection_harness import BytesSource, BytesTransport, TurnLoop
from wire.records.file_slice import FileSlice

DATA = bytes(range(256)) * 4096  # 1 MiB


class Way:
    """An `OutputQueue` between a transport and nothing; it stands for the connection. Mutable."""

    def __init__(self, loop: TurnLoop, *, room: int | None = None) -> None:
        self.drained_count = 0
        self.lost = False
        self.loop = loop
        self.transport = BytesTransport(loop, self, room=room)  # type: ignore[arg-type]
        self.queue = self.queue_on(self.transport)

    def queue_on(self, transport: BytesTransport) -> OutputQueue:
        return OutputQueue(
            transport,  # type: ignore[arg-type]
            self.loop,  # type: ignore[arg-type]
            on_drained=self.drained,
        )

    def drained(self) -> None:
        self.drained_count += 1

    def pause_writing(self) -> None:
        self.queue.pause()

    def resume_writing(self) -> None:
        self.queue.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.queue.abandon()

    def send(self, *parts: object) -> None:
        self.queue.put(list(parts))  # type: ignore[arg-type]
        self.queue.drain()
        self.loop.run()

    def read_all(self, count: int) -> bytes:
        """The client reads, `count` bytes at a time, until nothing comes any more."""
        while self.transport.buffered or self.loop.jobs:
            if self.loop.jobs:
                self.loop.run_thread()
            self.transport.drain(count)
            self.loop.run()
        return bytes(self.transport.received)


@pytest.fixture
def loop() -> Iterator[TurnLoop]:
    made = TurnLoop()
    yield made
    made.close()


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(
        st.tuples(
            st.booleans(), st.sampled_from([1, 100, INLINE_SLICE_BYTES, 65_537, 200_000, 500_000])
        ),
        max_size=8,
    ),
    step=st.sampled_from([30_000, 65_536, 300_000]),
    cold=st.booleans(),
)
def test_the_client_gets_the_bytes_in_order_however_it_reads(sizes, step: int, cold: bool) -> None:
    loop = TurnLoop()
    way = Way(loop, room=0)
    source = BytesSource(DATA, cold=cold)
    parts: list[object] = []
    expected = b""
    for number, (is_slice, size) in enumerate(sizes):
        piece = DATA[number * 1000 : number * 1000 + size]
        parts.append(source.slice(number * 1000, size) if is_slice else piece)
        expected += piece
    way.send(*parts)
    assert way.read_all(step) == expected
    assert source.holders == 0
    assert not way.queue.congested
    loop.close()


def test_small_parts_leave_in_one_write(loop) -> None:
    way = Way(loop)
    writes = []
    way.transport.write = writes.append  # type: ignore[method-assign]
    source = BytesSource(DATA)
    way.send(b"one", source.slice(0, 10), b"two", memoryview(b"three"))
    assert [bytes(each) for each in writes] == [b"one" + DATA[:10] + b"twothree"]
    assert source.holders == 0


def test_a_slow_client_costs_a_chunk_not_the_slice(loop) -> None:
    way = Way(loop, room=0)
    source = BytesSource(DATA * 8)
    way.send(b"head", source.slice(0, 8 << 20))
    assert way.queue.congested
    assert way.transport.most_buffered <= 256 * 1024
    assert way.read_all(50_000) == b"head" + DATA * 8
    assert way.transport.most_buffered <= 256 * 1024
    assert source.holders == 0
    assert way.drained_count > 0


def test_a_slow_client_of_an_answer_from_many_partitions_costs_no_copy_of_it(loop) -> None:
    way = Way(loop, room=0)
    source = BytesSource(DATA)
    way.send(*[source.slice(0, 60_000) for _ in range(500)])
    assert way.transport.most_buffered <= 1024 * 1024


# --- cold reads ---


@pytest.mark.parametrize("size", [100, 300_000, 3_000_000])
def test_what_is_not_in_the_page_cache_is_read_in_a_thread(loop, size: int) -> None:
    way = Way(loop)
    source = BytesSource(DATA * 3, cold=True)
    way.send(b"head", source.slice(0, size), b"tail")
    assert bytes(way.transport.received) == b"head"
    assert source.read_sizes == [], "the loop has read from the disk"
    assert way.queue.congested
    while loop.jobs:
        loop.run_thread()
    assert bytes(way.transport.received) == b"head" + (DATA * 3)[:size] + b"tail"
    assert source.holders == 0
    assert way.drained_count > 0


def test_a_file_stays_open_while_a_thread_reads_it(loop) -> None:
    way = Way(loop)
    source = BytesSource(DATA, cold=True)
    way.send(source.slice(0, 1000))
    way.transport.lose()
    loop.run()
    assert source.holders == 1, "the thread's own"
    loop.run_thread()
    assert source.holders == 0
    assert bytes(way.transport.received) == b""


def test_a_cold_read_that_fails_ends_the_connection(loop) -> None:
    way = Way(loop)
    source = BytesSource(DATA, cold=True)
    source.error = OSError(errno.EIO, "no such sector")
    way.send(source.slice(0, 1000))
    loop.run_thread()
    assert way.lost
    assert source.holders == 0


# --- a file that is shorter than promised ---


def test_a_small_slice_past_the_end_of_its_file_ends_the_connection(loop) -> None:
    way = Way(loop)
    source = BytesSource(b"short")
    way.send(b"head", source.slice(0, 100))
    assert way.lost
    assert source.holders == 0
    assert bytes(way.transport.received) in (b"", b"head")


def test_a_large_slice_past_the_end_of_its_file_ends_the_connection(loop) -> None:
    way = Way(loop)
    source = BytesSource(b"x" * 100_000)
    way.send(b"head", source.slice(0, 200_000))
    assert way.lost
    assert source.holders == 0


def test_a_cold_slice_past_the_end_of_its_file_ends_the_connection(loop) -> None:
    way = Way(loop)
    source = BytesSource(b"x" * 1000, cold=True)
    way.send(source.slice(0, 2000))
    while loop.jobs and not way.lost:
        loop.run_thread()
    while loop.jobs:
        loop.run_thread()
    assert way.lost
    assert source.holders == 0


# --- sendfile ---


class SocketTransport(BytesTransport):
    """A transport that shows its socket: slices are sent from the file to it."""

    def __init__(self, *arguments, sock: socket.socket, **options) -> None:
        self.sock = sock
        super().__init__(*arguments, **options)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.sock if name == "socket" else super().get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.abort_count == 0:
            self.buffered += data
            self.flush_socket()
            if len(self.buffered) > self._high and not self._writing_paused:
                self._writing_paused = True
                self.connection.pause_writing()

    def flush_socket(self) -> None:
        with contextlib.suppress(BlockingIOError):
            del self.buffered[: self.sock.send(self.buffered)]
        if self._writing_paused and len(self.buffered) <= self._low:
            self._writing_paused = False
            self.connection.resume_writing()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def way_on(sock: socket.socket, loop: TurnLoop) -> tuple[Way, SocketTransport]:
    way = Way(loop)
    transport = SocketTransport(loop, way, sock=sock)
    way.transport = transport
    way.queue = way.queue_on(transport)
    return way, transport


@pytest.fixture
def segment(tmp_path):
    file = OsFileSystem().open(str(tmp_path / "segment.log"), create=True)
    file.append(DATA * 4)
    yield file
    file.close()


def test_slices_go_from_the_file_to_the_socket(loop, ends, segment) -> None:
    ours, theirs = ends
    way, transport = way_on(ours, loop)
    segment.retain()
    way.send(b"head", FileSlice(segment, 1000, 3_000_000), b"tail")
    got = bytearray()
    while len(got) < 3_000_008:
        with contextlib.suppress(BlockingIOError):
            got += theirs.recv(1 << 16)
        transport.flush_socket()
        loop.run()
    assert bytes(got) == b"head" + (DATA * 4)[1000:3_001_000] + b"tail"


def test_a_client_that_hung_up_in_the_middle_of_a_slice_ends_the_connection(
    loop, ends, segment
) -> None:
    ours, theirs = ends
    way, _ = way_on(ours, loop)
    theirs.close()
    segment.retain()
    way.send(FileSlice(segment, 0, 1_000_000))
    assert way.lost


def test_a_segment_that_was_cut_while_it_was_sent_ends_the_connection(loop, ends, tmp_path) -> None:
    ours, _ = ends
    path = str(tmp_path / "cut.log")
    file = OsFileSystem().open(path, create=True)
    file.append(b"x" * 70_000)
    os.truncate(path, 10)
    way, _ = way_on(ours, loop)
    file.retain()
    way.send(FileSlice(file, 0, 70_000))
    file.close()
    while loop.jobs and not way.lost:
        loop.run_thread()
    assert way.lost
