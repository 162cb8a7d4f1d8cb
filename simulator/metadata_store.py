"""The metadata of a simulated broker: the store in memory, with a journal that a crash can cut.

Counterpart: `kbroker.cluster.sqlite`, whose journal this one stands for: what was committed is
durable, what was staged and not answered may be there or not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import OutcomeUnknownError, StoreUnavailableError
from kbroker.cluster.revisioned_map import FIRST_REVISION, Change, RevisionedMap
from kbroker.cluster.topic_ids import RandomBits

Entry = tuple[tuple[Change, ...], int]
"""The changes of one transaction, and the revision that it compacted up to (0: none)."""


class MetadataDisk:
    """What is durable of the metadata. Mutable; it outlives every process that writes to it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.fail_next: str = ""
        """"", "refuse" (nothing is kept) or "unknown" (kept or not, by chance)."""
        self.on_failure: Callable[[str], None] = lambda how: None
        """Told of each commit that fails so."""
        self.on_stage: Callable[[], None] = lambda: None
        """A commit is under way."""

    def contents(self) -> RevisionedMap:
        """What a start finds."""
        contents = RevisionedMap()
        changes = [change for entry, _ in self.entries for change in entry]
        revision = max((change.after.mod_revision for change in changes), default=FIRST_REVISION)
        compacted = max((compact for _, compact in self.entries), default=0)
        contents.restore(changes, revision, compacted)
        return contents


class SimulatedJournal:
    """A `Journal` of one life of the process. Mutable: a transaction between stage and commit."""

    executor: Executor | None = None

    def __init__(self, disk: MetadataDisk, chance: random.Random) -> None:
        self._disk = disk
        self._chance = chance
        self._staged: Entry | None = None
        self._is_dead = False

    @property
    def is_committing(self) -> bool:
        return self._staged is not None

    def stage(self, changes: Sequence[Change], compact_revision: int) -> None:
        self._staged = (tuple(changes), compact_revision)
        self._disk.on_stage()

    def commit(self) -> None:
        """Called by the loop after a virtual delay: until then a crash may lose it."""
        assert self._staged is not None
        if self._is_dead:
            raise StoreUnavailableError("the process is dead")
        failure, self._disk.fail_next = self._disk.fail_next, ""
        staged, self._staged = self._staged, None
        if failure:
            self._disk.on_failure(failure)
        if failure == "refuse":
            raise StoreUnavailableError("the disk refused")
        if failure == "unknown":
            if self._chance.random() < 0.5:
                self._disk.entries.append(staged)
            raise OutcomeUnknownError("the commit failed, and perhaps it did not")
        self._disk.entries.append(staged)

    def crash(self) -> None:
        """The process dies: a commit under way is durable or not."""
        self._is_dead = True
        if self._staged is not None and self._chance.random() < 0.5:
            self._disk.entries.append(self._staged)
        self._staged = None

    def size_bytes(self) -> int:
        return 0

    def detail(self) -> str:
        return "simulated"

    def close(self) -> None:
        pass


def open_store(
    disk: MetadataDisk, ids: RandomBits, chance: random.Random
) -> tuple[MemoryStore, SimulatedJournal]:
    """The store on what `disk` holds, as a start of the process finds it.

    The holders of all leases are gone: so are their keys.
    """
    contents = disk.contents()
    leased = [kv.key for kv in contents.list_prefix("").items if kv.lease]
    plan = contents.plan_deletion(leased)
    if plan.changes:
        disk.entries.append((plan.changes, 0))
        contents.apply(plan)
    journal = SimulatedJournal(disk, chance)
    return MemoryStore(ids, contents=contents, journal=journal), journal
