"""Brokers that lose leases, answers and lives at random, on one store: what must hold all along.

Every change of every key is looked at in the store's own order, whoever believes what meanwhile.
Leaders change their ISRs by what they believe, as rule 1 has them compare. Invariants: those of
`simulator/model/invariants.py` that speak of what is stored, and the rules of election.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing, suppress
from dataclasses import replace

import pytest

from kbroker.cluster.keys import KeyKind
from kbroker.cluster.metadata_records import (
    NO_LEADER,
    PartitionRecord,
    decode_admission,
    decode_partition,
    encode_partition,
)
from kbroker.cluster.metadata_store import (
    Delete,
    KeyValue,
    MetadataStoreError,
    Put,
    created_at,
    modified_at,
)
from kbroker.cluster.topic_creation import NewTopic
from tests.kbroker.cluster.cluster_harness import KEYS, Cluster, Node, pass_time, run
from tests.kbroker.cluster.controller_harness import create
from wire.errors import KafkaError

STORM_S = 90.0
CALM_S = 60.0


class Witness:
    """Sees every change, one by one. Mutable: what the store holds, and who led in each epoch."""

    def __init__(self) -> None:
        self.registered: dict[int, int] = {}
        self.admitted: dict[int, int] = {}
        self.records: dict[str, PartitionRecord] = {}
        self.leaders: dict[tuple[str, int], int] = {}
        self.seen: dict[str, int] = {}

    async def watch(self, cluster: Cluster) -> None:
        async with aclosing(cluster.store.watch(KEYS.prefix, 1)) as watch:
            async for batch in watch:
                by_revision: dict[int, list[KeyValue]] = {}
                for event in batch.events:
                    by_revision.setdefault(event.kv.mod_revision, []).append(event.kv)
                for revision in sorted(by_revision):
                    for kv in by_revision[revision]:
                        self.take(kv)

    def count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1

    def take(self, kv: KeyValue) -> None:
        key = KEYS.parse(kv.key)
        assert key is not None
        if key.kind is KeyKind.BROKER:
            if kv.version:
                self.registered[key.broker_id] = kv.create_revision
            else:
                self.registered.pop(key.broker_id, None)
                self.count("lost registrations")
        elif key.kind is KeyKind.ADMISSION and kv.version:
            self.admit(key.broker_id, decode_admission(kv.value).broker_epoch)
        elif key.kind is KeyKind.PARTITION and kv.version:
            self.change(kv.key, decode_partition(kv.value, kv.mod_revision))

    def is_live(self, broker_id: int) -> bool:
        epoch = self.registered.get(broker_id)
        return epoch is not None and self.admitted.get(broker_id) == epoch

    def admit(self, broker_id: int, broker_epoch: int) -> None:
        """`admission`: nothing of the life before is left in any partition."""
        assert self.registered.get(broker_id) == broker_epoch
        if self.admitted.get(broker_id) != broker_epoch:
            self.count("admissions")
            for key, record in self.records.items():
                if broker_id in record.isr:
                    assert record.leader == broker_id, (key, record)
                    assert record.mod_revision > broker_epoch, (key, record)
        self.admitted[broker_id] = broker_epoch

    def change(self, key: str, record: PartitionRecord) -> None:
        before = self.records.get(key)
        self.records[key] = record
        assert not set(record.isr) & set(record.elr)
        assert set(record.isr) | set(record.elr) <= set(record.replicas)
        assert not (record.elr and len(record.isr) >= record.effective_min_isr)
        if record.leader != NO_LEADER:
            assert record.leader in record.isr
            # one_leader
            epoch = key, record.leader_epoch
            assert self.leaders.setdefault(epoch, record.leader) == record.leader
        if before is None:
            return
        assert record.partition_epoch == before.partition_epoch + 1
        raised = record.leader_epoch - before.leader_epoch
        if record.leader != before.leader or raised:
            assert raised == 1
            self.elected(before, record)
        # Who joins the ISR of a leader that stays is admitted in this very life.
        for joined in set(record.isr) - set(before.isr) - {record.leader}:
            assert self.is_live(joined)

    def elected(self, before: PartitionRecord, record: PartitionRecord) -> None:
        if record.leader == NO_LEADER:
            self.count("left without a leader")
            return
        assert record.leader in self.registered
        safe = set(before.isr) | set(before.elr)
        if record.leader not in safe:
            self.count("possible losses")
            # Only when nobody else is left, but for whose admission after a loss this is part of.
            assert record.leader in (before.last_known_leader, before.leader)
            assert not any(self.is_live(each) or each not in self.registered for each in safe)
        elif record.leader in before.elr:
            self.count("elected from the ELR")


class Storm:
    """What happens to the cluster, by chance. Mutable."""

    def __init__(self, cluster: Cluster, chance: random.Random, topics: list[bytes]) -> None:
        self.cluster = cluster
        self.chance = chance
        self.topics = topics
        self.tasks: list[asyncio.Task[None]] = []

    async def rage(self) -> None:
        end = asyncio.get_running_loop().time() + STORM_S
        while asyncio.get_running_loop().time() < end:
            node = self.cluster.nodes[self.chance.choice(sorted(self.cluster.nodes))]
            what = self.chance.choices(
                [self.isr, self.cut, self.lose, self.kill, self.delete, self.stop, self.start],
                [60, 3, 4, 2, 1, 1, 6],
            )[0]
            await what(node)
            await pass_time(self.chance.expovariate(8.0))

    async def isr(self, node: Node) -> None:
        """A leader, as far as it knows, changes the ISR of a partition (rule 1)."""
        image = node.metadata.image
        topic = image.topics.get(self.chance.choice(self.topics))
        epoch = node.membership.broker_epoch
        if topic is None or not epoch or not node.is_running:
            return
        n = self.chance.choice(sorted(topic.partitions))
        record = topic.partitions[n]
        if record.leader != node.node_id:
            return
        others = [each for each in record.replicas if each != node.node_id]
        broker_id = self.chance.choice(others)
        isr = set(record.isr) ^ {broker_id}
        compares = [
            created_at(KEYS.broker(node.node_id), epoch),
            modified_at(KEYS.partition(topic.topic_id, n), record.mod_revision),
        ]
        if broker_id in isr:
            broker = image.brokers.get(broker_id)
            if broker is None or not broker.is_active:
                return
            compares.append(created_at(KEYS.broker(broker_id), broker.broker_epoch))
            compares.append(modified_at(KEYS.admission(broker_id), broker.admission_revision))
        elr = (set(record.elr) | set(record.isr)) - isr
        changed = replace(
            record,
            isr=tuple(each for each in record.replicas if each in isr),
            elr=()
            if len(isr) >= record.effective_min_isr
            else tuple(each for each in record.replicas if each in elr),
            partition_epoch=record.partition_epoch + 1,
        )
        put = Put(KEYS.partition(topic.topic_id, n), encode_partition(changed))
        with suppress(MetadataStoreError):
            await node.client.transact(compares, [put])  # type: ignore[operator]

    async def cut(self, node: Node) -> None:
        node.client.is_cut = True
        self.spawn(self._mend(node, self.chance.uniform(0.1, 20)))

    async def _mend(self, node: Node, after_s: float) -> None:
        await pass_time(after_s)
        node.client.is_cut = False

    async def lose(self, node: Node) -> None:
        node.client.lose_next += 1

    async def kill(self, node: Node) -> None:
        await node.kill()
        if self.chance.random() < 0.2:
            self.cluster.disks.pop(node.node_id, None)

    async def delete(self, node: Node) -> None:
        """An operator does it, or the API that unregisters."""
        await self.cluster.store.transact([], [Delete(KEYS.broker(node.node_id))])

    async def stop(self, node: Node) -> None:
        if node.is_running and node.membership.broker_epoch:
            await node.stop()

    async def start(self, node: Node) -> None:
        if node.is_running:
            return
        fresh = self.cluster.make(node.node_id)
        fresh.lossy = set(self.topics) if self.chance.random() < 0.3 else set()
        prepare(fresh, self.chance)
        self.spawn(self._start(fresh))

    async def _start(self, node: Node) -> None:
        try:
            await node.start()
        except KafkaError:
            await node.kill()  # somebody, if only its own lease, has the id for too long

    def spawn(self, work) -> None:  # type: ignore[no-untyped-def]
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def calm(self) -> None:
        """All is mended, and everybody runs."""
        for node in self.cluster.nodes.values():
            node.client.late = 0.0
            node.client.lose_next = 0
        await asyncio.gather(*self.tasks)
        for node in list(self.cluster.nodes.values()):
            await self.start(node)
        await pass_time(CALM_S)


def prepare(node: Node, chance: random.Random) -> None:
    node.client.chance = random.Random(chance.random())
    node.client.late = 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_storm_breaks_no_rule_and_passes(seed: int) -> None:
    witness = Witness()

    async def scenario(cluster: Cluster) -> None:
        chance = random.Random(seed)
        watching = asyncio.get_running_loop().create_task(witness.watch(cluster))
        nodes = await cluster.start(0, 1, 2, 3)
        topics = [
            (await create(nodes[0].controller, NewTopic(name, partition_count=12))).topic_id
            for name in ("a", "b")
        ]
        for node in nodes:
            prepare(node, chance)
        storm = Storm(cluster, chance, topics)
        await storm.rage()
        await storm.calm()
        assert not watching.done(), watching.exception()
        watching.cancel()
        image = await cluster.read()
        assert [each.is_active for each in image.brokers.values()] == [True] * 4
        offices = [each.node_id for each in cluster.nodes.values() if each.controller.epoch]
        assert offices == [image.controller_id]
        for record in await cluster.records():
            assert record.leader in image.brokers
            assert set(record.isr) <= image.brokers.keys()

    run(scenario, seed)
    assert witness.seen["admissions"] > 4
    assert witness.seen["elected from the ELR"] > 0
