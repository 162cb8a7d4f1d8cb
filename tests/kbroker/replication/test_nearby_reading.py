"""KIP-392: consumers are sent to a replica in their rack, and followers serve what is committed."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.config.replication_keys import RACK_AWARE_SELECTOR
from kbroker.replication.isr import InSyncReplicas
from kbroker.replication.nearby_reading import NearbyReading
from tests.kbroker.broker_harness import Running, World, run, running, values_in
from tests.kbroker.handlers.requests import Target, fetch
from tests.kbroker.replication.partition_harness import Stage
from tests.kbroker.replication.test_fetch_reading import asked
from tests.kbroker.test_clustering import Cluster, append
from wire.errors import ErrorCode
from wire.messages.fetch import PartitionData

RACKS = {1: "a", 2: "b", 3: "c"}
SELECTOR = {"replica_selector_class": RACK_AWARE_SELECTOR}


def with_racks(scenario: Callable[[Cluster], Awaitable[None]], **settings: str) -> None:
    async def whole() -> None:
        store = MemoryStore(random.Random(1))
        async with AsyncExitStack() as stack:
            brokers = {}
            for node_id, rack in RACKS.items():
                world = World(store=store, shares=True, chance=random.Random(node_id))
                own = {"node_id": str(node_id), "broker_rack": rack}
                own["kbroker_metadata"] = "etcd://127.0.0.1:1"
                brokers[node_id] = await stack.enter_async_context(
                    running(world, **own, **settings)
                )
            await scenario(Cluster(brokers, store))

    run(whole)


async def prepared(cluster: Cluster) -> tuple[Target, Running, Running]:
    """A topic with three records on all brokers; its leader, and another broker."""
    client = await cluster.brokers[1].client()
    target = Target("t", await client.create("t", replicas=3))
    client.close()
    await cluster.in_sync(target, 1, 2, 3)
    leader = await cluster.leader(target)
    for value in (b"0", b"1", b"2"):
        assert await append(leader, target, value) == 0
    other = cluster.other(leader)
    partition = other.broker.replicas.partition("t", 0)
    # A follower hears of the high watermark with its next Fetch.
    await other.until(lambda: partition.high_watermark == 3)
    return target, leader, other


async def read(
    broker: Running, target: Target, version: int = 13, *, rack: str = "", **options: int
) -> PartitionData:
    client = await broker.client()
    request = fetch(target, version, **options)
    request.rack_id = rack
    answer = await client.ask(request, version)
    client.close()
    return answer.responses[0].partitions[0]


def rack_of(broker: Running) -> str:
    return RACKS[broker.broker.config.node_id]


@pytest.mark.parametrize("version", [11, 13, 18])
def test_a_consumer_reads_from_the_replica_in_its_rack(version: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        target, leader, other = await prepared(cluster)
        # Nothing parks it: there is something to be told.
        told = await read(
            leader, target, version, rack=rack_of(other), min_bytes=1 << 20, max_wait_ms=10**6
        )
        assert told.preferred_read_replica == other.broker.config.node_id
        assert (told.error_code, bytes(told.records or b"")) == (0, b"")
        found = await read(other, target, version, rack=rack_of(other))
        assert values_in(found.records) == [b"0", b"1", b"2"]
        assert (found.preferred_read_replica, found.high_watermark) == (-1, 3)

    with_racks(scenario, **SELECTOR)


def test_the_leader_serves_who_is_in_its_rack_or_in_no_brokers() -> None:
    async def scenario(cluster: Cluster) -> None:
        target, leader, _ = await prepared(cluster)
        for rack in (rack_of(leader), "elsewhere", ""):
            found = await read(leader, target, rack=rack)
            assert values_in(found.records) == [b"0", b"1", b"2"]
            assert found.preferred_read_replica == -1

    with_racks(scenario, **SELECTOR)


def test_a_follower_tells_of_news_and_of_what_it_has_not() -> None:
    async def scenario(cluster: Cluster) -> None:
        target, leader, other = await prepared(cluster)
        client = await other.client()
        client.send(fetch(target, 13, offset=3, min_bytes=1, max_wait_ms=10**6), 13)
        assert await append(leader, target, b"3") == 0
        answer = await client.receive()
        assert values_in(answer.responses[0].partitions[0].records) == [b"3"]
        client.close()
        beyond = await read(other, target, offset=99)
        assert beyond.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
        epoch = other.broker.replicas.partition("t", 0).leader_epoch
        newer = await read(other, target, leader_epoch=epoch + 1)
        assert newer.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
        older = await read(other, target, 10)
        assert older.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER

    with_racks(scenario, **SELECTOR)


def test_without_the_setting_only_leaders_serve() -> None:
    async def scenario(cluster: Cluster) -> None:
        target, leader, other = await prepared(cluster)
        refused = await read(other, target, rack=rack_of(other))
        assert refused.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert (await read(leader, target, rack=rack_of(other))).preferred_read_replica == -1

    with_racks(scenario)


def test_of_several_followers_the_one_in_sync_that_has_most_is_named() -> None:
    record = PartitionRecord(replicas=(1, 2, 3, 4), leader=1, leader_epoch=0, isr=(1, 2, 3))
    followers = InSyncReplicas(1, record, 0)
    for broker_id, start, end in ((2, 0, 5), (3, 2, 7), (4, 0, 9)):
        followers.fetched(broker_id, 1, end, start, now=0.0, leader_log_end=9)
    assert followers.followers_with(1) == {2: 5}
    assert followers.followers_with(5) == {2: 5, 3: 7}
    assert followers.followers_with(8) == {}
    stage = Stage()
    stage.append(b"x")
    stage.flush()
    stage.partition.in_sync = followers

    def here(*arguments: object, **options: object) -> None:
        return None

    def named(near: set[int], offset: int) -> int | None:
        reading = NearbyReading(here, node_id=1, near=near)  # type: ignore[arg-type]
        found = reading.read(
            stage.partition, asked(0, offset), max_bytes=1, first=True, cached_only=False
        )
        return None if found is None else found.preferred_read_replica

    assert named({2, 3, 4}, 5) == 3
    assert named({2, 4}, 5) == 2
    assert named({4}, 5) is None
    assert named({1, 2}, 5) is None
