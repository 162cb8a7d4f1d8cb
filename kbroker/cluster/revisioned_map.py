"""etcd's data model as a pure map: revisions, versions, compares, history, compaction.

A transaction is planned first and applied later, so that a durable store can write the plan down
in between. Between `plan` and `apply` nothing else may change the map.

Counterpart: `memory_store.py`, which adds leases, watches and the order of things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import eq, gt, lt, ne

from kbroker.cluster.metadata_store import (
    MAX_TRANSACTION_OPERATIONS,
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
    Listing,
    Operation,
    Put,
    TransactionResult,
    WatchBatch,
)

FIRST_REVISION = 1
"""An empty store's, as in etcd: the first write makes revision 2."""

_OPERATORS: dict[CompareOperator, Callable[[object, object], bool]] = {
    CompareOperator.EQUAL: eq,
    CompareOperator.NOT_EQUAL: ne,
    CompareOperator.LESS: lt,  # type: ignore[dict-item]  # both sides are int, or both bytes
    CompareOperator.GREATER: gt,  # type: ignore[dict-item]
}


@dataclass(frozen=True, slots=True)
class Change:
    """One key before and after. `after.version == 0`: deleted. `before is None`: created."""

    before: KeyValue | None
    after: KeyValue


@dataclass(frozen=True, slots=True)
class Plan:
    """What a transaction would do. Without changes it only reads."""

    result: TransactionResult
    changes: tuple[Change, ...]


class RevisionedMap:
    """Mutable state; changes in `apply`, `compact` and `restore` only."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.compact_revision = 0  # nothing was compacted
        self._current: dict[str, KeyValue] = {}
        # The changes of every revision after _history_start, in order: revision r's are at index
        # r - _history_start - 1.
        self._history: list[tuple[Change, ...]] = []
        self._history_start = FIRST_REVISION
        self._history_size = 0  # changes, in all revisions together

    def get(self, key: str) -> KeyValue | None:
        return self._current.get(key)

    def list_prefix(self, prefix: str, revision: int = 0) -> Listing:
        """Raises CompactedError, FutureRevisionError; revision 0 means the present."""
        at_revision = revision or self.revision
        if at_revision > self.revision:
            raise FutureRevisionError(f"revision {revision} is ahead of {self.revision}")
        if at_revision < self.compact_revision:
            raise CompactedError(self.compact_revision)
        found = {key: kv for key, kv in self._current.items() if key.startswith(prefix)}
        for changes in reversed(self._history[at_revision - self._history_start :]):
            for change in reversed(changes):
                if not change.after.key.startswith(prefix):
                    continue
                if change.before is None:
                    del found[change.after.key]
                else:
                    found[change.after.key] = change.before
        return Listing(at_revision, tuple(found[key] for key in sorted(found)))

    def keys_of_lease(self, lease: int) -> list[str]:
        """Sorted: their deletion must happen in the same order everywhere."""
        return sorted(key for key, kv in self._current.items() if kv.lease == lease)

    def holds(self, compare: Compare) -> bool:
        kv = self._current.get(compare.key)
        match compare.target:
            case CompareTarget.VALUE:
                if kv is None:
                    return False
                actual: int | bytes = kv.value
            case CompareTarget.CREATE_REVISION:
                actual = kv.create_revision if kv else 0
            case CompareTarget.MOD_REVISION:
                actual = kv.mod_revision if kv else 0
            case CompareTarget.VERSION:
                actual = kv.version if kv else 0
        return _OPERATORS[compare.operator](actual, compare.operand)

    def plan(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation],
    ) -> Plan:
        succeeded = all(self.holds(compare) for compare in compares)
        return self._run(succeeded, then if succeeded else otherwise)

    def plan_deletion(self, keys: Iterable[str]) -> Plan:
        """The plan that deletes those keys, however many."""
        return self._run(True, [Delete(key) for key in keys])

    def _run(self, succeeded: bool, operations: Sequence[Operation]) -> Plan:
        revision = self.revision + 1
        changed: dict[str, Change] = {}
        values: list[KeyValue | None] = []
        for operation in operations:
            match operation:
                case Put():
                    before = self._current.get(operation.key)
                    after = KeyValue(
                        key=operation.key,
                        value=operation.value,
                        create_revision=before.create_revision if before else revision,
                        mod_revision=revision,
                        version=before.version + 1 if before else 1,
                        lease=operation.lease,
                    )
                    changed[operation.key] = Change(before, after)
                case Delete():
                    before = self._current.get(operation.key)
                    if before is not None:
                        changed[operation.key] = Change(before, _deleted(operation.key, revision))
                case DeletePrefix():
                    for key in sorted(k for k in self._current if k.startswith(operation.prefix)):
                        changed[key] = Change(self._current[key], _deleted(key, revision))
                case Get():
                    values.append(_read(operation.key, changed, self._current))
        result = TransactionResult(succeeded, revision if changed else self.revision, tuple(values))
        return Plan(result, tuple(changed.values()))

    def apply(self, plan: Plan) -> None:
        """Make the plan, which was made for this very state, the present."""
        if not plan.changes:
            return
        assert plan.result.revision == self.revision + 1, "the map changed under a plan"
        self.revision = plan.result.revision
        self._history.append(plan.changes)
        self._history_size += len(plan.changes)
        self._take(plan.changes)

    def restore(self, changes: Sequence[Change], revision: int, compact_revision: int) -> None:
        """Fill an empty map with what a journal kept, in the order in which it happened.

        Changes up to `compact_revision` only tell what the keys were then.
        """
        assert not self._current, "a map is restored when it is empty"
        assert compact_revision <= revision
        self._history_start = max(FIRST_REVISION, compact_revision - 1)
        self._history = [() for _ in range(revision - self._history_start)]
        for change in changes:
            self._take((change,))
            index = change.after.mod_revision - self._history_start - 1
            if index >= 0:
                self._history[index] += (change,)
                self._history_size += 1
        self.revision = revision
        self.compact_revision = compact_revision

    def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.after.version > 0:
                self._current[change.after.key] = change.after
            else:
                # Absent only in `restore`: a deletion at the very revision of the compaction is
                # kept for watches, what it deleted is not.
                self._current.pop(change.after.key, None)

    def check_compaction(self, revision: int) -> None:
        """Raises what compacting to `revision` would raise."""
        if revision <= self.compact_revision:
            raise CompactedError(self.compact_revision)
        if revision > self.revision:
            raise FutureRevisionError(f"revision {revision} is ahead of {self.revision}")

    def compact(self, revision: int) -> None:
        """Reading at, and watching from, `revision` still work afterwards."""
        self.check_compaction(revision)
        self.compact_revision = revision
        start = max(self._history_start, revision - 1)
        forgotten = self._history[: start - self._history_start]
        self._history_size -= sum(len(changes) for changes in forgotten)
        del self._history[: len(forgotten)]
        self._history_start = start

    def overdue_compaction(self, max_changes: int) -> int:
        """Where to compact a history of twice `max_changes` to about that; 0: it is not so long."""
        if self._history_size < 2 * max_changes:
            return 0
        kept = 0
        for back, changes in enumerate(reversed(self._history)):
            kept += len(changes)
            if kept >= max_changes:
                revision = self.revision - back
                return revision if revision > self.compact_revision else 0
        return 0

    def batch_after(self, prefix: str, from_revision: int, max_revisions: int) -> WatchBatch:
        """The events from `from_revision` on, of at most `max_revisions` revisions.

        Ends at the first revision that has some. Raises CompactedError.
        """
        if from_revision < self.compact_revision:
            raise CompactedError(self.compact_revision)
        first = max(from_revision, self._history_start + 1)
        last = min(self.revision, first + max_revisions - 1)
        for revision in range(first, last + 1):
            changes = self._history[revision - self._history_start - 1]
            events = tuple(Event(c.after) for c in changes if c.after.key.startswith(prefix))
            if events:
                return WatchBatch(revision, events)
        return WatchBatch(last, ())


def _deleted(key: str, revision: int) -> KeyValue:
    return KeyValue(key, b"", create_revision=0, mod_revision=revision, version=0)


def _read(key: str, changed: dict[str, Change], current: dict[str, KeyValue]) -> KeyValue | None:
    if key not in changed:
        return current.get(key)
    after = changed[key].after
    return after if after.version > 0 else None


def assert_transaction_fits(
    compares: Sequence[Compare], then: Sequence[Operation], otherwise: Sequence[Operation]
) -> None:
    """etcd refuses what does not pass; so every backend does, as a mistake of ours."""
    for part in (compares, then, otherwise):
        assert len(part) <= MAX_TRANSACTION_OPERATIONS, f"{len(part)} operations are too many"
    _assert_keys_written_once(then)
    _assert_keys_written_once(otherwise)


def _assert_keys_written_once(operations: Sequence[Operation]) -> None:
    written: set[str] = set()
    prefixes: list[str] = []
    for operation in operations:
        if isinstance(operation, Put | Delete):
            assert operation.key not in written, f"{operation.key} is written twice"
            written.add(operation.key)
        elif isinstance(operation, DeletePrefix):
            prefixes.append(operation.prefix)
    for prefix in prefixes:
        overlaps = sorted(key for key in written if key.startswith(prefix))
        assert not overlaps, f"{overlaps} are written, and deleted with {prefix}"
