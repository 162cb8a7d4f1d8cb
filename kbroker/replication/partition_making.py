"""Makes the partitions that the metadata asks for and the disk has not, some dozens at a time.

What waits for the disk, directories with their ids, is made in a thread: of the fsyncs nobody
notices anything but who waits for the partitions. The empty logs are then opened on the loop,
where all else happens to partitions.

Counterpart: `replica_manager`, which says what is wanted, and serves what was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import TypeVar

from kbroker.cluster.metadata_image import TopicImage
from kbroker.dependencies import WallClock
from log.checkpoints import TopicPartition
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from log.partition_log import PartitionLog
from wire.errors import ErrorCode, KafkaError

AT_ONCE = 64
"""Made together, so that one commit of the file system's journal is for many of them."""
OPENED_AT_ONCE = 4
"""In one turn of the loop: each takes a fraction of a millisecond."""

TopicIds = Mapping[TopicPartition, bytes]
Paths = TypeVar("Paths")


class PartitionMaking:
    """Mutable. A partition waits (`_wanted`), is made (`_under_way`), and is served or `_refused`
    by the disk; each stands there with the id of its topic, because a name may change hands.

    `topic_of` gives a topic that is not deleted; `serve` takes over a log that was opened.
    """

    def __init__(
        self,
        directory: LogDirectory,
        *,
        clock: WallClock,
        topic_of: Callable[[bytes], TopicImage | None],
        config_of: Callable[[TopicImage], LogConfig],
        serve: Callable[[TopicImage, int, PartitionLog], None],
        on_storage_error: Callable[[OSError], None],
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._topic_of = topic_of
        self._config_of = config_of
        self._serve = serve
        self._on_storage_error = on_storage_error
        self._wanted: dict[TopicPartition, bytes] = {}
        self._under_way: dict[TopicPartition, bytes] = {}
        self._refused: dict[TopicPartition, bytes] = {}
        self._work: asyncio.Event | None = None  # there is a task that makes partitions
        self._thread: asyncio.Future[None] | None = None
        self._settled: list[asyncio.Future[None]] = []

    @property
    def unmade_count(self) -> int:
        return len(self._wanted) + len(self._under_way)

    @property
    def refused_count(self) -> int:
        return len(self._refused)

    def want(self, key: TopicPartition, topic_id: bytes) -> None:
        """Make it when `start` is called, unless that is done or was refused already."""
        if key not in self._refused and self._under_way.get(key) != topic_id:
            self._wanted[key] = topic_id

    def forget(self, key: TopicPartition) -> None:
        """Its topic was deleted. What is under way is removed once it is made."""
        self._wanted.pop(key, None)
        self._refused.pop(key, None)

    def check(self, key: TopicPartition) -> None:
        """KafkaError of a partition that is to come: KAFKA_STORAGE_ERROR where the disk refused it,
        else NOT_LEADER_OR_FOLLOWER, after which clients try again.
        """
        if key in self._refused:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR)
        under_way = self._under_way.get(key)
        if key in self._wanted or (under_way and self._topic_of(under_way) is not None):
            raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def start(self) -> None:
        """Make what is wanted: here and now, or soon while `run` runs."""
        if self._work is not None:
            self._work.set()
            return
        while self._wanted:
            for topic_id, keys in _by_topic(self._take()).items():
                self._make_now(topic_id, keys)

    def retry_refused(self) -> None:
        """Make now, one by one, what the disk refused."""
        refused, self._refused = self._refused, {}
        for key, topic_id in sorted(refused.items()):
            self._make_now(topic_id, [key])

    async def run(self) -> None:
        """Make what is wanted from now on; for ever."""
        self._work = asyncio.Event()
        try:
            while True:
                while self._wanted:
                    some = self._take()
                    self._under_way = dict(some)
                    await self._make(some)
                    self._under_way = {}
                    self._tell_settled()
                self._work.clear()
                await self._work.wait()
        finally:
            self._work = None
            self._tell_settled()  # nobody else will

    async def settled(self, topic_ids: Collection[bytes]) -> None:
        """Wait until nothing of these topics is to be made, or to be removed again."""
        topics = set(topic_ids)
        while self._work is not None and not (
            topics.isdisjoint(self._wanted.values()) and topics.isdisjoint(self._under_way.values())
        ):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settled.append(turn)
            await turn

    async def settle(self) -> None:
        """Wait for the thread: closing must not race with it."""
        if self._thread is not None:
            await asyncio.wait([self._thread])

    def _take(self) -> dict[TopicPartition, bytes]:
        some = dict(islice(self._wanted.items(), AT_ONCE))
        for key in some:
            del self._wanted[key]
        return some

    def _tell_settled(self) -> None:
        waiting, self._settled = self._settled, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    def _make_now(self, topic_id: bytes, keys: list[TopicPartition]) -> None:
        topic = self._topic_of(topic_id)
        if topic is None:
            return  # deleted again
        try:
            self._directory.make_directories(
                self._directory.prepare_directories(dict.fromkeys(keys, topic_id))
            )
            self._open(topic, keys)
        except OSError as error:
            self._refuse(dict.fromkeys(keys, topic_id), error)

    async def _make(self, topic_ids: TopicIds) -> None:
        try:
            directories = self._directory.prepare_directories(topic_ids)
            await self._in_thread(self._directory.make_directories, directories)
        except OSError as error:
            topics = _by_topic(topic_ids)
            if len(topics) == 1:
                self._refuse(topic_ids, error)
                return
            # No topic suffers for another's sake.
            for topic_id, keys in topics.items():
                await self._make(dict.fromkeys(keys, topic_id))
            return
        await self._open_made(dict(zip(topic_ids, directories, strict=True)))

    async def _open_made(self, directories: dict[TopicPartition, str]) -> None:
        """Open and serve, a few in each turn, what was not deleted meanwhile."""
        for topic_id, keys in _by_topic({key: self._under_way[key] for key in directories}).items():
            while keys:
                topic = self._topic_of(topic_id)
                if topic is None:
                    # Whoever takes the name next must find nothing.
                    left = [directories[key] for key in keys]
                    await self._in_thread(self._directory.remove_made, left)
                    break
                some, keys = keys[:OPENED_AT_ONCE], keys[OPENED_AT_ONCE:]
                try:
                    self._open(topic, some)
                except OSError as error:
                    self._refuse(dict.fromkeys(some, topic_id), error)
                for key in some:
                    del self._under_way[key]
                await asyncio.sleep(0)

    def _open(self, topic: TopicImage, keys: list[TopicPartition]) -> None:
        indexes = [index for _, index in keys]
        logs = self._directory.open_made(
            topic.name,
            indexes,
            topic_id=topic.topic_id,
            config=self._config_of(topic),
            now_ms=self._clock.now_ms(),
        )
        for index, log in zip(indexes, logs, strict=True):
            self._serve(topic, index, log)

    def _refuse(self, topic_ids: TopicIds, error: OSError) -> None:
        for key, topic_id in topic_ids.items():
            if self._topic_of(topic_id) is not None:
                self._refused[key] = topic_id
        self._on_storage_error(error)

    async def _in_thread(self, work: Callable[[Paths], None], paths: Paths) -> None:
        loop = asyncio.get_running_loop()
        self._thread = loop.run_in_executor(None, work, paths)
        try:
            await asyncio.wait([self._thread])
            self._thread.result()
        finally:
            if self._thread.done():
                self._thread = None


def _by_topic(topic_ids: TopicIds) -> dict[bytes, list[TopicPartition]]:
    topics: dict[bytes, list[TopicPartition]] = {}
    for key, topic_id in topic_ids.items():
        topics.setdefault(topic_id, []).append(key)
    return topics
