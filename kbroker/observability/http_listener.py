"""A small HTTP/1.1 server in the broker's own loop: a few paths, each answered with a short text.

The protocol is h11's; here are the sockets and the limits. Bounded against clients that are slow,
many or talk too much: so many connections, so much of a head, so long for a request and for taking
its answer, one answer at a time. Deliberately not here: TLS, authentication, bodies of requests,
compression. Counterpart: `monitoring`, which says what is answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import NamedTuple, cast

import h11

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 32
MAX_HEAD_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024
"""Of a request, where nobody reads it."""

IDLE_TIMEOUT_S = 60.0
"""How long a connection may wait for its next request to come, whole."""

TAKE_TIMEOUT_S = 10.0
"""How long a client may be about taking an answer."""

PLAIN = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str = PLAIN


Route = Callable[[], Awaitable[Answer]]
Spawn = Callable[[Coroutine[None, None, None], str], object]


class HttpListener:
    """Serves `routes`, which are paths without a query."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, routes: Mapping[str, Route], spawn: Spawn
    ) -> None:
        self.routes = routes
        self.loop = loop
        self.spawn = spawn
        self.connections: dict[HttpConnection, None] = {}
        self.address = ("", 0)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; OSError when the address cannot be had."""
        self._server = await self.loop.create_server(lambda: HttpConnection(self), host, port)
        found = self._server.sockets[0].getsockname()
        self.address = (str(found[0]), int(found[1]))

    def make_room(self) -> bool:
        """Whether one more may come. Who has kept the listener waiting longest makes room, so that
        idle and slow clients do not keep probes out."""
        if len(self.connections) < MAX_CONNECTIONS:
            return True
        for connection in self.connections:
            if not connection.is_busy:
                del self.connections[connection]
                connection.abort()
                return True
        return False

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()


class HttpConnection(asyncio.Protocol):
    """One client. Mutable; everything happens in the loop's callbacks but for the route itself."""

    def __init__(self, listener: HttpListener) -> None:
        self._listener = listener
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._request: h11.Request | None = None
        self._body_bytes = 0
        self.is_busy = False  # an answer is being made, or taken
        self._writing_paused = False
        self._timer: asyncio.TimerHandle | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        if not self._listener.make_room():
            self._transport.abort()
            return
        self._listener.connections[self] = None
        self._arm(IDLE_TIMEOUT_S)

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.connections.pop(self, None)
        self._disarm()

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._proceed()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self.is_busy and self._http.our_state is not h11.SEND_BODY:
            self._taken()

    def abort(self) -> None:
        self._transport.abort()

    # The machinery.

    def _proceed(self) -> None:
        """Take up what has arrived, up to the end of one request."""
        while not self.is_busy and not self._transport.is_closing():
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint)
                return
            if event is h11.NEED_DATA:
                return
            if isinstance(event, h11.Request):
                self._request = event
                self._body_bytes = 0
            elif isinstance(event, h11.Data):
                self._body_bytes += len(event.data)
                if self._body_bytes > MAX_BODY_BYTES:
                    self._refuse(413)
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._begin()
            else:  # the client closed, or h11 waits for the answer to leave
                if isinstance(event, h11.ConnectionClosed):
                    self._transport.close()
                return

    def _begin(self) -> None:
        request = self._request
        assert request is not None, "a request's end follows its head"
        self.is_busy = True
        self._transport.pause_reading()
        self._arm(TAKE_TIMEOUT_S)
        path = request.target.decode("ascii", "replace").partition("?")[0]
        route = self._listener.routes.get(path)
        if route is None:
            paths = " ".join(self._listener.routes)
            self._send(Answer(404, f"here are {paths}\n".encode()))
        elif request.method not in (b"GET", b"HEAD"):
            self._send(Answer(405, b"GET or HEAD\n"))
        else:
            self._listener.spawn(self._answer(route), f"http {path}")

    async def _answer(self, route: Route) -> None:
        answer = Answer(500, b"it failed; the broker's log says why\n")
        try:
            answer = await route()
        finally:
            if not self._transport.is_closing():
                self._send(answer)

    def _send(self, answer: Answer) -> None:
        request = self._request
        is_head = request is not None and request.method == b"HEAD"
        head = h11.Response(
            status_code=answer.status,
            headers=[
                ("Content-Type", answer.content_type),
                ("Content-Length", str(len(answer.body))),
                ("Cache-Control", "no-store"),
                *([("Allow", "GET, HEAD")] if answer.status == 405 else []),
            ],
        )
        data = self._http.send(head) or b""
        if not is_head:
            data += self._http.send(h11.Data(data=answer.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._transport.write(data)
        if not self._writing_paused:
            self._taken()

    def _taken(self) -> None:
        """The client has the whole answer: hang up, or go on with its next request."""
        self.is_busy = False
        self._request = None
        if self._http.our_state is h11.MUST_CLOSE or self._http.their_state is not h11.DONE:
            self._transport.close()
            return
        self._http.start_next_cycle()
        if self in self._listener.connections:
            del self._listener.connections[self]
            self._listener.connections[self] = None  # behind all that have waited for longer
        self._arm(IDLE_TIMEOUT_S)
        self._transport.resume_reading()
        self._listener.loop.call_soon(self._proceed)

    def _refuse(self, status: int) -> None:
        """What was sent is no request of ours: say so where that is possible, and hang up."""
        self.is_busy = True
        self._arm(TAKE_TIMEOUT_S)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = b"this is no request that is served here\n"
            head = h11.Response(
                status_code=status,
                headers=[("Content-Length", str(len(body))), ("Connection", "close")],
            )
            data = self._http.send(head) or b""
            data += self._http.send(h11.Data(data=body)) or b""
            data += self._http.send(h11.EndOfMessage()) or b""
            self._transport.write(data)
        self._transport.close()

    def _arm(self, seconds: float) -> None:
        """Hang up unless the next step comes in time."""
        self._disarm()
        self._timer = self._listener.loop.call_later(seconds, self._transport.abort)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
