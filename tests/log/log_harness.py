"""What the tests of the log share: batches, and a log on a disk with the checkpoints it needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from log.checkpoints import encode_epochs
from log.file_system import write_atomically
from log.flushing import FlushedEnd
from log.leader_epochs import FILE_NAME as LEADER_EPOCHS
from log.log_config import LogConfig
from log.partition_log import PartitionLog
from log.scan import iterate_whole
from simulator.disk import SimulatedDisk
from wire.records.batch import build_batch, iterate_batches
from wire.records.record import Record, iterate_records

DIRECTORY = "data/topic-0"
NOW = 1_700_000_000_000


def batch(
    *values: bytes, timestamp_ms: int = NOW, producer_id: int = -1, sequence: int = -1
) -> memoryview:
    """One batch as a client sends it, in a writable buffer."""
    records = [Record(index, timestamp_ms, None, value, ()) for index, value in enumerate(values)]
    return memoryview(
        build_batch(
            records,
            producer_id=producer_id,
            producer_epoch=0 if producer_id >= 0 else -1,
            base_sequence=sequence,
        )
    )


@dataclass(slots=True)
class Checkpoints:
    """What the data directory's files would say. Mutable."""

    recovery_point: int = 0
    log_start_offset: int = 0
    high_watermark: int = 0
    flushed_end: int = 0


@dataclass(slots=True)
class LogOnDisk:
    """A log and its machine. Mutable."""

    config: LogConfig = field(default_factory=LogConfig)
    disk: SimulatedDisk = field(default_factory=SimulatedDisk)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    now_ms: int = NOW
    leader_epoch: int = 0

    def open(self, *, clean: bool = True, accept_damage: bool = False) -> PartitionLog:
        return PartitionLog.open(
            self.disk,
            DIRECTORY,
            topic="topic",
            partition=0,
            topic_id=bytes(16),
            config=self.config,
            recovery_point=self.checkpoints.recovery_point,
            log_start_offset=self.checkpoints.log_start_offset,
            high_watermark=self.checkpoints.high_watermark,
            clean=clean,
            now_ms=self.now_ms,
            accept_damage=accept_damage,
            flushed_end=FlushedEnd(b"", self.checkpoints.flushed_end, self._lower),
        )

    def _lower(self, offset: int) -> None:
        self.checkpoints = Checkpoints(
            min(self.checkpoints.recovery_point, offset),
            self.checkpoints.log_start_offset,
            min(self.checkpoints.high_watermark, offset),
            min(self.checkpoints.flushed_end, offset),
        )

    def checkpoint(self, log: PartitionLog) -> None:
        """Write what the broker writes every second; with it, an epoch must be on disk first."""
        log.leader_epochs.write_if_changed(self.disk, DIRECTORY)
        self.checkpoints = Checkpoints(log.recovery_point, log.log_start_offset, log.recovery_point)

    def deleted_up_to(self, offset: int) -> None:
        """What DeleteRecords makes durable: the history of epochs first, then the checkpoint."""
        path = f"{DIRECTORY}/{LEADER_EPOCHS}"
        write_atomically(self.disk, path, encode_epochs([(self.leader_epoch, offset)]))
        self.checkpoints.log_start_offset = offset

    def append(self, log: PartitionLog, *values: bytes, timestamp_ms: int | None = None) -> int:
        data = batch(*values, timestamp_ms=self.now_ms if timestamp_ms is None else timestamp_ms)
        result = log.append_as_leader(data, leader_epoch=self.leader_epoch, now_ms=self.now_ms)
        return result.base_offset


def values_of(log: PartitionLog, *, max_bytes: int = 1 << 20) -> dict[int, bytes]:
    """Offset -> value of everything a consumer that starts at the log start reads."""
    found: dict[int, bytes] = {}
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        piece = log.read(offset, max_bytes=max_bytes, upper_bound_offset=log.log_end_offset)
        assert piece is not None
        data = piece.source.read_at(piece.position, len(piece))
        piece.release()
        before = offset
        for position, header in iterate_batches(data):
            assert header.last_offset >= offset
            for record in iterate_records(data, position, max_decompressed_bytes=1 << 20):
                if record.offset >= log.log_start_offset:
                    assert record.value is not None
                    found[record.offset] = record.value
            offset = header.next_offset
        assert offset > before, "at least one whole batch"
    return found


def values_on_disk(disk: SimulatedDisk) -> dict[int, bytes]:
    """The same, straight from the `.log` files."""
    found: dict[int, bytes] = {}
    for name in disk.list_directory(DIRECTORY):
        if name.endswith(".log"):
            file = disk.open(f"{DIRECTORY}/{name}")
            for whole in iterate_whole(file, 0, file.size):
                for record in iterate_records(whole.data, max_decompressed_bytes=1 << 20):
                    assert record.value is not None
                    found[record.offset] = record.value
            file.close()
    return found
