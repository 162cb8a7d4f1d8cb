"""A network in memory: what asyncio's servers and clients are connected by in a simulation.

Bytes arrive in order, after a latency, in other pieces than they were sent in, and only as fast as
their reader takes them: a reader that is slow or stopped makes the writer's transport pause. Routes
between hosts may be slow or cut, in one direction or both; what is under way on a cut route waits,
as TCP would send it again. A machine that loses its power tells nobody: its peers find out when
they send something to its next life.

Counterparts: `loop` calls `listen` and `connect`; `faults` changes the routes.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simulator.loop import CURRENT, Address, Process, ProtocolFactory, SimulatedLoop

SOCKET_BUFFER_BYTES = 64 * 1024
"""What lies in the kernels on both sides before a writer's own buffer grows."""
HIGH_WATER_BYTES = 64 * 1024
FIRST_PORT = 40_000
CONNECT_TIMEOUT_S = 20.0
"""After which a client gives up on a host that does not answer."""

WORLD = contextvars.Context()
"""What the world itself does outlives every process."""

Seen = Callable[[str, str, bytes], None]
"""(sender, receiver, bytes): told of every piece that arrives."""


@dataclass(slots=True)
class Route:
    """From one host to another. Mutable: faults change it."""

    latency_s: tuple[float, float] = (0.000_05, 0.001)
    bytes_per_s: float = 0.0
    """0: as fast as can be."""
    is_cut: bool = False


class FakeSocket:
    """As much of a socket as servers are asked for."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def getsockname(self) -> Address:
        return self._address


class Listener(asyncio.AbstractServer):
    """A bound address. Mutable: it serves, or refuses as a port does that nobody listens on."""

    def __init__(
        self, network: Network, owner: Process, address: Address, factory: ProtocolFactory
    ) -> None:
        self.owner = owner
        self.factory = factory
        self.serving = False
        self.sockets = (FakeSocket(address),)
        self._network = network
        self._address = address

    def close(self) -> None:
        self.serving = False
        self._network.unlisten(self._address, self)

    async def start_serving(self) -> None:
        self.serving = True

    def is_serving(self) -> bool:
        return self.serving

    async def wait_closed(self) -> None:
        pass

    async def serve_forever(self) -> None:
        raise NotImplementedError

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._network.loop


class Endpoint(asyncio.Transport):
    """One side of a connection. Mutable; `owner` is the process that holds it."""

    def __init__(
        self,
        network: Network,
        owner: Process,
        local: Address,
        remote: Address,
        chance: random.Random,
    ) -> None:
        super().__init__({"sockname": local, "peername": remote})
        self.owner = owner
        self.peer: Endpoint
        self.protocol: asyncio.BaseProtocol
        self.is_open = True
        self.unread: deque[bytes] = deque()
        """Arrived, but the reader has paused."""
        self._network = network
        self._local, self._remote = local, remote
        self._chance = chance
        self._out: deque[tuple[float, bytes | None]] = deque()
        """On its way: (due, bytes), None is the end."""
        self._out_bytes = 0
        self._last_due = 0.0
        self._sending = False
        self._reading = True
        self._closing = False
        self._end_error: Exception | None = None
        self._paused_writer = False
        self._high, self._low = HIGH_WATER_BYTES, HIGH_WATER_BYTES // 4

    # --- writing ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not self.is_open:
            return
        sent = bytes(data)
        for at in range(0, len(sent), SOCKET_BUFFER_BYTES):
            self._queue(sent[at : at + SOCKET_BUFFER_BYTES])
        if not self._paused_writer and self.get_write_buffer_size() > self._high:
            self._paused_writer = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        return max(0, self._out_bytes - SOCKET_BUFFER_BYTES)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_WATER_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def can_write_eof(self) -> bool:
        return False

    def _queue(self, data: bytes | None) -> None:
        route = self._network.route(self.owner.host, self.peer.owner.host)
        due = self._network.loop.now + self._chance.uniform(*route.latency_s)
        if data and route.bytes_per_s:
            due = max(due, self._last_due) + len(data) / route.bytes_per_s
        self._last_due = due = max(due, self._last_due)
        self._out.append((due, data))
        self._out_bytes += len(data or b"")
        self.send_on()

    def send_on(self) -> None:
        """See to it that what is on its way arrives, unless its route is cut."""
        if self._sending or not self._out:
            return
        if not self.peer.is_open:
            if self.is_open and self._network.is_up(self.peer.owner.host):
                self._sending = True
                self._network.call_at(self._network.loop.now + 0.001, self.reset)
            return
        route = self._network.route(self.owner.host, self.peer.owner.host)
        if route.is_cut:
            return
        self._sending = True
        # The world carries it: it arrives although its sender may be dead by then.
        self._network.call_at(max(self._out[0][0], self._network.loop.now), self._arrive)

    def _arrive(self) -> None:
        self._sending = False
        if not self._out or not self.peer.is_open:
            return
        if self._network.route(self.owner.host, self.peer.owner.host).is_cut:
            return  # `heal` sends it on
        if self._out[0][1] is not None and not self.peer.takes_more:
            return  # the peer's `resume_reading` sends it on
        _, data = self._out.popleft()
        if data is not None:
            self._out_bytes -= len(data)
            self.peer.receive(data)
            if self._paused_writer and self.get_write_buffer_size() <= self._low:
                self._paused_writer = False
                if self.is_open:
                    self._network.run_as(self.owner, self.protocol.resume_writing)
        else:
            self.peer.ended(self._end_error)
        self.send_on()

    # --- reading ---

    @property
    def takes_more(self) -> bool:
        return sum(map(len, self.unread)) < SOCKET_BUFFER_BYTES

    def receive(self, data: bytes) -> None:
        if self.owner.is_dead:
            return
        self._network.seen(self.peer.owner.name, self.owner.name, data)
        if len(data) > 1 and self._chance.random() < 0.05:
            cut = self._chance.randrange(1, len(data))
            self.unread.extend((data[:cut], data[cut:]))
        else:
            self.unread.append(data)
        if self._reading:
            self._network.run_as(self.owner, self._feed)

    def _feed(self) -> None:
        while self.unread and self._reading and self.is_open:
            data = self.unread.popleft()
            if isinstance(self.protocol, asyncio.BufferedProtocol):
                self._fill(self.protocol, memoryview(data))
            else:
                assert isinstance(self.protocol, asyncio.Protocol)
                self.protocol.data_received(data)

    def _fill(self, protocol: asyncio.BufferedProtocol, data: memoryview) -> None:
        while data and self.is_open and self._reading:
            buffer = memoryview(protocol.get_buffer(len(data)))[: len(data)]
            buffer[:] = data[: len(buffer)]
            protocol.buffer_updated(len(buffer))
            data = data[len(buffer) :]
        if data:
            self.unread.appendleft(bytes(data))

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading and self.is_open:
            self._reading = True
            if self.unread:
                # As a selector would: in another turn.
                self._network.loop.call_soon(self._feed)
            self._network.call_at(self._network.loop.now, self.peer.send_on)

    # --- the end ---

    def is_closing(self) -> bool:
        return self._closing or not self.is_open

    def close(self) -> None:
        """What was written still arrives, then the peer sees the end."""
        if self._closing or not self.is_open:
            return
        self._closing = True
        self._queue(None)
        self._lost(None)

    def abort(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Cut off: what was under way from here is lost; the peer is told, as by an RST."""
        if self.is_open:
            self._out.clear()
            self._out_bytes = 0
            self._end_error = ConnectionResetError(104, "connection reset by peer")
            self._queue(None)
            self._lost(self._end_error)

    def ended(self, error: Exception | None) -> None:
        """The peer is gone."""
        if not self.is_open:
            return
        if error is not None:
            self.unread.clear()
            self._lost(error)
        elif self.unread and not self._reading:
            # It is read first.
            self._network.call_at(self._network.loop.now + 0.001, self.ended, error)
        else:
            self._network.run_as(self.owner, self._end_of_stream)

    def _end_of_stream(self) -> None:
        # No protocol of ours half-closes: the end of reading is the end.
        if isinstance(self.protocol, asyncio.Protocol | asyncio.BufferedProtocol):
            self.protocol.eof_received()
        self._closing = True
        self._lost(None)

    def vanish(self) -> None:
        """The owner lost its power: nobody is told."""
        self.is_open = False
        self._network.forget(self)

    def _lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._network.forget(self)
        if not self.owner.is_dead:
            self._network.call_soon_as(self.owner, self.protocol.connection_lost, error)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol


class Network:
    """All hosts, listeners and connections. Mutable."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random, seen: Seen) -> None:
        self.loop = loop
        self.seen = seen
        self.default_route = Route()
        self._chance = chance
        self._routes: dict[tuple[str, str], Route] = {}
        self._listeners: dict[Address, Listener] = {}
        self._endpoints: dict[Endpoint, None] = {}
        self._next_port = FIRST_PORT
        self._down: set[str] = set()
        loop.network = self

    # --- the loop's side ---

    def listen(
        self, factory: ProtocolFactory, host: str, port: int, *, serving: bool
    ) -> asyncio.AbstractServer:
        if not port:
            port = self._new_port()
        address = (host, port)
        if address in self._listeners:
            raise OSError(98, f"address already in use: {address}")
        listener = Listener(self, CURRENT.get(), address, factory)
        listener.serving = serving
        self._listeners[address] = listener
        return listener

    def unlisten(self, address: Address, listener: Listener) -> None:
        if self._listeners.get(address) is listener:
            del self._listeners[address]

    async def connect(
        self, factory: ProtocolFactory, host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        client = CURRENT.get()
        deadline = self.loop.now + CONNECT_TIMEOUT_S
        while True:
            there, back = self.route(client.host, host), self.route(host, client.host)
            await asyncio.sleep(self._chance.uniform(*there.latency_s) * 2)
            if not (there.is_cut or back.is_cut) and self.is_up(host):
                break
            if self.loop.now > deadline:
                raise TimeoutError(f"connect to {host}:{port}")
            await asyncio.sleep(0.5)  # the SYN is sent again
        listener = self._listeners.get((host, port))
        if listener is None or not listener.serving:
            raise ConnectionRefusedError(111, f"nobody listens on {host}:{port}")
        local = (client.host, self._new_port())
        near = Endpoint(self, client, local, (host, port), self._chance)
        far = Endpoint(self, listener.owner, (host, port), local, self._chance)
        near.peer, far.peer = far, near
        near.protocol, far.protocol = factory(), listener.factory()
        self._endpoints[near] = self._endpoints[far] = None
        self.run_as(listener.owner, far.protocol.connection_made, far)
        near.protocol.connection_made(near)
        return near, near.protocol

    def _new_port(self) -> int:
        self._next_port += 1
        return self._next_port

    # --- for endpoints ---

    def route(self, source: str, target: str) -> Route:
        return self._routes.get((source, target), self.default_route)

    def call_at(self, when: float, callback: Callable[..., None], *args: object) -> None:
        """As the world, which outlives every process."""
        WORLD.run(self.loop.call_at, when, callback, *args)

    def run_as(self, owner: Process, callback: Callable[..., None], *args: object) -> None:
        """Run a callback of a process's protocol: what it plans belongs to that process."""
        if owner.is_dead:
            return
        token = CURRENT.set(owner)
        try:
            callback(*args)
        finally:
            CURRENT.reset(token)

    def call_soon_as(self, owner: Process, callback: Callable[..., None], *args: object) -> None:
        token = CURRENT.set(owner)
        try:
            self.loop.call_soon(callback, *args)
        finally:
            CURRENT.reset(token)

    def forget(self, endpoint: Endpoint) -> None:
        self._endpoints.pop(endpoint, None)

    # --- faults ---

    def change_route(self, source: str, target: str, route: Route) -> None:
        """From now on; what was on its way and held by a cut goes on where the cut is gone."""
        self._routes[source, target] = route
        self._send_on()

    def heal(self) -> None:
        self._routes.clear()
        self._send_on()

    def _send_on(self) -> None:
        for endpoint in list(self._endpoints):
            endpoint.send_on()
            if endpoint.peer not in self._endpoints:
                endpoint.peer.send_on()  # it has closed, and its last bytes are on their way

    def connections(self, host: str) -> list[Endpoint]:
        """The sides of open connections that are at `host`."""
        return [each for each in self._endpoints if each.owner.host == host]

    def kill(self, process: Process) -> None:
        """The process dies: its kernel closes what it had open."""
        for endpoint in self._of(process):
            endpoint.reset()
        self._stop_listening(process)

    def cut_power(self, process: Process) -> None:
        """The machine dies: nobody is told. Who sends to it later is told by its next life."""
        self._down.add(process.host)
        for endpoint in self._of(process):
            endpoint.vanish()
        self._stop_listening(process)

    def is_up(self, host: str) -> bool:
        return host not in self._down

    def power_on(self, host: str) -> None:
        """The machine answers again: to what its former life left open, with a reset."""
        self._down.discard(host)
        self._send_on()

    def _of(self, process: Process) -> list[Endpoint]:
        return [each for each in self._endpoints if each.owner is process]

    def _stop_listening(self, process: Process) -> None:
        for address, listener in list(self._listeners.items()):
            if listener.owner is process:
                del self._listeners[address]
