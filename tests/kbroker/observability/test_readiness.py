"""/readyz: exactly where a Produce would be acknowledged."""

from __future__ import annotations

import asyncio
import errno
import threading
from types import SimpleNamespace

from kbroker.broker import Broker
from kbroker.observability.readiness import PROBE_LIFE_S, PROBE_NAME, PROBE_TIMEOUT_S, Readiness
from kbroker.tasks import TaskSupervisor
from tests.kbroker.broker_harness import (
    Client,
    MovableLoop,
    Running,
    World,
    config_of,
    with_broker,
)
from tests.kbroker.broker_harness import run as run_scenario
from tests.kbroker.handlers.requests import Target, produce
from tests.kbroker.observability.http_client import get
from wire.errors import ErrorCode

HTTP = "127.0.0.1:0"


async def readyz(broker: Running) -> tuple[int, str]:
    """What it answers once the disk's last word is old."""
    broker.loop.advance(PROBE_LIFE_S + 0.1)
    address = broker.broker.http_address
    assert address is not None
    return await get(address, "/readyz")


async def produced(client: Client, target: Target) -> int:
    response = await client.ask(produce(target, 9), 9)
    code: int = response.responses[0].partition_responses[0].error_code
    return code


def test_ready_where_records_are_acknowledged_and_no_probe_stays() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        assert await readyz(broker) == (200, "ok\n")
        assert await produced(client, Target("t", await client.create("t"))) == 0
        assert await readyz(broker) == (200, "ok\n")
        assert PROBE_NAME not in broker.disk.list_directory("/data")

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_a_full_disk_and_one_that_has_room_again() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        broker.disk.capacity_bytes = 0
        status, reason = await readyz(broker)
        assert status == 503
        assert "No space left on device" in reason
        assert await produced(client, target) == ErrorCode.KAFKA_STORAGE_ERROR
        broker.disk.capacity_bytes = None
        assert await readyz(broker) == (200, "ok\n")
        assert await produced(client, target) == 0

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_a_disk_that_does_not_flush() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        broker.disk.fail("flush", f"*{PROBE_NAME}", error_number=errno.EIO)
        status, reason = await readyz(broker)
        assert (status, "Input/output error" in reason) == (503, True)

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_an_offline_log_directory() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        broker.broker.replicas.take_offline()
        assert await readyz(broker) == (503, "the log directory is offline\n")

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_what_the_broker_knows_of_itself() -> None:
    sound = {
        "metadata": SimpleNamespace(image=SimpleNamespace(controller_id=1)),
        "replicas": SimpleNamespace(offline=False, refused_count=0),
        "topics": SimpleNamespace(partition_count=lambda name: 50),
        "group_coordinator": SimpleNamespace(is_loaded=True),
        "membership_state": lambda: "suspect",  # it goes on serving
    }
    changes = {
        "": {},
        "the broker is not a member of its cluster": {"membership_state": lambda: "lost"},
        "there is no controller": {
            "metadata": SimpleNamespace(image=SimpleNamespace(controller_id=None))
        },
        "the disk refused to make 2 partitions": {
            "replicas": SimpleNamespace(offline=False, refused_count=2)
        },
        "groups and their offsets are being loaded": {
            "group_coordinator": SimpleNamespace(is_loaded=False)
        },
    }
    loop = MovableLoop()
    readiness = Readiness(loop, lambda: None)
    assert readiness.known_reasons() == ["the broker is starting"]
    for reason, change in changes.items():
        readiness.services = SimpleNamespace(**{**sound, **change})  # type: ignore[assignment]
        assert readiness.known_reasons() == ([reason] if reason else [])
    # Without the topic nobody waits for it: the first member of a group makes it.
    nothing = {"topics": SimpleNamespace(partition_count=lambda name: 0)}
    unloaded = {**sound, **nothing, "group_coordinator": SimpleNamespace(is_loaded=False)}
    readiness.services = SimpleNamespace(**unloaded)  # type: ignore[assignment]
    assert readiness.known_reasons() == []
    loop.close()


def test_a_broker_that_starts_is_alive_and_not_ready() -> None:
    async def scenario() -> None:
        world = World()
        release = asyncio.Event()
        open_store = world.dependencies().open_store

        async def slow_store(path: str):
            await release.wait()
            return await open_store(path)

        settings = {"kbroker.http.listener": HTTP}
        dependencies = world.dependencies()
        object.__setattr__(dependencies, "open_store", slow_store)
        broker = Broker(config_of(settings), dependencies)
        async with asyncio.TaskGroup() as group:
            tasks = TaskSupervisor(group, on_fatal=broker.request_stop)
            starting = group.create_task(broker.start(tasks))
            while broker.http_address in (None, ("", 0)):
                await asyncio.sleep(0)
            address = broker.http_address
            assert address is not None
            assert await get(address, "/livez") == (200, "ok\n")
            assert await get(address, "/readyz") == (503, "the broker is starting\n")
            assert await get(address, "/metrics") == (503, "the broker is starting\n")
            release.set()
            await starting
            assert await get(address, "/readyz") == (200, "ok\n")
            await broker.drain()
            assert await get(address, "/readyz") == (503, "the broker is stopping\n")
            assert await get(address, "/livez") == (200, "ok\n")
            tasks.cancel_all()
            await broker.stop()

    run_scenario(scenario)


def test_a_disk_that_hangs_is_asked_once_and_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        release = threading.Event()
        asked: list[None] = []

        def hang() -> None:
            asked.append(None)
            release.wait(60)

        readiness = Readiness(loop, hang)
        readiness.known_reasons = lambda: []  # type: ignore[method-assign]
        questions = [asyncio.ensure_future(readiness.reasons()) for _ in range(3)]
        for _ in range(3):
            await asyncio.sleep(0)
        loop.advance(PROBE_TIMEOUT_S)
        for question in questions:
            assert await question == [f"the disk has not answered for {PROBE_TIMEOUT_S:.0f} s"]
        assert len(asked) == 1
        release.set()
        await readiness.settle()
        assert await readiness.reasons() == []

    run_scenario(scenario)


def test_a_broker_that_is_told_to_stop_while_the_disk_is_asked_is_not_ready() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        release = threading.Event()

        def hang() -> None:
            release.wait(60)

        readiness = Readiness(loop, hang)
        told: list[str] = []
        readiness.known_reasons = lambda: list(told)  # type: ignore[method-assign]
        question = asyncio.ensure_future(readiness.reasons())
        await asyncio.sleep(0)
        told.append("the broker is stopping")
        release.set()
        assert await question == ["the broker is stopping"]

    run_scenario(scenario)
