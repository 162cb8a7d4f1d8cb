"""A whole broker in this process: simulated disk and metadata, real loopback, time on demand."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kbroker.broker import Broker
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import MetadataStore
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.sources import Setting, resolve
from kbroker.dependencies import Dependencies
from kbroker.flusher import Flusher, FlushResults, Syncable
from kbroker.tasks import TaskSupervisor
from log.file_system import FileSystem
from simulator.disk import SimulatedDisk
from wire.frame import read_response, request_frame
from wire.messages import MESSAGES
from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.records.batch import build_batch, iterate_batches
from wire.records.record import Record, iterate_records
from wire.schema import Request, Response

NOW = 1_700_000_000_000
STEPS = 20_000


class MovableLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, whose clock a test can push forward."""

    def __init__(self) -> None:
        self.skew = 0.0
        super().__init__()

    def time(self) -> float:
        return super().time() + self.skew

    def advance(self, seconds: float) -> None:
        """Timers due by then ring in the next turns."""
        self.skew += seconds


def run(scenario: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run a scenario to its end in a loop of its own."""
    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        runner.run(scenario())


class FixedClock:
    """A wall clock that stands still. Mutable."""

    def __init__(self) -> None:
        self.time_ms = NOW

    def now_ms(self) -> int:
        return self.time_ms


class LoopFlusher:
    """Flushes in the next turn of the loop, or when `held` ends. Mutable."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.held = False
        self._loop = loop
        self._waiting: list[tuple[Sequence[Syncable], Callable[[FlushResults], None]]] = []

    def submit(self, tickets: Sequence[Syncable], done: Callable[[FlushResults], None]) -> None:
        self._waiting.append((tickets, done))
        if not self.held:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for tickets, done in waiting:
            done([_sync(ticket) for ticket in tickets])

    def close(self) -> None:
        self.flush()


def _sync(ticket: Syncable) -> OSError | None:
    try:
        ticket.sync()
    except OSError as error:
        return error
    return None


@dataclass(slots=True)
class World:
    """What outlives a broker: disk, metadata, clock. Mutable; `flusher` is the running one's.

    `shares`: other brokers are on the same store.
    """

    file_system: FileSystem = field(default_factory=SimulatedDisk)
    store: MemoryStore = field(default_factory=lambda: MemoryStore(random.Random(1)))
    clock: FixedClock = field(default_factory=FixedClock)
    chance: random.Random = field(default_factory=lambda: random.Random(2))
    flusher: LoopFlusher | None = None
    shares: bool = False

    def dependencies(self) -> Dependencies:
        async def open_store(path: str) -> MetadataStore:
            return Unclosed(self.store, is_shared=self.shares)  # type: ignore[return-value]

        def make_flusher(name: str) -> Flusher:
            self.flusher = LoopFlusher(asyncio.get_running_loop())
            return self.flusher

        return Dependencies(
            clock=self.clock,
            random=self.chance,
            file_system=self.file_system,
            make_flusher=make_flusher,
            open_store=open_store,
        )


class Unclosed:
    """A store that the next broker opens again."""

    def __init__(self, store: MemoryStore, *, is_shared: bool = False) -> None:
        self.is_shared = is_shared
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def close(self) -> None:
        pass


def config_of(settings: Mapping[str, str]) -> BrokerConfig:
    defaults = {
        "log.dirs": "/data",
        "listeners": "PLAINTEXT://127.0.0.1:0",
        "offsets.topic.num.partitions": "3",
    }
    layer = [Setting(key, text, "test") for key, text in {**defaults, **settings}.items()]
    return resolve([layer]).config


@dataclass(slots=True)
class Running:
    """A broker that serves. Mutable."""

    broker: Broker
    world: World
    port: int
    loop: MovableLoop

    @property
    def disk(self) -> SimulatedDisk:
        assert isinstance(self.world.file_system, SimulatedDisk)
        return self.world.file_system

    @property
    def flusher(self) -> LoopFlusher:
        assert self.world.flusher is not None
        return self.world.flusher

    async def client(self) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Client(reader, writer)

    async def until(self, true: Callable[[], bool]) -> None:
        """Let the loop run until something holds."""
        for _ in range(STEPS):
            if true():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came to hold")


@asynccontextmanager
async def running(world: World | None = None, **settings: str) -> AsyncIterator[Running]:
    """A broker that has started, and stops at the end."""
    world = world or World()
    texts = {key.replace("_", "."): text for key, text in settings.items()}
    broker = Broker(config_of(texts), world.dependencies())
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    async with asyncio.TaskGroup() as group:
        tasks = TaskSupervisor(group, on_fatal=broker.request_stop)
        try:
            await broker.start(tasks)
            await asyncio.sleep(0)  # so that every task has begun before it may be cancelled
            yield Running(broker, world, broker.server.bound[0][2], loop)
        finally:
            tasks.cancel_all()
            await broker.stop()


class Client:
    """A connection that speaks raw requests. Mutable."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._last_id = 0
        self._asked: list[tuple[int, type[Response], int]] = []

    def send(self, request: Request, version: int) -> None:
        """Send without waiting for the answer."""
        self._last_id += 1
        parts = request_frame(request, version, self._last_id, "test")
        self.writer.write(b"".join(bytes(part) for part in parts))  # type: ignore[arg-type]
        _, response = MESSAGES[request.API_KEY]
        self._asked.append((self._last_id, response, version))

    def send_unanswered(self, request: Request, version: int) -> None:
        self.send(request, version)
        self._asked.pop()

    async def receive(self) -> Response:
        """The next answer, which must be that of the oldest request without one."""
        correlation_id, response, version = self._asked.pop(0)
        (size,) = struct.unpack(">i", await self.reader.readexactly(4))
        found, answer = read_response(response, version, await self.reader.readexactly(size))
        assert found == correlation_id, "answers come in the order of the requests"
        return answer

    async def ask(self, request: Request, version: int) -> Response:
        self.send(request, version)
        return await self.receive()

    async def create(
        self, name: str, *, partitions: int = 1, replicas: int = 1, **configs: str
    ) -> bytes:
        """Create a topic; its id."""
        answer = await self.ask(
            CreateTopicsRequest(
                topics=[
                    CreatableTopic(
                        name=name,
                        num_partitions=partitions,
                        replication_factor=replicas,
                        assignments=[],
                        configs=[
                            CreatableTopicConfig(name=key.replace("_", "."), value=value)
                            for key, value in configs.items()
                        ],
                    )
                ]
            ),
            7,
        )
        assert isinstance(answer, CreateTopicsResponse)
        (topic,) = answer.topics
        assert topic.error_code == 0, topic.error_message
        return topic.topic_id

    def close(self) -> None:
        self.writer.close()

    async def is_closed(self) -> bool:
        """Whether the broker hangs up without a further answer."""
        return await self.reader.read(1) == b""


def batch_of(*values: bytes, **options: int) -> memoryview:
    """One batch as a producer sends it."""
    records = [Record(index, NOW, None, value, ()) for index, value in enumerate(values)]
    return memoryview(build_batch(records, **options))  # type: ignore[arg-type]


def values_in(records: object) -> list[bytes | None]:
    """The values of the whole batches in a fetched record set."""
    data = memoryview(bytes(records or b""))  # type: ignore[call-overload]
    return [
        record.value
        for position, _ in iterate_batches(data)
        for record in iterate_records(data, position, max_decompressed_bytes=1 << 24)
    ]


Scenario = Callable[[Running, Client], Awaitable[None]]


def with_broker(scenario: Scenario, **settings: str) -> None:
    """Run a scenario with a fresh broker and one client."""

    async def whole() -> None:
        async with running(**settings) as broker:
            client = await broker.client()
            await scenario(broker, client)
            client.close()

    run(whole)
