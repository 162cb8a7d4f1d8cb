"""What a call to etcd comes to, whatever members and network do: never a wrong word about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.cluster.etcd_errors import EtcdError
from kbroker.cluster.etcd_gateway import MAX_CALLS, Gateway
from kbroker.cluster.etcd_messages import Message, encoded, one_key
from kbroker.cluster.metadata_store import (
    MetadataStoreError,
    OutcomeUnknownError,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from tests.kbroker.cluster.fake_etcd import (
    CutAnswer,
    CutRequest,
    FakeEtcd,
    Raw,
    Refusal,
    Silence,
    fake_cluster,
    http,
)

PUT = {"success": [{"request_put": {**one_key("k"), "value": encoded(b"v")}}]}
SHORT_S = 0.05
"""Only for what does not answer: a machine may be busy."""
LEARNER = "etcdserver: rpc not supported for learner"
ANSWER_BYTES = 140
"""Of a transaction's answer, head and body: about."""


async def put(gateway: Gateway) -> Message:
    return await gateway.call("/v3/kv/txn", PUT, is_repeatable=False)


async def read(gateway: Gateway) -> Message:
    return await gateway.call("/v3/kv/range", one_key("k"), is_repeatable=True)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


async def turns() -> None:
    """Some of the loop's: what the system knows already is heard of."""
    for _ in range(20):
        await asyncio.sleep(0)


def hurry(gateway: Gateway, timeout_s: float) -> None:
    gateway.options = replace(gateway.options, timeout_s=timeout_s)


def once(*mishaps: object) -> Callable[[str, dict], object]:
    left = list(mishaps)
    return lambda path, request: left.pop(0) if left else None


def test_a_connection_that_ends_within_a_request_or_an_answer_leaves_the_outcome_open() -> None:
    async def scenario() -> None:
        member = FakeEtcd()
        async with fake_cluster([member]) as gateway:
            whole = 0
            for cut in range(0, ANSWER_BYTES + 60, 2):
                before = member.revision
                member.mishap = once(CutAnswer(cut))  # type: ignore[assignment]
                try:
                    answer = await put(gateway)
                except OutcomeUnknownError:
                    assert member.revision == before + 1
                else:
                    assert answer.revision == member.revision == before + 1
                    whole += 1
            assert 0 < whole < 60
            member.mishap = once(CutRequest(0))  # type: ignore[assignment]
            with pytest.raises(OutcomeUnknownError):
                await put(gateway)

    run(scenario)


def test_a_read_whose_answer_is_cut_is_asked_of_another_member() -> None:
    async def scenario() -> None:
        members = [FakeEtcd(), FakeEtcd()]
        for member in members:
            member.put("k", b"v")
        async with fake_cluster(members) as gateway:
            for cut in range(0, 200, 3):
                members[cut % 2].mishap = once(CutAnswer(cut))  # type: ignore[assignment]
                answer = await read(gateway)
                assert answer.messages("kvs")[0].data("value") == b"v"

    run(scenario)


def test_a_member_that_is_gone_is_not_a_reason_to_leave_an_outcome_open() -> None:
    async def scenario() -> None:
        members = [FakeEtcd(), FakeEtcd()]
        async with fake_cluster(members) as gateway:
            members[0].stop()
            await put(gateway)
            assert gateway.endpoint == members[1].endpoint
            assert members[1].revision == 2

    run(scenario)


def test_idle_connections_that_a_member_dropped_are_not_used() -> None:
    async def scenario() -> None:
        member = FakeEtcd()
        async with fake_cluster([member]) as gateway:
            await put(gateway)
            member.drop_connections()
            await turns()
            await put(gateway)
            assert member.paths.count("/version") == 2

    run(scenario)


@pytest.mark.parametrize("is_done", [False, True])
def test_silence_leaves_a_change_open_and_a_read_to_another_member(is_done: bool) -> None:
    async def scenario() -> None:
        members = [FakeEtcd(mishap=lambda path, request: Silence(is_done)), FakeEtcd()]
        async with fake_cluster(members, timeout_s=0.5) as gateway:
            await read(gateway)
            assert gateway.endpoint == members[1].endpoint
            hurry(gateway, SHORT_S)
            members[1].mishap = members[0].mishap
            with pytest.raises(OutcomeUnknownError):
                await put(gateway)
            with pytest.raises(StoreUnavailableError, match="no answer in time"):
                await read(gateway)

    run(scenario)


def test_nobody_there_is_unavailable_after_some_rounds() -> None:
    async def scenario() -> None:
        members = [FakeEtcd(), FakeEtcd()]
        async with fake_cluster(members, timeout_s=SHORT_S) as gateway:
            for member in members:
                member.stop()
            for call in (read, put):
                with pytest.raises(StoreUnavailableError):
                    await call(gateway)

    run(scenario)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (14, "etcdserver: request timed out", OutcomeUnknownError),
        (14, "etcdserver: request timed out, possibly due to previous leader failure",
         OutcomeUnknownError),
        (14, "etcdserver: leader changed", OutcomeUnknownError),
        (14, "etcdserver: server stopped", OutcomeUnknownError),
        (14, "error reading from server: EOF", OutcomeUnknownError),
        (13, "something new", OutcomeUnknownError),
        (8, "etcdserver: mvcc: database space exceeded", StoreFullError),
        (3, "etcdserver: request is too large", StoreRefusedError),
        (7, "etcdserver: permission denied", StoreRefusedError),
        (5, "etcdserver: requested lease not found", EtcdError),
    ],
)  # fmt: skip
def test_what_etcd_says_of_a_change(code: int, message: str, error: type[Exception]) -> None:
    async def scenario() -> None:
        member = FakeEtcd(mishap=lambda path, request: Refusal(code, message))
        async with fake_cluster([member]) as gateway:
            with pytest.raises(error) as caught:
                await put(gateway)
            assert type(caught.value) is error
            assert message.removeprefix("etcdserver: ") in str(caught.value)

    run(scenario)


@pytest.mark.parametrize("message", ["etcdserver: no leader", "etcdserver: too many requests"])
def test_a_member_that_does_nothing_now_leaves_it_to_another(message: str) -> None:
    async def scenario() -> None:
        members = [FakeEtcd(mishap=lambda path, request: Refusal(14, message)), FakeEtcd()]
        async with fake_cluster(members) as gateway:
            await put(gateway)
            assert [member.revision for member in members] == [1, 2]

    run(scenario)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 15\r\n\r\n<html>no</html>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        http(200, b"[]"),
        http(200, b"nothing"),
        http(200, b"[" * 100_000),
        http(200, b'{"error":{"grpc_code":14,"message":"etcdserver: server stopped"}}'),
        http(500, b'{"code":"x"}'),
    ],
)
def test_what_is_no_answer_of_etcds_leaves_a_change_open(answer: bytes) -> None:
    async def scenario() -> None:
        member = FakeEtcd(mishap=lambda path, request: Raw(answer))
        async with fake_cluster([member]) as gateway:
            with pytest.raises(OutcomeUnknownError):
                await put(gateway)
            hurry(gateway, SHORT_S)
            with pytest.raises(StoreUnavailableError):
                await read(gateway)
            hurry(gateway, 5.0)
            member.mishap = lambda path, request: None
            await put(gateway)

    run(scenario)


@settings(max_examples=30)
@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_any_bytes_for_an_answer_end_in_an_error_that_is_declared(
    data: bytes, ends: bool, has_head: bool
) -> None:
    answer = http(200, data) if has_head else data

    async def scenario() -> None:
        member = FakeEtcd(mishap=lambda path, request: Raw(answer, ends))
        async with fake_cluster([member], timeout_s=0.01) as gateway:
            for call in (put, read):
                try:
                    await call(gateway)
                except MetadataStoreError:
                    continue

    run(scenario)


def test_a_token_is_asked_for_and_renewed() -> None:
    async def scenario() -> None:
        member = FakeEtcd(tokens=[])
        async with fake_cluster([member], user="me") as gateway:
            await put(gateway)
            assert member.granted == 1
            member.tokens = []  # it has expired
            await put(gateway)
            assert (member.granted, member.revision) == (2, 3)
            await asyncio.gather(*(put(gateway) for _ in range(MAX_CALLS + 5)))
            assert member.granted == 2

    run(scenario)


def test_credentials_that_are_wrong_or_missing_are_refused_and_superfluous_ones_are_not() -> None:
    async def scenario() -> None:
        async with fake_cluster([FakeEtcd(tokens=[])], user="me", password="no") as gateway:
            with pytest.raises(StoreRefusedError, match="authentication failed"):
                await put(gateway)
        async with fake_cluster([FakeEtcd(tokens=[])]) as gateway:
            with pytest.raises(StoreRefusedError, match="user name is empty"):
                await put(gateway)
        member = FakeEtcd()
        async with fake_cluster([member], user="me") as gateway:
            await put(gateway)
            member.tokens = []  # authentication is switched on
            await put(gateway)
            assert member.revision == 3

    run(scenario)


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [
        ("3.4.23", True), ("3.5.27", True), ("3.5.28", False), ("3.6.8", True), ("3.6.9", False),
        ("3.7.0", False), ("3.7.0-rc.0", False), ("3.10.0", False), ("4.0.0", False),
        ("2.3.8", True),
    ],
)  # fmt: skip
def test_old_versions_are_refused(version: str, is_refused: bool) -> None:
    async def scenario() -> None:
        member = FakeEtcd(version=version)
        async with fake_cluster([member]) as gateway:
            if is_refused:
                with pytest.raises(StoreRefusedError, match=r"allow\.old=true"):
                    await put(gateway)
            else:
                await put(gateway)

    run(scenario)


@pytest.mark.parametrize(
    "member",
    [
        FakeEtcd(probe=Refusal(14, "etcdserver: no leader", 503)),
        FakeEtcd(mishap=lambda path, request: Refusal(14, LEARNER, 503)),
        FakeEtcd(cluster_id="8"),
        FakeEtcd(version="3.5.1"),
        FakeEtcd(version="main"),
    ],
    ids=["no leader", "learner", "another cluster", "old", "no version"],
)
def test_a_member_that_will_not_do_is_passed_over(member: FakeEtcd) -> None:
    async def scenario() -> None:
        first = FakeEtcd()
        async with fake_cluster([first, member, FakeEtcd()]) as gateway:
            await put(gateway)
            first.stop()
            await turns()
            await put(gateway)
            assert gateway.endpoint == gateway.options.endpoints[2]
            assert member.revision == 1

    run(scenario)


def test_more_callers_than_connections_wait_for_their_turn() -> None:
    async def scenario() -> None:
        member = FakeEtcd()
        async with fake_cluster([member]) as gateway:
            await asyncio.gather(*(put(gateway) for _ in range(4 * MAX_CALLS)))
            assert member.revision == 4 * MAX_CALLS + 1
            assert member.paths.count("/version") <= MAX_CALLS

    run(scenario)


def test_what_is_urgent_does_not_wait_for_its_turn() -> None:
    async def scenario() -> None:
        member = FakeEtcd(mishap=lambda path, request: Silence() if "txn" in path else None)
        async with fake_cluster([member]) as gateway:
            waiting = [asyncio.ensure_future(put(gateway)) for _ in range(2 * MAX_CALLS)]
            while member.paths.count("/v3/kv/txn") < MAX_CALLS:
                await asyncio.sleep(0)
            range_of = one_key("k")
            await gateway.call("/v3/kv/range", range_of, is_repeatable=True, is_urgent=True)
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)

    run(scenario)


def test_a_callers_end_does_not_leave_its_answer_to_the_next() -> None:
    async def scenario() -> None:
        member = FakeEtcd()
        async with fake_cluster([member]) as gateway:
            await put(gateway)
            member.mishap = once(Silence(is_done=True))  # type: ignore[assignment]
            given_up = asyncio.ensure_future(put(gateway))
            while member.revision == 2:
                await asyncio.sleep(0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            answer = await put(gateway)
            assert answer.revision == member.revision == 4

    run(scenario)


def test_a_member_on_whose_silence_a_caller_gave_up_is_not_asked_next() -> None:
    async def scenario() -> None:
        members = [FakeEtcd(), FakeEtcd()]
        async with fake_cluster(members) as gateway:
            await read(gateway)
            members[0].mishap = lambda path, request: Silence()
            hurry(gateway, 4 * SHORT_S)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2 * SHORT_S):
                    await read(gateway)
            assert gateway.endpoint == members[1].endpoint

    run(scenario)


def test_a_close_ends_calls_under_way() -> None:
    async def scenario() -> None:
        member = FakeEtcd(mishap=lambda path, request: Silence())
        async with fake_cluster([member]) as gateway:
            calls = [asyncio.ensure_future(call(gateway)) for call in (put, read)]
            while len(member.paths) < 6:
                await asyncio.sleep(0)
            gateway.close()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(results[0], OutcomeUnknownError)
            assert isinstance(results[1], StoreUnavailableError)

    run(scenario)
