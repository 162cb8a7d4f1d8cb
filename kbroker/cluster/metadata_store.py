"""The metadata store's interface: a small, strongly consistent map with etcd's revisions.

Counterparts: `memory_store.py` (and, with its journal, `sqlite.py`). The semantics are those of
etcd v3, so that a cluster's etcd and a single node's SQLite pass one conformance suite:

- The store's revision starts at 1 and rises by one per transaction that changed a key.
- A key remembers the revision that created it, the one that changed it last, and its version:
  1 when created, plus one per put. A deleted key starts over.
- A transaction is a list of compares, then one of two lists of operations, run in order as one
  step. A key may be written once per list (etcd refuses more).

Deliberately not here: ranges other than "every key with this prefix", nested transactions,
limits and sort orders, users and roles. Nothing in kbroker needs them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from wire.errors import ErrorCode, KafkaError

MAX_TRANSACTION_OPERATIONS = 128
"""etcd's default `--max-txn-ops`: it bounds the compares and each list of operations."""


class MetadataStoreError(KafkaError):
    """The store did not do what was asked.

    It is a KafkaError so that a handler which knows nothing of stores answers something that
    clients retry.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.REQUEST_TIMED_OUT, detail)


class StoreUnavailableError(MetadataStoreError):
    """Nothing was changed: the store could not be reached or refused (its disk may be full)."""


class StoreFullError(StoreUnavailableError):
    """Nothing was changed: its disk is full."""


class StoreRefusedError(StoreUnavailableError):
    """Nothing was changed, and asking again will not help: credentials, version, certificate."""


class OutcomeUnknownError(MetadataStoreError):
    """The transaction may or may not have taken effect, now or later: re-read, then decide."""


class LeaseNotFoundError(MetadataStoreError):
    """The lease has expired, was revoked, or never was. Nothing was changed."""


class FutureRevisionError(MetadataStoreError):
    """A revision was asked for that the store has not reached."""


class CompactedError(MetadataStoreError):
    """History before `compact_revision` is gone: read everything again, watch from there."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"the metadata before revision {compact_revision} was compacted")
        self.compact_revision = compact_revision


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key at one revision. In a deletion's event: empty value, create revision, version 0."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0  # 0: none


class CompareTarget(Enum):
    CREATE_REVISION = "CREATE"
    MOD_REVISION = "MOD"
    VERSION = "VERSION"
    VALUE = "VALUE"


class CompareOperator(Enum):
    EQUAL = "EQUAL"
    NOT_EQUAL = "NOT_EQUAL"
    LESS = "LESS"
    GREATER = "GREATER"


@dataclass(frozen=True, slots=True)
class Compare:
    """`target` of `key` `operator` `operand`. An absent key has revisions and version 0.

    A VALUE compare takes bytes and fails on an absent key whatever the operator; the others
    take an int.
    """

    key: str
    target: CompareTarget
    operator: CompareOperator
    operand: int | bytes

    def __post_init__(self) -> None:
        assert isinstance(self.operand, bytes) == (self.target is CompareTarget.VALUE)


def key_absent(key: str) -> Compare:
    return Compare(key, CompareTarget.VERSION, CompareOperator.EQUAL, 0)


def key_present(key: str) -> Compare:
    return Compare(key, CompareTarget.VERSION, CompareOperator.GREATER, 0)


def created_at(key: str, create_revision: int) -> Compare:
    """The key is the very one created at that revision, changed since or not."""
    return Compare(key, CompareTarget.CREATE_REVISION, CompareOperator.EQUAL, create_revision)


def modified_at(key: str, mod_revision: int) -> Compare:
    """Nobody has changed the key since that revision (0: it does not exist)."""
    return Compare(key, CompareTarget.MOD_REVISION, CompareOperator.EQUAL, mod_revision)


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key. The lease replaces the key's former one (0: detach it)."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one key; deleting an absent one changes nothing."""

    key: str


@dataclass(frozen=True, slots=True)
class DeletePrefix:
    """Delete every key with the prefix: one operation, however many keys there are."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Get:
    """Read one key inside the transaction, after the operations before it."""

    key: str


Operation = Put | Delete | DeletePrefix | Get


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """`revision`: the store's after the transaction. `values`: one per Get of the list that ran.

    If the transaction changed a key, `revision` is those keys' mod_revision.
    """

    succeeded: bool
    revision: int
    values: tuple[KeyValue | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Every key with a prefix, in the order of their keys, as of `revision`."""

    revision: int
    items: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one key. `kv.mod_revision` is the revision that made it."""

    kv: KeyValue

    @property
    def is_deletion(self) -> bool:
        return self.kv.version == 0


@dataclass(frozen=True, slots=True)
class WatchBatch:
    """All events under the prefix of whole revisions up to `revision`, in order.

    `events` may be empty: everything up to `revision` was about other prefixes.
    """

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """`detail` is for a person: the backend, its version, where it keeps its data."""

    revision: int
    compact_revision: int
    size_bytes: int
    detail: str


class Watch(Protocol):
    """`async for batch in watch`; ends with CompactedError when its place was compacted away.

    `aclose()` ends it (so `contextlib.aclosing` fits); a closed watch stops iterating.
    """

    def __aiter__(self) -> AsyncIterator[WatchBatch]: ...
    async def __anext__(self) -> WatchBatch: ...
    async def aclose(self) -> None: ...


class MetadataStore(Protocol):
    """Reads are linearizable. Any call may raise StoreUnavailableError.

    `on_broken` is called once when nothing can be written any more before the next start. `on_full`
    is asked for room where the disk is full, and answers with what takes back what is left of it
    once the transaction was tried again; None: there is no room to be had.
    """

    on_broken: Callable[[MetadataStoreError], None]
    on_full: Callable[[], Callable[[], None] | None]
    is_shared: bool
    """Whether other processes use it too. One that is not lives and dies with this process."""

    async def get(self, key: str) -> KeyValue | None: ...

    async def list(self, prefix: str, revision: int = 0) -> Listing:
        """Every key with the prefix as of `revision`; 0 means now.

        CompactedError: older than the compaction. FutureRevisionError: not reached yet.
        """
        ...

    async def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TransactionResult:
        """Run `then` if every compare holds, else `otherwise`; all of it or nothing.

        OutcomeUnknownError: re-read. LeaseNotFoundError: a Put named a lease that is gone.
        A cancelled caller's transaction may still take effect.
        """
        ...

    def watch(self, prefix: str, from_revision: int) -> Watch:
        """Every change from `from_revision` (>= 1) on, the past ones first."""
        ...

    async def lease_grant(self, ttl_ms: int) -> int:
        """A new lease; a backend may round the time up, never down."""
        ...

    async def lease_keep_alive(self, lease: int) -> int:
        """Start the lease's time over; returns it in ms. 0: the lease is gone."""
        ...

    async def lease_revoke(self, lease: int) -> None:
        """End the lease and delete its keys; nothing happens if it is gone."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget what was overwritten or deleted before `revision`.

        CompactedError: that was done already. FutureRevisionError: not reached yet.
        """
        ...

    async def status(self) -> StoreStatus: ...

    async def close(self) -> None:
        """Finish what was begun, end every watch, release the files."""
        ...
