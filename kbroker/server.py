"""The listeners of one broker and the connections that clients made to them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.listeners import Listener
from kbroker.connection import Connection, ConnectionLimits
from kbroker.receive_buffer import ReceiveMemory

logger = logging.getLogger(__name__)


DRAIN_TIMEOUT_S = 3
"""How long a stop waits for clients that are slow to take their answers."""


Dispatch = Callable[[memoryview, Connection], None]


class Server:
    """Accepts connections; owns the memory that they receive into."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        config: BrokerConfig,
        max_connections: int,
    ) -> None:
        self.memory = ReceiveMemory(
            budget_bytes=config.queued_max_request_bytes,
            max_frame_bytes=config.socket_request_max_bytes,
        )
        self.limits = ConnectionLimits(
            slots=config.kbroker_connection_slots,
            turn_requests=config.kbroker_turn_requests,
            turn_bytes=config.kbroker_turn_bytes,
        )
        self.connections: dict[Connection, None] = {}
        self.bound: list[tuple[Listener, str, int]] = []
        self._loop = loop
        self._max_connections = min(config.max_connections, max_connections)
        self._backlog = config.socket_listen_backlog_size
        self.dispatch: Dispatch = _refuse  # until `serve`
        self._servers: list[asyncio.Server] = []
        self._all_closed: asyncio.Future[None] | None = None

    async def bind(self, listeners: Iterable[Listener]) -> None:
        """Take every address, without serving anybody yet; OSError when one cannot be had."""
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
        if len(self.connections) >= self._max_connections:
            logger.warning("more than max.connections=%d: refused one", self._max_connections)
            return False
        self.connections[connection] = None
        return True

    def closed(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        if self._all_closed is not None and not self.connections and not self._all_closed.done():
            self._all_closed.set_result(None)

    def close_idle(self) -> None:
        """Hang up on connections that sent nothing since the last call and wait for nothing."""
        for connection in list(self.connections):
            if connection.is_closing:
                connection.abort()  # it had a whole interval to take its answers
            elif not connection.active and not connection.waiting:
                connection.close()
            connection.active = False

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
