"""The listeners of one broker and the connections that clients made to them.

Counterparts: `connection_quotas` says who may connect, `connection` is one client's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from kbroker.config.listeners import Listener
from kbroker.config.running_config import RunningConfig
from kbroker.connection import Connection, ConnectionLimits
from kbroker.connection_quotas import ConnectionQuotas
from kbroker.receive_buffer import ReceiveMemory

logger = logging.getLogger(__name__)


DRAIN_TIMEOUT_S = 3
"""How long a stop waits for clients that are slow to take their answers."""


IDLE_LOOKS = 16
"""A connection that so many looks in a row found idle is closed: late by one look at most."""

HANG_UPS = ("idle", "malformed", "too_large", "unsupported")
"""Why the broker closes connections."""

CONNECTIONS_AT_ONCE = 1000
"""Looked at in one turn of the loop."""

Dispatch = Callable[[memoryview, Connection], None]


class Server:
    """Accepts connections; owns the memory that they receive into."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        running_config: RunningConfig,
        max_connections: int,
    ) -> None:
        config = running_config.now
        self.quotas = ConnectionQuotas(lambda: running_config.now, system_limit=max_connections)
        self.hung_up_counts = dict.fromkeys(HANG_UPS, 0)
        self.memory = ReceiveMemory(
            budget_bytes=config.queued_max_request_bytes,
            max_frame_bytes=config.socket_request_max_bytes,
        )
        self.limits = ConnectionLimits(
            slots=config.kbroker_connection_slots,
            held_bytes=config.kbroker_connection_bytes,
            turn_requests=config.kbroker_turn_requests,
            turn_bytes=config.kbroker_turn_bytes,
        )
        self.connections: dict[Connection, None] = {}
        self.bound: list[tuple[Listener, str, int]] = []
        self._loop = loop
        self._backlog = config.socket_listen_backlog_size
        self.dispatch: Dispatch = _refuse  # until `serve`
        self._servers: list[asyncio.Server] = []
        self._all_closed: asyncio.Future[None] | None = None

    async def bind(self, listeners: Iterable[Listener]) -> None:
        """Take every address, without serving anybody yet; OSError when one cannot be had."""
        await self.quotas.resolve(self._loop)
        for listener in listeners:
            server = await self._loop.create_server(
                lambda listener=listener: Connection(self, listener, self._loop),
                # Several sockets could not share a port that the system picks.
                listener.host or (None if listener.port else "0.0.0.0"),
                listener.port,
                backlog=self._backlog,
                start_serving=False,
            )
            self._servers.append(server)
            sockets = server.sockets
            host, port = sockets[0].getsockname()[:2] if sockets else ("", listener.port)
            self.bound.append((listener, listener.host or str(host), int(port)))

    async def serve(self, dispatch: Dispatch) -> None:
        """Accept clients; their requests go to `dispatch`."""
        self.dispatch = dispatch
        for server in self._servers:
            await server.start_serving()

    def opened(self, connection: Connection) -> bool:
        if not self.quotas.admit(connection.peer_address[0]):
            return False
        self.connections[connection] = None
        return True

    def closed(self, connection: Connection) -> None:
        if connection in self.connections:
            del self.connections[connection]
            self.quotas.release(connection.peer_address[0])
        if self._all_closed is not None and not self.connections and not self._all_closed.done():
            self._all_closed.set_result(None)

    def hung_up(self, reason: str) -> None:
        self.hung_up_counts[reason] += 1

    async def look_after_connections(self) -> None:
        """One look of IDLE_LOOKS in the time that a connection may be idle."""
        await self.quotas.resolve(self._loop)
        connections = list(self.connections)
        for start in range(0, len(connections), CONNECTIONS_AT_ONCE):
            for connection in connections[start : start + CONNECTIONS_AT_ONCE]:
                self._look_after(connection)
            await asyncio.sleep(0)

    def _look_after(self, connection: Connection) -> None:
        """Hang up where nothing was sent, taken or waited for all the time."""
        if connection.active or (connection.waiting and not connection.is_closing):
            connection.active = False
            connection.idle_looks = 0
            return
        connection.idle_looks += 1
        if connection.idle_looks < IDLE_LOOKS:
            return
        connection.idle_looks = 0
        if connection.is_closing:
            connection.abort()  # it had the time once more to take its answers
        else:
            logger.info("%s:%d was idle: closed", *connection.peer_address)
            connection.hang_up("idle")

    async def drain(self) -> None:
        """Accept nobody and start nothing more; hang up on each client once it has its answers."""
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.finish()
        if self.connections:
            self._all_closed = self._loop.create_future()
            await asyncio.wait([self._all_closed], timeout=DRAIN_TIMEOUT_S)

    async def close(self) -> None:
        """Hang up on everyone."""
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.abort()
        # One turn, so that the transports report their end.
        await asyncio.sleep(0)


def _refuse(frame: memoryview, connection: Connection) -> None:
    """A request before `serve`: an address that is bound is not yet listened on."""
    connection.close()
