"""An asyncio loop in virtual time: no sockets, no threads, no real clock.

Time jumps to the next timer, and creeps a microsecond with every turn, so that who polls a deadline
gets there. Calls for an executor run in line, between two virtual delays. Everything that happens
belongs to a `Process` (a context variable, inherited by tasks and callbacks), so that a whole
process can be ended at once, with all that it had planned.

Counterpart: `network`, which the loop hands connections to.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import socket
from asyncio import base_events
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar, cast

CREEP_S = 1e-6
"""How far the clock goes with every turn of the loop."""

STEPS_AT_ONE_TIME = 200_000
"""So many turns without a timer coming due: somebody spins."""

ResultT = TypeVar("ResultT")

Address = tuple[str, int]
ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class SimulationStuckError(Exception):
    """Nothing is left to happen although somebody waits, or somebody never lets go of the loop."""


class Process:
    """What dies together: one broker's life, or one client. Mutable: `is_dead` is set once."""

    __slots__ = ("host", "is_dead", "name")

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.host = host
        self.is_dead = False

    def __repr__(self) -> str:
        return f"{self.name}@{self.host}"


NOBODY = Process("world", "10.0.0.1")
CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process", default=NOBODY)


class Connector(Protocol):
    """The network, as the loop sees it."""

    def listen(
        self, factory: ProtocolFactory, host: str, port: int, *, serving: bool
    ) -> asyncio.AbstractServer: ...

    async def connect(
        self, factory: ProtocolFactory, host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]: ...


class _Selector:
    """What asyncio waits with: here waiting is a jump of the clock."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._steps = 0

    def select(self, timeout: float | None) -> list[object]:
        self._loop.raise_failure()
        if timeout is None:
            raise SimulationStuckError("nothing is left to happen, and somebody waits")
        if timeout > self._loop.creep_s:
            self._loop.now += timeout
            self._steps = 0
        else:
            self._loop.now += self._loop.creep_s
            self._steps += 1
            if self._steps > STEPS_AT_ONE_TIME:
                raise SimulationStuckError(f"busy without end at {self._loop.now:.3f} s")
        return []


class SimulatedLoop(base_events.BaseEventLoop):
    """Mutable: `now` is the virtual time in seconds. `chance` draws what executor calls take."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.now = 0.0
        self.network: Connector | None = None
        self.creep_s = CREEP_S
        self.executor_delay_s = (0.000_05, 0.005)
        self._chance = chance
        self._selector = _Selector(self)
        self._clock_resolution = 1e-9
        self.slow_callback_duration = 1e9
        self.is_ending = False
        """The run is over; what its tasks raise while they are cancelled is no concern."""
        self._failure: Exception | None = None
        self.set_exception_handler(_callback_raised)

    def time(self) -> float:
        return self.now

    def fail(self, error: Exception) -> None:
        """End the run with this before the loop's next turn, whoever catches what."""
        if self._failure is None and not self.is_ending:
            self._failure = error

    def raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def end_process(self, process: Process) -> None:
        """Nothing happens any more that `process` had planned. Its tasks end first: `cluster`."""
        process.is_dead = True
        planned: Iterable[asyncio.Handle] = [*self._ready, *self._scheduled]  # type: ignore[attr-defined]
        for handle in planned:
            if handle._context.get(CURRENT) is process and not handle.cancelled():  # type: ignore[attr-defined]
                handle.cancel()

    # --- threads: in line ---

    def run_in_executor(
        self, executor: object, func: Callable[..., ResultT], *args: object
    ) -> asyncio.Future[ResultT]:
        """`func` runs between two virtual delays; a cancelled future does not stop it."""
        future: asyncio.Future[ResultT] = self.create_future()
        process = CURRENT.get()

        def work() -> None:
            if process.is_dead:
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - a thread hands on whatever was raised
                self.call_later(self._delay(), _settle, future, None, error)
            else:
                self.call_later(self._delay(), _settle, future, result, None)

        self.call_later(self._delay(), work)
        return future

    def _delay(self) -> float:
        return self._chance.uniform(*self.executor_delay_s)

    # --- the network ---

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: str,
        port: int,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[int, int, int, str, Address]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(port)))]

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: ProtocolFactory,
        host: str | None = None,
        port: int | None = None,
        *,
        start_serving: bool = True,
        backlog: int = 100,
    ) -> asyncio.AbstractServer:
        assert self.network is not None
        return self.network.listen(
            protocol_factory, host or CURRENT.get().host, port or 0, serving=start_serving
        )

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: ProtocolFactory,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        **options: object,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        assert self.network is not None
        assert ssl is None
        assert host is not None
        assert port is not None
        return await self.network.connect(protocol_factory, host, port)

    # --- what asyncio's own loops do with a selector ---

    def _process_events(self, events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        raise SimulationStuckError("a thread spoke to the simulated loop")


def _callback_raised(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What a callback raises would only be logged: here it fails the run. What nobody waits for any
    more, as tasks that were cancelled, is no concern."""
    error, handle = context.get("exception"), context.get("handle")
    if not isinstance(error, Exception) or not isinstance(handle, asyncio.Handle):
        return
    if not handle._context.get(CURRENT, NOBODY).is_dead:  # type: ignore[attr-defined]
        assert isinstance(loop, SimulatedLoop)
        loop.fail(error)


def _settle(
    future: asyncio.Future[ResultT], result: ResultT | None, error: Exception | None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(cast(ResultT, result))
    else:
        future.set_exception(error)
