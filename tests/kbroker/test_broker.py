"""A broker from start to stop: what it keeps, what it refuses, and what a bad disk does to it."""

from __future__ import annotations

import asyncio
import errno

import pytest

from kbroker.broker import Broker, StartError
from kbroker.cluster.metadata_store import StoreUnavailableError
from kbroker.tasks import TaskSupervisor
from tests.kbroker.broker_harness import (
    Client,
    Running,
    World,
    config_of,
    run,
    running,
    values_in,
    with_broker,
)
from tests.kbroker.handlers.requests import (
    Target,
    create_topics,
    error_codes,
    fetch,
    metadata,
    produce,
)
from wire.errors import ErrorCode


def all_values(answer) -> list[bytes | None]:
    return values_in(answer.responses[0].partitions[0].records)


@pytest.mark.parametrize("end", ["stop", "kill", "power loss"])
def test_what_was_acknowledged_is_there_after_the_next_start(end: str) -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            for number in range(10):
                await client.ask(produce(target, 9, b"%d" % number), 9)
            if end == "kill":
                world.file_system = broker.disk.kill()
            elif end == "power loss":
                world.file_system = broker.disk.crash(world.chance)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            answer = await client.ask(fetch(target, 13), 13)
            assert all_values(answer) == [b"%d" % number for number in range(10)]
            client.close()

    run(scenario)


def test_every_start_raises_the_leader_epochs() -> None:
    async def scenario() -> None:
        world = World()
        epochs = []
        for _ in range(3):
            async with running(world) as broker:
                client = await broker.client()
                if not epochs:
                    await client.create("t")
                answer = await client.ask(metadata(Target("t", b""), 12), 12)
                epochs.append(answer.topics[0].partitions[0].leader_epoch)
                client.close()
        assert epochs[0] < epochs[1] < epochs[2]

    run(scenario)


def test_a_start_that_ends_before_its_admission_does_not_hide_a_possible_loss(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The model's rule lossy-until-admitted: a stop in between leaves no word that all is well."""

    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            await client.create("t", flush_messages="1000")
            client.close()
            world.file_system = broker.disk.crash(world.chance)
        store, world.store = world.store, Unadmitting(world.store)
        await refused(world)
        caplog.clear()  # who was about to tell it, and did not come to do it, does not count
        world.store = store
        async with running(world):
            assert "may lack acknowledged records" in caplog.text

    run(scenario)


class Unadmitting:
    """A metadata store that is gone once a broker is to be admitted."""

    def __init__(self, store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def transact(self, compares, then, otherwise=()):
        if any("/p/" in str(each) or "/admit/" in str(each) for each in then):
            raise StoreUnavailableError("the store is gone")
        return await self._store.transact(compares, then, otherwise)


def test_the_cluster_keeps_its_id() -> None:
    async def scenario() -> None:
        world = World()
        ids = []
        for _ in range(2):
            async with running(world) as broker:
                ids.append(broker.broker.cluster_id)
        assert ids[0] == ids[1]

    run(scenario)


async def refused(world: World, **settings: str) -> str:
    """Why a broker does not start."""
    texts = {key.replace("_", "."): text for key, text in settings.items()}
    broker = Broker(config_of(texts), world.dependencies())
    async with asyncio.TaskGroup() as group:
        tasks = TaskSupervisor(group, on_fatal=broker.request_stop)
        with pytest.raises(StartError) as error:
            await broker.start(tasks)
        await asyncio.sleep(0)  # so that every task has begun before it is cancelled
        tasks.cancel_all()
        await broker.stop()
    return str(error.value)


def test_a_directory_in_use_and_a_port_in_use_are_said_in_one_line() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            assert "in use" in await refused(world)
            text = await refused(World(), listeners=f"PLAINTEXT://127.0.0.1:{broker.port}")
            assert text.startswith(f"cannot listen on 127.0.0.1:{broker.port}: ")

    run(scenario)


def test_a_disk_that_fails_at_start_is_said_in_one_line_and_can_start_later() -> None:
    async def scenario() -> None:
        disk_world = World()
        async with running(disk_world) as broker:
            client = await broker.client()
            await client.create("t")
            disk = broker.disk
            client.close()
        disk.fail("open", "*.log", error_number=errno.EIO)
        assert "\n" not in await refused(disk_world)
        disk.heal()
        async with running(disk_world) as broker:
            assert broker.port

    run(scenario)


def test_what_is_refused_after_a_clean_stop_is_refused_until_it_is_accepted() -> None:
    """Whatever starts a broker again by itself must not accept the loss by that."""

    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = Target("t", await client.create("t", flush_messages="1000"))
            await client.ask(produce(target, 9, b"v"), 9)
            client.close()
        world.file_system.remove(f"/data/t-0/{0:020d}.log")
        for _ in range(3):
            assert "the last 1 records are missing" in await refused(world)
        async with running(world, kbroker_accept_damaged_logs="true") as broker:
            assert broker.port
        async with running(world) as broker:
            assert broker.port

    run(scenario)


class Unreadable:
    """A metadata store that answers nothing."""

    def __getattr__(self, name: str) -> object:
        async def fail(*arguments: object, **options: object) -> None:
            if name != "close":
                raise StoreUnavailableError("it cannot be read")

        return fail


def test_a_start_without_its_metadata_leaves_word_of_the_clean_stop_before_it() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world):
            pass
        whole, world.store = world.store, Unreadable()
        await refused(world)
        assert world.file_system.exists("/data/.kafka_cleanshutdown")
        world.store = whole
        async with running(world) as broker:
            assert broker.port

    run(scenario)


def test_an_unexpected_disk_error_stops_the_broker_and_the_next_start_checks() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            target = Target("t", await client.create("t"))
            await client.ask(produce(target, 9, b"safe"), 9)
            broker.disk.fail("append", "*.log", error_number=errno.EIO, count=1)
            answer = await client.ask(produce(target, 9, b"lost"), 9)
            assert list(error_codes(answer)) == [ErrorCode.KAFKA_STORAGE_ERROR]
            await broker.broker.stopped.wait()
            world.file_system = broker.disk
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            assert all_values(await client.ask(fetch(target, 13), 13)) == [b"safe"]
            client.close()

    run(scenario)


def test_creating_a_topic_on_a_full_disk_leaves_the_others_served() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        await client.ask(produce(target, 9, b"safe"), 9)
        broker.disk.fail("append", "*/new-*", error_number=errno.ENOSPC)
        other = await broker.client()
        other.send(create_topics(target, 7), 7)
        for _ in range(50):
            await asyncio.sleep(0)
        assert all_values(await client.ask(fetch(target, 13), 13)) == [b"safe"]
        assert not broker.broker.stopped.is_set(), broker.broker.failure
        other.close()

    with_broker(scenario)
