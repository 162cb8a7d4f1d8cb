"""What the conformance suite does not reach of a real etcd: pages, users, TLS, a full database."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from kbroker.cluster.etcd_gateway import Gateway, GatewayOptions
from kbroker.cluster.etcd_opening import open_etcd_store
from kbroker.cluster.etcd_store import PAGE_KEYS, EtcdStore
from kbroker.cluster.metadata_store import (
    CompactedError,
    Get,
    KeyValue,
    Listing,
    MetadataStoreError,
    OutcomeUnknownError,
    Put,
    StoreFullError,
    StoreRefusedError,
    StoreUnavailableError,
    key_absent,
    modified_at,
)
from kbroker.config.metadata_keys import MetadataUrl
from tests.kbroker.cluster.etcd_process import EtcdCluster
from tests.kbroker.cluster.fake_etcd import CutAnswer, FakeEtcd, Raw, fake_cluster, http

HOME = "/kbroker/kbroker/"


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def store_on(etcd: EtcdCluster, namespace: str) -> EtcdStore:
    options = GatewayOptions(etcd.endpoints, allow_old=True)
    return EtcdStore(Gateway(options), namespace=namespace)


@contextmanager
def cluster(directory: Path, *options: str) -> Iterator[EtcdCluster]:
    etcd = EtcdCluster(directory, options=options)
    try:
        etcd.start()
        yield etcd
    finally:
        etcd.stop()


def test_many_keys_are_read_in_pages_of_one_revision(etcd: EtcdCluster) -> None:
    count = 2 * PAGE_KEYS + 7

    async def scenario() -> None:
        store = store_on(etcd, "/pages/")
        for first in range(0, count, 128):
            numbers = range(first, min(first + 128, count))
            await store.transact([], [Put(f"k/{number:05}", b"old") for number in numbers])

        async def overwrite() -> None:
            for first in range(0, count, 128):
                numbers = range(first, min(first + 128, count))
                await store.transact([], [Put(f"k/{number:05}", b"new") for number in numbers])

        overwriting = asyncio.ensure_future(overwrite())
        listings: list[Listing] = []
        while not overwriting.done():
            listings.append(await store.list("k/"))
        await overwriting
        listings.append(await store.list("k/", listings[0].revision))
        for listing in listings:
            assert [each.key for each in listing.items] == [f"k/{n:05}" for n in range(count)]
            assert all(each.mod_revision <= listing.revision for each in listing.items)
            new = [each for each in listing.items if each.value == b"new"]
            assert listing.items[: len(new)] == tuple(new)  # they are overwritten in that order
        await store.close()

    run(scenario)


def test_keys_next_to_a_prefix_are_not_of_it(etcd: EtcdCluster) -> None:
    async def scenario() -> None:
        store = store_on(etcd, "/prefix/")
        names = ["a", "a/", "a/\x00", "a/x", "a/\U0010ffff", "a0", "a/ü", "b"]
        await store.transact([], [Put(name, b"") for name in names])
        listing = await store.list("a/")
        found = sorted(["a/", "a/\x00", "a/x", "a/ü", "a/\U0010ffff"], key=str.encode)
        assert [each.key for each in listing.items] == found
        async with aclosing(store.watch("a/\U0010ffff", listing.revision)) as watch:
            assert [each.kv.key for each in (await anext(watch)).events] == ["a/\U0010ffff"]
        await store.close()

    run(scenario)


def test_a_lease_is_granted_in_whole_seconds_and_lost_without_a_time(etcd: EtcdCluster) -> None:
    async def scenario() -> None:
        store = store_on(etcd, "/lease/")
        lease = await store.lease_grant(6_001)
        assert await store.lease_keep_alive(lease) == 7_000
        await store.transact([], [Put("k", b"", lease)])
        await store.lease_revoke(lease)
        await store.lease_revoke(lease)
        assert await store.lease_keep_alive(lease) == 0
        assert await store.get("k") is None
        await store.close()

    run(scenario)


def test_a_compaction_by_somebody_else_is_noticed(etcd: EtcdCluster) -> None:
    async def scenario() -> None:
        store, other = store_on(etcd, "/compaction/"), store_on(etcd, "/other/")
        revision = 0
        for _ in range(4):
            revision = (await other.transact([], [Put("k", b"")])).revision
        for _ in range(2):
            await other.compact(revision)
            assert (await store.status()).compact_revision == revision
            with pytest.raises(CompactedError) as caught:
                await store.list("", revision - 1)
            assert caught.value.compact_revision == revision
            revision = (await other.transact([], [Put("k", b"")])).revision
        for each in (store, other):
            await each.close()

    run(scenario)


def test_a_user_who_may_read_and_write_one_cluster_only(tmp_path: Path) -> None:
    def ask(path: str, body: str) -> None:
        answer = etcd.members[0].ask(path, body)
        assert answer is not None
        assert "code" not in answer, answer

    with cluster(tmp_path, "--bcrypt-cost", "4") as etcd:
        ask("/v3/auth/user/add", '{"name":"root","password":"top"}')
        ask("/v3/auth/user/grant", '{"user":"root","role":"root"}')
        ask("/v3/auth/user/add", '{"name":"me","password":"right"}')
        ask("/v3/auth/role/add", '{"name":"r"}')
        # The keys from /kbroker/kbroker/ up to /kbroker/kbroker0.
        ask(
            "/v3/auth/role/grant",
            '{"name":"r","perm":{"permType":"READWRITE","key":"L2ticm9rZXIva2Jyb2tlci8=",'
            '"range_end":"L2ticm9rZXIva2Jyb2tlcjA="}}',
        )
        ask("/v3/auth/user/grant", '{"user":"me","role":"r"}')
        ask("/v3/auth/enable", "{}")
        url = MetadataUrl(etcd.endpoints)

        async def scenario() -> None:
            for user, password in (("me", "wrong"), ("", ""), ("nobody", "right")):
                with pytest.raises(StoreRefusedError):
                    await open_etcd_store(url, user=user, password=password, allow_old=True)
            store = await open_etcd_store(url, user="me", password="right", allow_old=True)
            lease = await store.lease_grant(60_000)
            assert (await store.transact([], [Put(HOME + "k", b"", lease)])).succeeded
            assert await store.lease_keep_alive(lease) == 60_000
            status = await store.status()
            assert (status.size_bytes > 0) != ("its size is for root to see" in status.detail)
            with pytest.raises(StoreRefusedError, match="permission denied"):
                await store.transact([], [Put("/kbroker/other/k", b"")])
            async with aclosing(store.watch(HOME, 1)) as watch:
                assert (await anext(watch)).events[0].kv.key == HOME + "k"
                # Its tokens are gone with the process.
                etcd.members[0].kill()
                etcd.members[0].start()
                etcd.members[0].wait_until_healthy()
                await store.lease_revoke(lease)
                assert (await anext(watch)).events[0].is_deletion
            await store.close()

        run(scenario)


def test_tls_with_the_right_authority_and_no_other(tmp_path: Path) -> None:
    etcd = EtcdCluster(tmp_path, options=("--auto-tls",), scheme="https")
    ca_file = tmp_path / "m0" / "fixtures" / "client" / "cert.pem"
    url = MetadataUrl(etcd.endpoints, has_tls=True)

    async def scenario() -> None:
        store = None
        while store is None:
            await asyncio.sleep(0)
            if ca_file.exists():  # it starts
                with contextlib.suppress(StoreUnavailableError):
                    store = await open_etcd_store(url, ca_file=str(ca_file), allow_old=True)
        await store.transact([], [Put("k", b"v")])
        found = await store.get("k")
        assert found is not None
        await store.close()
        with pytest.raises(StoreRefusedError, match="certificate is refused"):
            await open_etcd_store(url, allow_old=True)
        with pytest.raises(StoreUnavailableError):
            await open_etcd_store(url._replace(has_tls=False), allow_old=True, timeout_ms=100)

    try:
        etcd.members[0].start()
        run(scenario)
    finally:
        etcd.stop()


def test_a_full_database_says_so_and_still_reads(tmp_path: Path) -> None:
    with cluster(tmp_path, "--quota-backend-bytes", str(1 << 20)) as etcd:

        async def scenario() -> None:
            store = store_on(etcd, "/full/")
            await store.transact([], [Put("k0", b"")])
            with pytest.raises(StoreFullError):
                await fill(store)
            assert await store.get("k0") is not None
            with pytest.raises(StoreFullError):
                await store.transact([key_absent("k")], [Put("k", b"")])
            assert (await store.status()).size_bytes > 500_000
            await store.close()

        run(scenario)


async def fill(store: EtcdStore) -> None:
    for number in range(1, 200):
        await store.transact([], [Put(f"k{number}", bytes(100_000))])


def test_increments_over_a_network_that_cuts_are_never_lost_unseen() -> None:
    """What was answered holds, what was refused does not, what is unknown is found out."""

    async def scenario() -> None:
        member = FakeEtcd()
        cuts = iter(range(0, 2000, 3))

        def choose(path: str, request: dict) -> object:
            return CutAnswer(next(cuts)) if path == "/v3/kv/txn" else None

        member.mishap = choose  # type: ignore[assignment]
        async with fake_cluster([member]) as gateway:
            store = EtcdStore(gateway)
            for number in range(150):
                key = f"k{number}"
                try:
                    result = await store.transact([], [Put(key, b"v")])
                    assert result.revision == member.revision
                except OutcomeUnknownError:
                    found = await store.get(key)
                    assert found is not None
                    assert found.mod_revision == member.revision

    run(scenario)


def test_a_transaction_that_only_reads_is_asked_again() -> None:
    async def scenario() -> None:
        kv = {"key": "aw==", "value": "dg==", "create_revision": "2", "mod_revision": "3",
              "version": "2"}  # fmt: skip
        answer = {"header": {"revision": "3"}, "succeeded": True,
                  "responses": [{"response_range": {"kvs": [kv]}}]}  # fmt: skip
        mishaps = [CutAnswer(0), Raw(http(200, json.dumps(answer).encode()))]
        member = FakeEtcd(mishap=lambda path, request: mishaps.pop(0))  # type: ignore[arg-type,return-value]
        async with fake_cluster([member]) as gateway:
            result = await EtcdStore(gateway).transact([modified_at("k", 3)], [Get("k")])
            assert result.values == (KeyValue("k", b"v", 2, 3, 2),)

    run(scenario)


@pytest.mark.parametrize(
    ("call", "answer", "error"),
    [
        ("transact", b"{}", OutcomeUnknownError),
        ("transact", b'{"header":{"revision":"5"},"succeeded":true}', OutcomeUnknownError),
        ("keep_alive", b"{}", StoreUnavailableError),
        ("keep_alive", b'{"result":{}}', StoreUnavailableError),
        ("keep_alive", b'{"result":{"ID":"8","TTL":"3"}}', StoreUnavailableError),
        ("grant", b"{}", StoreUnavailableError),
        ("list", b"{}", StoreUnavailableError),
        ("list", b'{"header":{"revision":"5"},"more":true}', StoreUnavailableError),
        ("get", b'{"header":{"revision":"5"},"kvs":[{"key":1}]}', StoreUnavailableError),
        ("get", b'{"header":{"revision":"5"},"kvs":{}}', StoreUnavailableError),
    ],
)
def test_an_answer_of_which_something_is_missing_is_none(
    call: str, answer: bytes, error: type[MetadataStoreError]
) -> None:
    async def scenario() -> None:
        member = FakeEtcd(mishap=lambda path, request: Raw(http(200, answer), ends=False))
        async with fake_cluster([member]) as gateway:
            store = EtcdStore(gateway)
            calls = {
                "transact": lambda: store.transact([], [Put("k", b"")]),
                "keep_alive": lambda: store.lease_keep_alive(7),
                "grant": lambda: store.lease_grant(1000),
                "list": lambda: store.list(""),
                "get": lambda: store.get("k"),
            }
            with pytest.raises(error):
                await calls[call]()

    run(scenario)
