"""What another broker has just created is found here, and what nobody has costs little."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from kbroker.cluster.controller import Controller
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.topic_creation import NewTopic
from kbroker.topic_lookup import MAX_ASKED, MAX_REMEMBERED, UNKNOWN_FOR_S, TopicLookup
from tests.kbroker.cluster.controller_harness import controller_of, create, start


class Time:
    """Seconds that the test moves. Mutable."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


Scenario = Callable[[Controller, TopicLookup, MetadataCache, Time], Awaitable[None]]


def run(scenario: Scenario) -> None:
    async def main() -> None:
        store = MemoryStore(random.Random(1))
        controller = controller_of(store)
        await controller.create_cluster()
        await start(controller)
        cache, time = MetadataCache(store, controller.keys), Time()
        await cache.load()
        lookup = TopicLookup(store, controller.keys, cache, time)
        following = asyncio.ensure_future(cache.run())
        await scenario(controller, lookup, cache, time)
        following.cancel()
        await store.close()

    asyncio.run(main())


def test_a_topic_created_elsewhere_is_found() -> None:
    async def scenario(
        controller: Controller, lookup: TopicLookup, cache: MetadataCache, time: Time
    ) -> None:
        await create(controller, NewTopic("a.topic"))
        assert lookup.worth_asking(["a.topic"]) == ["a.topic"]
        await lookup.find(["a.topic"])
        assert "a.topic" in cache.image.topic_ids
        assert lookup.worth_asking(["a.topic"]) == []

    run(scenario)


def test_what_nobody_has_is_asked_for_once_in_a_while() -> None:
    async def scenario(
        controller: Controller, lookup: TopicLookup, cache: MetadataCache, time: Time
    ) -> None:
        await create(controller, NewTopic("a.topic"))
        await lookup.find(["none", "a_topic"])  # one that would collide is none either
        assert lookup.worth_asking(["none", "a_topic"]) == []
        time.now += UNKNOWN_FOR_S
        assert lookup.worth_asking(["none", "a_topic"]) == ["none", "a_topic"]

    run(scenario)


def test_what_is_asked_and_remembered_is_bounded() -> None:
    async def scenario(
        controller: Controller, lookup: TopicLookup, cache: MetadataCache, time: Time
    ) -> None:
        names = [f"t{number}" for number in range(MAX_REMEMBERED)]
        assert len(lookup.worth_asking(names)) == MAX_ASKED
        await lookup.find(names)
        assert lookup.worth_asking(names) == []
        await lookup.find(["one-more"])
        assert len(lookup.worth_asking(names)) == MAX_ASKED, "forgotten, not kept for ever"

    run(scenario)


def test_a_store_that_cannot_be_asked_leaves_it_unknown() -> None:
    async def scenario(
        controller: Controller, lookup: TopicLookup, cache: MetadataCache, time: Time
    ) -> None:
        await controller._store.close()  # type: ignore[attr-defined]
        await lookup.find(["t"])
        assert lookup.worth_asking(["t"]) == ["t"]

    run(scenario)
