"""The cache: current after every change, in order, over gaps in the history."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_image import MetadataDelta
from kbroker.cluster.metadata_records import ConfigRecord, encode_config
from kbroker.cluster.metadata_store import Put

KEYS = Keys("main")


def config(value: str) -> Put:
    return Put(KEYS.broker_config(None), encode_config(ConfigRecord({"k": value})))


@asynccontextmanager
async def running(cache: MetadataCache) -> AsyncIterator[None]:
    task = asyncio.ensure_future(cache.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run(scenario: Callable[[MemoryStore, MetadataCache], Awaitable[None]]) -> None:
    async def main() -> None:
        store = MemoryStore(random.Random(1))
        await scenario(store, MetadataCache(store, KEYS))
        await store.close()

    asyncio.run(main())


def test_what_was_there_is_loaded_and_what_comes_is_followed() -> None:
    async def scenario(store: MemoryStore, cache: MetadataCache) -> None:
        deltas: list[MetadataDelta] = []
        cache.on_change(deltas.append)
        await store.transact([], [config("1")])
        await cache.load()
        assert cache.image.broker_configs["default"] == {"k": "1"}
        async with running(cache):
            result = await store.transact([], [config("2")])
            await store.transact([], [Put("/elsewhere", b"")])
            await cache.wait_until(result.revision)
            assert cache.image.broker_configs["default"] == {"k": "2"}
        assert [each.revision for each in deltas] == [2, 3]

    run(scenario)


def test_a_callback_sees_the_image_that_its_delta_leads_to() -> None:
    async def scenario(store: MemoryStore, cache: MetadataCache) -> None:
        seen: list[object] = []
        cache.on_change(lambda delta: seen.append(cache.image.broker_configs["default"]["k"]))
        await cache.load()
        async with running(cache):
            for value in ("1", "2", "3"):
                last = await store.transact([], [config(value)])
            await cache.wait_until(last.revision)
        assert seen == ["1", "2", "3"]

    run(scenario)


def test_waiting_for_a_revision_ends_with_it_and_no_sooner() -> None:
    async def scenario(store: MemoryStore, cache: MetadataCache) -> None:
        await cache.load()
        waits = [asyncio.ensure_future(cache.wait_until(each)) for each in (4, 2, 3)]
        abandoned = asyncio.ensure_future(cache.wait_until(2))
        await asyncio.sleep(0)
        abandoned.cancel()
        async with running(cache):
            await store.transact([], [config("1")])
            await cache.wait_until(2)
            await asyncio.sleep(0)
            assert [each.done() for each in waits] == [False, True, False]
            await store.transact([], [config("2")])
            await store.transact([], [config("3")])
            await asyncio.gather(*waits)
            await cache.wait_until(1)

    run(scenario)


def test_a_cache_that_fell_behind_a_compaction_reads_everything_anew() -> None:
    async def scenario(store: MemoryStore, cache: MetadataCache) -> None:
        deltas: list[MetadataDelta] = []
        await cache.load()
        cache.on_change(deltas.append)
        for n in range(6):
            last = await store.transact([], [config(str(n))])
        await store.compact(last.revision)
        async with running(cache):
            await cache.wait_until(last.revision)
            assert cache.image.broker_configs["default"] == {"k": "5"}
            assert [each.revision for each in deltas] == [last.revision]
            last = await store.transact([], [config("on")])
            await cache.wait_until(last.revision)
            assert cache.image.broker_configs["default"] == {"k": "on"}

    run(scenario)


def test_following_ends_when_the_store_is_closed() -> None:
    async def scenario(store: MemoryStore, cache: MetadataCache) -> None:
        await cache.load()
        following = asyncio.ensure_future(cache.run())
        await asyncio.sleep(0)
        await store.close()
        await following

    run(scenario)


def test_catching_up_shows_what_was_there_before_it() -> None:
    async def scenario(store: MemoryStore, cache: MetadataCache) -> None:
        await store.transact([], [config("1")])
        await cache.load()
        async with running(cache):
            await store.transact([], [config("2")])
            await cache.catch_up()
            assert cache.image.broker_configs["default"] == {"k": "2"}

    run(scenario)


def test_a_revision_that_is_somebody_elses_is_reached_by_reading(monkeypatch) -> None:
    monkeypatch.setattr("kbroker.cluster.metadata_cache.CATCH_UP_S", 0.0)

    async def scenario(store: MemoryStore, cache: MetadataCache) -> None:
        await store.transact([], [config("1")])
        await cache.load()
        result = await store.transact([], [config("2"), Put("/elsewhere", b"")])
        await cache.reach(result.revision)  # nobody follows the watch
        assert cache.image.broker_configs["default"] == {"k": "2"}

    run(scenario)
