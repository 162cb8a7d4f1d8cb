"""One data directory: whose it is, the partitions in it, and the checkpoints that they start from.

The layout is Kafka's: `.lock`, `meta.properties`, three offset checkpoints, `.kafka_cleanshutdown`,
and a directory `<topic>-<n>` per partition. Counterparts: `log.checkpoints` (the files' formats),
`log.checkpoint_writer` (when they lag), `log.partition_log` (one partition), `log.directory_names`,
`log.partition_directory` (whose a partition's directory is).
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from log import directory_names
from log.checkpoint_writer import (
    HIGH_WATERMARKS,
    LOG_STARTS,
    RECOVERY_POINTS,
    CheckpointFile,
    CheckpointWriter,
    read_or_reset,
)
from log.checkpoints import (
    CheckpointError,
    MetaProperties,
    TopicPartition,
    encode_clean_shutdown,
    encode_meta_properties,
)
from log.damaged_partitions import DamagedPartitions
from log.directory_owner import (
    CLEAN_SHUTDOWN,
    META_PROPERTIES,
    LogDirectoryError,
    read_meta,
    take_clean_shutdown,
)
from log.file_system import DiskSpace, FileSystem, Lock, write_atomically
from log.flushed_ends import FlushedEnds
from log.log_config import LogConfig
from log.missing_partitions import check_missing
from log.partition_directory import (
    StrayPartition,
    damaged_stray,
    find_partitions,
    holds_records,
    make_directories,
    remove_directories,
)
from log.partition_log import PartitionLog
from log.recovery import LogDamagedError, LogStartMissingError

__all__ = ["CLEAN_SHUTDOWN", "LOCK", "META_PROPERTIES", "LogDirectory", "LogDirectoryError"]

logger = logging.getLogger(__name__)

HasCopies = Callable[[TopicPartition], bool]
Each = Callable[[Callable[[PartitionLog], bool], Iterable[PartitionLog]], Iterable[bool]]

LOCK = ".lock"


def nobody(key: TopicPartition) -> bool:
    """The `HasCopies` of a directory that no other has copies of."""
    return False


def everybody(key: TopicPartition) -> bool:
    """The `HasCopies` of one whose owner accepts every loss."""
    return True


class LogDirectory:
    """An open data directory. Mutable; it holds the lock until `close`.

    `was_clean` says how the last owner left; the file that said so is gone by then. `is_new`: there
    was none, as far as the directory tells. `logs` holds
    the open partitions, `strays` what was found beside them, `high_watermarks` the checkpointed
    ones, `damaged` what lost records that others have to be told of. Deleted partitions wait under
    another name for `remove_deleted`.
    """

    def __init__(
        self,
        file_system: FileSystem,
        path: str,
        lock: Lock,
        meta: MetaProperties,
        *,
        was_clean: bool,
        is_new: bool,
    ) -> None:
        """Only `open` calls this."""
        self.file_system = file_system
        self.path = path
        self.meta = meta
        self.was_clean = was_clean
        self.is_new = is_new
        self.checkpoints = CheckpointWriter(file_system, path)
        self.flushed_ends = FlushedEnds(self.checkpoints)
        self.damaged = DamagedPartitions(self.checkpoints)
        self.logs: dict[TopicPartition, PartitionLog] = {}
        self.strays: dict[TopicPartition, StrayPartition] = {}
        self.high_watermarks: dict[TopicPartition, int] = {}
        self.deleted_directories: list[str] = []
        self._lock = lock
        # Until all partitions are open, the checkpoints on the disk know more than `logs`.
        self._is_complete = False

    @classmethod
    def open(
        cls,
        file_system: FileSystem,
        path: str,
        *,
        node_id: int,
        cluster_id: str | None,
        new_cluster_id: str,
        new_directory_id: bytes,
    ) -> "LogDirectory":
        """Lock the directory, make sure it is ours, and take note of how it was left.

        With `cluster_id` None the directory's own is right; `new_cluster_id` and `new_directory_id`
        are for one that is new. Raises `LogDirectoryError` if it is in use, foreign or unusable.
        The clean-shutdown file is removed, durably, before anything else is written.
        """
        try:
            file_system.make_directory(path)
            lock = file_system.lock(f"{path}/{LOCK}")
        except BlockingIOError:
            raise LogDirectoryError(f"{path} is in use by another broker") from None
        except OSError as error:
            raise LogDirectoryError(f"{path} cannot be used: {error.strerror or error}") from None
        try:
            new = MetaProperties(cluster_id or new_cluster_id, node_id, new_directory_id)
            meta = read_meta(file_system, path, new, cluster_id=cluster_id)
            was_clean = take_clean_shutdown(file_system, path)
            is_new = meta is None
            if meta is None:
                meta = new
                data = encode_meta_properties(meta)
                write_atomically(file_system, f"{path}/{META_PROPERTIES}", data)
        except OSError as error:
            lock.close()
            raise LogDirectoryError(f"{path} cannot be used: {error.strerror or error}") from None
        except (CheckpointError, LogDirectoryError) as error:
            lock.close()
            raise LogDirectoryError(str(error)) from None
        directory = cls(file_system, path, lock, meta, was_clean=was_clean, is_new=is_new)
        directory.damaged.read()
        directory._try(directory.checkpoints.give_up_reserve)  # until all logs are open
        return directory

    @property
    def cluster_id(self) -> str:
        return self.meta.cluster_id

    @property
    def directory_id(self) -> bytes:
        return self.meta.directory_id

    def space(self) -> DiskSpace:
        """What the disk under it has. Raises OSError."""
        return self.file_system.space(self.path)

    def open_logs(
        self,
        *,
        config_of: Callable[[str], LogConfig],
        topic_ids: Mapping[str, bytes],
        now_ms: int,
        accept_damage: bool = False,
        has_copies: HasCopies = nobody,
    ) -> None:
        """Open every partition whose directory bears the id that its topic has now.

        `topic_ids` are those of all topics that exist. What was being deleted is removed; what is
        of no topic, or of an earlier one, becomes a stray. Raises as `PartitionLog.open` does.
        Damage that is accepted, or that copies elsewhere make good (`has_copies`), is noted in
        `damaged` before anything is cut.
        """
        recovery_points, points_are_sound = read_or_reset(self.checkpoints, RECOVERY_POINTS)
        log_starts, starts_are_sound = read_or_reset(self.checkpoints, LOG_STARTS)
        self.high_watermarks, marks_are_sound = read_or_reset(self.checkpoints, HIGH_WATERMARKS)
        clean = self.was_clean and points_are_sound and starts_are_sound and marks_are_sound
        self.flushed_ends.read()
        may_lose = everybody if accept_damage else has_copies
        # Past it a high watermark counts what the page cache held, when that was enough.
        flushed = recovery_points if points_are_sound else self.high_watermarks

        def open_one(key: TopicPartition, topic_id: bytes, *, accept_damage: bool) -> PartitionLog:
            return PartitionLog.open(
                self.file_system,
                self._directory_of(key),
                topic=key[0],
                partition=key[1],
                topic_id=topic_id,
                config=config_of(key[0]),
                recovery_point=recovery_points.get(key, 0),
                log_start_offset=log_starts.get(key, 0),
                high_watermark=min(self.high_watermarks.get(key, 0), flushed.get(key, 0)),
                clean=clean,
                now_ms=now_ms,
                accept_damage=accept_damage,
                flushed_end=self.flushed_ends.of(key, topic_id),
            )

        if not clean:  # names that a killed process left may not be durable: records rely on them
            self.file_system.sync_directory(self.path)
        found, self.strays, lost = find_partitions(self.file_system, self.path, topic_ids, may_lose)
        self.damaged.note(lost)
        for key, topic_id in found.items():
            try:
                self.logs[key] = open_one(key, topic_id, accept_damage=False)
            except LogDamagedError as error:
                if not may_lose(key):
                    raise
                self.damaged.note([(topic_id, key[1])])
                if isinstance(error, LogStartMissingError) and has_copies(key):
                    self.strays[key] = damaged_stray(self._directory_of(key), key, str(error))
                else:
                    self.logs[key] = open_one(key, topic_id, accept_damage=True)
        missing = check_missing(
            self.path,
            opened=self.logs,
            strays=self.strays,
            flushed_ends=self.flushed_ends,
            checkpointed=(recovery_points, log_starts, self.high_watermarks),
            topic_ids=topic_ids,
            was_clean=self.was_clean,
            may_lose=may_lose,
        )
        self.damaged.note((topic_ids[topic], partition) for topic, partition in missing)
        self._all_are_open()

    def _all_are_open(self) -> None:
        self.flushed_ends.restart(self.logs.values(), self.strays.values())
        self.checkpoints.keep(self.strays)
        self.checkpoints.make_reserve()
        self._is_complete = True

    def create_logs(
        self,
        topic: str,
        partitions: Sequence[int],
        *,
        topic_id: bytes,
        config: LogConfig,
        now_ms: int,
    ) -> list[PartitionLog]:
        """Make and open partitions, durable on return but for their (absent) records: all or none.

        A stray directory of the same name is moved aside, and no checkpoint speaks of an earlier
        owner of the name any more. Raises OSError.
        """
        keys = dict.fromkeys([(topic, partition) for partition in partitions], topic_id)
        self.make_directories(self.prepare_directories(keys))
        return self.open_made(topic, partitions, topic_id=topic_id, config=config, now_ms=now_ms)

    def prepare_directories(self, topic_ids: Mapping[TopicPartition, bytes]) -> dict[str, bytes]:
        """The first step of `create_logs`, for partitions of any topics; what the next one takes.

        Raises OSError.
        """
        keys = topic_ids.keys()
        assert self.logs.keys().isdisjoint(keys), f"there are some of {sorted(keys)}"
        self.checkpoints.forget(keys)
        for key in keys:
            self.high_watermarks.pop(key, None)
            self._move_aside(key)
        return {self._directory_of(key): topic_id for key, topic_id in topic_ids.items()}

    def make_directories(self, topic_ids: Mapping[str, bytes]) -> None:
        """The step that waits for the disk, and may run in a thread. Raises OSError."""
        make_directories(self.file_system, self.path, topic_ids)

    def remove_made(self, directories: Iterable[str]) -> None:
        """Take that step back, as far as the disk lets us; may run in a thread."""
        remove_directories(self.file_system, directories)

    def open_made(
        self,
        topic: str,
        partitions: Sequence[int],
        *,
        topic_id: bytes,
        config: LogConfig,
        now_ms: int,
    ) -> list[PartitionLog]:
        """The last step: the empty logs, all of them or none. Raises OSError."""
        keys = [(topic, partition) for partition in partitions]
        directories = [self._directory_of(key) for key in keys]
        logs: list[PartitionLog] = []
        try:
            for key, directory in zip(keys, directories, strict=True):
                log = PartitionLog.open(
                    self.file_system,
                    directory,
                    topic=topic,
                    partition=key[1],
                    topic_id=topic_id,
                    config=config,
                    recovery_point=0,
                    log_start_offset=0,
                    high_watermark=0,
                    clean=True,
                    now_ms=now_ms,
                    flushed_end=self.flushed_ends.of(key, topic_id),
                )
                logs.append(log)
        except OSError:
            for log in logs:
                log.segments.close()
            self.remove_made(directories)
            raise
        self.logs.update(zip(keys, logs, strict=True))
        return logs

    def _directory_of(self, key: TopicPartition) -> str:
        return f"{self.path}/{directory_names.of_partition(*key)}"

    def _move_aside(self, key: TopicPartition) -> None:
        directory = self._directory_of(key)
        if key not in self.strays:
            if not self.file_system.exists(directory):
                return
            if not holds_records(self.file_system, directory):
                return  # what an earlier attempt could not remove
        topic_id = self.strays[key].topic_id if key in self.strays else None
        aside = directory_names.of_stray(*key, topic_id)
        self.file_system.rename(directory, f"{self.path}/{aside}")
        self.strays.pop(key, None)

    def delete_logs(self, topic: str, partitions: Sequence[int], *, unique_id: bytes) -> None:
        """Rename the directories of partitions, durably: they cannot come back. Nothing is flushed.

        The bytes go with `remove_deleted`, or at the next start. Raises OSError, when all were
        tried; a directory that kept its name is a stray then.
        """
        failed: OSError | None = None
        for partition in partitions:
            key = topic, partition
            log = self.logs.pop(key)
            self.high_watermarks.pop(key, None)
            self.flushed_ends.forget(log)
            directory = log.directory
            deleted = f"{self.path}/{directory_names.of_deleted(*key, unique_id)}"
            try:
                log.discard(deleted)
            except OSError as error:
                failed = error
                reason = "deleting it failed"
                self.strays[key] = StrayPartition(directory, *key, log.topic_id, reason)
                continue
            self.deleted_directories.append(deleted)
        self.file_system.sync_directory(self.path)
        if failed is not None:
            raise failed

    def delete_stray(self, topic: str, partition: int, *, unique_id: bytes) -> None:
        """Rename a stray whose topic was deleted, as `delete_logs` does. Raises OSError."""
        stray = self.strays[topic, partition]
        deleted = f"{self.path}/{directory_names.of_deleted(topic, partition, unique_id)}"
        self.file_system.rename(stray.directory, deleted)
        del self.strays[topic, partition]
        self.checkpoints.let_go((topic, partition))
        self.deleted_directories.append(deleted)
        self.file_system.sync_directory(self.path)

    def remove_deleted(self) -> None:
        """Free the space of deleted partitions. May take long, and may run in a thread."""
        while self.deleted_directories:
            directory = self.deleted_directories.pop()
            try:
                self.file_system.remove_tree(directory)
            except OSError:
                self.deleted_directories.append(directory)
                raise

    def gather_checkpoints(
        self, high_watermarks: Mapping[TopicPartition, int]
    ) -> list[CheckpointFile]:
        """What `checkpoints.write` has to write, here or in a thread. No I/O.

        `high_watermarks` is of all open partitions; a missing one is the checkpointed one. Strays
        keep theirs: the metadata may know them again.
        """
        if not self._is_complete:
            return []
        return self.checkpoints.gather(self.logs, {**self.high_watermarks, **high_watermarks})

    def gather_log_starts(self) -> list[CheckpointFile]:
        """The same, of the log starts alone: nothing if the file says them already."""
        return self.checkpoints.gather_log_starts(self.logs) if self._is_complete else []

    def write_checkpoints(self, high_watermarks: Mapping[TopicPartition, int]) -> None:
        """Write what has changed, durable on return. Raises OSError."""
        self.checkpoints.write(self.gather_checkpoints(high_watermarks))

    def close(
        self, *, clean: bool, high_watermarks: Mapping[TopicPartition, int], each: Each = map
    ) -> bool:
        """Close all partitions and give up the lock; True if the next start may trust everything.

        First the reserve goes, so that indexes and checkpoints find room on a full disk. Only if
        every partition could be flushed are the checkpoints written, and then, last of all, the
        file that says so. With `clean` False nothing of that is written. A start that did not come
        as far as to open all partitions leaves the checkpoints as they were, and a directory that
        was clean so. `each` may be the `map` of an executor: partitions have nothing in common.
        """
        clean = clean and (self._is_complete or self.was_clean)
        try:
            clean = clean and self._try(self.checkpoints.give_up_reserve)
            logs = list(self.logs.values())
            closed = list(each(lambda log: self._try(log.close), logs))
            clean = clean and all(closed)
            clean = clean and all(log.recovery_point == log.log_end_offset for log in logs)
            clean = clean and self._try(lambda: self._write_clean_shutdown(high_watermarks))
        finally:
            self.logs.clear()
            self.flushed_ends.close()
            self._lock.close()
        return clean

    def _try(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except OSError as error:
            logger.error("%s is not left clean: %s", self.path, error)
            return False
        return True

    def _write_clean_shutdown(self, high_watermarks: Mapping[TopicPartition, int]) -> None:
        self.write_checkpoints(high_watermarks)
        self.flushed_ends.remove()  # durably, with the name of what follows
        self.checkpoints.write_file(f"{self.path}/{CLEAN_SHUTDOWN}", encode_clean_shutdown())
