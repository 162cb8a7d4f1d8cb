"""Observability of one broker: the parts put together, and what each path of HTTP answers."""

from __future__ import annotations

import asyncio

from kbroker.config.connection_values import parse_host_and_port
from kbroker.flusher import Flusher
from kbroker.observability.http_listener import Answer, HttpListener, Spawn
from kbroker.observability.loop_watch import LagTimer, LoopTurns
from kbroker.observability.meters import FlushMeter, RequestMeters
from kbroker.observability.metrics import CONTENT_TYPE, Meters, render
from kbroker.observability.readiness import Readiness, write_probe
from kbroker.server import Server
from kbroker.services import Services
from log.file_system import FileSystem

READY, NOT_READY = 200, 503


class Monitoring:
    """Meters, readiness and the HTTP listener of one broker. Mutable."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        server: Server,
        file_system: FileSystem,
        directory: str,
        turns: LoopTurns | None,
        spawn: Spawn,
    ) -> None:
        """`directory` holds the logs; `turns` are those of `loop`, where they can be seen."""
        self.requests = RequestMeters(loop.time)
        self._loop = loop
        self._server = server
        self._meters = Meters(self.requests, LagTimer(loop), turns)
        self._readiness = Readiness(loop, lambda: write_probe(file_system, directory))
        routes = {"/metrics": self._metrics, "/livez": self._livez, "/readyz": self._readyz}
        self.http = HttpListener(loop, routes, spawn)

    async def listen(self, address: str) -> None:
        """Answer from now on: alive, and not ready. OSError where HOST:PORT cannot be had."""
        await self.http.start(*parse_host_and_port(address))
        self._meters.lag.start()

    def measured(self, flusher: Flusher) -> Flusher:
        """The same flusher, with a meter."""
        self._meters.flushes = FlushMeter(flusher, self._loop.time)
        return self._meters.flushes

    def serving(self, services: Services) -> None:
        """The broker takes requests."""
        self._readiness.services = services

    def stopping(self) -> None:
        """The broker takes no new requests."""
        self._readiness.is_stopping = True

    async def close(self) -> None:
        self._meters.lag.stop()
        self.http.close()
        await self._readiness.settle()

    # What is answered.

    async def _livez(self) -> Answer:
        """The loop turns: that this is answered says so."""
        return Answer(READY, b"ok\n")

    async def _readyz(self) -> Answer:
        reasons = await self._readiness.reasons()
        if reasons:
            return Answer(NOT_READY, "".join(f"{reason}\n" for reason in reasons).encode())
        return Answer(READY, b"ok\n")

    async def _metrics(self) -> Answer:
        services = self._readiness.services
        if services is None:
            return Answer(NOT_READY, b"the broker is starting\n")
        ready = not self._readiness.known_reasons()
        body = await render(services, self._server, self._meters, ready=ready)
        return Answer(READY, body, CONTENT_TYPE)
