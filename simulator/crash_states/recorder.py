"""A data directory in use: each operation on it, what it promises whom, and each moment between.

The promise is kept beside the disk, and never read back from it: what was appended where, how far
it was flushed, which log starts are durable, which topics the metadata has. At each change of the
disk the image of the disk and the promise of that moment are kept: a power loss may happen there.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from log.checkpoint_writer import RESERVE
from log.flushing import FlushTicket
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from log.partition_log import PartitionLog
from log.scan import iterate_whole
from simulator.disk import SimulatedDisk
from simulator.disk_image import DiskImage, take
from wire.records.batch import build_batch
from wire.records.control import EndTransactionMarker, build_end_transaction_marker
from wire.records.record import Record

Key = tuple[str, int]
DATA = "data"
NOW_MS = 1_700_000_000_000
PAGE_CACHE = 1 << 62
FLUSHED = LogConfig(
    segment_bytes=400, index_interval_bytes=100, retention_ms=600_000, file_delete_delay_ms=1000
)


@dataclass(frozen=True, slots=True)
class Batch:
    base_offset: int
    last_offset: int
    data: bytes


History = tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds of one partition. The log is a slice of one of `histories` (two while it is cut),
    up to `durable_end` at least, and starts between `least_start` and `largest_start`."""

    topic_id: bytes
    config: LogConfig
    histories: tuple[History, ...] = ((),)
    durable_end: int = 0
    least_start: int = 0
    largest_start: int = 0


Promises = dict[Key, Promise]


@dataclass(frozen=True, slots=True)
class Moment:
    """Just before `operation` on `path`."""

    image: DiskImage
    promises: Promises
    now_ms: int
    operation: str


@dataclass(slots=True)
class Recorder:
    """Mutable. `promises` are of all partitions of the topics that the metadata has now."""

    chance: random.Random
    disk: SimulatedDisk = field(default_factory=SimulatedDisk)
    moments: list[Moment] = field(default_factory=list)
    promises: Promises = field(default_factory=dict)
    now_ms: int = NOW_MS
    directory: LogDirectory = field(init=False)
    sequences: dict[tuple[Key, int], int] = field(default_factory=dict)
    epoch: int = 0
    id_count: int = 0
    text: str = "x"

    def __post_init__(self) -> None:
        self.disk.observe = self._note
        self.start()

    def _note(self, operation: str, path: str, size: int) -> None:
        self.moments.append(
            Moment(take(self.disk), dict(self.promises), self.now_ms, f"{operation} {path}")
        )

    def _promise(self, key: Key, **changes: object) -> None:
        self.promises[key] = replace(self.promises[key], **changes)  # type: ignore[arg-type]

    # --- lives ---

    def start(self) -> None:
        """Open what is there, as a broker does."""
        self.directory = open_directory(self.disk, self.promises, self.now_ms)
        self.directory.flushed_ends.max_bytes = 0
        for key, log in self.directory.logs.items():
            found = tuple(batches_of(log))
            self._promise(
                key,
                histories=(found,),
                durable_end=log.recovery_point,
                least_start=log.log_start_offset,
                largest_start=log.log_start_offset,
            )
            for number in (1, 2):
                entry = log.producer_state.entry(number)
                self.sequences[key, number] = entry.last_sequence + 1 if entry else 0
        self.epoch += 1
        for key in sorted(self.directory.logs):
            log = self.directory.logs[key]
            log.assign_epoch_start(self.epoch, log.log_end_offset)

    def stop(self) -> None:
        """A clean shutdown, and the next start."""
        assert self.directory.close(clean=True, high_watermarks=self._high_watermarks())
        for key in self.promises:
            end = self._end(key)
            self._promise(key, durable_end=end)
        self._next_life(self.disk.kill())

    def kill(self) -> None:
        """The process ends; the page cache stays."""
        self._next_life(self.disk.kill())

    def lose_power(self) -> None:
        """Any outcome of this moment, and the next start, which is recorded too."""
        image = take(self.disk)
        bits = list(image.outcomes(8, self.chance))
        self._next_life(image.disk(self.chance.choice(bits)))

    def _next_life(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self.disk.observe = self._note
        self.start()

    # --- topics ---

    def create(self, topic: str, partitions: int = 1, config: LogConfig = FLUSHED) -> None:
        topic_id = self._new_id()
        keys = [(topic, index) for index in range(partitions)]
        for key in keys:
            self.promises[key] = Promise(topic_id, config)
            for number in (1, 2):
                self.sequences[key, number] = 0
        self.directory.create_logs(
            topic, range(partitions), topic_id=topic_id, config=config, now_ms=self.now_ms
        )

    def delete(self, topic: str) -> None:
        keys = [key for key in self.promises if key[0] == topic]
        for key in keys:
            del self.promises[key]
        self.directory.delete_logs(topic, [index for _, index in keys], unique_id=self._new_id())
        self.directory.remove_deleted()

    def configure(self, topic: str, config: LogConfig) -> None:
        for key in [key for key in self.promises if key[0] == topic]:
            self._promise(key, config=config)
            self.directory.logs[key].update_config(config)

    def _new_id(self) -> bytes:
        self.id_count += 1
        return self.id_count.to_bytes(4, "big") * 4

    # --- records ---

    def append(
        self, key: Key, count: int = 1, *, producer: int = -1, transactional: bool = False
    ) -> None:
        """`count` batches of one or two records."""
        for _ in range(count):
            values = [self._value() for _ in range(self.chance.randrange(1, 3))]
            sequence = -1
            if producer >= 0:
                sequence = self.sequences[key, producer]
                self.sequences[key, producer] = sequence + len(values)
            data = build_batch(
                [Record(at, self.now_ms, b"k", value, ()) for at, value in enumerate(values)],
                producer_id=producer,
                producer_epoch=0 if producer >= 0 else -1,
                base_sequence=sequence,
                is_transactional=transactional,
            )
            self._append(key, memoryview(data), transactional_id_given=transactional)

    def end_transaction(self, key: Key, *, producer: int, commit: bool) -> None:
        marker = build_end_transaction_marker(
            EndTransactionMarker(is_commit=commit, coordinator_epoch=0),
            producer_id=producer,
            producer_epoch=0,
            timestamp_ms=self.now_ms,
        )
        self._append(key, memoryview(marker), internal=True)

    def _append(
        self,
        key: Key,
        data: memoryview,
        *,
        internal: bool = False,
        transactional_id_given: bool = False,
    ) -> None:
        log, history = self.directory.logs[key], self.promises[key].histories[0]
        # What is appended may be on the disk before the append returns: it is promised to nobody.
        stamped = bytearray(data)
        base = log.log_end_offset
        stamped[:8] = base.to_bytes(8, "big")
        stamped[12:16] = self.epoch.to_bytes(4, "big")
        last = base + int.from_bytes(stamped[23:27], "big")
        self._promise(key, histories=((*history, Batch(base, last, bytes(stamped))),))
        log.append_as_leader(
            data,
            leader_epoch=self.epoch,
            now_ms=self.now_ms,
            internal=internal,
            transactional_id_given=transactional_id_given,
        )

    def _value(self) -> bytes:
        return self.text.encode() * self.chance.randrange(1, 60)

    def lead_anew(self) -> None:
        self.epoch += 1
        for log in self.directory.logs.values():
            log.assign_epoch_start(self.epoch, log.log_end_offset)

    # --- flushes, checkpoints, cuts ---

    def flush(self, *keys: Key) -> None:
        """One round of the flusher, and its answers."""
        self.finish(self.begin_flush(*keys))

    def begin_flush(self, *keys: Key) -> list[tuple[Key, FlushTicket]]:
        tickets = [(key, self.directory.logs[key].prepare_flush()) for key in keys]
        return [(key, ticket) for key, ticket in tickets if ticket is not None]

    def finish(self, tickets: Iterable[tuple[Key, FlushTicket]]) -> None:
        tickets = list(tickets)
        for _, ticket in tickets:
            ticket.sync()
        self.directory.flushed_ends.note([ticket for _, ticket in tickets])
        for key, ticket in tickets:
            log = self.directory.logs[key]
            log.complete_flush(ticket)
            self._promise(key, durable_end=log.recovery_point)

    def checkpoint(self) -> None:
        self.directory.write_checkpoints(self._high_watermarks())

    def _high_watermarks(self) -> dict[Key, int]:
        return {
            key: log.recovery_point if log.config.flush_messages == 1 else log.log_end_offset
            for key, log in self.directory.logs.items()
        }

    def _end(self, key: Key) -> int:
        history = self.promises[key].histories[0]
        return history[-1].last_offset + 1 if history else self.promises[key].durable_end

    def delete_records(self, key: Key) -> None:
        """Answered when the log starts are durable."""
        log = self.directory.logs[key]
        offset = self.chance.randint(log.log_start_offset, self._high_watermarks()[key])
        self._promise(key, largest_start=offset)
        log.advance_log_start(offset)
        self.directory.checkpoints.write(self.directory.gather_log_starts())
        self._promise(key, least_start=offset)

    def retain(self, key: Key) -> None:
        """Retention of everything that is old by now."""
        log = self.directory.logs[key]
        self.now_ms += 700_000
        self.disk.now_ms = self.now_ms
        high_watermark = self._high_watermarks()[key]
        self._promise(key, largest_start=max(log.log_start_offset, high_watermark))
        log.apply_retention(self.now_ms, high_watermark)
        log.remove_deleted_files(self.now_ms)
        log.remove_deleted_files(self.now_ms + 5000)
        start = log.log_start_offset
        self._promise(
            key,
            largest_start=start,
            least_start=max(self.promises[key].least_start, log.segments.first.base_offset),
            durable_end=max(log.recovery_point, self.promises[key].durable_end),
        )

    def truncate(self, key: Key) -> None:
        """As a follower does."""
        log, promise = self.directory.logs[key], self.promises[key]
        offset = self.chance.randint(log.log_start_offset, log.log_end_offset)
        history = promise.histories[0]
        kept = tuple(batch for batch in history if batch.last_offset < offset)
        end = history[len(kept)].base_offset if len(kept) < len(history) else offset
        self._promise(
            key,
            histories=(history, kept),
            durable_end=min(promise.durable_end, end),
            least_start=min(promise.least_start, end),
        )
        log.truncate_to(offset)
        self._promise(key, histories=(kept,))
        for number in (1, 2):
            entry = log.producer_state.entry(number)
            self.sequences[key, number] = entry.last_sequence + 1 if entry else 0


def open_directory(disk: SimulatedDisk, promises: Promises, now_ms: int) -> LogDirectory:
    """Open all that the metadata has, and make what is missing, as a broker's start does.

    Without a reserve: a megabyte that no recovery looks at, in each state.
    """
    disk.fail("open", f"{DATA}/{RESERVE}")
    directory = LogDirectory.open(
        disk, DATA, node_id=1, cluster_id="c", new_cluster_id="c", new_directory_id=bytes(16)
    )
    ids = {topic: promise.topic_id for (topic, _), promise in promises.items()}
    configs = {topic: promise.config for (topic, _), promise in promises.items()}
    directory.open_logs(config_of=configs.__getitem__, topic_ids=ids, now_ms=now_ms)
    for topic, index in sorted(promises):
        if (topic, index) not in directory.logs:
            directory.create_logs(
                topic, [index], topic_id=ids[topic], config=configs[topic], now_ms=now_ms
            )
    return directory


def batches_of(log: PartitionLog) -> list[Batch]:
    """All that lies in the segments, checked."""
    return [
        Batch(each.header.base_offset, each.header.last_offset, bytes(each.data))
        for segment in log.segments
        for each in iterate_whole(segment.log(), 0, segment.size)
    ]
