"""What a partition knows of its producers: sequence numbers, epochs, open transactions (KIP-98).

Every decision is made in two steps: `plan` says what an append would change, or refuses it; once
the append has succeeded, `apply` changes it (KAFKA-6683). `find_duplicate` comes before both.
Deliberately not here: files (`log.producer_snapshot`), the index of aborted transactions, and the
check that a transaction was begun at its coordinator (KIP-890), which asks another machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from wire.errors import ErrorCode, KafkaError
from wire.records.batch import BatchHeader
from wire.records.batch_header import NO_PRODUCER_EPOCH, NO_SEQUENCE, SEQUENCE_LIMIT
from wire.records.control import EndTransactionMarker

BATCHES_REMEMBERED = 5
"""A producer has at most five requests in flight: a duplicate is one of its last five batches."""
MOST_AWAITED = 10_000
"""New producers whose first batch the disk refused; of more, the oldest are forgotten."""
NO_TIMESTAMP = -1
NO_COORDINATOR_EPOCH = -1


class Origin(Enum):
    """Who appends: a client, whose sequences are checked; the broker itself; or another leader."""

    CLIENT = "client"
    COORDINATOR = "coordinator"
    REPLICATION = "replication"


class BatchMetadata(NamedTuple):
    """One of a producer's last batches. `offset_delta` is its record count less one."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp_ms: int

    @property
    def first_sequence(self) -> int:
        return (self.last_sequence - self.offset_delta) % SEQUENCE_LIMIT

    @property
    def first_offset(self) -> int:
        return self.last_offset - self.offset_delta


@dataclass(frozen=True, slots=True)
class ProducerEntry:
    """One producer's state after its last append. `batches` are the newest ones, oldest first."""

    producer_id: int
    producer_epoch: int = NO_PRODUCER_EPOCH
    batches: tuple[BatchMetadata, ...] = ()
    coordinator_epoch: int = NO_COORDINATOR_EPOCH
    last_timestamp_ms: int = NO_TIMESTAMP
    transaction_first_offset: int | None = None

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE

    @property
    def last_offset(self) -> int:
        """The last data record's offset, -1 if none is known in this epoch."""
        return self.batches[-1].last_offset if self.batches else -1


@dataclass(frozen=True, slots=True)
class CompletedTransaction:
    """A transaction that a marker ends. `last_offset` is the marker's own."""

    producer_id: int
    first_offset: int
    last_offset: int
    is_aborted: bool
    last_stable_offset: int
    """Where the partition is stable up to once the marker counts, for the transaction index."""


@dataclass(frozen=True, slots=True)
class ProducerUpdate:
    """What an append will change; `started` is the first offset of a transaction that it opens."""

    entry: ProducerEntry
    started: int | None = None
    completed: CompletedTransaction | None = None


class ProducerState:
    """All producers of one partition. Mutable; `end_offset` is what it covers, exclusive.

    Invariants: an open transaction stands both in its producer's entry and in the open ones;
    first offsets of open transactions differ.
    """

    def __init__(self, *, producer_id_expiration_ms: int, end_offset: int = 0) -> None:
        self.producer_id_expiration_ms = producer_id_expiration_ms
        self.end_offset = end_offset
        self._entries: dict[int, ProducerEntry] = {}
        # First offset -> producer id, ascending, as the log is.
        self._open: dict[int, int] = {}
        # First offset -> last offset, of those whose marker the high watermark has not passed.
        self._unreplicated: dict[int, int] = {}
        # Producer id -> (epoch, sequence) that the disk refused, of producers not known yet.
        self._awaited: dict[int, tuple[int, int]] = {}

    @property
    def entries(self) -> list[ProducerEntry]:
        """All producers, by id."""
        return [self._entries[producer_id] for producer_id in sorted(self._entries)]

    def entry(self, producer_id: int) -> ProducerEntry | None:
        return self._entries.get(producer_id)

    def find_duplicate(self, header: BatchHeader) -> BatchMetadata | None:
        """The batch that a client sends again: same producer, epoch and range of sequences.

        It is answered with the offsets of the first time. Only the last five are known; an older
        one is refused as out of order, as Kafka does.
        """
        entry = self._entries.get(header.producer_id)
        if entry is None or entry.producer_epoch != header.producer_epoch:
            return None
        first, last = header.base_sequence, header.last_sequence
        if first == entry.last_sequence + 1:
            return None  # the usual case
        for batch in reversed(entry.batches):
            if batch.last_sequence == last and batch.first_sequence == first:
                return batch
        return None

    def plan(
        self,
        header: BatchHeader,
        *,
        base_offset: int,
        origin: Origin,
        marker: EndTransactionMarker | None = None,
        transaction_version: int = 0,
    ) -> ProducerUpdate | None:
        """What appending the batch at `base_offset` will change; None if it has no producer id.

        `marker` is what a control batch says (`wire.records.control.read_end_transaction_marker`);
        without one it changes nothing. Raises INVALID_PRODUCER_EPOCH for an epoch below the known
        one, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE for a plain batch inside a transaction,
        TRANSACTION_COORDINATOR_FENCED for a marker of an old coordinator. With
        `Origin.REPLICATION` nothing is refused: the leader has judged.
        """
        if not header.has_producer_id:
            return None
        entry = self._entries.get(header.producer_id) or ProducerEntry(header.producer_id)
        if header.is_control:
            if marker is None:
                return None
            return self._plan_marker(
                entry, header, marker, base_offset, origin, transaction_version
            )
        if origin is not Origin.REPLICATION:
            _check_epoch(entry, header)
            _check_transaction(entry, header)
        if origin is Origin.CLIENT:
            _check_sequence(entry, header)
            if self._awaited:
                self._check_awaited(header)
        return _plan_data(entry, header, base_offset)

    def _plan_marker(
        self,
        entry: ProducerEntry,
        header: BatchHeader,
        marker: EndTransactionMarker,
        offset: int,
        origin: Origin,
        transaction_version: int,
    ) -> ProducerUpdate:
        if origin is not Origin.REPLICATION:
            _check_marker(entry, header, marker, transaction_version)
        first_offset = entry.transaction_first_offset
        completed = None
        if first_offset is not None:
            # A marker without data before it leaves no trace in the transaction index.
            others = (at for at, producer in self._open.items() if producer != entry.producer_id)
            completed = CompletedTransaction(
                entry.producer_id,
                first_offset,
                last_offset=offset,
                is_aborted=not marker.is_commit,
                last_stable_offset=next(others, offset + 1),
            )
        same_epoch = header.producer_epoch == entry.producer_epoch
        ended = ProducerEntry(
            entry.producer_id,
            header.producer_epoch,
            entry.batches if same_epoch else (),
            marker.coordinator_epoch,
            header.max_timestamp,
        )
        return ProducerUpdate(ended, completed=completed)

    def apply(self, update: ProducerUpdate) -> None:
        """Take over a plan, once its batch is in the log."""
        entry = update.entry
        if update.started is not None:
            assert update.started not in self._open, f"two transactions start at {update.started}"
            self._open[update.started] = entry.producer_id
        completed = update.completed
        if completed is not None:
            assert self._open.get(completed.first_offset) == entry.producer_id, "not open"
            del self._open[completed.first_offset]
            self._unreplicated[completed.first_offset] = completed.last_offset
        self._entries[entry.producer_id] = entry
        if self._awaited:
            self._awaited.pop(entry.producer_id, None)

    def refused(self, update: ProducerUpdate) -> None:
        """The disk did not take the batch. A producer that is not known may begin with any
        sequence: until this batch comes again it may not, or those in flight behind it would be
        stored in front of it."""
        entry = update.entry
        if entry.producer_id in self._entries or not entry.batches:
            return
        if len(self._awaited) >= MOST_AWAITED:
            del self._awaited[next(iter(self._awaited))]
        self._awaited[entry.producer_id] = entry.producer_epoch, entry.batches[0].first_sequence

    def _check_awaited(self, header: BatchHeader) -> None:
        epoch, sequence = self._awaited.get(header.producer_id, (NO_PRODUCER_EPOCH, NO_SEQUENCE))
        if epoch == header.producer_epoch and sequence != header.base_sequence:
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {header.producer_id} with epoch {epoch} sent sequence "
                f"{header.base_sequence}, but {sequence} did not get onto the disk",
            )

    def replay(
        self, header: BatchHeader, marker: EndTransactionMarker | None = None
    ) -> CompletedTransaction | None:
        """Take over a batch that is in the log already: replication, recovery."""
        update = self.plan(
            header, base_offset=header.base_offset, origin=Origin.REPLICATION, marker=marker
        )
        if update is not None:
            self.apply(update)
        self.end_offset = header.next_offset
        return update.completed if update is not None else None

    def last_stable_offset(self, high_watermark: int) -> int:
        """Up to where every transaction is decided, and the decision replicated; exclusive."""
        if self._unreplicated:
            self._forget_decided(before=high_watermark)
        first_open = next(iter(self._open), high_watermark)
        first_unreplicated = min(self._unreplicated, default=high_watermark)
        return min(first_open, first_unreplicated, high_watermark)

    @property
    def first_undecided_offset(self) -> int | None:
        """Where the oldest open transaction starts: compaction stays below it."""
        return next(iter(self._open), None)

    def remove_expired(self, now_ms: int) -> int:
        """Forget producers that were silent for long; how many. One in a transaction stays."""
        expired = [
            entry.producer_id for entry in self._entries.values() if self._is_old(entry, now_ms)
        ]
        for producer_id in expired:
            del self._entries[producer_id]
        return len(expired)

    def _is_old(self, entry: ProducerEntry, now_ms: int) -> bool:
        age_ms = now_ms - entry.last_timestamp_ms
        return entry.transaction_first_offset is None and age_ms >= self.producer_id_expiration_ms

    def reset(self, end_offset: int, entries: Iterable[ProducerEntry] = (), *, now_ms: int) -> None:
        """Start over at `end_offset` with what a snapshot holds, less what has expired."""
        kept = [entry for entry in entries if not self._is_old(entry, now_ms)]
        self._entries = {entry.producer_id: entry for entry in kept}
        self._open = {
            entry.transaction_first_offset: entry.producer_id
            for entry in sorted(kept, key=_transaction_order)
            if entry.transaction_first_offset is not None
        }
        self._unreplicated = {}
        self._awaited = {}
        self.end_offset = end_offset

    def on_log_start(self, log_start_offset: int) -> None:
        """The log now starts at `log_start_offset`; what was decided below it is history."""
        for first_offset in [
            at for at, end in self._unreplicated.items() if end < log_start_offset
        ]:
            del self._unreplicated[first_offset]
        self.end_offset = max(self.end_offset, log_start_offset)

    def _forget_decided(self, *, before: int) -> None:
        for first_offset in [at for at, end in self._unreplicated.items() if end < before]:
            del self._unreplicated[first_offset]


def _transaction_order(entry: ProducerEntry) -> int:
    return -1 if entry.transaction_first_offset is None else entry.transaction_first_offset


def _check_epoch(entry: ProducerEntry, header: BatchHeader) -> None:
    if header.producer_epoch < entry.producer_epoch:
        raise KafkaError(
            ErrorCode.INVALID_PRODUCER_EPOCH,
            f"producer {entry.producer_id} has epoch {entry.producer_epoch}, "
            f"not {header.producer_epoch}",
        )


def _check_transaction(entry: ProducerEntry, header: BatchHeader) -> None:
    if entry.transaction_first_offset is not None and not header.is_transactional:
        raise KafkaError(
            ErrorCode.INVALID_TXN_STATE,
            f"producer {entry.producer_id} is in a transaction since offset "
            f"{entry.transaction_first_offset}",
        )


def _check_sequence(entry: ProducerEntry, header: BatchHeader) -> None:
    if entry.producer_epoch == NO_PRODUCER_EPOCH:
        # Unknown, or forgotten after retention or expiry: it may go on where it was.
        return
    if header.producer_epoch != entry.producer_epoch or entry.last_sequence == NO_SEQUENCE:
        expected = 0
    else:
        expected = (entry.last_sequence + 1) % SEQUENCE_LIMIT
    if header.base_sequence != expected:
        raise KafkaError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {entry.producer_id} with epoch {header.producer_epoch} sent sequence "
            f"{header.base_sequence}, expected {expected}",
        )


def _check_marker(
    entry: ProducerEntry,
    header: BatchHeader,
    marker: EndTransactionMarker,
    transaction_version: int,
) -> None:
    """With transactions v2 each one ends in an epoch of its own, so an equal epoch is stale.

    It is let through where no transaction is open: a marker repeated after a lost answer
    (KAFKA-19999).
    """
    is_stale = (
        transaction_version >= 2
        and header.producer_epoch == entry.producer_epoch
        and entry.transaction_first_offset is not None
    )
    if is_stale or header.producer_epoch < entry.producer_epoch:
        raise KafkaError(
            ErrorCode.INVALID_PRODUCER_EPOCH,
            f"a marker with epoch {header.producer_epoch} comes after producer "
            f"{entry.producer_id} had {entry.producer_epoch}",
        )
    if marker.coordinator_epoch < entry.coordinator_epoch:
        raise KafkaError(
            ErrorCode.TRANSACTION_COORDINATOR_FENCED,
            f"coordinator epoch {marker.coordinator_epoch} is below {entry.coordinator_epoch}",
        )


def _plan_data(entry: ProducerEntry, header: BatchHeader, base_offset: int) -> ProducerUpdate:
    delta = header.last_offset_delta
    timestamp = header.max_timestamp
    batch = BatchMetadata(header.last_sequence, base_offset + delta, delta, timestamp)
    if header.producer_epoch == entry.producer_epoch:
        batches = (*entry.batches[1 - BATCHES_REMEMBERED :], batch)
    else:
        batches = (batch,)
    first_offset = entry.transaction_first_offset
    started = None
    if first_offset is None and header.is_transactional:
        first_offset = started = base_offset
    updated = ProducerEntry(
        entry.producer_id,
        header.producer_epoch,
        batches,
        entry.coordinator_epoch,
        timestamp,
        first_offset,
    )
    return ProducerUpdate(updated, started)
