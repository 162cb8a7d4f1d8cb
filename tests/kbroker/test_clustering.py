"""Several brokers on one metadata store, over TCP: one cluster to its clients."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_records import PartitionRecord
from tests.kbroker.broker_harness import Client, Running, World, run, running, values_in
from tests.kbroker.handlers.admin_requests import delete_records
from tests.kbroker.handlers.requests import Target, fetch, metadata, produce
from wire.errors import ErrorCode
from wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.messages.delete_records import DeleteRecordsResponse
from wire.messages.fetch import FetchResponse, ReplicaState
from wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from wire.messages.metadata import MetadataResponse
from wire.messages.produce import ProduceResponse

IDS = (1, 2, 3)


@dataclass
class Cluster:
    """Brokers by id, each with a disk of its own. Mutable."""

    brokers: dict[int, Running]
    store: MemoryStore

    def record(self, target: Target, seen_by: int) -> PartitionRecord | None:
        image = self.brokers[seen_by].broker.services.metadata.image
        topic = image.topic_by_name(target.name)
        return None if topic is None else topic.partitions[target.partition]

    async def leader(self, target: Target) -> Running:
        """The broker that leads it, once everybody knows."""
        records: list[PartitionRecord | None] = []

        def agreed() -> bool:
            records[:] = [self.record(target, each) for each in self.brokers]
            first = records[0]
            return first is not None and first.leader in self.brokers and len(set(records)) == 1

        await next(iter(self.brokers.values())).until(agreed)
        assert records[0] is not None
        return self.brokers[records[0].leader]

    async def in_sync(self, target: Target, *brokers: int) -> None:
        """Wait until these are, as everybody sees it."""
        any_broker = next(iter(self.brokers.values()))

        def reached() -> bool:
            records = [self.record(target, each) for each in self.brokers]
            return all(each is not None and sorted(each.isr) == list(brokers) for each in records)

        await any_broker.until(reached)

    def other(self, than: Running) -> Running:
        return next(each for each in self.brokers.values() if each is not than)


@asynccontextmanager
async def cluster_of(*ids: int, **settings: str) -> AsyncIterator[Cluster]:
    store = MemoryStore(random.Random(1))
    async with AsyncExitStack() as stack:
        brokers = {}
        for node_id in ids:
            world = World(store=store, shares=True, chance=random.Random(node_id))
            own = {"node_id": str(node_id), "kbroker_metadata": "etcd://127.0.0.1:1"}
            brokers[node_id] = await stack.enter_async_context(running(world, **own, **settings))
        yield Cluster(brokers, store)


def with_cluster(scenario: Callable[[Cluster], Awaitable[None]], **settings: str) -> None:
    async def whole() -> None:
        async with cluster_of(*IDS, **settings) as cluster:
            await scenario(cluster)

    run(whole)


async def create(cluster: Cluster, name: str = "t", **configs: str) -> Target:
    client = await cluster.brokers[3].client()
    topic_id = await client.create(name, replicas=3, **configs)
    client.close()
    return Target(name, topic_id)


async def append(broker: Running, target: Target, *values: bytes, acks: int = -1) -> int:
    """The error code."""
    client = await broker.client()
    answer = await client.ask(produce(target, 9, *values, acks=acks), 9)
    client.close()
    assert isinstance(answer, ProduceResponse)
    return answer.responses[0].partition_responses[0].error_code


async def read(broker: Running, target: Target) -> list[bytes | None]:
    client = await broker.client()
    answer = await client.ask(fetch(target, 13), 13)
    client.close()
    assert isinstance(answer, FetchResponse)
    return values_in(answer.responses[0].partitions[0].records)


def test_an_acknowledged_record_is_on_every_replica_durably() -> None:
    async def scenario(cluster: Cluster) -> None:
        target = await create(cluster, min_insync_replicas="2")
        leader = await cluster.leader(target)
        for number in range(5):
            assert await append(leader, target, b"%d" % number) == 0
        for broker in cluster.brokers.values():
            log = broker.broker.replicas.partition("t", 0).log
            assert (log.recovery_point, log.log_end_offset) == (5, 5)
        assert await read(leader, target) == [b"0", b"1", b"2", b"3", b"4"]
        assert await append(cluster.other(leader), target, b"x") == (
            ErrorCode.NOT_LEADER_OR_FOLLOWER
        )

    with_cluster(scenario)


def test_deleted_records_are_deleted_on_every_replica_when_it_is_answered() -> None:
    async def scenario(cluster: Cluster) -> None:
        target = await create(cluster)
        leader = await cluster.leader(target)
        for number in range(4):
            assert await append(leader, target, b"%d" % number) == 0
        client = await leader.client()
        answer = await client.ask(delete_records(target, 2, offset=3), 2)
        assert isinstance(answer, DeleteRecordsResponse)
        result = answer.topics[0].partitions[0]
        assert (result.low_watermark, result.error_code) == (3, 0)
        starts = [
            each.broker.replicas.partition("t", 0).log.log_start_offset
            for each in cluster.brokers.values()
        ]
        assert starts == [3, 3, 3]
        client.close()

    with_cluster(scenario)


def test_every_broker_tells_of_all_and_finds_what_was_created_through_another() -> None:
    async def scenario(cluster: Cluster) -> None:
        for creator, asked in ((3, 1), (1, 2)):
            name = f"by-{creator}"
            client = await cluster.brokers[creator].client()
            await client.create(name, replicas=3)
            other = await cluster.brokers[asked].client()
            answer = await other.ask(metadata(Target(name, b""), 9), 9)
            assert isinstance(answer, MetadataResponse)
            assert answer.topics[0].error_code == 0
            assert [each.port for each in answer.brokers] == [
                each.port for each in cluster.brokers.values()
            ]
            assert answer.controller_id == 1
            client.close()
            other.close()

    with_cluster(scenario, auto_create_topics_enable="false")


def test_a_topic_that_a_client_asks_for_is_made_by_the_controller() -> None:
    async def scenario(cluster: Cluster) -> None:
        client = await cluster.brokers[2].client()
        answer = await client.ask(metadata(Target("asked-for", b""), 9), 9)
        assert isinstance(answer, MetadataResponse)
        assert len(answer.topics[0].partitions[0].replica_nodes) == 3
        client.close()

    with_cluster(scenario, default_replication_factor="3")


def test_a_leader_that_stops_gives_away_what_it_leads_and_nothing_is_lost() -> None:
    async def scenario() -> None:
        async with cluster_of(1, 2) as cluster:
            target = Target("t", b"")
            world = World(store=cluster.store, shares=True, chance=random.Random(3))
            settings = {"node_id": "3", "kbroker_metadata": "etcd://127.0.0.1:1"}
            async with running(world, **settings) as third:
                client = await third.client()
                target = Target("t", await client.create("t", replicas=3))
                cluster.brokers[3] = third
                leader = await cluster.leader(target)
                assert await append(leader, target, b"a") == 0
                client.close()
                await third.broker.drain()
                del cluster.brokers[3]
            await cluster.in_sync(target, 1, 2)
            leader = await cluster.leader(target)
            assert await append(leader, target, b"b") == 0
            assert await read(leader, target) == [b"a", b"b"]
            async with running(world, **settings) as third:
                cluster.brokers[3] = third
                await cluster.in_sync(target, 1, 2, 3)
                assert third.broker.replicas.partition("t", 0).log.log_end_offset == 2
                del cluster.brokers[3]

    run(scenario)


def test_whoever_loses_its_lease_leads_nothing_until_it_is_admitted_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        target = await create(cluster, min_insync_replicas="2")
        deposed = await cluster.leader(target)
        assert await append(deposed, target, b"a") == 0
        node_id = deposed.broker.config.node_id
        key = Keys("kbroker").broker(node_id)
        registration = await cluster.store.get(key)
        assert registration is not None
        await cluster.store.lease_revoke(registration.lease)

        def moved() -> bool:
            record = cluster.record(target, node_id)
            return record is not None and record.leader not in (node_id, -1)

        await deposed.until(moved)
        assert await append(deposed, target, b"x") == ErrorCode.NOT_LEADER_OR_FOLLOWER
        await cluster.in_sync(target, *IDS)
        leader = await cluster.leader(target)
        assert await append(leader, target, b"b") == 0
        assert await read(leader, target) == [b"a", b"b"]

    with_cluster(scenario)


def test_what_brokers_ask_of_each_other_is_refused_on_a_listener_of_clients() -> None:
    async def scenario(cluster: Cluster) -> None:
        target = await create(cluster)
        leader = await cluster.leader(target)
        assert await append(leader, target, b"a") == 0
        client = await leader.client()
        request = fetch(target, 17, leader_epoch=0)
        request.replica_state = ReplicaState(replica_id=2, replica_epoch=1)
        answer = await client.ask(request, 17)
        assert isinstance(answer, FetchResponse)
        partition = answer.responses[0].partitions[0]
        assert partition.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
        client.close()

    with_cluster(scenario)


def test_what_is_sent_on_by_one_broker_is_not_sent_on_by_the_next() -> None:
    async def scenario(cluster: Cluster) -> None:
        (port,) = [
            port
            for listener, _, port in cluster.brokers[2].broker.server.bound
            if listener.name == "REPLICATION"
        ]
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        topic = CreatableTopic(
            name="t", num_partitions=1, replication_factor=1, assignments=[], configs=[]
        )
        answer = await client.ask(CreateTopicsRequest(topics=[topic]), 7)
        assert isinstance(answer, CreateTopicsResponse)
        assert answer.topics[0].error_code == ErrorCode.NOT_CONTROLLER
        client.close()

    with_cluster(scenario)


@pytest.mark.parametrize("asked", IDS)
def test_every_broker_knows_who_looks_after_a_group(asked: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        client = await cluster.brokers[asked].client()
        request = FindCoordinatorRequest(key="", key_type=0, coordinator_keys=["g"])
        answer = await client.ask(request, 4)
        assert isinstance(answer, FindCoordinatorResponse)
        found = answer.coordinators[0]
        assert found.error_code == 0
        assert found.port == cluster.brokers[found.node_id].port
        coordinator = cluster.brokers[found.node_id].broker.services.group_coordinator
        await cluster.brokers[asked].until(lambda: coordinator.is_placed("g"))
        client.close()

    with_cluster(scenario, offsets_topic_replication_factor="3", offsets_topic_num_partitions="1")
