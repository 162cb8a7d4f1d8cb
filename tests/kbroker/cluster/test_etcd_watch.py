"""A watch tells each change once and in order, whatever becomes of its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from kbroker.cluster.etcd_gateway import Gateway
from kbroker.cluster.etcd_watch import EtcdWatch
from kbroker.cluster.metadata_store import CompactedError
from tests.kbroker.cluster.fake_etcd import FakeEtcd, Raw, Refusal, Silence, chunk, fake_cluster

TICK_S = 0.02
LONG_S = 30.0
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CREATED = chunk({"created": True})


def watch_of(gateway: Gateway, *, from_revision: int = 2, tick_s: float = LONG_S) -> EtcdWatch:
    return EtcdWatch(
        gateway,
        namespace="",
        prefix="",
        from_revision=from_revision,
        ended=lambda watch: None,
        tick_s=tick_s,
        pause_s=0.0,
    )


async def keys_of(watch: EtcdWatch, count: int) -> list[str]:
    """Those of so many events; their revisions have to be 2, 3 and so on."""
    events = []
    while len(events) < count:
        batch = await anext(watch)
        assert batch.revision == batch.events[-1].kv.mod_revision
        events += batch.events
    assert [each.kv.mod_revision for each in events] == list(range(2, count + 2))
    return [each.kv.key for each in events]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_streams_that_end_after_any_number_of_bytes_lose_and_repeat_nothing() -> None:
    async def scenario() -> None:
        member = FakeEtcd()
        for number in range(3):
            member.put(f"k{number}", b"x")
        async with fake_cluster([member]) as gateway:
            for cut in range(0, 900, 17):
                member.line_cuts = [cut, cut + 3]
                async with aclosing(watch_of(gateway)) as watch:
                    assert await keys_of(watch, 3) == ["k0", "k1", "k2"]

    run(scenario)


def test_changes_come_while_connections_go() -> None:
    async def scenario() -> None:
        members = [FakeEtcd(), FakeEtcd()]
        members[1].history = members[0].history
        async with (
            fake_cluster(members, timeout_s=0.5) as gateway,
            aclosing(watch_of(gateway, tick_s=TICK_S)) as watch,
        ):
            following = asyncio.ensure_future(keys_of(watch, 60))
            for number in range(60):
                members[0].put(f"k{number}")
                members[1].grown.set()
                members[1].grown = asyncio.Event()
                if number % 7 == 0:
                    members[number % 2].drop_connections()
                for _ in range(number % 5):
                    await asyncio.sleep(0)
            assert await following == [f"k{number}" for number in range(60)]

    run(scenario)


def test_a_stream_that_says_nothing_more_is_replaced_after_a_tick() -> None:
    async def scenario() -> None:
        member = FakeEtcd(is_streaming=False)
        async with fake_cluster([member]) as gateway:
            watch = watch_of(gateway, tick_s=TICK_S)
            parked = asyncio.ensure_future(anext(watch))
            while member.paths.count("/v3/watch") < 3:
                await asyncio.sleep(0)
            member.is_streaming = True
            member.put("k")
            assert (await parked).revision == 2
            assert gateway.endpoint == member.endpoint
            await watch.aclose()

    run(scenario)


@pytest.mark.parametrize(
    "mishap",
    [
        Silence(),
        Raw(STREAM, ends=False),  # and never "created"
        Refusal(14, "etcdserver: no leader", 503),
        Raw(STREAM + b"0\r\n\r\n"),
        Raw(STREAM + chunk({"canceled": True, "cancel_reason": "etcdserver: no leader"})),
        Raw(STREAM + CREATED + b'19\r\n{"error":{"grpc_code":14}}\r\n0\r\n\r\n'),
        Raw(STREAM + CREATED + b"8\r\ngarbage\n\r\n"),
        Raw(STREAM + CREATED + chunk({"events": [{"kv": {}}]})),
        Raw(STREAM + CREATED + chunk({"events": [{"kv": {"key": "!"}}]})),
        Raw(STREAM + chunk({"events": []})),
        Raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot Found"),
    ],
)
def test_a_member_that_does_not_give_a_stream_is_left_for_the_next(mishap: object) -> None:
    async def scenario() -> None:
        first = FakeEtcd(mishap=lambda path, request: mishap)  # type: ignore[arg-type,return-value]
        second = FakeEtcd()
        second.put("k")
        async with (
            fake_cluster([first, second], timeout_s=0.1) as gateway,
            aclosing(watch_of(gateway)) as watch,
        ):
            assert await keys_of(watch, 1) == ["k"]
            assert gateway.endpoint == second.endpoint

    run(scenario)


def test_a_token_that_has_expired_is_renewed() -> None:
    async def scenario() -> None:
        member = FakeEtcd(tokens=[])
        reason = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
        mishaps = [
            Refusal(16, "etcdserver: invalid auth token", 401),
            Raw(STREAM + chunk({"created": True, "canceled": True, "cancel_reason": reason})),
        ]

        def choose(path: str, request: dict) -> object:
            return mishaps.pop() if path == "/v3/watch" and mishaps else None

        member.mishap = choose  # type: ignore[assignment]
        member.put("k")
        async with (
            fake_cluster([member], user="me") as gateway,
            aclosing(watch_of(gateway)) as watch,
        ):
            assert await keys_of(watch, 1) == ["k"]
            assert member.granted == 3

    run(scenario)


def test_a_place_that_was_compacted_away_ends_it() -> None:
    async def scenario() -> None:
        member = FakeEtcd(compacted=5)
        async with fake_cluster([member]) as gateway, aclosing(watch_of(gateway)) as watch:
            with pytest.raises(CompactedError) as caught:
                await anext(watch)
            assert caught.value.compact_revision == 5

    run(scenario)


def test_events_of_the_past_are_not_told_again_and_deletions_are_bare() -> None:
    async def scenario() -> None:
        old = {"kv": {"key": "YQ==", "mod_revision": "1", "version": "1"}}
        gone = {"type": "DELETE", "kv": {"key": "YQ==", "mod_revision": "2", "lease": "9"}}
        data = STREAM + CREATED + chunk({"events": [old, gone]})
        member = FakeEtcd(mishap=lambda path, request: Raw(data, ends=False))
        async with fake_cluster([member]) as gateway, aclosing(watch_of(gateway)) as watch:
            (event,) = (await anext(watch)).events
            assert event.is_deletion
            assert (event.kv.value, event.kv.create_revision, event.kv.lease) == (b"", 0, 0)

    run(scenario)


@pytest.mark.parametrize("mishap", [None, Silence(), Raw(STREAM, ends=False)])
def test_a_close_ends_a_reader_wherever_it_waits(mishap: object) -> None:
    async def scenario() -> None:
        member = FakeEtcd(mishap=lambda path, request: mishap)  # type: ignore[arg-type,return-value]
        async with fake_cluster([member]) as gateway:
            for turns in range(0, 60, 4):
                watch = watch_of(gateway)
                parked = asyncio.ensure_future(anext(watch, "ended"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                await watch.aclose()
                assert await parked == "ended"
                assert await anext(watch, "ended") == "ended"

    run(scenario)


def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    async def scenario() -> None:
        member = FakeEtcd()
        async with fake_cluster([member]) as gateway, aclosing(watch_of(gateway)) as watch:
            for turns in range(40):
                parked = asyncio.ensure_future(anext(watch))
                for _ in range(turns):
                    await asyncio.sleep(0)
                parked.cancel()
                await asyncio.wait([parked])
                assert parked.cancelled()
            member.put("k")
            assert await keys_of(watch, 1) == ["k"]

    run(scenario)
