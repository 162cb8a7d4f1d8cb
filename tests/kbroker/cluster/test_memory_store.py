"""Leases and journals: what the conformance suite cannot see of the store in this process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor

import pytest

from kbroker.cluster import memory_store
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import (
    CompactedError,
    OutcomeUnknownError,
    Put,
    StoreFullError,
    StoreUnavailableError,
    key_absent,
)
from kbroker.cluster.revisioned_map import Change


class SteppedLoop(asyncio.SelectorEventLoop):
    """Its clock stands still until a test moves it."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s


async def advance(milliseconds: int) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedLoop)
    loop.now_s += milliseconds / 1000
    for _ in range(5):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        runner.run(scenario())  # type: ignore[arg-type]


def test_a_lease_ends_late_and_never_early() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1))
        lease = await store.lease_grant(4000)
        await store.transact([], [Put("a", b"", lease), Put("b", b"", lease)])
        await advance(3999)
        assert await store.get("a") is not None
        assert await store.lease_keep_alive(lease) == 4000
        await advance(4001)
        assert await store.get("a") is not None  # in its grace
        await advance(1001)
        assert await store.get("a") is None
        assert await store.get("b") is None
        assert (await store.status()).revision == 3
        assert await store.lease_keep_alive(lease) == 0

    run(scenario)


def test_after_a_stall_of_the_loop_a_keep_alive_is_in_time() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1))
        lease = await store.lease_grant(4000)
        await store.transact([], [Put("a", b"", lease)])
        await advance(60_000)
        assert await store.lease_keep_alive(lease) == 4000
        await advance(3999)
        assert await store.get("a") is not None

    run(scenario)


class ScriptedJournal:
    """Fails as it is told; commits in the test's time."""

    def __init__(self) -> None:
        self.executor: Executor | None = None
        self.stage_error: Exception | None = None
        self.commit_error: Exception | None = None
        self.staged: list[tuple[list[str], int]] = []
        self.committed = 0
        self.closed = False

    def stage(self, changes: Sequence[Change], compact_revision: int) -> None:
        if self.stage_error:
            raise self.stage_error
        assert len(self.staged) == self.committed, "one transaction at a time"
        self.staged.append(([each.after.key for each in changes], compact_revision))

    def commit(self) -> None:
        if self.commit_error:
            raise self.commit_error
        self.committed += 1

    def size_bytes(self) -> int:
        return 0

    def detail(self) -> str:
        return "scripted"

    def close(self) -> None:
        self.closed = True


def test_a_cancelled_caller_leaves_its_transaction_to_take_effect() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1), journal=ScriptedJournal())
        call = asyncio.ensure_future(store.transact([], [Put("a", b"")]))
        await asyncio.sleep(0)
        call.cancel()
        result = await store.transact([key_absent("a")], [], [])
        assert not result.succeeded
        await store.close()

    asyncio.run(scenario())


def test_a_write_that_was_refused_leaves_no_trace() -> None:
    async def scenario() -> None:
        journal = ScriptedJournal()
        store = MemoryStore(random.Random(1), journal=journal)
        journal.stage_error = StoreUnavailableError("full")
        with pytest.raises(StoreUnavailableError):
            await store.transact([], [Put("a", b"")])
        journal.stage_error = None
        journal.commit_error = StoreUnavailableError("full")
        with pytest.raises(StoreUnavailableError):
            await store.transact([], [Put("a", b"")])
        assert await store.get("a") is None
        journal.commit_error, journal.committed = None, 1
        assert (await store.transact([], [Put("a", b"")])).revision == 2
        await store.close()
        assert journal.closed

    asyncio.run(scenario())


def test_a_full_disk_is_asked_for_room_once() -> None:
    async def scenario() -> None:
        journal = ScriptedJournal()
        store = MemoryStore(random.Random(1), journal=journal)
        told: list[str] = []

        def lend() -> Callable[[], None]:
            told.append("lent")
            if len(told) == 1:
                journal.commit_error = None
                journal.staged.clear()
            return lambda: told.append("given back")

        store.on_full = lend
        journal.commit_error = StoreFullError("full")
        await store.transact([], [Put("a", b"")])
        assert told == ["lent", "given back"]
        journal.commit_error = StoreFullError("full")
        journal.stage = lambda changes, compact_revision: None  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailableError, match="full"):
            await store.transact([], [Put("b", b"")])
        assert told == ["lent", "given back"] * 2
        assert await store.get("b") is None
        await store.close()

    asyncio.run(scenario())


def test_after_an_unknown_outcome_nothing_is_written_and_reads_go_on() -> None:
    async def scenario() -> None:
        journal = ScriptedJournal()
        store = MemoryStore(random.Random(1), journal=journal)
        told = []
        store.on_broken = told.append
        await store.transact([], [Put("a", b"")])
        journal.commit_error = OutcomeUnknownError("fsync failed")
        with pytest.raises(OutcomeUnknownError):
            await store.transact([], [Put("b", b"")])
        assert [error.detail for error in told] == ["fsync failed"]
        journal.commit_error = None
        with pytest.raises(StoreUnavailableError, match="fsync failed"):
            await store.transact([], [Put("c", b"")])
        assert await store.get("a") is not None
        assert not (await store.transact([key_absent("a")], [Put("d", b"")])).succeeded
        await store.close()

    asyncio.run(scenario())


def test_closing_finishes_the_commit_under_way_and_fails_what_waits() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1), journal=ScriptedJournal())
        calls = [asyncio.ensure_future(store.transact([], [Put(k, b"")])) for k in "abc"]
        await asyncio.sleep(0)
        await store.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        kinds = [type(each).__name__ for each in results]
        assert kinds == ["TransactionResult", "StoreUnavailableError", "StoreUnavailableError"]

    asyncio.run(scenario())


def test_a_long_history_is_compacted_along_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_store, "MAX_HISTORY_CHANGES", 10)

    async def scenario() -> None:
        journal = ScriptedJournal()
        store = MemoryStore(random.Random(1), journal=journal)
        for n in range(25):
            await store.transact([], [Put("a", str(n).encode())])
        compactions = [compact for _, compact in journal.staged if compact]
        assert compactions == [12]
        with pytest.raises(CompactedError):
            await store.list("", 11)
        assert (await store.list("", 12)).items[0].value == b"10"
        await store.close()

    asyncio.run(scenario())
