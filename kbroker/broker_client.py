"""Our own messages to another broker over one connection: any number in flight, answers in order.

Everything happens in the loop's callbacks, without a task. Counterparts: `connection` is the other
end, `broker_clients` keeps these by broker. Not here: a second try. Whoever asked knows what may be
asked twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import TypeVar, cast

from wire.errors import WireError
from wire.frame import read_response, request_frame
from wire.records.file_slice import FileSlice
from wire.schema import Request, Response

logger = logging.getLogger(__name__)

ResponseT = TypeVar("ResponseT", bound=Response)

RECEIVE_BYTES = 64 * 1024
"""What is read at once where it is not yet known how much comes."""

MAX_IN_FLIGHT = 10_000
"""Requests without an answer; a broker so far behind is as good as gone."""

_LENGTH = Struct(">i")
_LEAST_FRAME_BYTES = 4  # the correlation id


class ConnectionGoneError(Exception):
    """The broker could not be reached, hung up, or did not answer in time: the outcome of what was
    in flight is unknown."""


class AnswerFrames:
    """Cuts what arrives into frames. Mutable.

    A frame is a view of memory of its own, good for as long as somebody keeps it: one that comes in
    pieces is received where it stays, a whole one is copied out of the small receive buffer.
    """

    __slots__ = ("_filled", "_large", "_max_frame_bytes", "_small", "_view")

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._small = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._small)
        self._large: memoryview | None = None
        self._filled = 0

    def buffer(self) -> memoryview:
        """Where the socket is to write next; never empty."""
        return (self._view if self._large is None else self._large)[self._filled :]

    @property
    def is_amid_one(self) -> bool:
        """Whether a frame has begun to arrive."""
        return self._large is not None or self._filled > 0

    def received(self, count: int) -> list[memoryview]:
        """`count` bytes were written to `buffer()`: the frames that are whole now, without their
        lengths. WireError at a length that no answer has."""
        self._filled += count
        large = self._large
        if large is not None:
            if self._filled < len(large):
                return []
            self._large, self._filled = None, 0
            return [large]
        frames: list[memoryview] = []
        position, end = 0, self._filled
        while end - position >= 4:
            (size,) = _LENGTH.unpack_from(self._small, position)
            if not _LEAST_FRAME_BYTES <= size <= self._max_frame_bytes:
                raise WireError(f"a frame of {size} bytes")
            position += 4
            if end - position < size:
                self._begin_large(size, self._view[position:end])
                return frames
            # Copied: the next bytes overwrite the buffer while the frame may be kept.
            frames.append(memoryview(bytes(self._view[position : position + size])))
            position += size
        self._filled = end - position
        self._small[: self._filled] = self._small[position:end]
        return frames

    def _begin_large(self, size: int, first: memoryview) -> None:
        self._large = memoryview(bytearray(size))
        self._large[: len(first)] = first
        self._filled = len(first)


@dataclass(slots=True)
class _Waiting:
    correlation_id: int
    version: int
    response: type[Response]
    done: asyncio.Future[Response]
    deadline: float


class BrokerClient(asyncio.BufferedProtocol):
    """One connection. Mutable; once it is gone, every request ends with ConnectionGoneError."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        client_id: str,
        timeout_s: float,
        max_frame_bytes: int,
    ) -> None:
        self.is_open = False
        self._loop = loop
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._frames = AnswerFrames(max_frame_bytes)
        self._waiting: deque[_Waiting] = deque()
        self._sent_count = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    @property
    def is_receiving(self) -> bool:
        """Whether an answer has begun to arrive."""
        return self._frames.is_amid_one

    def send(
        self,
        request: Request,
        version: int,
        response: type[ResponseT],
        *,
        timeout_s: float | None = None,
    ) -> asyncio.Future[ResponseT]:
        """Send it now; the future is its answer, or ConnectionGoneError.

        Without an answer after `timeout_s` (the connection's, if None) the connection is closed.
        """
        done: asyncio.Future[ResponseT] = self._loop.create_future()
        if not self.is_open or len(self._waiting) >= MAX_IN_FLIGHT:
            _fail(done, "the connection is closed" if not self.is_open else "too many in flight")
            return done
        self._sent_count = correlation_id = (self._sent_count + 1) & 0x7FFF_FFFF
        parts = request_frame(request, version, correlation_id, self._client_id)
        deadline = self._loop.time() + (self._timeout_s if timeout_s is None else timeout_s)
        waiting = cast("asyncio.Future[Response]", done)
        self._waiting.append(_Waiting(correlation_id, version, response, waiting, deadline))
        if self._timer is None or deadline < self._timer.when():
            self._arm(deadline)
        # Requests hold no parts of files.
        self._transport.write(b"".join(each for each in parts if not isinstance(each, FileSlice)))
        return done

    def close(self) -> None:
        """Hang up at once: nobody waits for an answer any more."""
        if self.is_open:
            self._transport.abort()
            self._gone("closed")

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        if not self.is_open:
            return
        try:
            for frame in self._frames.received(nbytes):
                self._take(frame)
        except WireError as error:
            logger.warning("a broker sent what cannot be read: %s", error)
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._gone("the broker hung up" if error is None else str(error))

    # The machinery.

    def _take(self, frame: memoryview) -> None:
        if not self._waiting:
            raise WireError("an answer that nobody waits for")
        waiting = self._waiting[0]
        correlation_id, response = read_response(waiting.response, waiting.version, frame)
        if correlation_id != waiting.correlation_id:
            raise WireError(f"answer {correlation_id} instead of {waiting.correlation_id}")
        self._waiting.popleft()
        if not waiting.done.done():  # whoever asked may have been cancelled
            waiting.done.set_result(response)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        """One timer for all: it is set again for whoever is due next."""
        self._timer = None
        if not self._waiting:
            return
        earliest = min(waiting.deadline for waiting in self._waiting)
        if earliest > self._loop.time():
            self._arm(earliest)
            return
        self._transport.abort()
        self._gone("no answer in time")

    def _gone(self, reason: str) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            _fail(each.done, reason)


def _fail(done: asyncio.Future[ResponseT], reason: str) -> None:
    if not done.done():
        done.set_exception(ConnectionGoneError(reason))
        done.exception()  # whoever does not wait for it need not hear of it


async def connect(
    host: str, port: int, *, make: Callable[[asyncio.AbstractEventLoop], BrokerClient]
) -> BrokerClient:
    """A new connection; ConnectionGoneError where nobody answers."""
    loop = asyncio.get_running_loop()
    try:
        _, client = await loop.create_connection(lambda: make(loop), host, port)
    except OSError as error:
        raise ConnectionGoneError(f"{host}:{port}: {error}") from error
    return client
