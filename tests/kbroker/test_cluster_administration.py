"""Administration of a cluster, asked for by clients of any broker, end to end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_records import (
    BrokerRegistration,
    PartitionRecord,
    encode_registration,
)
from kbroker.cluster.metadata_store import Delete, Put
from kbroker.config.metadata_keys import DEFAULT_CLUSTER
from kbroker.config_admin import ResourceType
from tests.kbroker.broker_harness import Running, World, run, running
from tests.kbroker.handlers.admin_requests import (
    alter_partition_reassignments,
    create_partitions,
    describe_topic_partitions,
    elect_leaders,
    list_partition_reassignments,
    unregister_broker,
)
from tests.kbroker.handlers.requests import Target, delete_topics, error_codes, metadata
from tests.kbroker.test_clustering import Cluster, append, read
from wire.errors import ErrorCode
from wire.messages.describe_cluster import DescribeClusterRequest
from wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from wire.schema import Request

CLUSTER = {"kbroker_metadata": "etcd://127.0.0.1:1"}


class Machines:
    """Brokers that come and go, each with its disk. Mutable."""

    def __init__(self, **settings: str) -> None:
        self.store = MemoryStore(random.Random(1))
        self.settings = settings
        self.worlds: dict[int, World] = {}
        self.stacks: dict[int, AsyncExitStack] = {}
        self.cluster = Cluster({}, self.store)

    async def start(self, *ids: int) -> None:
        for node_id in ids:
            world = self.worlds.setdefault(
                node_id, World(store=self.store, shares=True, chance=random.Random(node_id))
            )
            stack = AsyncExitStack()
            broker = await stack.enter_async_context(
                running(world, node_id=str(node_id), **CLUSTER, **self.settings)
            )
            self.stacks[node_id] = stack
            self.cluster.brokers[node_id] = broker

    async def stop(self, *ids: int) -> None:
        for node_id in ids:
            await self.cluster.brokers[node_id].broker.drain()
            del self.cluster.brokers[node_id]
            await self.stacks.pop(node_id).aclose()

    def __getitem__(self, node_id: int) -> Running:
        return self.cluster.brokers[node_id]

    async def ask(self, node_id: int, request: Request, version: int) -> Any:
        client = await self[node_id].client()
        answer = await client.ask(request, version)
        client.close()
        return answer

    async def create(self, *replicas: int, name: str = "t", through: int = 1) -> Target:
        client = await self[through].client()
        topic_id = await client.create(name, replicas=len(replicas))
        client.close()
        target = Target(name, topic_id)
        await self.move(target, *replicas)
        return target

    async def move(self, target: Target, *replicas: int, through: int = 1) -> None:
        """Have it there, and wait until it is."""
        request = alter_partition_reassignments(target, 1, replicas=replicas)
        answer = await self.ask(through, request, 1)
        assert not any(error_codes(answer)), answer
        await self.settled(target, *replicas)

    async def settled(self, target: Target, *replicas: int) -> None:
        await self.until(target, lambda each: each.replicas == replicas and not each.removing)

    async def until(self, target: Target, is_so: Callable[[PartitionRecord], bool]) -> None:
        """As every broker sees it."""

        def all_see_it() -> bool:
            records = [self.cluster.record(target, each) for each in self.cluster.brokers]
            return all(each is not None and is_so(each) for each in records)

        await next(iter(self.cluster.brokers.values())).until(all_see_it)

    async def append(self, target: Target, value: bytes) -> int:
        """By whoever leads; the error code."""
        return await append(await self.cluster.leader(target), target, value)

    def record(self, target: Target) -> PartitionRecord:
        record = self.cluster.record(target, next(iter(self.cluster.brokers)))
        assert record is not None
        return record

    def directories(self, node_id: int) -> list[str]:
        """Of the topic t, with those that only wait to be removed."""
        disk = self.worlds[node_id].file_system
        return [name for name in disk.list_directory("/data") if name.startswith("t-")]


@asynccontextmanager
async def machines(*ids: int, **settings: str) -> AsyncIterator[Machines]:
    cluster = Machines(**settings)
    try:
        await cluster.start(*ids)
        yield cluster
    finally:
        for stack in reversed(cluster.stacks.values()):
            await stack.aclose()


def with_machines(
    scenario: Callable[[Machines], Awaitable[None]], *ids: int, **settings: str
) -> None:
    async def whole() -> None:
        async with machines(*(ids or (1, 2, 3)), **settings) as cluster:
            await scenario(cluster)

    run(whole)


# Settings


def settings_of(broker: str, value: str) -> IncrementalAlterConfigsRequest:
    config = AlterableConfig(name="log.cleaner.threads", config_operation=0, value=value)
    resource = AlterConfigsResource(
        resource_type=ResourceType.BROKER, resource_name=broker, configs=[config]
    )
    return IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)


def test_every_broker_stores_its_own_settings_whoever_is_the_controller() -> None:
    async def scenario(machines: Machines) -> None:
        for node_id in (1, 2):
            answer = await machines.ask(node_id, settings_of(str(node_id), "2"), 1)
            assert (answer.responses[0].error_code, answer.responses[0].error_message) == (0, None)
            assert machines[node_id].broker.running_config.this_broker == {
                "log.cleaner.threads": "2"
            }

    with_machines(scenario, 1, 2)


def test_settings_that_change_while_a_broker_waits_to_join_reach_it_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(machines: Machines) -> None:
        store, key = machines.store, Keys(DEFAULT_CLUSTER).broker(2)
        former = BrokerRegistration(broker_id=2, incarnation=b"i" * 16)
        lease = await store.lease_grant(60_000)
        await store.transact([], [Put(key, encode_registration(former), lease)])
        joining = asyncio.create_task(machines.start(2))
        await machines[1].until(lambda: "waiting to join the cluster" in caplog.text)
        answer = await machines.ask(1, settings_of("", "2"), 1)
        assert answer.responses[0].error_code == 0
        await store.transact([], [Delete(key)])
        await joining
        assert machines[2].broker.running_config.every_broker == {"log.cleaner.threads": "2"}

    with_machines(scenario, 1)


# Reassignments


@pytest.mark.parametrize("through", [1, 3])
def test_a_partition_moves_with_its_records_and_its_old_log_goes(through: int) -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2)
        for number in range(5):
            assert await machines.append(target, b"%d" % number) == 0
        await machines.move(target, 3, 2, through=through)
        leader = await machines.cluster.leader(target)
        assert await read(leader, target) == [b"0", b"1", b"2", b"3", b"4"]
        assert await append(leader, target, b"5") == 0
        for node_id in (2, 3):
            log = machines[node_id].broker.replicas.partition("t", 0).log
            assert log.log_end_offset == 6
        assert all("delete" in name for name in machines.directories(1))
        assert await append(machines[1], target, b"x") in (
            ErrorCode.NOT_LEADER_OR_FOLLOWER,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        )

    with_machines(scenario)


def test_a_whole_topic_moves_to_where_nothing_of_it_was() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2)
        assert await machines.append(target, b"a") == 0
        await machines.move(target, 3, 4)
        leader = await machines.cluster.leader(target)
        assert leader is machines[3]
        assert await read(leader, target) == [b"a"]
        await machines.move(target, 1, 2)
        assert await read(await machines.cluster.leader(target), target) == [b"a"]

    with_machines(scenario, 1, 2, 3, 4)


def test_a_broker_that_was_away_deletes_what_it_was_relieved_of() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 3)
        assert await machines.append(target, b"a") == 0
        await machines.stop(3)
        assert machines.directories(3) == ["t-0"]
        await machines.move(target, 1, 2)
        await machines.start(3)
        assert all("delete" in name for name in machines.directories(3))
        await machines.move(target, 1, 3)
        assert await machines.append(target, b"b") == 0
        log = machines[3].broker.replicas.partition("t", 0).log
        assert log.log_end_offset == 2

    with_machines(scenario)


def test_what_is_under_way_is_listed_and_taken_back() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2)
        await machines.stop(3)
        request = alter_partition_reassignments(target, 1, replicas=(2, 3))
        assert not any(error_codes(await machines.ask(2, request, 1)))
        answer = await machines.ask(2, list_partition_reassignments(target, 0), 0)
        ((moving,),) = [each.partitions for each in answer.topics]
        assert (moving.replicas, moving.adding_replicas, moving.removing_replicas) == (
            [2, 3, 1],
            [3],
            [1],
        )
        assert await machines.append(target, b"a") == 0
        back = alter_partition_reassignments(target, 1, replicas=None)
        assert not any(error_codes(await machines.ask(2, back, 1)))
        assert machines.record(target).replicas == (2, 1)
        answer = await machines.ask(1, list_partition_reassignments(target, 0), 0)
        assert answer.topics == []
        await machines.start(3)
        assert machines.directories(3) == []
        assert await machines.append(target, b"b") == 0
        (code,) = {each for each in error_codes(await machines.ask(2, back, 1)) if each}
        assert code == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS

    with_machines(scenario)


def test_a_reassignment_ends_once_the_new_replica_is_there() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2)
        assert await machines.append(target, b"a") == 0
        await machines.stop(3)
        request = alter_partition_reassignments(target, 1, replicas=(3, 1))
        assert not any(error_codes(await machines.ask(2, request, 1)))
        await machines.start(3)
        await machines.settled(target, 3, 1)
        assert machines[3].broker.replicas.partition("t", 0).log.log_end_offset == 1

    with_machines(scenario)


# Elections


def test_the_preferred_leader_leads_again_when_somebody_asks() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(3, 1, 2)
        await machines.stop(3)
        await machines.start(3)
        await machines.cluster.in_sync(target, 1, 2, 3)
        assert machines.record(target).leader != 3
        answer = await machines.ask(2, elect_leaders(target, 2), 2)
        assert not any(error_codes(answer)), answer
        record = machines.cluster.record(target, seen_by=2)
        assert record is not None
        assert record.leader == 3, "who has answered knows"
        answer = await machines.ask(2, elect_leaders(target, 2), 2)
        assert ErrorCode.ELECTION_NOT_NEEDED in error_codes(answer)
        await machines.until(target, lambda each: each.leader == 3)
        assert await append(machines[3], target, b"a") == 0

    with_machines(scenario, auto_leader_rebalance_enable="false")


def test_an_unclean_election_is_held_for_who_asks_and_else_the_partition_waits() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(3, 2)
        await machines.until(target, lambda each: sorted(each.isr) == [2, 3])
        await machines.stop(2)
        await machines.until(target, lambda each: each.isr == (3,))
        await machines.stop(3)
        await machines.until(target, lambda each: each.leader == -1)
        answer = await machines.ask(1, elect_leaders(target, 2), 2)
        assert ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE in error_codes(answer)
        answer = await machines.ask(1, elect_leaders(target, 2, kind=1), 2)
        assert ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE in error_codes(answer)

    with_machines(scenario)


# Who is there


def test_a_broker_that_is_not_admitted_is_told_as_fenced_and_offline() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2)
        image = machines[1].broker.services.metadata.image
        broker = image.brokers[2]
        image.brokers[2] = type(broker)(
            broker.registration, broker.broker_epoch, None, broker.mod_revision
        )
        for fenced in (True, False):
            request = DescribeClusterRequest(
                include_cluster_authorized_operations=False, include_fenced_brokers=fenced
            )
            answer = await machines.ask(1, request, 2)
            told = [(each.broker_id, each.is_fenced) for each in answer.brokers]
            assert told == [(1, False), *([(2, True)] if fenced else []), (3, False)]
        answer = await machines.ask(1, metadata(target, 9), 9)
        assert [each.node_id for each in answer.brokers] == [1, 3]
        assert answer.topics[0].partitions[0].offline_replicas == [2]
        answer = await machines.ask(1, describe_topic_partitions(target, 0), 0)
        assert answer.topics[0].partitions[0].offline_replicas == [2]

    with_machines(scenario)


def test_a_broker_that_will_not_come_back_is_forgotten() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 3)
        await machines.stop(3)
        image = machines[2].broker.services.metadata.image
        assert image.known_brokers() == [1, 2, 3]
        answer = await machines.ask(2, unregister_broker(target, 0, broker_id=3), 0)
        assert answer.error_code == 0
        assert image.known_brokers() == [1, 2]
        answer = await machines.ask(2, unregister_broker(target, 0, broker_id=3), 0)
        assert answer.error_code == ErrorCode.BROKER_ID_NOT_REGISTERED
        request = alter_partition_reassignments(target, 1, replicas=(1, 3))
        assert ErrorCode.INVALID_REPLICA_ASSIGNMENT in error_codes(
            await machines.ask(1, request, 1)
        )
        await machines.move(target, 1, 2)

    with_machines(scenario)


# Topics while a broker is away


def test_a_topic_is_created_and_grows_while_a_broker_is_away_and_it_follows_later() -> None:
    async def scenario(machines: Machines) -> None:
        await machines.stop(3)
        client = await machines[2].client()
        topic_id = await client.create("t", replicas=3, partitions=2)
        answer = await client.ask(create_partitions(Target("t", topic_id), 3, count=4), 3)
        assert not any(error_codes(answer))
        client.close()
        targets = [Target("t", topic_id, partition) for partition in range(4)]
        for target in targets:
            record = machines.record(target)
            assert sorted(record.replicas) == [1, 2, 3]
            assert sorted(record.isr) == [1, 2]
            assert record.replicas[-1] == 3, "it leads nothing"
            assert await machines.append(target, b"a") == 0
        await machines.start(3)
        for target in targets:
            await machines.cluster.in_sync(target, 1, 2, 3)
            log = machines[3].broker.replicas.partition("t", target.partition).log
            assert log.log_end_offset == 1

    with_machines(scenario)


def test_a_topic_of_the_same_name_is_another_one_to_a_broker_that_was_away() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2, 3)
        assert await machines.append(target, b"old") == 0
        await machines.stop(3)
        answer = await machines.ask(2, delete_topics(target, 6), 6)
        assert not any(error_codes(answer))
        client = await machines[2].client()
        again = Target("t", await client.create("t", replicas=3))
        client.close()
        assert machines.directories(3) == ["t-0"]
        await machines.start(3)
        await machines.cluster.in_sync(again, 1, 2, 3)
        log = machines[3].broker.replicas.partition("t", 0).log
        assert (log.topic_id, log.log_end_offset) == (again.topic_id, 0)
        leader = await machines.cluster.leader(again)
        assert await append(leader, again, b"new") == 0
        assert await read(leader, again) == [b"new"]
        assert log.log_end_offset == 1

    with_machines(scenario)


def test_a_deletion_waits_for_who_was_away_when_it_was_relieved_of_the_topic() -> None:
    """It was moved off a broker that was away, and deleted, before that broker came back."""

    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 3)
        await machines.stop(3)
        await machines.move(target, 1, 2)
        answer = await machines.ask(2, delete_topics(target, 6), 6)
        assert not any(error_codes(answer))
        image = machines[1].broker.services.metadata.image
        assert image.deleted_topics[target.topic_id].replicas == (1, 2, 3)
        await machines.start(3)
        assert all("delete" in name for name in machines.directories(3))

        def confirmed() -> bool:
            machines[1].loop.advance(0.01)
            return target.topic_id not in image.deleted_topics

        await machines[1].until(confirmed)

    with_machines(scenario)
