"""A broker of a cluster whose disk lost or damaged something: what it is trusted with, and when."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from kbroker.broker import Broker, StartError
from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_records import (
    NO_LEADER,
    BrokerRegistration,
    PartitionRecord,
    decode_registration,
)
from kbroker.tasks import TaskSupervisor
from simulator.disk import SimulatedDisk
from tests.kbroker.broker_harness import Running, World, config_of, run, running
from tests.kbroker.handlers.requests import Target
from tests.kbroker.test_broker import Unadmitting
from tests.kbroker.test_clustering import append, read
from tests.log.log_harness import values_of
from wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    TopicPartitions,
)

IDS = (1, 2, 3)
LOG = "/data/t-0/00000000000000000000.log"
VALUES = [b"%d" % number for number in range(8)]


@dataclass
class Lives:
    """Brokers that come and go, each with a disk that stays. Mutable."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(random.Random(1)))
    worlds: dict[int, World] = field(default_factory=dict)
    brokers: dict[int, Running] = field(default_factory=dict)
    _ends: dict[int, tuple[asyncio.Event, asyncio.Task[None]]] = field(default_factory=dict)

    def disk(self, node_id: int) -> SimulatedDisk:
        disk = self.worlds[node_id].file_system
        assert isinstance(disk, SimulatedDisk)
        return disk

    def settings(self, node_id: int) -> dict[str, str]:
        return {"node_id": str(node_id), "kbroker_metadata": "etcd://127.0.0.1:1"}

    async def start(self, *ids: int, **settings: str) -> None:
        for node_id in ids:
            world = self.worlds.setdefault(
                node_id, World(store=self.store, shares=True, chance=random.Random(node_id))
            )
            started, end = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(self._live(node_id, world, started, end, settings))
            await asyncio.wait(
                [task, asyncio.create_task(started.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            if task.done():
                task.result()
            self._ends[node_id] = end, task

    async def _live(
        self,
        node_id: int,
        world: World,
        started: asyncio.Event,
        end: asyncio.Event,
        settings: dict[str, str],
    ) -> None:
        async with running(world, **self.settings(node_id), **settings) as broker:
            self.brokers[node_id] = broker
            started.set()
            await end.wait()

    async def stop(self, *ids: int) -> None:
        for node_id in ids:
            end, task = self._ends.pop(node_id)
            end.set()
            await task
            del self.brokers[node_id]

    async def kill(self, *ids: int) -> None:
        """The process is gone; what its lease tells the others comes at once."""
        for node_id in ids:
            self.worlds[node_id].file_system = self.disk(node_id).kill()
            await self.stop(node_id)

    async def record(self, target: Target) -> PartitionRecord:
        """As the store has it."""
        broker = next(iter(self.brokers.values()))
        metadata = broker.broker.services.metadata
        await metadata.catch_up()
        return metadata.image.topics[target.topic_id].partitions[target.partition]

    async def until(self, target: Target, true: Callable[[PartitionRecord], bool]) -> None:
        """Until the record, as all brokers see it, is such a one."""

        def agreed() -> bool:
            records = set()
            for broker in self.brokers.values():
                topic = broker.broker.services.metadata.image.topics.get(target.topic_id)
                records.add(None if topic is None else topic.partitions[target.partition])
            (one, *others) = records
            return one is not None and not others and true(one)

        await patiently(next(iter(self.brokers.values())), agreed)

    async def in_sync(self, target: Target, *ids: int) -> None:
        await self.until(
            target, lambda record: sorted(record.isr) == list(ids) and record.leader in ids
        )

    async def led_by(self, target: Target) -> Running:
        """Its leader, once it knows that it is, and has made what there is to be made."""
        await self.until(target, lambda record: record.leader in self.brokers)
        leader = self.brokers[(await self.record(target)).leader]
        await patiently(
            leader,
            lambda: any(
                each.topic == target.name and each.is_leader for each in leader.broker.replicas
            ),
        )
        return leader

    async def registration(self, node_id: int) -> BrokerRegistration:
        value = await self.store.get(Keys("kbroker").broker(node_id))
        assert value is not None
        return decode_registration(value.value)

    def values(self, node_id: int) -> list[bytes | None]:
        """Of its own log, whoever leads."""
        found = values_of(self.brokers[node_id].broker.replicas.partition("t", 0).log)
        return list(found.values())


async def patiently(broker: Running, true: Callable[[], bool]) -> None:
    """Until something holds that may take a timer of some seconds, none of which passes."""
    for _ in range(19):
        with contextlib.suppress(AssertionError):
            await broker.until(true)
            return
        broker.loop.advance(0.5)
    await broker.until(true)


def with_brokers(scenario: Callable[[Lives], Awaitable[None]]) -> None:
    async def whole() -> None:
        lives = Lives()
        await lives.start(*IDS)
        try:
            await scenario(lives)
        finally:
            await lives.stop(*lives.brokers)

    run(whole)


async def filled(lives: Lives, *, replicas: int = 3, min_isr: int = 2) -> Target:
    """Eight records, each acknowledged by all replicas."""
    client = await lives.brokers[3].client()
    topic_id = await client.create("t", replicas=replicas, min_insync_replicas=str(min_isr))
    client.close()
    target = Target("t", topic_id)
    leader = await lives.led_by(target)
    for value in VALUES:
        assert await append(leader, target, value) == 0
    return target


def wipe(disk: SimulatedDisk) -> SimulatedDisk:
    """Another disk in its place, empty."""
    return SimulatedDisk()


def flip_bits(disk: SimulatedDisk) -> SimulatedDisk:
    disk.corrupt(LOG, disk.status(LOG).size // 2, b"\xa5\x5a\xa5")
    return disk


def remove_directory(disk: SimulatedDisk) -> SimulatedDisk:
    disk.remove_tree("/data/t-0")
    disk.sync_directory("/data")
    return disk


def forget_whose_it_is(disk: SimulatedDisk) -> SimulatedDisk:
    disk.remove("/data/t-0/partition.metadata")
    disk.sync_directory("/data/t-0")
    return disk


Damage = Callable[[SimulatedDisk], SimulatedDisk]
DAMAGES: list[Damage] = [wipe, flip_bits, remove_directory, forget_whose_it_is]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_what_a_disk_lost_is_fetched_again_and_its_broker_leads_nothing_until_then(
    victim: str, damage: Damage
) -> None:
    async def scenario(lives: Lives) -> None:
        target = await filled(lives)
        leader = (await lives.record(target)).leader
        node_id = leader if victim == "leader" else next(each for each in IDS if each != leader)
        others = sorted({*IDS} - {node_id})
        await lives.kill(node_id)
        await lives.in_sync(target, *others)
        leader = (await lives.record(target)).leader
        assert await append(await lives.led_by(target), target, b"meanwhile") == 0
        lives.worlds[node_id].file_system = damage(lives.disk(node_id))
        await lives.start(node_id)
        assert (await lives.record(target)).leader == leader
        await lives.in_sync(target, *IDS)
        assert (await lives.record(target)).leader == leader
        assert {tuple(lives.values(each)) for each in IDS} == {(*VALUES, b"meanwhile")}
        # It is a replica like any other again, by itself if it has to be.
        await lives.stop(*others)
        assert await read(await lives.led_by(target), target) == [*VALUES, b"meanwhile"]

    with_brokers(scenario)


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_the_others_are_dead_it_waits_for_who_has_all_of_it(damage: Damage) -> None:
    async def scenario(lives: Lives) -> None:
        target = await filled(lives)
        await lives.kill(1)
        await lives.in_sync(target, 2, 3)
        await lives.kill(2)
        await lives.until(target, lambda record: record.isr == (3,) and record.elr == (2,))
        await lives.kill(3)
        lives.worlds[3].file_system = damage(lives.disk(3))
        await lives.start(3)
        record = await lives.record(target)
        assert (record.leader, record.isr, record.elr) == (NO_LEADER, (), (2,))
        await lives.start(1)
        assert (await lives.record(target)).leader == NO_LEADER
        await lives.start(2)
        await lives.in_sync(target, *IDS)
        assert (await lives.record(target)).leader == 2
        assert {tuple(lives.values(each)) for each in IDS} == {tuple(VALUES)}

    with_brokers(scenario)


def test_a_wiped_disk_that_had_the_last_word_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody else is known to have all: the most there is is kept until a person decides, and who
    has nothing is elected last."""

    async def scenario(lives: Lives) -> None:
        target = await filled(lives, min_isr=1)
        await lives.kill(1)
        await lives.in_sync(target, 2, 3)
        await lives.kill(2)
        await lives.in_sync(target, 3)
        assert await append(await lives.led_by(target), target, b"only here") == 0
        await lives.kill(3)
        lives.worlds[3].file_system = SimulatedDisk()
        await lives.start(3, 1, 2)
        record = await lives.record(target)
        assert (record.leader, record.isr, record.elr) == (NO_LEADER, (), ())
        assert "t-0: broker 3 came back without its log" in caplog.text
        assert lives.values(1) == lives.values(2) == VALUES
        asked = TopicPartitions(topic="t", partitions=[0])
        client = await lives.brokers[3].client()
        answer = await client.ask(ElectLeadersRequest(election_type=1, topic_partitions=[asked]), 2)
        client.close()
        assert isinstance(answer, ElectLeadersResponse)
        assert answer.replica_election_results[0].partition_result[0].error_code == 0
        await lives.in_sync(target, *IDS)
        assert {tuple(lives.values(each)) for each in IDS} == {tuple(VALUES)}

    with_brokers(scenario)


@pytest.mark.parametrize("damage", [flip_bits, remove_directory, forget_whose_it_is])
def test_who_alone_is_known_to_have_all_is_refused_and_touches_nothing(damage: Damage) -> None:
    async def scenario(lives: Lives) -> None:
        target = await filled(lives, min_isr=1)
        await lives.kill(1, 2)
        await lives.in_sync(target, 3)
        await lives.kill(3)
        disk = lives.worlds[3].file_system = damage(lives.disk(3))
        assert isinstance(disk, SimulatedDisk)
        log = disk.content(LOG) if disk.exists(LOG) else None
        with pytest.raises(StartError, match="t-0"):
            await refused(lives.worlds[3], lives.settings(3))
        assert (disk.content(LOG) if disk.exists(LOG) else None) == log
        await lives.start(1)

    with_brokers(scenario)


def test_a_loss_that_a_person_accepts_is_told_and_the_others_follow_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are ahead of who leads them then, and give up what it has not: all hold the same."""

    async def scenario(lives: Lives) -> None:
        target = await filled(lives, min_isr=1)
        await lives.kill(1, 2)
        await lives.in_sync(target, 3)
        await lives.kill(3)
        flip_bits(lives.disk(3))
        await lives.start(3, kbroker_accept_damaged_logs="true")
        leader = await lives.led_by(target)
        assert "may lack acknowledged records" in caplog.text
        assert lives.values(3) == VALUES[:4]
        assert await append(leader, target, b"new") == 0
        await lives.start(1, 2)
        await lives.in_sync(target, *IDS)
        assert {tuple(lives.values(each)) for each in IDS} == {(*VALUES[:4], b"new")}

    with_brokers(scenario)


def test_a_sole_replica_on_a_wiped_disk_begins_anew_and_the_loss_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(lives: Lives) -> None:
        target = await filled(lives, replicas=1, min_isr=1)
        (owner,) = (await lives.record(target)).replicas
        await lives.kill(owner)
        lives.worlds[owner].file_system = SimulatedDisk()
        assert "may lack acknowledged records" not in caplog.text
        await lives.start(owner)
        leader = await lives.led_by(target)
        assert "may lack acknowledged records" in caplog.text
        assert await read(leader, target) == []

    with_brokers(scenario)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_start_that_is_never_admitted_leaves_it_to_the_next_one_to_tell(damage: Damage) -> None:
    """`lossy-until-admitted`: the log is cut by then, and looks sound."""

    async def scenario(lives: Lives) -> None:
        target = await filled(lives)
        await lives.kill(3)
        world = lives.worlds[3]
        world.file_system = damage(lives.disk(3))
        store, world.store = world.store, Unadmitting(world.store)  # type: ignore[assignment]
        for _ in range(2):
            await lives.stop(1, 2)  # who would admit it
            with pytest.raises(StartError):
                await refused(world, lives.settings(3), when=lambda broker: stop_soon(broker))
            world.file_system = lives.disk(3).crash(random.Random(4))
            await lives.start(1, 2)
        world.store = store
        await lives.start(3)
        registration = await lives.registration(3)
        assert target.topic_id in registration.lossy_topics
        await lives.in_sync(target, *IDS)
        await lives.stop(3)
        await lives.start(3)
        assert (await lives.registration(3)).lossy_topics == ()
        await lives.in_sync(target, *IDS)

    def stop_soon(broker: Broker) -> None:
        asyncio.get_running_loop().call_later(0.05, broker.request_stop)

    with_brokers(scenario)


async def refused(
    world: World,
    settings: dict[str, str],
    when: Callable[[Broker], None] = lambda broker: None,
) -> None:
    """A start that fails, with its error."""
    texts = {key.replace("_", "."): text for key, text in settings.items()}
    broker = Broker(config_of(texts), world.dependencies())
    async with asyncio.TaskGroup() as group:
        tasks = TaskSupervisor(group, on_fatal=broker.request_stop)
        when(broker)
        try:
            await broker.start(tasks)
        except StartError as error:
            failure = error
        finally:
            tasks.cancel_all()
            await broker.stop()
    raise failure
