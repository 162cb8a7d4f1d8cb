"""Writing the checkpoints of a data directory: only what changed, and even on a full disk.

What to write is gathered in the owner's thread (`gather`, no I/O), and written (`write`) there or,
one at a time, in another. The files know partitions by name only, as Kafka's do, so a name must be
gone from them before it gets a new owner (`forget`). Counterparts: `log.checkpoints` (formats),
`log.log_directory` (when).
"""

import errno
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from log.checkpoints import (
    CheckpointError,
    TopicPartition,
    decode_offsets,
    encode_epochs,
    encode_offsets,
)
from log.file_system import File, FileSystem, parent_directory, write_atomically
from log.leader_epochs import FILE_NAME as LEADER_EPOCHS
from log.leader_epochs import LeaderEpochs
from log.partition_log import PartitionLog

logger = logging.getLogger(__name__)

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
OFFSET_FILES = (LOG_STARTS, RECOVERY_POINTS, HIGH_WATERMARKS)
RESERVE = ".kbroker_reserve"
RESERVE_BYTES = 1 << 20
"""Given up for a moment when the disk is full, so that checkpoints, metadata, a clean shutdown and
the start after a crash still find room."""
SMALLEST_RESERVE = 4096


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """One file to write: `offsets` of all partitions, or one's `epochs` and their change count.

    `generation` is the writer's at the time of gathering: what was gathered before a `forget` is
    not written after it.
    """

    path: str
    data: bytes
    generation: int
    offsets: dict[TopicPartition, int] | None = None
    epochs: LeaderEpochs | None = None
    change_count: int = 0


class CheckpointWriter:
    """The checkpoints of the directory `path`. Mutable.

    `_written` are the offsets that each file durably holds, `_possible` the partitions that it may
    hold, if writing it was begun and not finished. While a thread is in `write`, the owner may call
    `forget` and nothing else: `_lock` keeps them apart, a file at a time.
    """

    def __init__(self, file_system: FileSystem, path: str) -> None:
        self.file_system = file_system
        self.path = path
        paths = [f"{path}/{name}" for name in OFFSET_FILES]
        self._written: dict[str, dict[TopicPartition, int] | None] = dict.fromkeys(paths)
        self._possible: dict[str, set[TopicPartition]] = {each: set() for each in paths}
        self._kept: dict[str, dict[TopicPartition, int]] = {}
        self._generation = 0
        self._lock = threading.Lock()

    def read_offsets(self, name: str) -> dict[TopicPartition, int]:
        """One of the three; empty if it is missing. Raises `CheckpointError`, OSError."""
        path = f"{self.path}/{name}"
        if not self.file_system.exists(path):
            return {}
        offsets = decode_offsets(self.file_system.read_file(path), path)
        self._written[path], self._possible[path] = dict(offsets), set(offsets)
        return offsets

    def keep(self, keys: Iterable[TopicPartition]) -> None:
        """Go on writing what the files said of these partitions, which are not open."""
        keys = list(keys)
        for name in OFFSET_FILES:
            offsets = self._written[f"{self.path}/{name}"] or {}
            self._kept[name] = {key: offsets[key] for key in keys if key in offsets}

    def let_go(self, key: TopicPartition) -> None:
        """Of a partition that is not open: it was deleted."""
        for offsets in self._kept.values():
            offsets.pop(key, None)

    def forget(self, keys: Iterable[TopicPartition]) -> None:
        """Make sure, durably, that no file speaks of these partitions, nor will. Raises OSError.

        A topic made anew under an old name would otherwise start, after a crash, from the log start
        and the recovery point of the old one, and lose what was acknowledged. Costs nothing for a
        name that is in no file; else it may wait for one file that a thread is writing.
        """
        keys = set(keys)
        if all(possible.isdisjoint(keys) for possible in self._possible.values()):
            return
        with self._lock:
            self._generation += 1
            for offsets in self._kept.values():
                _remove_keys(offsets, keys)
            for path, possible in self._possible.items():
                if possible.isdisjoint(keys):
                    continue
                offsets = dict(self._written[path] or {})
                _remove_keys(offsets, keys)
                self._rewrite(path, offsets)

    def lower(self, key: TopicPartition, offset: int) -> None:
        """Make sure, durably, that no file promises anything of this log past `offset`. OSError.

        Before a truncation: else recovery would miss what was cut off, or take the torn tail of
        what was written since for damage.
        """
        with self._lock:
            self._generation += 1
            for name in (RECOVERY_POINTS, HIGH_WATERMARKS):
                path = f"{self.path}/{name}"
                offsets = self._written[path] or {}
                if key in self._possible[path] and offsets.get(key, offset + 1) > offset:
                    self._rewrite(path, offsets | ({key: offset} if key in offsets else {}))

    def _rewrite(self, path: str, offsets: dict[TopicPartition, int]) -> None:
        self.write_file(path, encode_offsets(offsets))
        self._written[path], self._possible[path] = offsets, set(offsets)

    def gather(
        self,
        logs: Mapping[TopicPartition, PartitionLog],
        high_watermarks: Mapping[TopicPartition, int],
    ) -> list[CheckpointFile]:
        """What has changed since it was last written, in the order to write it.

        The leaders' epochs come first: recovery reads no batch before the recovery point.
        """
        files = [self._epochs_of(log) for log in logs.values() if log.leader_epochs.is_changed]
        for name, offsets in (
            (LOG_STARTS, _log_starts(logs)),
            (RECOVERY_POINTS, {key: log.recovery_point for key, log in logs.items()}),
            (
                HIGH_WATERMARKS,
                {key: high_watermarks[key] for key in logs if key in high_watermarks},
            ),
        ):
            files += self._gather_offsets(name, offsets)
        return files

    def gather_log_starts(
        self, logs: Mapping[TopicPartition, PartitionLog]
    ) -> list[CheckpointFile]:
        """The checkpoint of log starts alone, if it has changed: a deletion is to be durable.

        With it, and before it, the epochs of these logs: they begin where the log does, and so
        contradict a number that the disk has changed, whose format has no checksum.
        """
        written = self._written[f"{self.path}/{LOG_STARTS}"] or {}
        files = self._gather_offsets(LOG_STARTS, _log_starts(logs))
        epochs = [
            self._epochs_of(log)
            for key, log in logs.items()
            if files
            and log.leader_epochs.is_changed
            and log.log_start_offset != written.get(key, 0)
        ]
        return epochs + files

    def _epochs_of(self, log: PartitionLog) -> CheckpointFile:
        return CheckpointFile(
            f"{log.directory}/{LEADER_EPOCHS}",
            encode_epochs(log.leader_epochs.entries),
            self._generation,
            epochs=log.leader_epochs,
            change_count=log.leader_epochs.change_count,
        )

    def _gather_offsets(
        self, name: str, offsets: dict[TopicPartition, int]
    ) -> list[CheckpointFile]:
        path = f"{self.path}/{name}"
        offsets |= self._kept.get(name, {})
        if self._written[path] == offsets:
            return []
        self._possible[path] |= offsets.keys()
        data = encode_offsets(offsets)
        return [CheckpointFile(path, data, self._generation, offsets=offsets)]

    def write(self, files: Iterable[CheckpointFile]) -> None:
        """Write them, durable on return; OSError.

        The directory of a partition that was deleted in between is passed over, and everything if
        a name got a new owner in between: the next round writes what holds then.
        """
        for file in files:
            with self._lock:
                if file.generation == self._generation:
                    self._write_gathered(file)

    def _write_gathered(self, file: CheckpointFile) -> None:
        try:
            self.write_file(file.path, file.data)
        except FileNotFoundError:
            if self.file_system.exists(parent_directory(file.path)):
                raise
            return
        if file.offsets is not None:
            self._written[file.path] = file.offsets
            self._possible[file.path] = set(file.offsets)
        if file.epochs is not None:
            file.epochs.note_written(file.change_count)

    def write_file(self, path: str, data: bytes) -> None:
        """Write one file, durable on return; a full disk lends it the reserve. OSError."""
        try:
            write_atomically(self.file_system, path, data)
        except OSError as error:
            give_back = self.lend_reserve() if error.errno == errno.ENOSPC else None
            if give_back is None:
                raise
            try:
                write_atomically(self.file_system, path, data)
            finally:
                give_back()

    def lend_reserve(self) -> Callable[[], None] | None:
        """Free the room set aside; what sets aside again what is left of it, to be called before
        records take it. None if there was none.
        """
        try:
            if not self.give_up_reserve():
                return None
        except OSError:
            return None
        logger.warning("%s is full: its reserve of %d bytes is used", self.path, RESERVE_BYTES)
        return self.make_reserve

    def make_reserve(self) -> None:
        """Set room aside, or what there is of it. It need not survive a crash."""
        path = f"{self.path}/{RESERVE}"
        try:
            file = self.file_system.open(path, create=True)
            try:
                self._fill(file)
            finally:
                file.close()
        except OSError as error:
            logger.warning("%s has no room to spare: %s", self.path, error)

    def _fill(self, file: File) -> None:
        piece = RESERVE_BYTES - file.size
        while piece > 0:
            try:
                file.append(bytes(piece))
            except OSError as error:
                if error.errno != errno.ENOSPC or (piece <= SMALLEST_RESERVE and not file.size):
                    raise
                piece = 0 if piece <= SMALLEST_RESERVE else piece // 2
            else:
                piece = min(piece, RESERVE_BYTES - file.size)

    def give_up_reserve(self) -> bool:
        """Free the room set aside; True if there was some. Raises OSError."""
        path = f"{self.path}/{RESERVE}"
        if not self.file_system.exists(path):
            return False
        size = self.file_system.status(path).size
        self.file_system.remove(path)
        return size > 0


def read_or_reset(writer: CheckpointWriter, name: str) -> tuple[dict[TopicPartition, int], bool]:
    """`(offsets, sound)`: a damaged checkpoint costs a full recovery, not the data."""
    try:
        return writer.read_offsets(name), True
    except CheckpointError as error:
        logger.warning("%s: every partition is checked from its start", error)
        return {}, False


def _log_starts(logs: Mapping[TopicPartition, PartitionLog]) -> dict[TopicPartition, int]:
    # Kafka, too, leaves out a log that starts at 0.
    return {key: log.log_start_offset for key, log in logs.items() if log.log_start_offset}


def _remove_keys(offsets: dict[TopicPartition, int], keys: Iterable[TopicPartition]) -> None:
    for key in keys:
        offsets.pop(key, None)
