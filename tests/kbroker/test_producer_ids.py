"""Producer ids: each is given once, and a block is reserved once for all who wait."""

from __future__ import annotations

import asyncio

import pytest

from kbroker.producer_ids import ProducerIds
from wire.errors import ErrorCode, KafkaError


class Store:
    """Hands out blocks of three ids. Mutable."""

    def __init__(self) -> None:
        self.next_id = 0
        self.fails = False

    async def allocate(self) -> range:
        await asyncio.sleep(0)
        if self.fails:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.next_id += 3
        return range(self.next_id - 3, self.next_id)


def test_there_is_none_at_hand_before_a_block_is_reserved() -> None:
    assert ProducerIds(Store().allocate).take() is None


def test_many_who_start_at_once_get_different_ids_and_share_blocks() -> None:
    async def scenario() -> None:
        store = Store()
        ids = ProducerIds(store.allocate)
        given = await asyncio.gather(*[ids.next() for _ in range(10)])
        assert sorted(given) == list(range(10))
        assert store.next_id == 12
        assert [ids.take(), ids.take(), ids.take()] == [10, 11, None]

    asyncio.run(scenario())


def test_a_store_that_refuses_is_asked_again_by_the_next() -> None:
    async def scenario() -> None:
        store = Store()
        store.fails = True
        ids = ProducerIds(store.allocate)
        with pytest.raises(KafkaError):
            await ids.next()
        store.fails = False
        assert await ids.next() == 0

    asyncio.run(scenario())


def test_with_a_block_ahead_producers_begin_while_the_store_is_away() -> None:
    async def scenario() -> None:
        store = Store()
        async with asyncio.TaskGroup() as group:
            ids = ProducerIds(store.allocate, spawn=lambda work, name: group.create_task(work))
            ids.reserve_ahead()
        async with asyncio.TaskGroup() as group:
            ids._spawn = lambda work, name: group.create_task(work)
            assert [ids.take() for _ in range(2)] == [0, 1]
        assert store.next_id == 6, "the next one is reserved when the first is begun"
        store.fails = True
        async with asyncio.TaskGroup() as group:
            ids._spawn = lambda work, name: group.create_task(work)
            assert [ids.take() for _ in range(5)] == [2, 3, 4, 5, None]
            with pytest.raises(KafkaError):
                await ids.next()
        store.fails = False
        async with asyncio.TaskGroup() as group:
            ids._spawn = lambda work, name: group.create_task(work)
            assert await ids.next() == 6

    asyncio.run(scenario())
