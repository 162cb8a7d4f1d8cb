"""Three real members: the leader is killed, frozen, the majority goes, and all of it comes back.

`tools/test_etcd` runs it, here it would take too long.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from kbroker.cluster.etcd_gateway import Gateway, GatewayOptions
from kbroker.cluster.etcd_store import EtcdStore
from kbroker.cluster.metadata_store import (
    MetadataStoreError,
    OutcomeUnknownError,
    Put,
    StoreUnavailableError,
)
from tests.kbroker.cluster.etcd_process import EtcdCluster

pytestmark = pytest.mark.skipif(
    not os.environ.get("KBROKER_TEST_ETCD_CLUSTER"), reason="takes long: tools/test_etcd"
)

TIMEOUT_S = 0.5
TICK_S = 0.3
# Elections within a fraction of a second, on a machine that may be busy.
QUICK = ("--heartbeat-interval", "30", "--election-timeout", "300")


@pytest.fixture
def members(tmp_path: Path) -> Iterator[EtcdCluster]:
    cluster = EtcdCluster(tmp_path, 3, QUICK)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def store_on(cluster: EtcdCluster) -> EtcdStore:
    options = GatewayOptions(cluster.endpoints, allow_old=True, timeout_s=TIMEOUT_S)
    return EtcdStore(Gateway(options), tick_s=TICK_S)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


async def put(store: EtcdStore, key: str) -> int:
    """Until it is done; the number of revisions at which that may have been."""
    unknown = 0
    while True:
        try:
            await store.transact([], [Put(key, b"")])
        except OutcomeUnknownError:
            unknown += 1
        except StoreUnavailableError:
            continue
        else:
            return unknown + 1


async def follow(store: EtcdStore, last: str) -> list[str]:
    keys: list[str] = []
    async with aclosing(store.watch("k/", 1)) as watch:
        while last not in keys:
            keys += [each.kv.key for each in (await anext(watch)).events]
    return keys


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_leader_that_dies_or_freezes_costs_neither_changes_nor_events(
    members: EtcdCluster, how: signal.Signals
) -> None:
    async def scenario() -> None:
        store = store_on(members)
        following = asyncio.ensure_future(follow(store, "k/end"))
        tries = {}
        for number in range(30):
            if number == 10:
                members.leader.signal(how)
            tries[f"k/{number}"] = await put(store, f"k/{number}")
        tries["k/end"] = await put(store, "k/end")
        keys = await following
        assert list(dict.fromkeys(keys)) == list(tries)
        assert all(keys.count(key) <= tries[key] for key in tries)
        listing = await store.list("k/")
        assert {each.key for each in listing.items} == set(tries)
        await store.close()

    run(scenario)


def test_without_a_majority_every_call_ends_and_with_it_all_goes_on(members: EtcdCluster) -> None:
    async def scenario() -> None:
        store = store_on(members)
        lease = await store.lease_grant(60_000)
        await store.transact([], [Put("k/begin", b"", lease)])
        following = asyncio.ensure_future(follow(store, "k/end"))
        leader = members.leader
        other = next(each for each in members.members if each is not leader)
        for member in (leader, other):
            member.kill()
        calls = (
            lambda: store.get("k/begin"),
            lambda: store.list("k/"),
            lambda: store.transact([], [Put("k/may be", b"")]),
            lambda: store.lease_keep_alive(lease),
            lambda: store.status(),
        )
        for call in calls:
            with pytest.raises(MetadataStoreError) as caught:
                await call()
            assert isinstance(caught.value, StoreUnavailableError | OutcomeUnknownError)
        assert not following.done()
        for member in (leader, other):
            member.start()
        await put(store, "k/end")
        assert await store.lease_keep_alive(lease) == 60_000
        keys = await following
        assert keys[0] == "k/begin"
        assert set(keys) <= {"k/begin", "k/may be", "k/end"}
        await store.close()

    run(scenario)
