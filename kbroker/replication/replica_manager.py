"""All partitions of this broker: opened from disk, kept in step with the metadata, looked after.

Counterparts: `partition` decides what one partition answers, `log.log_directory` keeps the files.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from kbroker.cluster.metadata_image import MetadataDelta, MetadataImage, TopicImage
from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.cluster.topic_ids import RandomBits, random_id
from kbroker.dependencies import WallClock
from kbroker.flusher import FlushScheduler
from kbroker.replication.checkpointing import Checkpointing
from kbroker.replication.partition import Partition
from kbroker.replication.partition_making import PartitionMaking
from kbroker.topics import INTERNAL_TOPICS
from log.file_system import DiskSpace
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from log.partition_log import PartitionLog
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

PASSING_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)


class ReplicaManager:
    """Owns the partitions. `config_of` gives what holds for a topic's log now."""

    def __init__(
        self,
        *,
        node_id: int,
        directory: LogDirectory,
        flushes: FlushScheduler,
        clock: WallClock,
        random: RandomBits,
        config_of: Callable[[TopicImage], LogConfig],
        on_storage_error: Callable[[OSError], None],
        closing_threads: int = 0,
    ) -> None:
        self._node_id = node_id
        self._directory = directory
        self._flushes = flushes
        self._clock = clock
        self._random = random
        self._config_of = config_of
        self._on_storage_error = on_storage_error
        self._closing_threads = closing_threads
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._by_id: dict[tuple[bytes, int], Partition] = {}
        self._topic_names: dict[bytes, str] = {}
        # Topics that ask for a codec of their own, for whose batches Produce may need a thread.
        self.recompressed_topics: set[str] = set()
        self._image: MetadataImage | None = None
        self._making = PartitionMaking(
            directory,
            clock=clock,
            topic_of=self._topic_of,
            config_of=config_of,
            serve=self._serve_made,
            on_storage_error=on_storage_error,
        )
        self._checkpointing = Checkpointing(directory)
        self.offline = False  # the log directory failed: nothing is appended any more
        self.on_partition: Callable[[Partition], None] = lambda partition: None
        """Told of each partition that is served from now on, or whose record was told anew."""
        self.on_partition_gone: Callable[[Partition], None] = lambda partition: None
        """Told of each that is not served any more."""

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions.values())

    @property
    def making_count(self) -> int:
        """Partitions that are being made, or will be."""
        return self._making.unmade_count

    @property
    def refused_count(self) -> int:
        """Partitions that the disk refused to make."""
        return self._making.refused_count

    # What handlers ask.

    def partition(self, topic: str, index: int) -> Partition:
        """The partition, or KafkaError: UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR where the
        disk refused to make it, NOT_LEADER_OR_FOLLOWER (clients try again) while it is being made.
        """
        partition = self._partitions.get((topic, index))
        if partition is not None:
            return partition
        self._making.check((topic, index))
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def partition_by_id(self, topic_id: bytes, index: int) -> Partition:
        """As `partition`, or KafkaError(UNKNOWN_TOPIC_ID)."""
        partition = self._by_id.get((topic_id, index))
        if partition is None:
            name = self._topic_names.get(topic_id)
            if name is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
            return self.partition(name, index)
        return partition

    @property
    def directory_path(self) -> str:
        """Where the logs are."""
        return self._directory.path

    def disk_space(self) -> DiskSpace:
        """What the disk under the logs has. Raises OSError."""
        return self._directory.space()

    # Metadata.

    def open_logs(self, image: MetadataImage, *, accept_damage: bool = False) -> None:
        """Open what is on the disk. Raises LogDamagedError unless damage is accepted, or a member
        of the ISR or the ELR has all that this broker has lost; OSError.
        """

        def config_of(name: str) -> LogConfig:
            topic = image.topic_by_name(name)
            assert topic is not None, "only known topics are opened"
            return self._config_of(topic)

        def has_copies(key: tuple[str, int]) -> bool:
            topic = image.topic_by_name(key[0])
            record = None if topic is None else topic.partitions.get(key[1])
            return record is not None and any(
                each != self._node_id for each in (*record.isr, *record.elr)
            )

        if self._directory.is_new:
            # What this broker is known to have was on another disk.
            self._directory.damaged.note(self._own_partitions(image))
        self._directory.open_logs(
            config_of=config_of,
            topic_ids=image.topic_ids,
            now_ms=self._clock.now_ms(),
            accept_damage=accept_damage,
            has_copies=has_copies,
        )

    def _own_partitions(self, image: MetadataImage) -> Iterator[tuple[bytes, int]]:
        for topic_id, topic in image.topics.items():
            for index, record in topic.partitions.items():
                if self._node_id in record.replicas:
                    yield topic_id, index

    def is_lossy(self, topic_id: bytes, index: int, image: MetadataImage) -> bool:
        """Whether this broker may have lost acknowledged records of the partition: by damage, or
        with the page cache at the last stop.

        A log that is not here and that nothing speaks of was never made: it held nothing, and
        nothing that it had to hold was ever acknowledged. A disk that is new speaks of all.
        """
        if (topic_id, index) in self._directory.damaged:
            return True
        if self._directory.was_clean:
            return False
        return self._config_of(image.topics[topic_id]).flush_messages != 1

    def is_missing(self, topic_id: bytes, index: int, image: MetadataImage) -> bool:
        """Whether this broker had a log of the partition, as far as it can tell, and has none."""
        is_noted = (topic_id, index) in self._directory.damaged
        return is_noted and self._log_on_disk(topic_id, index, image) is None

    def _log_on_disk(
        self, topic_id: bytes, index: int, image: MetadataImage
    ) -> PartitionLog | None:
        log = self._directory.logs.get((image.topics[topic_id].name, index))
        return None if log is None or log.topic_id != topic_id else log

    def start(self, image: MetadataImage) -> None:
        """Serve every partition of this broker; what the disk has not is made."""
        self._image = image
        self._delete_strays(image)
        self._delete_moved(image)
        for topic_id in sorted(image.topics):
            self._add_topic(image.topics[topic_id])
        self._making.start()

    def apply(self, image: MetadataImage, delta: MetadataDelta) -> None:
        """Follow the metadata. A topic recreated under its name is first deleted, then created.

        New partitions are there at once, or, while `make_partitions` runs, when `settled` returns.
        """
        self._image = image
        for topic in delta.deleted_topics:
            self._remove_topic(topic)
        for topic in delta.created_topics:
            self._add_topic(topic)
        for topic_id, index in delta.changed_partitions:
            self._change_partition(image.topics[topic_id], index)
        for topic_id in delta.changed_topic_configs:
            self.update_configs(image.topics[topic_id])
        self._making.start()

    def update_configs(self, topic: TopicImage) -> None:
        """The topic's configuration, or the broker's that it follows, changed."""
        config = self._config_of(topic)
        self._note_codec(topic.name, config)
        for index in topic.partitions:
            partition = self._partitions.get((topic.name, index))
            if partition is not None:
                partition.log.update_config(config)
                partition.config_changed()

    def _note_codec(self, topic: str, config: LogConfig) -> None:
        if config.compression is not None:
            self.recompressed_topics.add(topic)
        else:
            self.recompressed_topics.discard(topic)

    def _delete_strays(self, image: MetadataImage) -> None:
        """Finish deletions that the last stop interrupted. Only the metadata's word that a topic
        was deleted counts: an id that is merely unknown may mean that the metadata is an old copy.
        """
        for topic, index in sorted(self._directory.strays):
            if self._directory.strays[topic, index].topic_id in image.deleted_topics:
                unique_id = random_id(self._random)
                self._directory.delete_stray(topic, index, unique_id=unique_id)
                place = {"topic": topic, "partition": index}
                logger.info("%s-%d was deleted", topic, index, extra=place)

    def _delete_moved(self, image: MetadataImage) -> None:
        """Delete the logs of partitions that were given to others while this broker was away, or
        whose topics were deleted since the logs were opened: the name may be another's by now.
        """
        moved: dict[str, list[int]] = {}
        for name, index in sorted(self._directory.logs):
            topic = image.topics.get(self._directory.logs[name, index].topic_id)
            record = None if topic is None else topic.partitions.get(index)
            if topic is None or (record is not None and self._node_id not in record.replicas):
                moved.setdefault(name, []).append(index)
        for name, indexes in moved.items():
            self._delete_logs(name, indexes)

    def _add_topic(self, topic: TopicImage) -> None:
        self._topic_names[topic.topic_id] = topic.name
        self._note_codec(topic.name, self._config_of(topic))
        for index, record in topic.partitions.items():
            if self._node_id in record.replicas:
                self._add_partition(topic, index, record)

    def _add_partition(self, topic: TopicImage, index: int, record: PartitionRecord) -> None:
        log = self._directory.logs.get((topic.name, index))
        if log is not None:
            log.update_config(self._config_of(topic))  # it may have changed since it was opened
            self._serve(topic, index, record, log)
        else:
            self._making.want((topic.name, index), topic.topic_id)

    def _serve_made(self, topic: TopicImage, index: int, log: PartitionLog) -> None:
        record = topic.partitions[index]
        if self._node_id in record.replicas:
            self._serve(topic, index, record, log)
        else:
            self._delete_logs(topic.name, [index])  # it was given to others meanwhile

    def _serve(
        self, topic: TopicImage, index: int, record: PartitionRecord, log: PartitionLog
    ) -> None:
        key = topic.name, index
        partition = Partition(
            topic=topic.name,
            index=index,
            node_id=self._node_id,
            record=record,
            log=log,
            # A missing checkpoint means the log start, never the log end.
            high_watermark=self._directory.high_watermarks.get(key, log.log_start_offset),
            arm_flush=self._flushes.arm,
            is_internal=topic.name in INTERNAL_TOPICS,
        )
        self._partitions[key] = partition
        self._by_id[topic.topic_id, index] = partition
        self.on_partition(partition)

    def _change_partition(self, topic: TopicImage, index: int) -> None:
        record = topic.partitions[index]
        partition = self._partitions.get((topic.name, index))
        if self._node_id not in record.replicas:
            self._remove(topic, [index], ErrorCode.NOT_LEADER_OR_FOLLOWER)
        elif partition is not None:
            partition.apply(record)
            self.on_partition(partition)
        else:
            self._add_partition(topic, index, record)

    def _remove_topic(self, topic: TopicImage) -> None:
        self._topic_names.pop(topic.topic_id, None)
        self.recompressed_topics.discard(topic.name)
        self._remove(topic, topic.partitions, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def _remove(self, topic: TopicImage, indexes: Iterable[int], code: ErrorCode) -> None:
        """Serve these partitions no longer, and delete what there is of them; `code` is told to
        those who wait."""
        stopped = []
        for index in indexes:
            self._making.forget((topic.name, index))
            partition = self._partitions.pop((topic.name, index), None)
            if partition is not None:
                del self._by_id[topic.topic_id, index]
                partition.stop(code)
                self.on_partition_gone(partition)
                stopped.append(index)
        if stopped:
            self._delete_logs(topic.name, stopped)

    def _delete_logs(self, topic: str, indexes: Sequence[int]) -> None:
        try:
            self._directory.delete_logs(topic, indexes, unique_id=random_id(self._random))
        except OSError as error:
            # A directory that stays as it was: the next start finds it deleted, and finishes.
            self._on_storage_error(error)
            return
        logger.info(
            "%d partitions of %s were deleted here", len(indexes), topic, extra={"topic": topic}
        )

    # Making partitions, which costs fsyncs.

    async def make_partitions(self) -> None:
        """Make what `apply` finds missing, so that others have their turn; for ever. Until this
        runs, `start` and `apply` make everything themselves.
        """
        await self._making.run()

    async def settled(self, topic_ids: Collection[bytes]) -> None:
        """Wait until the partitions here of these topics are made, or were refused by the disk."""
        await self._making.settled(topic_ids)

    def make_unmade(self, image: MetadataImage) -> None:
        """Try once more, one by one, to make the partitions that the disk refused."""
        self._image = image
        self._making.retry_refused()

    def _topic_of(self, topic_id: bytes) -> TopicImage | None:
        return None if self._image is None else self._image.topics.get(topic_id)

    # Upkeep.

    async def apply_retention(self) -> None:
        """Delete segments that are too old or too many, and the files of earlier ones.

        Others have their turn between a few segments, and a partition that fails does not keep
        the rest. The new log starts are durable on return, where the disk lets us: to a start after
        a crash, segments that nobody deleted are lost.
        """
        for key in list(self._partitions):
            while (partition := self._partitions.get(key)) is not None:
                now_ms = self._clock.now_ms()
                try:
                    retired = partition.log.apply_retention(now_ms, partition.high_watermark)
                    partition.log.remove_deleted_files(now_ms)
                except OSError as error:
                    self._on_storage_error(error)
                    break
                await asyncio.sleep(0)
                if not retired:
                    break
        if not self.offline:
            with contextlib.suppress(OSError):  # which is told, and tried again with the next ones
                await self.write_log_starts()

    def flush_overdue(self) -> None:
        """Arm a flush where `flush.ms` has passed since the last one (page-cache durability)."""
        now_ms = self._clock.now_ms()
        for partition in self._partitions.values():
            partition.flush_if_overdue(now_ms)

    async def write_checkpoints(self) -> None:
        """Write what has changed; the disk's work is done in a thread, one at a time."""
        if not self.offline:
            await self._checkpointing.write(self._high_watermarks())

    async def write_log_starts(self) -> None:
        """Wait until the log starts of this moment are durable. Raises OSError."""
        await self._checkpointing.write_log_starts()

    async def settle(self) -> None:
        """Wait for what a thread still writes: closing must not race with it."""
        await self._making.settle()
        await self._checkpointing.settle()

    async def remove_deleted(self) -> None:
        """Free the space of deleted topics, in a thread; of those whose partitions are still being
        made, once that is over."""
        if self._image is not None:
            await self._making.settled(self._image.deleted_topics)
        if self._directory.deleted_directories:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self._directory.remove_deleted)

    # The end.

    def storage_failed(self, error: OSError) -> None:
        """A write or a flush failed. What passes by itself (a full disk, too many open files) does
        no more than refuse; anything else takes the directory offline, because what the kernel has
        dropped it will not report again."""
        if error.errno not in PASSING_ERRORS:
            self.take_offline()

    def take_offline(self) -> None:
        """Nothing is appended or acknowledged any more."""
        if self.offline:
            return
        self.offline = True
        for partition in self._partitions.values():
            partition.fail_waiters(ErrorCode.KAFKA_STORAGE_ERROR)

    def close(self, *, clean: bool) -> bool:
        """Close all logs; True where the next start may trust what it finds."""
        clean = clean and not self.offline
        high_watermarks = self._high_watermarks()
        for partition in self._partitions.values():
            partition.stop(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if not self._closing_threads or len(self._partitions) < self._closing_threads:
            return self._directory.close(clean=clean, high_watermarks=high_watermarks)
        # Each waits for the disk several times, and one commit of its journal is for many of them.
        with ThreadPoolExecutor(self._closing_threads, thread_name_prefix="close") as threads:
            return self._directory.close(
                clean=clean, high_watermarks=high_watermarks, each=threads.map
            )

    def _high_watermarks(self) -> dict[tuple[str, int], int]:
        return {key: partition.high_watermark for key, partition in self._partitions.items()}
