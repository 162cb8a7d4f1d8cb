"""A real etcd as a backend of the conformance suite, which knows nothing of others' keys.

An etcd's revisions go on from test to test, and its keys stay. Each store here has a prefix of its
own, and counts revisions from 1, as a new store does. Nobody else may write meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from kbroker.cluster.etcd_gateway import Gateway, GatewayOptions
from kbroker.cluster.etcd_http import Endpoint
from kbroker.cluster.etcd_store import EtcdStore
from kbroker.cluster.metadata_store import (
    CompactedError,
    Compare,
    CompareTarget,
    Event,
    KeyValue,
    Listing,
    MetadataStore,
    Operation,
    Put,
    StoreStatus,
    TransactionResult,
    Watch,
    WatchBatch,
)

NAMESPACES = itertools.count(1)


class EtcdBackend:
    can_restart = True
    keeps_leases = True

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._options = GatewayOptions(tuple(endpoints), allow_old=True)
        self._namespace = f"/conformance/{next(NAMESPACES)}"
        self._base: list[int] = []

    def open(self) -> MetadataStore:
        gateway = Gateway(self._options)
        return RebasedStore(
            EtcdStore(gateway, namespace=self._namespace + "/"),
            EtcdStore(gateway, namespace=self._namespace + "-begin"),
            self._base,
        )


class RebasedStore:
    """`base` holds the revision that counts as 1, once it is known."""

    is_shared = True

    def __init__(self, store: EtcdStore, marker: EtcdStore, base: list[int]) -> None:
        self._store = store
        self._marker = marker
        self._base = base
        self._beginning = asyncio.Lock()
        self.on_broken = store.on_broken
        self.on_full = store.on_full

    @property
    def _shift(self) -> int:
        return self._base[0] - 1

    async def _begin(self) -> None:
        async with self._beginning:
            if not self._base:
                # Every compaction so far was of an earlier revision than this one.
                result = await self._marker.transact([], [Put("", b"")])
                self._base.append(result.revision)

    async def get(self, key: str) -> KeyValue | None:
        await self._begin()
        found = await self._store.get(key)
        return None if found is None else self._shifted(found)

    async def list(self, prefix: str, revision: int = 0) -> Listing:
        await self._begin()
        try:
            listing = await self._store.list(prefix, revision and revision + self._shift)
        except CompactedError as error:
            raise CompactedError(error.compact_revision - self._shift) from None
        return Listing(listing.revision - self._shift, tuple(map(self._shifted, listing.items)))

    async def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TransactionResult:
        await self._begin()
        result = await self._store.transact([*map(self._absolute, compares)], then, otherwise)
        values = tuple(None if kv is None else self._shifted(kv) for kv in result.values)
        return TransactionResult(result.succeeded, result.revision - self._shift, values)

    def watch(self, prefix: str, from_revision: int) -> Watch:
        return RebasedWatch(self, prefix, from_revision)

    async def lease_grant(self, ttl_ms: int) -> int:
        await self._begin()
        return await self._store.lease_grant(ttl_ms)

    async def lease_keep_alive(self, lease: int) -> int:
        return await self._store.lease_keep_alive(lease)

    async def lease_revoke(self, lease: int) -> None:
        await self._store.lease_revoke(lease)

    async def compact(self, revision: int) -> None:
        await self._begin()
        try:
            await self._store.compact(revision + self._shift)
        except CompactedError as error:
            raise CompactedError(error.compact_revision - self._shift) from None

    async def status(self) -> StoreStatus:
        await self._begin()
        status = await self._store.status()
        return replace(
            status,
            revision=status.revision - self._shift,
            compact_revision=max(0, status.compact_revision - self._shift),
        )

    async def close(self) -> None:
        await self._store.close()

    def _absolute(self, compare: Compare) -> Compare:
        operand = compare.operand
        if isinstance(operand, bytes) or compare.target is CompareTarget.VERSION or operand == 0:
            return compare
        return replace(compare, operand=operand + self._shift)

    def _shifted(self, kv: KeyValue) -> KeyValue:
        return replace(
            kv,
            create_revision=kv.create_revision and kv.create_revision - self._shift,
            mod_revision=kv.mod_revision - self._shift,
        )


class RebasedWatch:
    def __init__(self, store: RebasedStore, prefix: str, from_revision: int) -> None:
        self._store = store
        self._arguments = (prefix, from_revision)
        self._watch: Watch | None = None

    def __aiter__(self) -> AsyncIterator[WatchBatch]:
        return self

    async def __anext__(self) -> WatchBatch:
        store = self._store
        await store._begin()
        if self._watch is None:
            prefix, from_revision = self._arguments
            self._watch = store._store.watch(prefix, from_revision + store._shift)
        try:
            batch = await anext(self._watch)
        except CompactedError as error:
            raise CompactedError(error.compact_revision - store._shift) from None
        events = tuple(Event(store._shifted(each.kv)) for each in batch.events)
        return WatchBatch(batch.revision - store._shift, events)

    async def aclose(self) -> None:
        if self._watch is not None:
            await self._watch.aclose()
