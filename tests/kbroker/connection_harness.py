"""A connection without a network: a loop that runs when told to, and a transport made of bytes."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence

from kbroker.config.listeners import Listener
from kbroker.connection import Connection, ConnectionLimits
from kbroker.receive_buffer import ReceiveMemory
from wire.records.file_slice import FileSlice

LISTENER = Listener("PLAINTEXT", "127.0.0.1", 9092, "PLAINTEXT")
MOST_CALLBACKS = 100_000


class TurnLoop:
    """The parts of an event loop that connections use, on virtual time. Mutable.

    `run` runs what is ready, in order; executor jobs wait for `run_thread`.
    """

    def __init__(self) -> None:
        self.ready: deque[Callable[[], object]] = deque()
        self.jobs: deque[tuple[asyncio.Future, Callable[[], object]]] = deque()
        self.timers: list[tuple[float, int, Callable[[], object]]] = []
        self.timer_count = 0
        self.now = 1000.0
        # Only makes futures: it is never run.
        self._futures = asyncio.new_event_loop()
        self._futures.call_soon = self.call_soon  # type: ignore[method-assign, assignment]

    def close(self) -> None:
        self._futures.close()

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable, *arguments: object, context: object = None) -> None:
        self.ready.append(lambda: callback(*arguments))

    def call_at(self, when: float, callback: Callable[[], object]) -> object:
        self.timer_count += 1
        self.timers.append((when, self.timer_count, callback))
        return None

    def run_in_executor(self, executor: None, work: Callable, *arguments: object) -> asyncio.Future:
        future = self._futures.create_future()
        self.jobs.append((future, lambda: work(*arguments)))
        return future

    def turn(self) -> None:
        """One turn: what is ready now, not what becomes ready."""
        for _ in range(len(self.ready)):
            self.ready.popleft()()

    def run(self) -> None:
        """Until nothing is ready."""
        for _ in range(MOST_CALLBACKS):
            if not self.ready:
                return
            self.ready.popleft()()
        raise AssertionError("the loop never comes to rest")

    def run_thread(self) -> None:
        """The executor finishes its oldest job."""
        future, work = self.jobs.popleft()
        try:
            result = work()
        except OSError as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        self.run()

    def advance(self, seconds: float) -> None:
        """Time passes; timers ring in order, each at its moment."""
        end = self.now + seconds
        while due := sorted(timer for timer in self.timers if timer[0] <= end):
            when, number, callback = due[0]
            self.timers = [timer for timer in self.timers if timer[:2] != (when, number)]
            self.now = max(self.now, when)
            callback()
            self.run()
        self.now = end


class BytesTransport:
    """An asyncio.Transport whose socket takes `room` bytes and then is full. Mutable.

    Like asyncio's own it calls `pause_writing` and `resume_writing` by its limits, and
    `connection_lost` in a later turn.
    """

    def __init__(self, loop: TurnLoop, connection: Connection, *, room: int | None = None) -> None:
        self.loop = loop
        self.connection = connection
        self.room = room
        self.received = bytearray()  # what the client has
        self.buffered = bytearray()  # what the transport holds back
        self.most_buffered = 0
        self.reading = True
        self.abort_count = 0
        self.closing = False
        self.lost = False
        self._high = 64 * 1024
        self._low = 16 * 1024
        self._writing_paused = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        names = {"sockname": ("127.0.0.1", 9092), "peername": ("127.0.0.9", 50000)}
        return names.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self.buffered)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.abort_count or self.lost:
            return
        self.buffered += data
        self._send()
        self.most_buffered = max(self.most_buffered, len(self.buffered))
        if len(self.buffered) > self._high and not self._writing_paused:
            self._writing_paused = True
            self.connection.pause_writing()

    def drain(self, count: int) -> None:
        """The client reads `count` bytes more."""
        assert self.room is not None
        self.room += count
        self._send()
        if self._writing_paused and len(self.buffered) <= self._low:
            self._writing_paused = False
            self.connection.resume_writing()
        self._maybe_lose()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closing = True
        self.reading = False
        self._maybe_lose()

    def abort(self) -> None:
        self.abort_count += 1
        assert self.abort_count < 100, "the connection is aborted again and again"
        self.closing = True
        self.buffered.clear()
        self._maybe_lose()

    def lose(self, error: Exception | None = None) -> None:
        """The client is gone."""
        if not self.lost:
            self.lost = True
            self.reading = False
            self.loop.call_soon(lambda: self.connection.connection_lost(error))

    def _send(self) -> None:
        count = len(self.buffered) if self.room is None else min(self.room, len(self.buffered))
        self.received += self.buffered[:count]
        del self.buffered[:count]
        if self.room is not None:
            self.room -= count

    def _maybe_lose(self) -> None:
        if self.closing and not self.buffered:
            self.lose()


class Owner:
    """The server as its connections see it. `serve` is called for each frame. Mutable."""

    def __init__(
        self,
        serve: Callable[[memoryview, Connection], None],
        *,
        limits: ConnectionLimits | None = None,
        budget_bytes: int = -1,
        max_frame_bytes: int = 1 << 20,
    ) -> None:
        self.memory = ReceiveMemory(budget_bytes=budget_bytes, max_frame_bytes=max_frame_bytes)
        self.limits = limits or ConnectionLimits()
        self.dispatch = serve
        self.refuses = False
        self.closed_connections: list[Connection] = []
        self.hang_ups: list[str] = []

    def opened(self, connection: Connection) -> bool:
        return not self.refuses

    def closed(self, connection: Connection) -> None:
        self.closed_connections.append(connection)

    def hung_up(self, reason: str) -> None:
        self.hang_ups.append(reason)


class Client:
    """A connection, its transport, and the bytes that a client sends and gets. Mutable."""

    def __init__(self, loop: TurnLoop, owner: Owner, *, room: int | None = None) -> None:
        self.loop = loop
        self.connection = Connection(owner, LISTENER, loop)  # type: ignore[arg-type]
        self.transport = BytesTransport(loop, self.connection, room=room)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self._unsent = b""

    def send(self, *frames: bytes) -> None:
        """Frames without their length; the socket is read for as long as the broker wants."""
        self.send_bytes(framed(frames))

    def send_bytes(self, data: bytes) -> None:
        self._unsent += data
        self.push()

    def push(self) -> None:
        """The socket's readiness: give the connection what it is ready to take."""
        while self._unsent and self.transport.reading and not self.transport.lost:
            target = self.connection.get_buffer(-1)
            count = min(len(target), len(self._unsent))
            assert count, "a socket must never be given an empty buffer"
            target[:count] = self._unsent[:count]
            self._unsent = self._unsent[count:]
            self.connection.buffer_updated(count)

    def settle(self) -> None:
        """Run the loop, and read the socket as long as that changes anything."""
        while True:
            self.loop.run()
            before = len(self._unsent)
            self.push()
            if not self.loop.ready and len(self._unsent) == before:
                return

    @property
    def unread_bytes(self) -> int:
        """Sent, and still in the socket."""
        return len(self._unsent)

    @property
    def answers(self) -> list[bytes]:
        """The whole frames that the client has, without their length."""
        found, position, data = [], 0, bytes(self.transport.received)
        while position + 4 <= len(data):
            (size,) = struct.unpack_from(">i", data, position)
            if position + 4 + size > len(data):
                break
            found.append(data[position + 4 : position + 4 + size])
            position += 4 + size
        return found


class BytesSource:
    """A `SliceSource` in memory that counts its holders. Mutable."""

    def __init__(self, data: bytes, *, cold: bool = False) -> None:
        self.data = data
        self.cold = cold
        self.error: OSError | None = None
        self.holders = 0
        self.read_sizes: list[int] = []

    def slice(self, position: int, size: int) -> FileSlice:
        """As the log makes one: retained."""
        self.retain()
        return FileSlice(self, position, size)

    def fileno(self) -> int | None:
        return None

    def read_at(self, position: int, size: int) -> bytes:
        assert self.holders > 0, "read after the last holder let go"
        if self.error is not None:
            raise self.error
        self.read_sizes.append(size)
        return self.data[position : position + size]

    def read_at_nowait(self, position: int, size: int) -> bytes | None:
        return None if self.cold else self.read_at(position, size)

    def retain(self) -> None:
        self.holders += 1

    def release(self) -> None:
        self.holders -= 1
        assert self.holders >= 0, "released more often than retained"


def framed(frames: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack(">i", len(frame)) + frame for frame in frames)


def answer_parts(text: bytes) -> list:
    """An answer frame as the encoder makes one."""
    return [struct.pack(">i", len(text)) + text]
