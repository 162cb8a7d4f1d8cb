"""Partitions are made beside other work, and whatever happens meanwhile, none is half there."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.kbroker.held_executor import HeldExecutor
from tests.kbroker.replication.test_replica_manager import (
    FIRST_ID,
    SECOND_ID,
    Home,
    code_of,
    image_of,
    topic,
)
from wire.errors import ErrorCode

THIRD_ID = b"3" * 16


def run(scenario: Callable[[Home, HeldExecutor], Awaitable[None]]) -> None:
    """With the task that makes partitions, whose thread works when `let_go` is called."""

    async def all_of_it() -> None:
        held = HeldExecutor()
        asyncio.get_running_loop().set_default_executor(held)
        home = Home()
        task = asyncio.create_task(home.replicas.make_partitions())
        await turns()
        await scenario(home, held)
        assert not task.done()
        task.cancel()

    asyncio.run(all_of_it())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def finish(held: HeldExecutor, waiting: asyncio.Task[None]) -> None:
    """Let the thread work until nobody waits any more."""
    while not waiting.done():
        held.let_go()
        await turns()


def settled(home: Home, *topic_ids: bytes) -> asyncio.Task[None]:
    return asyncio.create_task(home.replicas.settled(topic_ids))


def directories(home: Home) -> list[str]:
    return [
        name for name in home.disk.list_directory("/data") if "-" in name and "offset" not in name
    ]


def test_what_waits_for_the_disk_waits_in_a_thread() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        new = topic(count=3)
        home.change(new, created_topics=(new,))
        waiting = settled(home, FIRST_ID)
        await turns()
        assert len(held.jobs) == 1
        assert directories(home) == []
        assert home.replicas.making_count == 3
        assert code_of(home.replicas.partition, "t", 2) == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert not waiting.done()
        await finish(held, waiting)
        assert home.replicas.making_count == 0
        home.append(b"a", index=2)

    run(scenario)


def test_partitions_of_many_topics_are_made_together() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        topics = [topic(f"t{n}", bytes([n]) * 16, count=2) for n in range(1, 21)]
        home.change(*topics, created_topics=tuple(topics))
        waiting = settled(home, *(each.topic_id for each in topics))
        await turns()
        held.let_go()
        await turns(100)
        assert waiting.done()
        assert len(list(home.replicas)) == 40

    run(scenario)


def test_a_topic_deleted_while_its_partitions_are_made_leaves_nothing() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        old, new = topic(count=5), topic(topic_id=SECOND_ID, count=2)
        home.change(old, created_topics=(old,))
        await turns()
        home.change(deleted_topics=(old,))
        assert code_of(home.replicas.partition, "t", 0) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        gone = settled(home, FIRST_ID)
        home.change(new, created_topics=(new,))
        await turns()
        assert not gone.done()
        await finish(held, gone)
        await finish(held, settled(home, SECOND_ID))
        assert directories(home) == ["t-0", "t-1"]
        assert [each.topic_id for each in home.directory.logs.values()] == [SECOND_ID] * 2

    run(scenario)


def test_a_partition_given_to_others_while_it_is_made_is_not_served() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        old = topic(count=2)
        home.change(old, created_topics=(old,))
        await turns()
        moved = replace(old.partitions[1], replicas=(9,), leader=9, isr=(9,), partition_epoch=1)
        new = replace(old, partitions={**old.partitions, 1: moved})
        home.change(new, changed_partitions=((FIRST_ID, 1),))
        await finish(held, settled(home, FIRST_ID))
        assert [(each.topic, each.index) for each in home.replicas] == [("t", 0)]
        assert list(home.directory.logs) == [("t", 0)]
        assert code_of(home.replicas.partition, "t", 1) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        # Given back, it is made anew.
        back = replace(old.partitions[1], partition_epoch=2)
        again = replace(old, partitions={**old.partitions, 1: back})
        home.change(again, changed_partitions=((FIRST_ID, 1),))
        await finish(held, settled(home, FIRST_ID))
        home.append(b"a", index=1)

    run(scenario)


def test_a_topic_deleted_when_some_of_its_partitions_are_open_leaves_nothing() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        old = topic(count=40)
        home.change(old, created_topics=(old,))
        await turns()
        held.let_go()
        while not list(home.replicas):
            await asyncio.sleep(0)
        assert len(list(home.replicas)) < 40
        home.change(deleted_topics=(old,))
        home.image.deleted_topics = {FIRST_ID: None}  # type: ignore[dict-item]
        removed = asyncio.create_task(home.replicas.remove_deleted())
        await finish(held, removed)
        assert directories(home) == []
        assert home.replicas.making_count == 0

    run(scenario)


def test_metadata_that_changes_while_partitions_are_made_makes_none_twice() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        new, again = topic(count=2), topic(count=2, epoch=3)
        home.change(new, created_topics=(new,))
        await turns()
        home.change(again, changed_partitions=((FIRST_ID, 0), (FIRST_ID, 1)))
        await finish(held, settled(home, FIRST_ID))
        assert home.replicas.partition("t", 1).leader_epoch == 3
        assert home.errors == []

    run(scenario)


def test_no_topic_suffers_for_another_that_the_disk_refuses() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        bad, good = topic("bad", FIRST_ID, count=2), topic("good", SECOND_ID, count=2)
        home.disk.fail("make_directory", "*/bad-1", error_number=errno.ENOSPC)
        home.change(bad, good, created_topics=(bad, good))
        await finish(held, settled(home, FIRST_ID, SECOND_ID))
        assert home.replicas.refused_count == 2
        assert len(home.errors) == 1
        assert code_of(home.replicas.partition, "bad", 0) == ErrorCode.KAFKA_STORAGE_ERROR
        home.append(b"a", name="good", index=1)
        home.disk.heal()
        home.replicas.make_unmade(home.image)
        home.append(b"a", name="bad", index=1)

    run(scenario)


def test_a_stop_waits_for_the_thread_and_the_next_start_makes_the_rest() -> None:
    async def scenario(home: Home, held: HeldExecutor) -> None:
        new = topic(count=2)
        home.change(new, created_topics=(new,))
        await turns()
        stopping = asyncio.create_task(home.replicas.settle())
        await turns()
        assert not stopping.done()
        held.let_go()
        await stopping
        assert directories(home) == ["t-0", "t-1"]
        again = home.restart(home.disk.kill(), new)
        assert len(list(again.replicas)) == 2
        assert again.directory.strays == {}

    run(scenario)


def test_more_than_a_start_may_open_at_once_is_made_at_the_start() -> None:
    new = topic(count=150)
    assert len(list(Home(image=image_of(new)).replicas)) == 150
