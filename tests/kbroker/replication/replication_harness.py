"""A few brokers' replicas in one virtual world: real connections, handler and fetchers, simulated
network, disks and flushers. The test is the controller: it says who leads."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from kbroker.broker_clients import BrokerClients, Endpoint
from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.listeners import Listener
from kbroker.config.running_config import RunningConfig
from kbroker.config.sources import Setting, resolve
from kbroker.dispatch import Dispatcher
from kbroker.flusher import FlushScheduler
from kbroker.replication.fetch_session import FetchSessions
from kbroker.replication.fetchers import Fetchers
from kbroker.replication.partition import Partition
from kbroker.server import Server
from kbroker.watch import Deadlines
from log.log_config import LogConfig
from log.partition_log import PartitionLog
from simulator.cluster import UNWINDING_TURNS
from simulator.disk import SimulatedDisk
from simulator.flusher import SimulatedFlusher
from simulator.loop import CURRENT, Process, SimulatedLoop
from simulator.network import WORLD, Network
from tests.kbroker.passing_time import pass_time
from tests.log.log_harness import NOW, batch
from wire.errors import ErrorCode, KafkaError

TOPIC_ID = b"\7" * 16
PORT = 9093
INTERNAL = Listener("REPLICATION", "", PORT, "PLAINTEXT")


class FixedClock:
    def now_ms(self) -> int:
        return NOW


class Replicas:
    """What the handler asks for partitions."""

    def __init__(self) -> None:
        self.partitions: dict[int, Partition] = {}

    def partition_by_id(self, topic_id: bytes, index: int) -> Partition:
        if topic_id != TOPIC_ID or index not in self.partitions:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
        return self.partitions[index]


@dataclass
class Joins:
    """Who would join an in-sync replica set. Mutable."""

    noted: list[Partition]

    def note(self, partition: Partition) -> None:
        self.noted.append(partition)


class Node:
    """One broker's replicas. Mutable; `life` counts its starts, and is its broker epoch."""

    def __init__(self, cluster: Cluster, node_id: int) -> None:
        self.cluster = cluster
        self.id = node_id
        self.host = f"10.0.1.{node_id}"
        self.disk = SimulatedDisk()
        self.life = 0
        self.is_up = False
        self.high_watermarks: dict[int, int] = {}
        self.log_starts: dict[int, int] = {}
        self.storage_errors: list[OSError] = []
        self.joins = Joins([])
        self.known: dict[int, PartitionRecord] = {}
        """The records that this node has heard of."""
        self.broker_epoch_told: int | None = None

    def __getitem__(self, index: int) -> Partition:
        return self.services.replicas.partitions[index]

    async def start(self) -> None:
        cluster, loop = self.cluster, self.cluster.loop
        self.life += 1
        self.broker_epoch_told = self.life * 100
        self.process = Process(f"node-{self.id}.{self.life}", self.host)
        token = CURRENT.set(self.process)
        try:
            cluster.network.power_on(self.host)
            self.disk.open_files.clear()
            self.flusher = SimulatedFlusher(loop, cluster.chance)
            self.flushes = FlushScheduler(
                self.flusher, call_soon=loop.call_soon, on_error=self.storage_errors.append
            )
            self.services = Services(self)
            self.server = Server(
                loop=loop, running_config=RunningConfig(cluster.config), max_connections=100
            )
            dispatcher = Dispatcher(self.services, spawn=self._spawn, abort=self._abort)  # type: ignore[arg-type]
            await self.server.bind([replace(INTERNAL, host=self.host)])
            await self.server.serve(dispatcher.dispatch)
            self.clients = BrokerClients(
                cluster.endpoint,
                client_id=f"node-{self.id}",
                timeout_ms=lambda: cluster.config.request_timeout_ms,
                max_frame_bytes=64 << 20,
            )
            self.tasks: list[asyncio.Task[None]] = []
            self.fetchers = Fetchers(
                node_id=self.id,
                clients=self.clients,
                spawn=self._spawn,
                config=lambda: cluster.config,
                clock=FixedClock(),
                broker_epoch=lambda: self.broker_epoch_told,
                storage_failed=self.storage_errors.append,
            )
            self.is_up = True
            for index in sorted(self.known):
                self._open(index)
        finally:
            CURRENT.reset(token)

    def hear(self, index: int, record: PartitionRecord) -> None:
        """The metadata reach this node."""
        self.known[index] = record
        if not self.is_up:
            return
        token = CURRENT.set(self.process)
        try:
            if index not in self.services.replicas.partitions:
                self._open(index)
            else:
                self[index].apply(record)
                self.fetchers.follow(self[index])
        finally:
            CURRENT.reset(token)

    def _open(self, index: int) -> None:
        log = PartitionLog.open(
            self.disk,
            f"data/t-{index}",
            topic="t",
            partition=index,
            topic_id=TOPIC_ID,
            config=self.cluster.log_config,
            recovery_point=0,
            log_start_offset=self.log_starts.get(index, 0),
            high_watermark=self.high_watermarks.get(index, 0),
            clean=False,
            now_ms=NOW,
        )
        partition = Partition(
            topic="t",
            index=index,
            node_id=self.id,
            record=self.known[index],
            log=log,
            high_watermark=self.high_watermarks.get(index, 0),
            arm_flush=self.flushes.arm,
        )
        self.services.replicas.partitions[index] = partition
        self.fetchers.follow(partition)

    def checkpoint(self) -> None:
        """What a broker writes every second."""
        for index, partition in self.services.replicas.partitions.items():
            self.high_watermarks[index] = partition.high_watermark
            self.log_starts[index] = partition.log.log_start_offset

    def append(self, index: int, *values: bytes) -> int:
        """As a producer with acks=all does; the offset behind. KafkaError."""
        token = CURRENT.set(self.process)
        try:
            result = self[index].append_as_leader(batch(*values), now_ms=NOW, required_acks=-1)
        finally:
            CURRENT.reset(token)
        return result.last_offset + 1

    def kill(self, *, power: bool = False) -> None:
        """The process dies; with the power goes what was not flushed."""
        self.is_up = False
        self.process.is_dead = True
        self.fetchers.close()
        for task in self.tasks:
            task.cancel()
        if power:
            self.cluster.network.cut_power(self.process)
            self.disk = self.disk.crash(self.cluster.chance)
        else:
            self.cluster.network.kill(self.process)
            self.disk = self.disk.kill()
        self._end_process(self.process, UNWINDING_TURNS)

    def _end_process(self, process: Process, turns: int) -> None:
        """Its tasks unwind; what is still planned after that never happens."""
        if turns:
            WORLD.run(self.cluster.loop.call_soon, self._end_process, process, turns - 1)
        else:
            self.cluster.loop.end_process(process)

    def _spawn(self, work, name: str) -> asyncio.Task[None]:
        task = self.cluster.loop.create_task(work, name=name)
        self.tasks.append(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.cluster.loop.fail(task.exception())  # type: ignore[arg-type]

    def _abort(self) -> None:
        raise AssertionError("the broker would have ended")


class Services:
    """As much of `kbroker.services` as a Fetch asks for."""

    def __init__(self, node: Node) -> None:
        self.config = node.cluster.config
        self.replicas = Replicas()
        self.clock = FixedClock()
        self.deadlines = Deadlines(node.cluster.loop)
        self.fetch_sessions = FetchSessions(
            max_sessions=node.cluster.max_sessions, random=node.cluster.chance
        )
        self.storage_failed = node.storage_errors.append
        self.internal_listener = INTERNAL.name
        self.isr_changes = node.joins


class Cluster:
    """The nodes, and the records that say who leads. Mutable."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random, count: int = 2) -> None:
        self.loop = loop
        self.chance = chance
        self.network = Network(loop, chance, self._seen)
        self.bytes_seen = 0
        self._bytes_left: int | None = None
        loop.network = self.network
        self.log_config = LogConfig(flush_messages=1)
        self.max_sessions = 100
        self.config = config_of()
        self.records: dict[int, PartitionRecord] = {}
        self.nodes = {node_id: Node(self, node_id) for node_id in range(1, count + 1)}

    def __getitem__(self, node_id: int) -> Node:
        return self.nodes[node_id]

    def endpoint(self, node_id: int) -> Endpoint | None:
        node = self.nodes[node_id]
        return Endpoint(node.host, PORT, node.life)

    def set_config(self, **settings: str) -> None:
        self.config = config_of(**settings)

    async def start(self, *indexes: int, leader: int = 1) -> None:
        """Start every node, with these partitions on all of them."""
        for node in self.nodes.values():
            await node.start()
        self.lead(leader, indexes or (0,))

    def lead(
        self, leader: int, indexes: Iterable[int] = (0,), *, tell: Iterable[int] | None = None
    ) -> None:
        """Elect; `tell` says which nodes hear of it at once (all, if None)."""
        for index in indexes:
            everyone = tuple(self.nodes)
            former = self.records.get(index)
            record = PartitionRecord(
                replicas=everyone,
                leader=leader,
                leader_epoch=0 if former is None else former.leader_epoch + 1,
                isr=everyone,
                partition_epoch=0 if former is None else former.partition_epoch + 1,
                mod_revision=1 if former is None else former.mod_revision + 1,
            )
            self.records[index] = record
            for node_id in everyone if tell is None else tell:
                self.nodes[node_id].hear(index, record)

    def lead_is_heard(self, node_id: int, index: int = 0) -> None:
        """The newest record reaches a node."""
        self[node_id].hear(index, self.records[index])

    def cut_after(self, count: int) -> None:
        """Reset the connections between the nodes once as many bytes more have arrived."""
        self._bytes_left = count

    def _seen(self, sender: str, receiver: str, data: bytes) -> None:
        self.bytes_seen += len(data)
        if self._bytes_left is not None:
            self._bytes_left -= len(data)
            if self._bytes_left <= 0:
                self._bytes_left = None
                for node in self.nodes.values():
                    for endpoint in self.network.connections(node.host):
                        endpoint.reset()

    async def until(self, true: Callable[[], bool], *, within_s: float = 60.0) -> float:
        """Wait until something holds; how long that took, in virtual seconds."""
        begun = self.loop.time()
        while not true():
            assert self.loop.time() - begun < within_s, "it never came to hold"
            await pass_time(0.000_5)
        return self.loop.time() - begun

    async def until_equal(self, index: int = 0, *, within_s: float = 60.0) -> float:
        """Wait until every log that is up is the leader's, durable and committed to its end."""
        leader = self[self.records[index].leader][index]

        def are_equal() -> bool:
            end = leader.log.log_end_offset
            return all(
                node[index].log.log_end_offset == node[index].high_watermark == end
                and node[index].durable_end_offset == end
                for node in self.nodes.values()
                if node.is_up
            )

        took = await self.until(are_equal, within_s=within_s)
        up = [node[index] for node in self.nodes.values() if node.is_up]
        start = max(each.log.log_start_offset for each in up)
        assert len({bytes_of(each, start) for each in up}) == 1, "byte for byte"
        return took


def config_of(**settings: str) -> BrokerConfig:
    return resolve(
        [[Setting(key.replace("_", "."), text, "test") for key, text in settings.items()]]
    ).config


def bytes_of(partition: Partition, start: int = 0, end: int | None = None) -> bytes:
    """The batches from `start` on, as they lie in the log."""
    log = partition.log
    end = log.log_end_offset if end is None else end
    found = bytearray()
    offset = max(start, log.log_start_offset)
    while offset < end:
        piece = log.read(offset, max_bytes=1 << 20, upper_bound_offset=end)
        if piece is None:
            break
        data = piece.source.read_at(piece.position, len(piece))
        piece.release()
        position = 0
        while position < len(data):
            size = 12 + int.from_bytes(data[position + 8 : position + 12], "big")
            if position + size > len(data):
                break
            base = int.from_bytes(data[position : position + 8], "big")
            offset = base + int.from_bytes(data[position + 23 : position + 27], "big") + 1
            found += data[position : position + size]
            position += size
    return bytes(found)


def play(scenario: Callable[[Cluster], Awaitable[None]], *, count: int = 2, seed: int = 1) -> None:
    """Run a scenario in virtual time."""
    chance = random.Random(seed)
    loop = SimulatedLoop(random.Random(seed))
    cluster = Cluster(loop, chance, count)

    async def run() -> None:
        await scenario(cluster)

    try:
        loop.run_until_complete(run())
        loop.raise_failure()
    finally:
        loop.is_ending = True
        for node in cluster.nodes.values():
            if node.is_up:
                node.kill()
        for _ in range(UNWINDING_TURNS + 2):
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
