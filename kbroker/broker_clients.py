"""Connections to other brokers, by broker id: made when they are needed, closed when they mislead.

A connection belongs to one life of a broker at one address. Where the metadata says another, it is
closed, and whoever asks next gets a new one. Counterpart: `broker_client`, one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kbroker.broker_client import BrokerClient, ConnectionGoneError, connect
from kbroker.cluster.metadata_image import MetadataImage
from wire.schema import Request, Response

ResponseT = TypeVar("ResponseT", bound=Response)

LEAST_BACKOFF_S = 0.05
MOST_BACKOFF_S = 1.0
"""Between two attempts to reach a broker: twice as long after each that failed."""

FRAME_SLACK_BYTES = 64 * 1024 * 1024
"""What an answer may have beside its largest batch."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one life of a broker listens."""

    host: str
    port: int
    broker_epoch: int


def endpoint_in(image: MetadataImage, broker_id: int, listener: str) -> Endpoint | None:
    """Where the metadata says that `broker_id` listens for brokers; None: nowhere."""
    broker = image.brokers.get(broker_id)
    if broker is None:
        return None
    for each in broker.registration.listeners:
        if each.name == listener:
            return Endpoint(each.host, each.port, broker.broker_epoch)
    return None


class _Line:
    """The way to one broker. Mutable; `attempt` is held by whoever tries to connect."""

    __slots__ = ("attempt", "backoff_s", "client", "endpoint", "failures", "not_before")

    def __init__(self) -> None:
        self.attempt = asyncio.Lock()
        self.client: BrokerClient | None = None
        self.endpoint: Endpoint | None = None
        self.failures = 0
        self.backoff_s = 0.0
        self.not_before = 0.0


class BrokerClients:
    """At most one connection for each broker. Mutable.

    `lookup` says where a broker is now. What is asked by one of these waits for what was asked
    before it: long polls and everything else take two.
    """

    def __init__(
        self,
        lookup: Callable[[int], Endpoint | None],
        *,
        client_id: str,
        timeout_ms: Callable[[], int],
        max_frame_bytes: int,
    ) -> None:
        self._lookup = lookup
        self._client_id = client_id
        self._timeout_ms = timeout_ms
        self._max_frame_bytes = max_frame_bytes
        self._lines: dict[int, _Line] = {}
        self._is_closed = False

    async def client(self, broker_id: int) -> BrokerClient:
        """An open connection. ConnectionGoneError where there is none to be had now."""
        line = self._lines.get(broker_id)
        if line is None:
            line = self._lines[broker_id] = _Line()
        failures = line.failures
        while True:
            client = self._open(broker_id, line)
            if client is not None:
                return client
            async with line.attempt:
                if line.failures != failures:
                    raise ConnectionGoneError(f"broker {broker_id} is not reached")
                if self._open(broker_id, line) is None:
                    await self._connect(broker_id, line)

    async def ask(
        self,
        broker_id: int,
        request: Request,
        version: int,
        response: type[ResponseT],
        *,
        timeout_s: float | None = None,
    ) -> ResponseT:
        """Send it, wait for the answer. ConnectionGoneError: the outcome is unknown."""
        client = await self.client(broker_id)
        return await client.send(request, version, response, timeout_s=timeout_s)

    def endpoints_changed(self) -> None:
        """The metadata of brokers changed: hang up where the other end is not who it was."""
        for broker_id, line in list(self._lines.items()):
            endpoint = self._lookup(broker_id)
            if line.endpoint != endpoint:
                _hang_up(line)
            if endpoint is None and not line.attempt.locked():
                del self._lines[broker_id]

    def close(self) -> None:
        """Hang up everywhere; there are no connections any more."""
        self._is_closed = True
        for line in self._lines.values():
            _hang_up(line)
        self._lines.clear()

    def _open(self, broker_id: int, line: _Line) -> BrokerClient | None:
        if line.client is None or not line.client.is_open:
            return None
        if line.endpoint != self._lookup(broker_id):
            _hang_up(line)
            return None
        return line.client

    async def _connect(self, broker_id: int, line: _Line) -> None:
        loop = asyncio.get_running_loop()
        if self._lookup(broker_id) == line.endpoint:
            await asyncio.sleep(max(0.0, line.not_before - loop.time()))
        else:
            line.backoff_s = 0.0  # another life, or another place: its own chance
        line.endpoint = endpoint = self._lookup(broker_id)
        if endpoint is None or self._is_closed:
            raise ConnectionGoneError(f"nobody knows where broker {broker_id} is")
        try:
            async with asyncio.timeout(self._timeout_ms() / 1000):
                client = await connect(endpoint.host, endpoint.port, make=self._make)
        except (ConnectionGoneError, TimeoutError) as error:
            line.failures += 1
            line.backoff_s = min(MOST_BACKOFF_S, max(LEAST_BACKOFF_S, line.backoff_s * 2))
            line.not_before = loop.time() + line.backoff_s
            raise ConnectionGoneError(f"broker {broker_id} is not reached: {error}") from error
        line.backoff_s = 0.0
        if self._is_closed:
            client.close()
            raise ConnectionGoneError("closed")
        line.client = client

    def _make(self, loop: asyncio.AbstractEventLoop) -> BrokerClient:
        return BrokerClient(
            loop,
            client_id=self._client_id,
            timeout_s=self._timeout_ms() / 1000,
            max_frame_bytes=self._max_frame_bytes,
        )


def _hang_up(line: _Line) -> None:
    if line.client is not None:
        line.client.close()
        line.client = None
