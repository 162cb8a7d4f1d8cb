"""A client in a simulation: our own messages over one asyncio connection, any number in flight."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from wire.errors import WireError
from wire.frame import read_response, request_frame
from wire.records.file_slice import FileSlice
from wire.schema import Request, Response

if TYPE_CHECKING:
    from simulator.probes_clients import ClientProbe

ResponseT = TypeVar("ResponseT", bound=Response)
_LENGTH = struct.Struct(">i")


class Client(Protocol):
    """What workers send their requests to: one connection, or a whole cluster."""

    @property
    def is_open(self) -> bool: ...

    def send(
        self, request: Request, version: int, cls: type[ResponseT], timeout_s: float | None = None
    ) -> asyncio.Future[ResponseT]: ...

    def send_unanswered(self, request: Request, version: int) -> None: ...

    def pause_taking(self) -> None: ...

    def resume_taking(self) -> None: ...

    def close(self) -> None: ...


class ConnectionGoneError(Exception):
    """The broker hung up, could not be reached, or did not answer in time: the outcome of what was
    in flight is unknown."""


@dataclass(slots=True)
class _Waiting:
    correlation_id: int
    version: int
    cls: type[Response]
    done: asyncio.Future[Response]
    timer: asyncio.TimerHandle


class WireClient(asyncio.Protocol):
    """One connection. Mutable; once it is gone, every request ends with ConnectionGoneError."""

    def __init__(self, client_id: str, timeout_s: float, probe: ClientProbe | None) -> None:
        self._is_open = False
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._waiting: deque[_Waiting] = deque()
        self._buffer = bytearray()
        self._sent = 0
        self._probe = probe
        self._loop = asyncio.get_running_loop()

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    def send(
        self, request: Request, version: int, cls: type[ResponseT], timeout_s: float | None = None
    ) -> asyncio.Future[ResponseT]:
        """Send it now; the future is its answer. Answers come in the order of the requests."""
        done: asyncio.Future[ResponseT] = self._loop.create_future()
        if not self.is_open:
            done.set_exception(ConnectionGoneError("closed"))
            done.exception()  # whoever does not wait for it need not hear of it
            return done
        self._sent += 1
        timer = self._loop.call_later(timeout_s or self._timeout_s, self._give_up)
        waiting = cast("asyncio.Future[Response]", done)
        self._waiting.append(_Waiting(self._sent, version, cls, waiting, timer))
        self._write(request, version)
        return done

    def send_unanswered(self, request: Request, version: int) -> None:
        """A Produce with acks=0."""
        if self.is_open:
            self._sent += 1
            self._write(request, version)

    def _write(self, request: Request, version: int) -> None:
        parts = request_frame(request, version, self._sent, self._client_id)
        # Requests hold no parts of files.
        self._transport.write(b"".join(each for each in parts if not isinstance(each, FileSlice)))

    def pause_taking(self) -> None:
        """Take no bytes from now on: what is sent here waits, at last in the broker."""
        if self.is_open:
            self._transport.pause_reading()

    def resume_taking(self) -> None:
        if self.is_open:
            self._transport.resume_reading()

    def close(self) -> None:
        """Give up: nobody waits for an answer any more."""
        if self.is_open:
            self._transport.close()
            self._gone()

    def _give_up(self) -> None:
        if self._probe is not None:
            self._probe.gave_up()
        self.close()

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._is_open = True

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        position = 0
        while len(buffer) >= position + 4:
            (size,) = _LENGTH.unpack_from(buffer, position)
            if len(buffer) < position + 4 + size:
                break
            self._take(bytes(buffer[position + 4 : position + 4 + size]))
            position += 4 + size
        del buffer[:position]

    def _take(self, frame: bytes) -> None:
        if not self._waiting:
            return
        waiting = self._waiting.popleft()
        waiting.timer.cancel()
        try:
            correlation_id, response = read_response(waiting.cls, waiting.version, frame)
        except WireError as error:
            raise AssertionError(f"a malformed answer: {error}") from error
        assert correlation_id == waiting.correlation_id, "answers come in the order of the requests"
        if self._probe is not None:
            self._probe.answered(response)
        if not waiting.done.done():
            waiting.done.set_result(response)

    def connection_lost(self, error: Exception | None) -> None:
        self._gone()

    def _gone(self) -> None:
        self._is_open = False
        waiting, self._waiting = self._waiting, deque()
        if self._probe is not None:
            self._probe.gone(len(waiting))
        for each in waiting:
            each.timer.cancel()
            if not each.done.done():
                each.done.set_exception(ConnectionGoneError("the connection is gone"))
                each.done.exception()  # whoever no longer waits need not hear of it


async def connect(
    address: tuple[str, int],
    client_id: str,
    *,
    timeout_s: float = 10.0,
    probe: ClientProbe | None = None,
) -> WireClient:
    """A new connection; `probe` is told what comes of it. ConnectionGoneError."""
    loop = asyncio.get_running_loop()
    try:
        _, client = await loop.create_connection(
            lambda: WireClient(client_id, timeout_s, probe), address[0], address[1]
        )
    except OSError as error:
        if probe is not None:
            probe.not_reached()
        raise ConnectionGoneError(str(error)) from error
    return client
