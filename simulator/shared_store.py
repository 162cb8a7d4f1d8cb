"""One metadata store for all brokers of a simulated cluster: etcd's semantics, and its bad days.

`SharedStore` outlives every machine. Each life of a broker has a `StoreClient`, whose requests and
answers take virtual time on a `Link` that faults make slow, lossy or cut. What a request asks for
happens when it arrives, which may be after its sender has given up, or died. A watch stays silent
where its link is cut and goes on where it was, or finds that place compacted. Leases end late,
never early; without a quorum none ends, and each has its whole time again afterwards.

Counterparts: `kbroker.cluster.metadata_store` (what is promised), `metadata_store` (the store of a
broker that is alone).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import (
    CompactedError,
    Compare,
    KeyValue,
    Listing,
    MetadataStoreError,
    Operation,
    OutcomeUnknownError,
    StoreStatus,
    StoreUnavailableError,
    TransactionResult,
    Watch,
    WatchBatch,
)
from kbroker.cluster.revisioned_map import assert_transaction_fits
from simulator.network import WORLD

ResultT = TypeVar("ResultT")

CALL_TIMEOUT_S = 2.0
"""After which a client no longer waits for an answer, as the one of etcd."""
LATEST_S = 10.0
"""So long after that a late request may still arrive."""
LATEST_END = 0.5
"""Of its time: so much later than it must a lease may end."""
REFRESH_S = 0.5
"""Without a quorum no lease runs down: how often that is seen to. Shorter than any lease."""


@dataclass(slots=True)
class Link:
    """One machine's way to the store and back. Mutable: faults change it. Times in seconds."""

    latency_s: tuple[float, float] = (0.000_2, 0.003)
    """Each way."""
    watch_delay_s: tuple[float, float] = (0.000_2, 0.01)
    requests_cut: bool = False
    answers_cut: bool = False
    refused: float = 0.0
    """The share of requests that are refused at once."""
    lost: float = 0.0
    """The share of answers that never arrive."""
    late: float = 0.0
    """The share of requests that arrive after their sender has given up."""
    healed: list[asyncio.Future[None]] = field(default_factory=list)
    """Woken when the link is well again."""
    held: list[Callable[[], None]] = field(default_factory=list)
    """Requests that wait for that, as TCP would send them again."""

    def heal(self) -> None:
        """Nothing is wrong with it any more."""
        well = Link()
        self.latency_s, self.watch_delay_s = well.latency_s, well.watch_delay_s
        self.requests_cut = self.answers_cut = False
        self.refused = self.lost = self.late = 0.0
        waiting, self.healed = self.healed, []
        for each in waiting:
            if not each.done():
                each.set_result(None)
        held, self.held = self.held, []
        for arrive in held:
            arrive()

    @property
    def is_cut(self) -> bool:
        return self.requests_cut or self.answers_cut


class SharedStore:
    """Mutable: what is stored, whether there is a quorum, and who was granted which lease."""

    def __init__(self, chance: random.Random) -> None:
        self.has_quorum = True
        self.late_changes = 0
        """Made after whoever asked for them had given up, or died."""
        self.on_changed: Callable[[], None] = lambda: None
        """A transaction of a client has changed something, and nobody has been told yet."""
        self._chance = chance
        self._inner = MemoryStore(chance)
        self._leases: dict[int, str] = {}
        self._held: list[Callable[[], None]] = []

    def client(self, owner: str, link: Link) -> StoreClient:
        """For one life of a broker; `owner` is its name."""
        return StoreClient(self, owner, link, random.Random(self._chance.random()))

    # --- for invariants: the truth, at once ---

    @property
    def revision(self) -> int:
        return self.status().revision

    def read(self, key: str) -> KeyValue | None:
        return _at_once(self._inner.get(key))

    def read_all(self, prefix: str) -> Listing:
        return _at_once(self._inner.list(prefix))

    # --- for faults ---

    def lose_quorum(self) -> None:
        """Nothing is answered, and no lease ends, until `regain_quorum`."""
        if self.has_quorum:
            self.has_quorum = False
            self._restart_leases()

    def regain_quorum(self) -> None:
        """What was proposed meanwhile takes effect, or is forgotten."""
        if not self.has_quorum:
            self.has_quorum = True
            self._restart_leases(again=False)
            held, self._held = self._held, []
            for arrive in held:
                if self._chance.random() < 0.5:
                    arrive()

    def expire(self, owner: str) -> bool:
        """End the leases that this client was granted, as if no keep-alive had arrived. Whether
        there was any; without a quorum none ends."""
        if not self.has_quorum:
            return False
        leases = [lease for lease, name in self._leases.items() if name == owner]
        for lease in leases:
            self.revoke(lease)
        return bool(leases)

    def compact_now(self) -> None:
        """Only what holds now is still known: who watches from an earlier revision is told so."""
        with suppress(CompactedError):
            self._run(self._inner.compact(self._run(self._inner.status()).revision))

    def _restart_leases(self, *, again: bool = True) -> None:
        for lease in list(self._leases):
            if not self._run(self._inner.lease_keep_alive(lease)):
                del self._leases[lease]
        if again and not self.has_quorum:
            loop = asyncio.get_running_loop()
            WORLD.copy().run(loop.call_later, REFRESH_S, lambda: self._restart_leases())

    # --- for clients: what happens when a request arrives ---

    def arrived(self, request: Callable[[], None], *, changes: bool) -> bool:
        """Whether there is a quorum to serve it; else a change may be served later."""
        if not self.has_quorum and changes:
            self._held.append(request)
        return self.has_quorum

    def transact(
        self, compares: Sequence[Compare], then: Sequence[Operation], otherwise: Sequence[Operation]
    ) -> TransactionResult:
        before = self.revision
        result = self._run(self._inner.transact(compares, then, otherwise))
        if result.revision > before:
            self.on_changed()
        return result

    def list_at(self, prefix: str, revision: int) -> Listing:
        return self._run(self._inner.list(prefix, revision))

    def grant(self, owner: str, ttl_ms: int) -> int:
        longer_ms = int(ttl_ms * self._chance.uniform(0, LATEST_END))
        lease = self._run(self._inner.lease_grant(ttl_ms + longer_ms))
        self._leases[lease] = owner
        return lease

    def keep_alive(self, lease: int) -> int:
        return self._run(self._inner.lease_keep_alive(lease))

    def revoke(self, lease: int) -> None:
        self._leases.pop(lease, None)
        self._run(self._inner.lease_revoke(lease))

    def compact(self, revision: int) -> None:
        self._run(self._inner.compact(revision))

    def status(self) -> StoreStatus:
        return self._run(self._inner.status())

    def watch(self, prefix: str, from_revision: int) -> Watch:
        return self._inner.watch(prefix, from_revision)

    def _run(self, call: Coroutine[object, object, ResultT]) -> ResultT:
        """As the world, so that the timers of leases outlive whoever was granted them."""
        return WORLD.copy().run(_at_once, call)


class StoreClient:
    """A `MetadataStore`. Mutable; its calls belong to one process."""

    is_shared = True

    def __init__(self, store: SharedStore, owner: str, link: Link, chance: random.Random) -> None:
        self.on_broken: Callable[[MetadataStoreError], None] = lambda error: None
        self.on_full: Callable[[], Callable[[], None] | None] = lambda: None
        self._store = store
        self._owner = owner
        self._link = link
        self._chance = chance
        self._is_closed = False
        self._watches: list[_ClientWatch] = []

    async def get(self, key: str) -> KeyValue | None:
        return await self._call(lambda: self._store.read(key))

    async def list(self, prefix: str, revision: int = 0) -> Listing:
        return await self._call(lambda: self._store.list_at(prefix, revision))

    async def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TransactionResult:
        assert_transaction_fits(compares, then, otherwise)
        return await self._call(
            lambda: self._store.transact(compares, then, otherwise), changes=True
        )

    def watch(self, prefix: str, from_revision: int) -> Watch:
        assert from_revision >= 1
        self._check_open()
        watch = _ClientWatch(self._store.watch(prefix, from_revision), self._link, self._chance)
        self._watches.append(watch)
        return watch

    async def lease_grant(self, ttl_ms: int) -> int:
        assert ttl_ms > 0
        return await self._call(lambda: self._store.grant(self._owner, ttl_ms))

    async def lease_keep_alive(self, lease: int) -> int:
        return await self._call(lambda: self._store.keep_alive(lease))

    async def lease_revoke(self, lease: int) -> None:
        await self._call(lambda: self._store.revoke(lease), changes=True)

    async def compact(self, revision: int) -> None:
        await self._call(lambda: self._store.compact(revision), changes=True)

    async def status(self) -> StoreStatus:
        return await self._call(self._store.status)

    async def close(self) -> None:
        self._is_closed = True
        for watch in self._watches:
            await watch.aclose()
        self._watches.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError("the metadata store is closed")

    async def _call(self, work: Callable[[], ResultT], *, changes: bool = False) -> ResultT:
        """`work` happens when the request arrives. Nobody can tell a lost request from a lost
        answer: a change without an answer has an unknown outcome."""
        self._check_open()
        loop = asyncio.get_running_loop()
        chance, link = self._chance, self._link
        if chance.random() < link.refused:
            await asyncio.sleep(chance.uniform(*link.latency_s))
            raise StoreUnavailableError("the metadata store refused the connection")
        done: asyncio.Future[ResultT] = loop.create_future()
        request = _Request(self._store, link, chance, work, done, changes)
        delay_s = chance.uniform(*link.latency_s)
        if chance.random() < link.late:
            delay_s = CALL_TIMEOUT_S + chance.uniform(0, LATEST_S)
        if not link.requests_cut:
            WORLD.copy().run(loop.call_later, delay_s, request.arrive)
        elif chance.random() < 0.5:
            link.held.append(request.arrive)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await done
        except TimeoutError:
            detail = f"no answer from the metadata store in {CALL_TIMEOUT_S} s"
            if changes:
                raise OutcomeUnknownError(detail) from None
            raise StoreUnavailableError(detail) from None


@dataclass(slots=True)
class _Request(Generic[ResultT]):
    """On its way to the store. It arrives once, whatever became of its sender."""

    store: SharedStore
    link: Link
    chance: random.Random
    work: Callable[[], ResultT]
    done: asyncio.Future[ResultT]
    changes: bool

    def arrive(self) -> None:
        if not self.store.arrived(self.arrive, changes=self.changes):
            return
        before = self.store.revision
        try:
            result = self.work()
            self.store.late_changes += self.done.done() and self.store.revision > before
        except MetadataStoreError as error:
            self._answer(partial(self.done.set_exception, error))
        else:
            self._answer(partial(self.done.set_result, result))

    def _answer(self, tell: Callable[[], None]) -> None:
        if not self.link.answers_cut and self.chance.random() >= self.link.lost:
            delay_s = self.chance.uniform(*self.link.latency_s)
            WORLD.copy().run(self.done.get_loop().call_later, delay_s, self._tell, tell)

    def _tell(self, tell: Callable[[], None]) -> None:
        if not self.done.done():
            tell()


class _ClientWatch:
    """A place in the store's history, told late and never while the link is cut. Mutable."""

    def __init__(self, inner: Watch, link: Link, chance: random.Random) -> None:
        self._inner = inner
        self._link = link
        self._chance = chance
        self._pending: WatchBatch | None = None
        """Read and not told yet: whoever was cancelled meanwhile asks again."""
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __aiter__(self) -> AsyncIterator[WatchBatch]:
        return self

    async def __anext__(self) -> WatchBatch:
        if self._pending is None:
            await self._until_well()
            self._pending = await anext(self._inner)
            await self._sleep(self._chance.uniform(*self._link.watch_delay_s))
        await self._until_well()
        if self._closed.done():
            raise StopAsyncIteration
        batch, self._pending = self._pending, None
        return batch

    async def aclose(self) -> None:
        if not self._closed.done():
            self._closed.set_result(None)
        await self._inner.aclose()

    async def _sleep(self, delay_s: float) -> None:
        await asyncio.wait([self._closed], timeout=delay_s)

    async def _until_well(self) -> None:
        while self._link.is_cut and not self._closed.done():
            well: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._link.healed.append(well)
            await asyncio.wait([well, self._closed], return_when=asyncio.FIRST_COMPLETED)


def _at_once(call: Coroutine[object, object, ResultT]) -> ResultT:
    """What a call gives that never waits: the store in memory has no journal here."""
    try:
        call.send(None)
    except StopIteration as end:
        result: ResultT = end.value
        return result
    raise AssertionError("the store in memory waits for nobody")
