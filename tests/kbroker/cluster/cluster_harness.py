"""Several brokers' memberships and controllers on one store in memory, in virtual time.

Each broker has a way to the store of its own, which can be cut or made to lose answers. Nothing
replicates: leaders do what a test has them do to the partition records.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace

from kbroker.cluster.controller import Controller
from kbroker.cluster.controller_duties import ControllerDuties
from kbroker.cluster.keys import Keys
from kbroker.cluster.lease_file import LeaseFile
from kbroker.cluster.membership import Membership
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import BrokerRegistration, PartitionRecord, encode_partition
from kbroker.cluster.metadata_store import (
    MetadataStoreError,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
    Watch,
    WatchBatch,
    modified_at,
)
from kbroker.cluster.store_history import StoreRestoredError
from kbroker.cluster.topic_creation import TopicDefaults
from simulator.disk import SimulatedDisk
from simulator.loop import SimulatedLoop
from wire.errors import KafkaError

TTL_MS = 6000
KEYS = Keys("main")


class Client:
    """One broker's way to the store. Mutable: while it `is_cut` nothing gets through, and events
    wait; of `lose_next` transactions the answers are lost. With `chance` each way takes a while,
    events lag, and now and then a transaction arrives after its sender has given up.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.is_cut = False
        self.lose_next = 0
        self.transactions = 0
        self.hold: asyncio.Future[None] | None = None
        self.chance: random.Random | None = None
        self.late = 0.0
        self._under_way: dict[asyncio.Task[object], None] = {}

    def __getattr__(self, name: str) -> object:
        method = getattr(self._store, name)
        if name == "watch":
            return lambda *args: _LaggingWatch(self, method(*args))

        async def call(*args: object) -> object:
            await self.delay(0.005)
            if self.is_cut:
                raise StoreUnavailableError("cut off")
            if name == "transact":
                self.transactions += 1
                if self.chance is not None and self.chance.random() < self.late:
                    task = asyncio.get_running_loop().create_task(self._later(method(*args)))
                    self._under_way[task] = None
                    task.add_done_callback(self._under_way.pop)
                    raise OutcomeUnknownError("it is late")
            result = await method(*args)
            await self.delay(0.005)
            if self.is_cut or (name == "transact" and self.lose_next):
                self.lose_next -= not self.is_cut
                raise OutcomeUnknownError("no answer")
            return result

        return call

    async def _later(self, transaction: Awaitable[object]) -> object:
        """It arrives: applied, or refused, and nobody hears of it."""
        await self.delay(8)
        with contextlib.suppress(MetadataStoreError):
            await transaction
        return None

    async def delay(self, most_s: float) -> None:
        if self.chance is not None:
            await pass_time(self.chance.uniform(0, most_s))


class _LaggingWatch:
    """The store's watch, as it arrives at the other end of a `Client`."""

    def __init__(self, client: Client, watch: Watch) -> None:
        self._client = client
        self._watch = watch

    def __aiter__(self) -> _LaggingWatch:
        return self

    async def __anext__(self) -> WatchBatch:
        batch = await anext(self._watch)
        await self._client.delay(0.05)
        while self._client.is_cut:
            await pass_time(0.1)
        if self._client.hold is not None:
            await self._client.hold
        return batch

    async def aclose(self) -> None:
        await self._watch.aclose()


class Node:
    """One life of a broker's process. Mutable."""

    def __init__(
        self, cluster: Cluster, node_id: int, disk: SimulatedDisk, *, is_shared: bool = True
    ) -> None:
        self.cluster = cluster
        self.node_id = node_id
        self.disk = disk
        self.client = Client(cluster.store)
        self.controller = Controller(
            self.client,  # type: ignore[arg-type]
            "main",
            node_id,
            random.Random(f"{node_id}/{cluster.lives}"),
            defaults=cluster.defaults,
        )
        self.metadata = MetadataCache(self.client, KEYS)  # type: ignore[arg-type]
        self.lossy: set[bytes] = set()
        self.damaged: set[tuple[bytes, int]] = set()
        self.missing: set[tuple[bytes, int]] = set()
        self.unclean = False
        self.is_restored = False
        self.events: list[str] = []
        self.membership = Membership(
            self.controller,
            self.metadata,
            is_shared=is_shared,
            make_registration=lambda incarnation: BrokerRegistration(node_id, incarnation),
            is_lossy=lambda topic_id, partition: (
                topic_id in self.lossy or (topic_id, partition) in self.damaged
            ),
            is_missing=lambda *partition: partition in self.missing,
            lease_file=LeaseFile(disk, "/data/membership-lease"),
            random=random.Random(f"{node_id}/{cluster.lives}/ids"),
            ttl_ms=TTL_MS,
            check_store=self.check_store,
        )
        self.membership.on_lost = lambda: self.events.append("lost")
        self.membership.on_joined = lambda epoch: self.events.append("joined")
        self.membership.on_refused = self.events.append
        self.duties = ControllerDuties(
            self.controller,
            self.metadata,
            self.membership,
            is_unclean_enabled=lambda topic: self.unclean,
            rebalance_interval_s=lambda: cluster.rebalance_interval_s,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def check_store(self) -> None:
        """Asked of a store that may have been replaced; `is_restored` is for tests to set."""
        if self.is_restored:
            raise StoreRestoredError("restored")

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def start(self) -> None:
        """Until it is a member, or killed."""
        starting = asyncio.get_running_loop().create_task(self._start())
        self._tasks.append(starting)
        await asyncio.wait([starting])
        if not starting.cancelled():
            starting.result()

    async def _start(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailableError):
                await self.metadata.load()
                break
            await pass_time(0.5)
        self.spawn(self.metadata.run())
        self.spawn(self.duties.run())
        await self.membership.join()
        self.spawn(self.membership.run())

    @property
    def is_running(self) -> bool:
        return bool(self._tasks)

    async def kill(self) -> None:
        """The process is gone; its lease ends by itself."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for answer in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(answer, Exception) and not isinstance(answer, KafkaError):
                raise answer

    async def stop(self) -> None:
        await self.membership.drain(30)
        await self.kill()
        await self.membership.leave()

    async def settled(self) -> None:
        """Until the image shows what the store holds now."""
        await self.metadata.wait_until((await self.cluster.store.status()).revision)


class Cluster:
    """Mutable: `nodes` are those started here, by id; `disks` outlive them."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.nodes: dict[int, Node] = {}
        self.disks: dict[int, SimulatedDisk] = {}
        self.defaults = TopicDefaults(replication_factor=3, min_isr=2)
        self.rebalance_interval_s = 0.0
        self.lives = 0

    def make(self, node_id: int, *, is_shared: bool = True) -> Node:
        self.lives += 1
        if node_id not in self.disks:
            self.disks[node_id] = SimulatedDisk()
            self.disks[node_id].make_directory("/data")
        self.nodes[node_id] = Node(self, node_id, self.disks[node_id], is_shared=is_shared)
        return self.nodes[node_id]

    async def start(self, *node_ids: int) -> list[Node]:
        nodes = [self.make(each) for each in node_ids]
        for node in nodes:
            await node.start()
        return nodes

    async def read(self) -> MetadataImage:
        image = MetadataImage(KEYS)
        image.replace_with(await self.store.list(KEYS.prefix))
        return image

    async def records(self) -> list[PartitionRecord]:
        """Of all partitions, in the order of ids."""
        image = await self.read()
        return [
            record
            for topic_id in sorted(image.topics)
            for record in image.topics[topic_id].partitions.values()
        ]

    async def change(
        self, topic_id: bytes, partition: int, of: Callable[[PartitionRecord], PartitionRecord]
    ) -> None:
        """As a leader does it, without asking whether it may."""
        record = (await self.read()).topics[topic_id].partitions[partition]
        changed = replace(of(record), partition_epoch=record.partition_epoch + 1)
        key = KEYS.partition(topic_id, partition)
        result = await self.store.transact(
            [modified_at(key, record.mod_revision)], [Put(key, encode_partition(changed))]
        )
        assert result.succeeded

    async def kill_all(self, nodes: Iterable[Node] | None = None) -> None:
        for node in list(nodes or self.nodes.values()):
            await node.kill()


async def pass_time(seconds: float) -> None:
    """In virtual time: all that is due happens."""
    never = asyncio.get_running_loop().create_future()
    await asyncio.wait([never], timeout=seconds)


async def until(condition: Callable[[], Awaitable[bool]], at_most_s: float = 60.0) -> None:
    deadline = asyncio.get_running_loop().time() + at_most_s
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, "it does not happen"
        await pass_time(0.05)


def run(scenario: Callable[[Cluster], Awaitable[None]], seed: int = 1) -> None:
    loop = SimulatedLoop(random.Random(seed))

    async def main() -> None:
        store = MemoryStore(random.Random(seed))
        cluster = Cluster(store)
        try:
            await scenario(cluster)
        finally:
            await cluster.kill_all()
            await store.close()

    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
