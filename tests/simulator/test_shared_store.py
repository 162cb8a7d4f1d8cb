"""One store for many machines: what its clients are told, are not told, and are told late."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from kbroker.cluster.metadata_store import (
    CompactedError,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
    key_absent,
)
from simulator.loop import CURRENT, Process, SimulatedLoop
from simulator.shared_store import (
    CALL_TIMEOUT_S,
    LATEST_END,
    LATEST_S,
    Link,
    SharedStore,
    StoreClient,
)

TTL_MS = 6_000


class Stage:
    """Two clients of one store."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.store = SharedStore(random.Random(1))
        self.link, self.other_link = Link(), Link()
        self.client: StoreClient = self.store.client("one", self.link)
        self.other: StoreClient = self.store.client("other", self.other_link)


def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
    loop = SimulatedLoop(random.Random(1))
    asyncio.set_event_loop(loop)

    async def main() -> None:
        await scene(Stage(loop))

    try:
        loop.run_until_complete(main())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_what_one_writes_another_reads_and_is_told_of() -> None:
    async def scene(stage: Stage) -> None:
        watch = stage.other.watch("", 1)
        await stage.client.transact([key_absent("k")], [Put("k", b"v")])
        found = await stage.other.get("k")
        assert found is not None
        assert found.value == b"v"
        batch = await anext(watch)
        assert [event.kv for event in batch.events] == [found]
        assert stage.store.read("k") == found
        assert 0 < stage.loop.now < 0.1

    play(scene)


def test_a_lost_answer_is_an_unknown_outcome_although_the_change_was_made() -> None:
    async def scene(stage: Stage) -> None:
        stage.link.lost = 1.0
        with pytest.raises(OutcomeUnknownError):
            await stage.client.transact([], [Put("k", b"v")])
        assert stage.loop.now == pytest.approx(CALL_TIMEOUT_S, abs=0.1)
        assert stage.store.read("k") is not None
        with pytest.raises(StoreUnavailableError):
            await stage.client.get("k")

    play(scene)


def test_a_refused_request_changes_nothing() -> None:
    async def scene(stage: Stage) -> None:
        stage.link.refused = 1.0
        with pytest.raises(StoreUnavailableError):
            await stage.client.transact([], [Put("k", b"v")])
        assert stage.store.read("k") is None
        assert stage.loop.now < CALL_TIMEOUT_S

    play(scene)


def test_a_late_change_lands_after_its_sender_has_given_up_and_died() -> None:
    async def scene(stage: Stage) -> None:
        stage.link.late = 1.0
        process = Process("broker", "10.0.1.1")

        async def propose() -> None:
            with pytest.raises(OutcomeUnknownError):
                await stage.client.transact([], [Put("k", b"v")])

        token = CURRENT.set(process)
        task = asyncio.create_task(propose())
        CURRENT.reset(token)
        await task
        assert stage.store.read("k") is None
        stage.loop.end_process(process)
        await asyncio.sleep(LATEST_S)
        assert stage.store.read("k") is not None

    play(scene)


@pytest.mark.parametrize("way", ["requests_cut", "answers_cut"])
def test_a_watch_is_silent_while_its_link_is_cut_and_goes_on_where_it_was(way: str) -> None:
    async def scene(stage: Stage) -> None:
        watch = stage.client.watch("", 2)
        setattr(stage.link, way, True)
        following = asyncio.ensure_future(anext(watch))
        for value in (b"1", b"2"):
            await stage.other.transact([], [Put("k", value)])
        await asyncio.sleep(100)
        assert not following.done()
        stage.link.heal()
        batches = [await following, await anext(watch)]
        assert [event.kv.value for each in batches for event in each.events] == [b"1", b"2"]

    play(scene)


def test_a_watch_whose_place_was_compacted_while_it_was_cut_is_told_so() -> None:
    async def scene(stage: Stage) -> None:
        watch = stage.client.watch("", 2)
        stage.link.requests_cut = True
        following = asyncio.ensure_future(anext(watch))
        for value in (b"1", b"2"):
            await stage.other.transact([], [Put("k", value)])
        stage.store.compact_now()
        stage.store.compact_now()
        stage.link.heal()
        with pytest.raises(CompactedError):
            await following

    play(scene)


def test_a_batch_is_not_lost_with_whoever_stopped_waiting_for_it() -> None:
    async def scene(stage: Stage) -> None:
        stage.link.watch_delay_s = (1.0, 1.0)
        watch = stage.client.watch("", 2)
        following = asyncio.ensure_future(anext(watch))
        await stage.other.transact([], [Put("k", b"v")])
        await asyncio.sleep(0.5)
        following.cancel()
        await asyncio.wait([following])
        batch = await anext(watch)
        assert [event.kv.key for event in batch.events] == ["k"]

    play(scene)


def test_a_lease_ends_late_and_never_early_and_outlives_its_holder() -> None:
    async def scene(stage: Stage) -> None:
        process = Process("broker", "10.0.1.1")
        token = CURRENT.set(process)
        lease = await stage.client.lease_grant(TTL_MS)
        await stage.client.transact([], [Put("k", b"", lease)])
        CURRENT.reset(token)
        stage.loop.end_process(process)
        for _ in range(3):
            assert await stage.other.lease_keep_alive(lease) >= TTL_MS
            await asyncio.sleep(TTL_MS / 1000)
            assert stage.store.read("k") is not None
        await asyncio.sleep(TTL_MS / 1000 * (2 * LATEST_END))
        assert stage.store.read("k") is None
        assert await stage.other.lease_keep_alive(lease) == 0

    play(scene)


def test_without_a_quorum_nothing_is_answered_and_no_lease_ends() -> None:
    async def scene(stage: Stage) -> None:
        lease = await stage.client.lease_grant(TTL_MS)
        await stage.client.transact([], [Put("k", b"", lease)])
        stage.store.lose_quorum()
        assert not stage.store.expire("one")
        with pytest.raises(StoreUnavailableError):
            await stage.client.get("k")
        with pytest.raises(OutcomeUnknownError):
            await stage.client.transact([], [Put("other", b"")])
        await asyncio.sleep(10 * TTL_MS / 1000)
        assert stage.store.read("k") is not None
        stage.store.regain_quorum()
        await asyncio.sleep(TTL_MS / 1000)
        assert await stage.client.get("k") is not None
        await asyncio.sleep(TTL_MS / 1000 * (2 * LATEST_END))
        assert await stage.client.get("k") is None

    play(scene)


def test_the_leases_of_one_owner_end_on_demand() -> None:
    async def scene(stage: Stage) -> None:
        for client in (stage.client, stage.other):
            lease = await client.lease_grant(TTL_MS)
            await client.transact([], [Put(f"k/{lease}", b"", lease)])
        assert stage.store.expire("one")
        assert not stage.store.expire("one")
        assert len(stage.store.read_all("k/").items) == 1

    play(scene)


def test_a_closed_client_is_closed_and_the_others_are_not() -> None:
    async def scene(stage: Stage) -> None:
        watch = stage.client.watch("", 2)
        following = asyncio.ensure_future(anext(watch, None))
        await asyncio.sleep(0.1)
        await stage.client.close()
        assert await following is None
        with pytest.raises(StoreUnavailableError):
            await stage.client.get("k")
        await stage.other.get("k")

    play(scene)
