"""The metadata store in this process; durable when it is given a journal.

Alone it serves simulations and tests. With the journal of `sqlite.py` it is the store of a
single node: reads, compares and watches run in memory, and a transaction takes effect, for
everybody, once the journal has made it durable.

One transaction at a time: the next is planned when the one before has been applied. No tasks,
only callbacks: a caller that is cancelled merely stops waiting.

Counterparts: `revisioned_map.py` (what a transaction means), `sqlite.py` (the journal).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from kbroker.cluster.metadata_store import (
    Compare,
    KeyValue,
    LeaseNotFoundError,
    Listing,
    MetadataStoreError,
    Operation,
    OutcomeUnknownError,
    Put,
    StoreFullError,
    StoreStatus,
    StoreUnavailableError,
    TransactionResult,
    WatchBatch,
)
from kbroker.cluster.revisioned_map import (
    Change,
    Plan,
    RevisionedMap,
    assert_transaction_fits,
)
from kbroker.cluster.topic_ids import RandomBits

MAX_WAITING_TRANSACTIONS = 10_000
MAX_HISTORY_CHANGES = 4_000
"""Past twice this, a store compacts itself; a watcher further behind must read everything."""
WATCH_SCAN_REVISIONS = 1_000
"""How much history a watch looks through in one step without letting others run."""
LEASE_GRACE_DIVISOR = 4
"""A lease that ran out waits a quarter of its time more.

In the store's own process a stall of the loop delays keep-alives and expiry alike, and expiry
would win. A lease may always end late, never early.
"""


class Journal(Protocol):
    """Makes transactions durable, one after the other: stage, then commit, then the next.

    Both raise StoreUnavailableError (nothing was kept; go on) or OutcomeUnknownError (broken:
    nothing more can be written until a restart has looked at what is there).
    """

    executor: Executor | None  # where commits run; None: in the loop's own

    def stage(self, changes: Sequence[Change], compact_revision: int) -> None:
        """Called on the loop's thread: must not wait for a disk. 0: nothing to compact."""
        ...

    def commit(self) -> None:
        """Returns once it is durable. Called in the executor: must only wait, not compute."""
        ...

    def size_bytes(self) -> int: ...

    def detail(self) -> str: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Waiting:
    """A transaction in line. `plan` runs when its turn comes, and may raise."""

    plan: Callable[[], Plan]
    done: asyncio.Future[TransactionResult]
    compact_revision: int = 0
    give_back: Callable[[], None] | None = None
    """Takes back what is left of the room that it was lent on a full disk."""


@dataclass(slots=True)
class _Lease:
    ttl_ms: int
    timer: asyncio.TimerHandle
    in_grace: bool = False


class MemoryStore:
    """A MetadataStore. Its calls belong on one event loop.

    `random` makes the lease ids. `contents` is what the journal has kept so far.
    """

    def __init__(
        self,
        random: RandomBits,
        *,
        contents: RevisionedMap | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.is_shared = False
        self._random = random
        self._map = contents or RevisionedMap()
        self._journal = journal
        self._waiting: deque[_Waiting] = deque()
        self._committing: asyncio.Future[None] | None = None
        self.on_broken: Callable[[MetadataStoreError], None] = lambda error: None
        self.on_full: Callable[[], Callable[[], None] | None] = lambda: None
        self._broken: MetadataStoreError | None = None
        self._closed = False
        self._leases: dict[int, _Lease] = {}
        self._watches: dict[_HistoryWatch, None] = {}  # a dict: woken in the order they came

    async def get(self, key: str) -> KeyValue | None:
        self._check_open()
        return self._map.get(key)

    async def list(self, prefix: str, revision: int = 0) -> Listing:
        self._check_open()
        return self._map.list_prefix(prefix, revision)

    async def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TransactionResult:
        assert_transaction_fits(compares, then, otherwise)

        def plan() -> Plan:
            planned = self._map.plan(compares, then, otherwise)
            self._check_leases(then if planned.result.succeeded else otherwise)
            return planned

        return await self._enqueue(plan)

    def watch(self, prefix: str, from_revision: int) -> _HistoryWatch:
        assert from_revision >= 1
        self._check_open()
        watch = _HistoryWatch(self, prefix, from_revision)
        self._watches[watch] = None
        return watch

    async def lease_grant(self, ttl_ms: int) -> int:
        assert ttl_ms > 0
        self._check_open()
        lease = 0
        while lease == 0 or lease in self._leases:
            lease = self._random.getrandbits(63)
        self._leases[lease] = _Lease(ttl_ms, self._start_timer(lease, ttl_ms))
        return lease

    async def lease_keep_alive(self, lease: int) -> int:
        self._check_open()
        state = self._leases.get(lease)
        if state is None:
            return 0
        state.timer.cancel()
        state.timer = self._start_timer(lease, state.ttl_ms)
        state.in_grace = False
        return state.ttl_ms

    async def lease_revoke(self, lease: int) -> None:
        self._check_open()
        if lease in self._leases:
            await self._end_lease(lease)

    async def compact(self, revision: int) -> None:
        self._check_open()

        def plan() -> Plan:
            self._map.check_compaction(revision)
            return Plan(TransactionResult(True, self._map.revision), ())

        await self._enqueue(plan, compact_revision=revision)

    async def status(self) -> StoreStatus:
        self._check_open()
        return StoreStatus(
            revision=self._map.revision,
            compact_revision=self._map.compact_revision,
            size_bytes=self._journal.size_bytes() if self._journal else 0,
            detail=self._journal.detail() if self._journal else "in memory",
        )

    async def close(self) -> None:
        """Waiting transactions fail; the one being committed ends first."""
        if self._closed:
            return
        self._closed = True
        for state in self._leases.values():
            state.timer.cancel()
        while self._waiting:
            _fail(self._waiting.popleft().done, StoreUnavailableError("the store was closed"))
        if self._committing is not None:
            await asyncio.wait([self._committing])
        for watch in list(self._watches):
            await watch.aclose()
        if self._journal is not None:
            self._journal.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError("the metadata store is closed")

    # Transactions, one at a time

    def _enqueue(
        self, plan: Callable[[], Plan], compact_revision: int = 0
    ) -> asyncio.Future[TransactionResult]:
        self._check_open()
        if len(self._waiting) >= MAX_WAITING_TRANSACTIONS:
            raise StoreUnavailableError("too many metadata transactions are waiting")
        done: asyncio.Future[TransactionResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(plan, done, compact_revision))
        self._run_waiting()
        return done

    def _run_waiting(self) -> None:
        while self._waiting and self._committing is None:
            self._start(self._waiting.popleft())

    def _start(self, waiting: _Waiting) -> None:
        try:
            plan = waiting.plan()
            compact_revision = waiting.compact_revision
            if plan.changes and not compact_revision:
                compact_revision = self._map.overdue_compaction(MAX_HISTORY_CHANGES)
            writes = bool(plan.changes or compact_revision)
            if writes and self._broken is not None:
                raise StoreUnavailableError(f"since an earlier failure: {self._broken.detail}")
            if writes and self._journal is not None:
                self._journal.stage(plan.changes, compact_revision)
        except MetadataStoreError as error:
            self._failed(error, waiting)
            return
        if not writes or self._journal is None:
            self._finish(plan, compact_revision, waiting)
            return
        loop = asyncio.get_running_loop()
        self._committing = loop.run_in_executor(self._journal.executor, self._journal.commit)
        self._committing.add_done_callback(
            lambda committed: self._committed(committed, plan, compact_revision, waiting)
        )

    def _committed(
        self,
        committed: asyncio.Future[None],
        plan: Plan,
        compact_revision: int,
        waiting: _Waiting,
    ) -> None:
        self._committing = None
        error = committed.exception()
        if error is None:
            self._finish(plan, compact_revision, waiting)
        else:
            self._failed(error, waiting)
        self._run_waiting()

    def _finish(self, plan: Plan, compact_revision: int, waiting: _Waiting) -> None:
        if waiting.give_back is not None:
            waiting.give_back()
        self._map.apply(plan)
        if compact_revision:
            self._map.compact(compact_revision)
        if not waiting.done.done():  # its caller may have been cancelled
            waiting.done.set_result(plan.result)
        if plan.changes:
            for watch in self._watches:
                watch.wake()

    def _failed(self, error: BaseException, waiting: _Waiting) -> None:
        if waiting.give_back is not None:
            waiting.give_back()
        elif isinstance(error, StoreFullError) and not self._closed:
            waiting.give_back = self.on_full()
            if waiting.give_back is not None:
                self._waiting.appendleft(waiting)
                return
        if isinstance(error, OutcomeUnknownError):
            if self._broken is None:
                self.on_broken(error)
            self._broken = error
        _fail(waiting.done, error)

    # Leases

    def _check_leases(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            lease = operation.lease if isinstance(operation, Put) else 0
            if lease and lease not in self._leases:
                raise LeaseNotFoundError(f"lease {lease:x} is gone")

    def _start_timer(self, lease: int, delay_ms: int) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(delay_ms / 1000, self._lease_ran_out, lease)

    def _lease_ran_out(self, lease: int) -> None:
        state = self._leases[lease]
        if not state.in_grace:
            state.in_grace = True
            state.timer = self._start_timer(lease, state.ttl_ms // LEASE_GRACE_DIVISOR)
            return
        # Nobody waits for it; a failure shows at the next transaction.
        self._end_lease(lease).add_done_callback(_retrieve)

    def _end_lease(self, lease: int) -> asyncio.Future[TransactionResult]:
        self._leases.pop(lease).timer.cancel()
        return self._enqueue(lambda: self._map.plan_deletion(self._map.keys_of_lease(lease)))

    # Watches

    def next_batch(self, prefix: str, from_revision: int) -> WatchBatch | None:
        """What a watch is to be told next; None: nothing yet."""
        if from_revision > self._map.revision:
            return None
        return self._map.batch_after(prefix, from_revision, WATCH_SCAN_REVISIONS)

    def forget(self, watch: _HistoryWatch) -> None:
        self._watches.pop(watch, None)


class _HistoryWatch:
    """A place in the store's history: no queue of its own that could grow."""

    def __init__(self, store: MemoryStore, prefix: str, from_revision: int) -> None:
        self._store = store
        self._prefix = prefix
        self._next_revision = from_revision
        self._wakened: asyncio.Future[None] | None = None
        self._closed = False

    def __aiter__(self) -> AsyncIterator[WatchBatch]:
        return self

    async def __anext__(self) -> WatchBatch:
        while not self._closed:
            batch = self._store.next_batch(self._prefix, self._next_revision)
            if batch is not None:
                self._next_revision = batch.revision + 1
                return batch
            assert self._wakened is None, "one reader at a time"
            self._wakened = asyncio.get_running_loop().create_future()
            try:
                await self._wakened
            finally:
                self._wakened = None
        raise StopAsyncIteration

    def wake(self) -> None:
        if self._wakened is not None and not self._wakened.done():
            self._wakened.set_result(None)

    async def aclose(self) -> None:
        self._closed = True
        self._store.forget(self)
        self.wake()


def _fail(done: asyncio.Future[TransactionResult], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)


def _retrieve(done: asyncio.Future[TransactionResult]) -> None:
    """Look at the exception, so that asyncio does not report it as forgotten."""
    if not done.cancelled():
        done.exception()
