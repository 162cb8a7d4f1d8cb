"""The metadata store of a cluster: etcd, which several brokers share.

Every call is one request to one member, and etcd's answer is the truth; nothing is kept here but
how far history is known to be compacted. Reads are linearizable. Leases are etcd's, in whole
seconds, of which it grants two at least.

Counterparts: `etcd_gateway.py` (members, fail-over, what an outcome is), `etcd_watch.py`,
`etcd_messages.py` (the JSON).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from kbroker.cluster.etcd_errors import EtcdError, Refusal
from kbroker.cluster.etcd_gateway import Gateway
from kbroker.cluster.etcd_messages import (
    Json,
    MalformedAnswerError,
    Message,
    all_keys,
    compare_json,
    first_of,
    key_value_of,
    keys_after,
    one_key,
    operation_json,
    values_of,
)
from kbroker.cluster.etcd_watch import TICK_S, EtcdWatch
from kbroker.cluster.metadata_store import (
    CompactedError,
    Compare,
    FutureRevisionError,
    Get,
    KeyValue,
    LeaseNotFoundError,
    Listing,
    MetadataStoreError,
    Operation,
    OutcomeUnknownError,
    StoreRefusedError,
    StoreStatus,
    StoreUnavailableError,
    TransactionResult,
)
from kbroker.cluster.revisioned_map import assert_transaction_fits

PAGE_KEYS = 500
"""Keys of one answer: some hundred KB, which are parsed in one turn of the loop."""
LISTINGS = 3
"""How often a listing of what is now is begun anew because its revision was compacted."""


class EtcdStore:
    """A MetadataStore. Its calls belong on one event loop.

    `namespace` is put before every key, and is not seen by the caller.
    """

    def __init__(self, gateway: Gateway, *, namespace: str = "", tick_s: float = TICK_S) -> None:
        self.is_shared = True
        self.on_broken: Callable[[MetadataStoreError], None] = lambda error: None
        self.on_full: Callable[[], Callable[[], None] | None] = lambda: None
        self._gateway = gateway
        self._namespace = namespace
        self._tick_s = tick_s
        self._watches: dict[EtcdWatch, None] = {}
        self._compact_revision = 0  # at least; etcd's own may be higher
        self._is_closed = False

    async def get(self, key: str) -> KeyValue | None:
        found = await self._read("/v3/kv/range", one_key(self._namespace + key))
        return first_of(found, self._namespace)

    async def list(self, prefix: str, revision: int = 0) -> Listing:
        for _ in range(LISTINGS):
            try:
                return await self._list_pages(prefix, revision)
            except CompactedError:
                if revision:
                    raise
        raise StoreUnavailableError("etcd is compacted faster than it can be read")

    async def _list_pages(self, prefix: str, revision: int) -> Listing:
        items: list[KeyValue] = []
        keys = all_keys(self._namespace + prefix)
        while True:
            page = await self._read(
                "/v3/kv/range", {**keys, "limit": str(PAGE_KEYS), "revision": str(revision)}
            )
            found = [key_value_of(each, self._namespace) for each in page.messages("kvs")]
            items += found
            revision = revision or page.revision
            if not page.flag("more"):
                return Listing(revision, tuple(items))
            if not found:
                raise StoreUnavailableError("etcd's answer makes no sense: more, and nothing")
            keys = keys_after(self._namespace + found[-1].key, self._namespace + prefix)

    async def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TransactionResult:
        assert_transaction_fits(compares, then, otherwise)
        self._check_open()
        only_reads = all(isinstance(each, Get) for each in (*then, *otherwise))
        request: Json = {
            "compare": [compare_json(each, self._namespace) for each in compares],
            "success": [operation_json(each, self._namespace) for each in then],
            "failure": [operation_json(each, self._namespace) for each in otherwise],
        }
        try:
            answer = await self._gateway.call("/v3/kv/txn", request, is_repeatable=only_reads)
        except EtcdError as error:
            raise await self._translated(error) from None
        try:
            succeeded = answer.flag("succeeded")
            values = values_of(
                answer.messages("responses"), then if succeeded else otherwise, self._namespace
            )
            return TransactionResult(succeeded, answer.revision, values)
        except MalformedAnswerError as error:
            raise OutcomeUnknownError(error.detail) from None

    def watch(self, prefix: str, from_revision: int) -> EtcdWatch:
        assert from_revision >= 1
        self._check_open()
        return self._watch(self._namespace, prefix, from_revision)

    def _watch(self, namespace: str, prefix: str, from_revision: int) -> EtcdWatch:
        watch = EtcdWatch(
            self._gateway,
            namespace=namespace,
            prefix=prefix,
            from_revision=from_revision,
            ended=lambda watch: self._watches.pop(watch, None),
            tick_s=self._tick_s,
        )
        self._watches[watch] = None
        return watch

    async def lease_grant(self, ttl_ms: int) -> int:
        """An answer that is lost leaves a lease behind that nobody uses, until it runs out."""
        assert ttl_ms > 0
        granted = await self._read("/v3/lease/grant", {"TTL": str(-(-ttl_ms // 1000))})
        lease = granted.integer("ID")
        if lease == 0:
            raise StoreUnavailableError("etcd's answer makes no sense: a lease without an id")
        return lease

    async def lease_keep_alive(self, lease: int) -> int:
        # Behind thousands of others it would come too late.
        kept = await self._read("/v3/lease/keepalive", {"ID": str(lease)}, is_urgent=True)
        result = kept.message("result")
        if result.integer("ID") != lease:
            raise StoreUnavailableError("etcd's answer makes no sense: another lease's")
        # A lease that is gone is answered like any other, only without a time.
        return result.integer("TTL") * 1000

    async def lease_revoke(self, lease: int) -> None:
        with contextlib.suppress(LeaseNotFoundError):
            await self._read("/v3/lease/revoke", {"ID": str(lease)})

    async def compact(self, revision: int) -> None:
        """After an answer that was lost, a CompactedError may speak of this very compaction.

        StoreRefusedError: newer versions let root alone do it.
        """
        await self._read("/v3/kv/compaction", {"revision": str(revision)})
        self._compact_revision = max(self._compact_revision, revision)

    async def status(self) -> StoreStatus:
        # A member's own status may lag behind; a read does not.
        counted = await self._read("/v3/kv/range", self._count(0))
        compact_revision = await self._find_compact_revision()
        size_bytes, note = 0, "; its size is for root to see"
        with contextlib.suppress(StoreRefusedError):
            member = await self._read("/v3/maintenance/status", {})
            size_bytes, note = member.integer("dbSize"), ""
        return StoreStatus(
            revision=counted.revision,
            compact_revision=compact_revision,
            size_bytes=size_bytes,
            detail=f"etcd {self._gateway.version} at {self._gateway.endpoint}, one of"
            f" {len(self._gateway.options.endpoints)}{note}",
        )

    async def close(self) -> None:
        """Every watch ends, calls under way fail."""
        self._is_closed = True
        for watch in list(self._watches):
            await watch.aclose()
        self._gateway.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError("the metadata store is closed")

    async def _read(self, path: str, request: Json, *, is_urgent: bool = False) -> Message:
        """Ask for what may be asked for again."""
        self._check_open()
        try:
            return await self._gateway.call(path, request, is_repeatable=True, is_urgent=is_urgent)
        except EtcdError as error:
            raise await self._translated(error) from None

    async def _translated(self, error: EtcdError) -> MetadataStoreError:
        match error.refusal:
            case Refusal.LEASE_GONE:
                return LeaseNotFoundError(error.detail)
            case Refusal.FUTURE:
                return FutureRevisionError(error.detail)
        assert error.refusal is Refusal.COMPACTED, error.refusal
        return CompactedError(await self._find_compact_revision())

    def _count(self, revision: int) -> Json:
        home = one_key(self._gateway.options.home)
        return {**home, "count_only": True, "revision": str(revision)}

    async def _find_compact_revision(self) -> int:
        """0: never. etcd tells it only to a watch that comes too late, after a while; a read
        tells at once whether what is known here still holds.
        """
        try:
            await self._gateway.call(
                "/v3/kv/range",
                self._count(max(1, self._compact_revision)),
                is_repeatable=True,
            )
            return self._compact_revision
        except EtcdError as error:
            if error.refusal is not Refusal.COMPACTED:
                raise StoreUnavailableError(error.detail) from None
        # What was compacted once stays so: this watch ends with the number.
        watch = self._watch("", self._gateway.options.home, 1)
        try:
            async with asyncio.timeout(self._gateway.options.timeout_s):
                while True:
                    await anext(watch)
        except CompactedError as error:
            self._compact_revision = error.compact_revision
            return error.compact_revision
        except (TimeoutError, StopAsyncIteration):
            raise StoreUnavailableError("etcd does not say how far it was compacted") from None
        finally:
            await watch.aclose()
