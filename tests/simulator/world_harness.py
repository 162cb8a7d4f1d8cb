"""A small world with one broker for tests of what acts in it: no workers, and faults by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from kbroker.replication.partition import Partition
from simulator.client import WireClient, connect
from simulator.clock import EPOCH_MS
from simulator.cluster import Machine
from simulator.faults import Fault
from simulator.faults.kinds import KINDS
from simulator.faults.nemesis import Nemesis
from simulator.invariants import StateWatch
from simulator.loop import SimulatedLoop
from simulator.network import Network
from simulator.options import chance_of
from simulator.plan import Plan
from simulator.probes import Probes
from simulator.probes_log import reading_log
from simulator.world import World
from wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from wire.records.batch import build_batch
from wire.records.record import Record

TOPIC = "t"
SETTINGS = {
    "offsets.topic.num.partitions": "1",
    "log.index.interval.bytes": "0",
    "log.index.size.max.bytes": "48",
}


class Stage:
    """What a scene acts on. Mutable."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watch = StateWatch(world)
        self.probes = Probes(world)
        self.nemesis = Nemesis(world, self.probes, self.watch)
        self.sequence = 0

    @property
    def partition(self) -> Partition:
        broker = self.world.machine.broker
        assert broker is not None
        return broker.replicas.partition(TOPIC, 0)

    def saw(self, name: str) -> int:
        return self.world.situations.counts[name]

    def fault(self, kind: str, strength: float = 0.5, number: int = 0) -> None:
        KINDS[kind](self.nemesis, Fault(number, 0.0, kind, strength))

    async def wait(self, seconds: float) -> None:
        """Virtual ones."""
        loop = self.world.loop
        over: asyncio.Future[None] = loop.create_future()
        loop.call_later(seconds, over.set_result, None)
        await over

    async def client(self) -> WireClient:
        return await connect(self.world.machine.address, "tester")

    async def create_topic(self) -> None:
        client = await self.client()
        topic = CreatableTopic(
            name=TOPIC, num_partitions=1, replication_factor=-1, assignments=[], configs=[]
        )
        request = CreateTopicsRequest(topics=[topic], timeout_ms=60_000)
        answer = await client.send(request, 7, CreateTopicsResponse)
        assert answer.topics[0].error_code == 0
        client.close()

    def send(self, client: WireClient, size: int = 100) -> asyncio.Future[ProduceResponse]:
        """One batch of an idempotent producer."""
        record = Record(offset=0, timestamp_ms=EPOCH_MS, key=None, value=b"v" * size)
        data = build_batch([record], producer_id=7, producer_epoch=0, base_sequence=self.sequence)
        self.sequence += 1
        partition = PartitionProduceData(index=0, records=memoryview(data))
        topic = TopicProduceData(name=TOPIC, partition_data=[partition])
        request = ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[topic])
        return client.send(request, 9, ProduceResponse)

    async def produce(self, count: int = 5) -> None:
        client = await self.client()
        for _ in range(count):
            answer = await self.send(client)
            assert answer.responses[0].partition_responses[0].error_code == 0
        client.close()

    async def serve(self) -> None:
        """Until the broker serves again."""
        await self.nemesis.heal()


def play(scene: Callable[[Stage], Awaitable[None]], **options: object) -> Stage:
    """Run a scene against a broker that has started; whatever it raises comes out."""
    plan = Plan.draw(1)
    plan = replace(plan, faults=(), options=replace(plan.options, flush_messages=1, **options))  # type: ignore[arg-type]
    loop = SimulatedLoop(chance_of(1, "executor"))
    network = Network(loop, chance_of(1, "network"), lambda sender, receiver, data: None)
    machine = Machine(loop, network, node_id=1, settings=SETTINGS, chance=chance_of(1, "machine"))
    world = World(plan, loop, network, machine)
    stage = Stage(world)

    async def main() -> None:
        await world.start_broker()
        await scene(stage)
        await stage.wait(0.001)  # a failed look ends the loop's turn

    asyncio.set_event_loop(loop)
    try:
        with reading_log(world):
            loop.run_until_complete(main())
            loop.raise_failure()
    finally:
        _end(loop)
    return stage


def _end(loop: SimulatedLoop) -> None:
    loop.is_ending = True
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=1))
    asyncio.set_event_loop(None)
    loop.close()
