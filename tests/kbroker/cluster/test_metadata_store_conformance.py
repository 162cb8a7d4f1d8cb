"""Every backend of the metadata store against one plain model of etcd's semantics.

A backend joins by adding its factory to the fixture. The model keeps a full copy of the keys for
every revision: nothing to be clever, and so nothing to be wrong, about.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import (
    CompactedError,
    Compare,
    CompareOperator,
    CompareTarget,
    Delete,
    DeletePrefix,
    Event,
    FutureRevisionError,
    Get,
    KeyValue,
    LeaseNotFoundError,
    Listing,
    MetadataStore,
    Operation,
    Put,
    StoreUnavailableError,
    TransactionResult,
    Watch,
    created_at,
    key_absent,
    key_present,
    modified_at,
)
from kbroker.cluster.sqlite import open_sqlite_store
from simulator.shared_store import Link, SharedStore
from tests.kbroker.cluster.etcd_backend import EtcdBackend
from tests.kbroker.cluster.etcd_process import EtcdCluster

LONG_TTL_MS = 3_600_000
ETCD_EXAMPLES = int(os.environ.get("KBROKER_TEST_ETCD_EXAMPLES", "10"))
"""A watch from a past revision takes etcd a tenth of a second."""


class MemoryBackend:
    """Has no life beyond the process: a restart is not its business."""

    can_restart = False
    keeps_leases = False

    def __init__(self, directory: str) -> None:
        self._random = random.Random(1)

    def open(self) -> MetadataStore:
        return MemoryStore(self._random)


class SqliteBackend:
    can_restart = True
    keeps_leases = False

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/metadata.db"
        self._random = random.Random(1)

    def open(self) -> MetadataStore:
        return open_sqlite_store(self._path, self._random)


class SimulatedBackend:
    """The shared store of simulated clusters, without delays and faults."""

    can_restart = False
    keeps_leases = False

    def __init__(self, directory: str) -> None:
        self._random = random.Random(1)

    def open(self) -> MetadataStore:
        at_once = Link(latency_s=(0.0, 0.0), watch_delay_s=(0.0, 0.0))
        return SharedStore(self._random).client("tester", at_once)


Backend = MemoryBackend | SqliteBackend | SimulatedBackend | EtcdBackend
MakeBackend = Callable[[str], Backend]
LOCAL = [MemoryBackend, SqliteBackend, SimulatedBackend]


@pytest.fixture(scope="module", params=[*LOCAL, EtcdBackend])
def backend(request: pytest.FixtureRequest) -> MakeBackend:
    if request.param is EtcdBackend:
        return request.getfixturevalue("etcd_backend")
    return request.param


@pytest.fixture(scope="module")
def etcd_backend(etcd: EtcdCluster) -> MakeBackend:
    return lambda directory: EtcdBackend(etcd.endpoints)


# The model


class Model:
    def __init__(self) -> None:
        self.states: list[dict[str, KeyValue]] = [{}, {}]  # by revision; 0 is never used
        self.compacted = 0
        self.leases: set[int] = set()

    @property
    def revision(self) -> int:
        return len(self.states) - 1

    @property
    def now(self) -> dict[str, KeyValue]:
        return self.states[-1]

    def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation],
    ) -> TransactionResult | None:
        """None: refused, for a lease that is gone."""
        succeeded = all(self.holds(each) for each in compares)
        state, changed, values = dict(self.now), False, []
        for operation in then if succeeded else otherwise:
            match operation:
                case Put(key, value, lease):
                    if lease and lease not in self.leases:
                        return None
                    old = state.get(key)
                    state[key] = KeyValue(
                        key,
                        value,
                        old.create_revision if old else self.revision + 1,
                        self.revision + 1,
                        old.version + 1 if old else 1,
                        lease,
                    )
                    changed = True
                case Delete(key):
                    changed |= state.pop(key, None) is not None
                case DeletePrefix(prefix):
                    for key in [each for each in state if each.startswith(prefix)]:
                        del state[key]
                        changed = True
                case Get(key):
                    values.append(state.get(key))
        if changed:
            self.states.append(state)
        return TransactionResult(succeeded, self.revision, tuple(values))

    def holds(self, compare: Compare) -> bool:
        kv = self.now.get(compare.key)
        if compare.target is CompareTarget.VALUE:
            if kv is None:
                return False
            left, right = kv.value, compare.operand
        else:
            kv = kv or KeyValue(compare.key, b"", 0, 0, 0)
            attribute = {
                CompareTarget.CREATE_REVISION: "create_revision",
                CompareTarget.MOD_REVISION: "mod_revision",
                CompareTarget.VERSION: "version",
            }[compare.target]
            left, right = getattr(kv, attribute), compare.operand
        return {
            CompareOperator.EQUAL: left == right,
            CompareOperator.NOT_EQUAL: left != right,
            CompareOperator.LESS: left < right,
            CompareOperator.GREATER: left > right,
        }[compare.operator]

    def end_lease(self, lease: int) -> None:
        self.leases.discard(lease)
        kept = {key: kv for key, kv in self.now.items() if kv.lease != lease}
        if kept != self.now:
            self.states.append(kept)

    def drop_all_leases(self) -> None:
        self.leases.clear()
        kept = {key: kv for key, kv in self.now.items() if not kv.lease}
        if kept != self.now:
            self.states.append(kept)

    def listing(self, prefix: str, revision: int) -> Listing:
        state = self.states[revision]
        return Listing(revision, tuple(state[k] for k in sorted(state) if k.startswith(prefix)))

    def events(self, prefix: str, from_revision: int) -> list[Event]:
        """Sorted by key inside a revision: within one, etcd promises no order of ours."""
        events = []
        for revision in range(max(from_revision, 2), self.revision + 1):
            before, after = self.states[revision - 1], self.states[revision]
            for key in sorted(before.keys() | after.keys()):
                if key.startswith(prefix) and before.get(key) != after.get(key):
                    gone = KeyValue(key, b"", 0, revision, 0)
                    events.append(Event(after.get(key, gone)))
        return events


# Random programs

KEYS = ["a/1", "a/2", "a/3", "b/1", "b/é"]
PREFIXES = ["a/", "b/", "", "c"]
VALUES = [b"", b"x", b"y\x00\xff"]

revision_compares = st.builds(
    Compare,
    st.sampled_from(KEYS),
    st.sampled_from(
        [CompareTarget.CREATE_REVISION, CompareTarget.MOD_REVISION, CompareTarget.VERSION]
    ),
    st.sampled_from(CompareOperator),
    st.integers(0, 6),
)
value_compares = st.builds(
    Compare,
    st.sampled_from(KEYS),
    st.just(CompareTarget.VALUE),
    st.sampled_from(CompareOperator),
    st.sampled_from(VALUES),
)


@dataclass(frozen=True)
class LeasedPut:
    """A Put whose lease is the n-th granted so far; one that is gone is meant to be refused."""

    key: str
    value: bytes
    lease_index: int


def operations() -> st.SearchStrategy[list[object]]:
    one = st.one_of(
        st.builds(Put, st.sampled_from(KEYS), st.sampled_from(VALUES)),
        st.builds(Put, st.sampled_from(KEYS), st.sampled_from(VALUES)),
        st.builds(LeasedPut, st.sampled_from(KEYS), st.sampled_from(VALUES), st.integers(0, 3)),
        st.builds(Delete, st.sampled_from(KEYS)),
        st.builds(DeletePrefix, st.sampled_from(PREFIXES)),
        st.builds(Get, st.sampled_from(KEYS)),
    )
    return st.lists(one, max_size=4).filter(_writes_keys_once)


def _writes_keys_once(operations: list[object]) -> bool:
    keys = [each.key for each in operations if isinstance(each, Put | LeasedPut | Delete)]
    prefixes = [each.prefix for each in operations if isinstance(each, DeletePrefix)]
    return len(set(keys)) == len(keys) and not any(
        key.startswith(prefix) for key in keys for prefix in prefixes
    )


@dataclass(frozen=True)
class Transact:
    compares: list[Compare]
    then: list[object]
    otherwise: list[object]


@dataclass(frozen=True)
class ReadAt:
    prefix: str
    back: int  # so many revisions ago; negative: in the future


@dataclass(frozen=True)
class WatchFrom:
    prefix: str
    back: int


@dataclass(frozen=True)
class Compact:
    back: int


@dataclass(frozen=True)
class Grant:
    pass


@dataclass(frozen=True)
class Revoke:
    lease_index: int


@dataclass(frozen=True)
class Restart:
    pass


steps = st.one_of(
    st.builds(
        Transact,
        st.lists(revision_compares | value_compares, max_size=2),
        operations(),
        operations(),
    ),
    st.builds(Transact, st.just([]), operations(), st.just([])),
    st.builds(ReadAt, st.sampled_from(PREFIXES), st.integers(-1, 6)),
    st.builds(WatchFrom, st.sampled_from(PREFIXES), st.integers(-1, 6)),
    st.builds(Compact, st.integers(-1, 4)),
    st.builds(Grant),
    st.builds(Revoke, st.integers(0, 3)),
    st.builds(Restart),
)


class Run:
    """One program, run against a backend and the model side by side."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.store = backend.open()
        self.model = Model()
        self.granted: list[int] = []

    async def step(self, step: object) -> None:
        match step:
            case Transact(compares, then, otherwise):
                await self.transact(compares, self.bind(then), self.bind(otherwise))
            case ReadAt(prefix, back):
                await self.read_at(prefix, max(1, self.model.revision - back))
            case WatchFrom(prefix, back):
                await self.watch_from(prefix, max(1, self.model.revision - back))
            case Compact(back):
                await self.compact(max(1, self.model.revision - back))
            case Grant():
                lease = await self.store.lease_grant(LONG_TTL_MS)
                assert lease not in self.granted
                self.granted.append(lease)
                self.model.leases.add(lease)
            case Revoke(index):
                if index < len(self.granted):
                    lease = self.granted[index]
                    alive = await self.store.lease_keep_alive(lease)
                    assert (alive > 0) == (lease in self.model.leases)
                    await self.store.lease_revoke(lease)
                    self.model.end_lease(lease)
            case Restart():
                if self.backend.can_restart:
                    await self.store.close()
                    self.store = self.backend.open()
                    if not self.backend.keeps_leases:
                        self.model.drop_all_leases()
        await self.compare()

    def bind(self, operations: list[object]) -> list[Operation]:
        bound: list[Operation] = []
        for each in operations:
            if isinstance(each, LeasedPut):
                known = each.lease_index < len(self.granted)
                lease = self.granted[each.lease_index] if known else 12345
                bound.append(Put(each.key, each.value, lease))
            else:
                bound.append(each)  # type: ignore[arg-type]
        return bound

    async def transact(
        self, compares: list[Compare], then: list[Operation], otherwise: list[Operation]
    ) -> None:
        expected = self.model.transact(compares, then, otherwise)
        if expected is None:
            with pytest.raises(LeaseNotFoundError):
                await self.store.transact(compares, then, otherwise)
        else:
            assert await self.store.transact(compares, then, otherwise) == expected

    async def read_at(self, prefix: str, revision: int) -> None:
        if revision > self.model.revision:
            with pytest.raises(FutureRevisionError):
                await self.store.list(prefix, revision)
        elif revision < self.model.compacted:
            with pytest.raises(CompactedError) as caught:
                await self.store.list(prefix, revision)
            assert caught.value.compact_revision == self.model.compacted
        else:
            assert await self.store.list(prefix, revision) == self.model.listing(prefix, revision)

    async def watch_from(self, prefix: str, revision: int) -> None:
        if revision < self.model.compacted:
            async with aclosing(self.store.watch(prefix, revision)) as watch:
                with pytest.raises(CompactedError) as caught:
                    await anext(watch)
            assert caught.value.compact_revision == self.model.compacted
            return
        expected = self.model.events(prefix, revision)
        seen: list[Event] = []
        last_revision = 0
        async with aclosing(self.store.watch(prefix, revision)) as watch:
            while len(seen) < len(expected):
                batch = await anext(watch)
                assert batch.revision > last_revision
                last_revision = batch.revision
                assert all(each.kv.mod_revision <= batch.revision for each in batch.events)
                seen += batch.events
        assert sorted(seen, key=lambda e: (e.kv.mod_revision, e.kv.key)) == expected
        assert [e.kv.mod_revision for e in seen] == [e.kv.mod_revision for e in expected]

    async def compact(self, revision: int) -> None:
        if revision > self.model.revision:
            with pytest.raises(FutureRevisionError):
                await self.store.compact(revision)
        elif revision <= self.model.compacted:
            with pytest.raises(CompactedError):
                await self.store.compact(revision)
        else:
            await self.store.compact(revision)
            self.model.compacted = revision

    async def compare(self) -> None:
        assert await self.store.list("") == self.model.listing("", self.model.revision)
        status = await self.store.status()
        assert status.revision == self.model.revision
        assert status.compact_revision == self.model.compacted
        for key in KEYS:
            assert await self.store.get(key) == self.model.now.get(key)


many_programs = given(program=st.lists(steps, max_size=25))
typical = example(
    program=[
        Transact([], [Put("a/1", b"x"), Put("a/2", b"x")], []),
        Transact([], [Delete("a/1")], []),
        Transact([], [Put("a/1", b"y")], []),
        Compact(1),
        Restart(),
        Compact(0),
        Restart(),
        WatchFrom("", 0),
        ReadAt("a/", 0),
    ]
)


def check_program(backend: MakeBackend, program: list[object]) -> None:
    async def main(directory: str) -> None:
        run = Run(backend(directory))
        try:
            for step in program:
                await run.step(step)
        finally:
            await run.store.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(directory))


@pytest.mark.parametrize("local", LOCAL)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@many_programs
@typical
def test_random_programs_agree_with_the_model(local: MakeBackend, program: list[object]) -> None:
    check_program(local, program)


@settings(
    max_examples=ETCD_EXAMPLES, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@many_programs
@typical
def test_random_programs_on_etcd_agree_with_the_model(
    etcd_backend: MakeBackend, program: list[object]
) -> None:
    check_program(etcd_backend, program)


# Scenarios that a program of steps does not reach: several things at once


def run(
    backend: MakeBackend, tmp_path: object, scenario: Callable[[MetadataStore], Awaitable[None]]
) -> None:
    async def main() -> None:
        store = backend(str(tmp_path)).open()
        try:
            await scenario(store)
        finally:
            await store.close()

    asyncio.run(main())


def test_of_many_racing_creators_one_wins(backend: MakeBackend, tmp_path: object) -> None:
    async def scenario(store: MetadataStore) -> None:
        results = await asyncio.gather(
            *(
                store.transact([key_absent("k")], [Put("k", bytes([n]))], [Get("k")])
                for n in range(20)
            )
        )
        winner = await store.get("k")
        assert winner is not None
        assert sum(each.succeeded for each in results) == 1
        assert all(each.values == (winner,) for each in results if not each.succeeded)

    run(backend, tmp_path, scenario)


def test_racing_increments_by_compare_and_swap_lose_none(
    backend: MakeBackend, tmp_path: object
) -> None:
    async def increment(store: MetadataStore) -> None:
        while True:
            kv = await store.get("n")
            assert kv is not None
            value = str(int(kv.value) + 1).encode()
            result = await store.transact([modified_at("n", kv.mod_revision)], [Put("n", value)])
            if result.succeeded:
                return

    async def scenario(store: MetadataStore) -> None:
        await store.transact([], [Put("n", b"0")])
        await asyncio.gather(*(increment(store) for _ in range(15)))
        kv = await store.get("n")
        assert kv is not None
        assert (kv.value, kv.version, kv.mod_revision) == (b"15", 16, 17)

    run(backend, tmp_path, scenario)


def test_a_parked_watch_is_told_of_later_changes_and_of_its_end(
    backend: MakeBackend, tmp_path: object
) -> None:
    async def scenario(store: MetadataStore) -> None:
        seen: list[Event] = []

        async def follow(watch: Watch) -> None:
            async for batch in watch:
                seen.extend(batch.events)

        following = asyncio.ensure_future(follow(store.watch("a/", 1)))
        await asyncio.sleep(0)  # it parks
        for n in range(5):
            await store.transact([], [Put(f"a/{n}", b""), Put(f"b/{n}", b"")])
        await store.transact([], [DeletePrefix("a/")])
        while len(seen) < 10:
            await asyncio.sleep(0)
        await store.close()
        await following
        assert [each.kv.key for each in seen] == [f"a/{n}" for n in range(5)] * 2
        assert [each.is_deletion for each in seen] == [False] * 5 + [True] * 5

    run(backend, tmp_path, scenario)


def test_a_watch_parked_before_a_compaction_goes_on_after_it(
    backend: MakeBackend, tmp_path: object
) -> None:
    async def scenario(store: MetadataStore) -> None:
        async with aclosing(store.watch("", 2)) as watch:
            parked = asyncio.ensure_future(anext(watch))
            await store.transact([], [Put("a", b"1")])
            await store.compact(2)
            assert (await parked).revision == 2
            with pytest.raises(CompactedError):
                await store.compact(2)

    run(backend, tmp_path, scenario)


def test_a_watch_from_the_future_waits_for_it(backend: MakeBackend, tmp_path: object) -> None:
    async def scenario(store: MetadataStore) -> None:
        async with aclosing(store.watch("", 4)) as watch:
            parked = asyncio.ensure_future(anext(watch))
            for n in range(3):
                await store.transact([], [Put("a", str(n).encode())])
            batch = await parked
            assert [each.kv.value for each in batch.events] == [b"2"]
            assert batch.revision == 4

    run(backend, tmp_path, scenario)


def test_compares_on_keys_created_deleted_and_created_again(
    backend: MakeBackend, tmp_path: object
) -> None:
    async def scenario(store: MetadataStore) -> None:
        first = (await store.transact([key_absent("k")], [Put("k", b"")])).revision
        await store.transact([], [Delete("k")])
        second = (await store.transact([key_absent("k")], [Put("k", b"")])).revision
        assert not (await store.transact([created_at("k", first)], [])).succeeded
        assert (await store.transact([created_at("k", second), key_present("k")], [])).succeeded
        assert not (await store.transact([key_present("other")], [])).succeeded

    run(backend, tmp_path, scenario)


def test_a_key_leaves_its_lease_when_it_is_put_without(
    backend: MakeBackend, tmp_path: object
) -> None:
    async def scenario(store: MetadataStore) -> None:
        lease = await store.lease_grant(LONG_TTL_MS)
        await store.transact([], [Put("stays", b"", lease), Put("goes", b"", lease)])
        await store.transact([], [Put("stays", b"")])
        await store.lease_revoke(lease)
        assert await store.get("goes") is None
        assert await store.get("stays") is not None
        assert await store.lease_keep_alive(lease) == 0
        with pytest.raises(LeaseNotFoundError):
            await store.transact([], [Put("late", b"", lease)])

    run(backend, tmp_path, scenario)


def test_a_closed_store_refuses_everything(backend: MakeBackend, tmp_path: object) -> None:
    async def scenario(store: MetadataStore) -> None:
        await store.close()
        with pytest.raises(StoreUnavailableError):
            await store.get("k")
        with pytest.raises(StoreUnavailableError):
            await store.transact([], [Put("k", b"")])

    run(backend, tmp_path, scenario)


@pytest.mark.parametrize(
    "operations",
    [
        [Put("k", b"1"), Put("k", b"2")],
        [Put("k", b"1"), Delete("k")],
        [Put("k/1", b"1"), DeletePrefix("k/")],
        [Put(f"k{n}", b"") for n in range(129)],
    ],
    ids=["two puts", "put and delete", "put and prefix", "129 operations"],
)
def test_what_etcd_would_refuse_is_refused_everywhere(
    backend: MakeBackend, tmp_path: object, operations: list[Operation]
) -> None:
    async def scenario(store: MetadataStore) -> None:
        with pytest.raises(AssertionError):
            await store.transact([], operations)

    run(backend, tmp_path, scenario)
