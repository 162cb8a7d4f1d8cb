"""The partitions of a broker: they follow the metadata, and come back from the disk."""

from __future__ import annotations

import asyncio
import errno
import random
from dataclasses import dataclass, field, replace

import pytest

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_image import MetadataDelta, MetadataImage, TopicImage
from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.flusher import FlushScheduler
from kbroker.replication.partition import Partition
from kbroker.replication.replica_manager import ReplicaManager
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from log.recovery import LogDamagedError
from log.retention import RETIRED_TOGETHER
from simulator.disk import SimulatedDisk
from tests.kbroker.test_flusher import ManualFlusher
from tests.log.log_harness import NOW, batch, values_of
from wire.errors import ErrorCode, KafkaError

NODE = 1
FIRST_ID, SECOND_ID = b"1" * 16, b"2" * 16


def topic(
    name: str = "t", topic_id: bytes = FIRST_ID, *, count: int = 1, epoch: int = 0, **configs: str
) -> TopicImage:
    record = PartitionRecord((NODE,), NODE, epoch, isr=(NODE,), partition_epoch=epoch)
    return TopicImage(
        topic_id=topic_id,
        name=name,
        configs=configs,
        partitions=dict.fromkeys(range(count), record),
        min_isr=1,
        mod_revision=1,
    )


def image_of(*topics: TopicImage) -> MetadataImage:
    image = MetadataImage(Keys("test"))
    image.topics = {each.topic_id: each for each in topics}
    image.topic_ids = {each.name: each.topic_id for each in topics}
    return image


class Clock:
    def now_ms(self) -> int:
        return NOW


def config_of(topic: TopicImage) -> LogConfig:
    return LogConfig(flush_messages=int(topic.configs.get("flush", "1")))


@dataclass(slots=True)
class Home:
    """One life of a broker's replicas on a disk. Mutable."""

    disk: SimulatedDisk = field(default_factory=SimulatedDisk)
    image: MetadataImage = field(default_factory=image_of)
    flusher: ManualFlusher = field(default_factory=ManualFlusher)
    errors: list[OSError] = field(default_factory=list)
    soon: list = field(default_factory=list)
    closing_threads: int = 0
    serves: bool = True
    replicas: ReplicaManager = field(init=False)
    directory: LogDirectory = field(init=False)

    def __post_init__(self) -> None:
        self.directory = LogDirectory.open(
            self.disk,
            "/data",
            node_id=NODE,
            cluster_id=None,
            new_cluster_id="cluster",
            new_directory_id=b"d" * 16,
        )
        self.replicas = ReplicaManager(
            node_id=NODE,
            directory=self.directory,
            flushes=FlushScheduler(
                self.flusher, call_soon=self.soon.append, on_error=self.errors.append
            ),
            clock=Clock(),
            random=random.Random(1),
            config_of=config_of,
            on_storage_error=self.errors.append,
            closing_threads=self.closing_threads,
        )
        self.replicas.open_logs(self.image)
        if self.serves:
            self.replicas.start(self.image)

    def change(self, *topics: TopicImage, **delta: tuple) -> None:
        self.image = image_of(*topics)
        self.replicas.apply(self.image, MetadataDelta(revision=2, **delta))

    def append(self, *values: bytes, name: str = "t", index: int = 0) -> Partition:
        partition = self.replicas.partition(name, index)
        partition.append_as_leader(batch(*values), now_ms=NOW, required_acks=-1)
        return partition

    def flush(self) -> None:
        while self.soon:
            self.soon.pop(0)()
        if self.flusher.under_way:
            for ticket in self.flusher.under_way[0][0]:
                ticket.sync()
            self.flusher.finish()

    def restart(self, disk: SimulatedDisk, *topics: TopicImage) -> Home:
        return Home(disk=disk, image=image_of(*topics) if topics else self.image)


def code_of(look_up, *arguments) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        look_up(*arguments)
    return refused.value.code


# --- following the metadata ---


def test_a_created_topic_is_found_by_name_and_by_id() -> None:
    home = Home()
    new = topic(count=2)
    home.change(new, created_topics=(new,))
    assert home.replicas.partition("t", 1) is home.replicas.partition_by_id(FIRST_ID, 1)
    assert code_of(home.replicas.partition, "t", 2) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert code_of(home.replicas.partition, "u", 0) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    by_id = home.replicas.partition_by_id
    assert code_of(by_id, FIRST_ID, 2) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert code_of(by_id, SECOND_ID, 0) == ErrorCode.UNKNOWN_TOPIC_ID


def test_a_deleted_topic_is_gone_and_its_producers_are_told() -> None:
    old = topic()
    home = Home(image=image_of(old))
    partition = home.append(b"a")
    codes: list[ErrorCode] = []
    partition.when_acknowledged(0, -1, codes.append)
    home.change(deleted_topics=(old,))
    assert codes == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert code_of(home.replicas.partition_by_id, FIRST_ID, 0) == ErrorCode.UNKNOWN_TOPIC_ID
    assert list(home.replicas) == []
    assert not home.disk.exists("/data/t-0")


def test_a_deleted_topic_is_flushed_no_more() -> None:
    old = topic()
    home = Home(image=image_of(old))
    home.append(b"a")
    home.change(deleted_topics=(old,))
    home.flush()
    assert home.errors == []


def test_a_topic_made_anew_under_its_name_is_empty_and_another() -> None:
    old, new = topic(), topic(topic_id=SECOND_ID)
    home = Home(image=image_of(old))
    home.append(b"old")
    home.flush()
    home.change(new, deleted_topics=(old,), created_topics=(new,))
    partition = home.replicas.partition("t", 0)
    assert partition is home.replicas.partition_by_id(SECOND_ID, 0)
    assert (partition.log.log_end_offset, partition.high_watermark) == (0, 0)
    assert code_of(home.replicas.partition_by_id, FIRST_ID, 0) == ErrorCode.UNKNOWN_TOPIC_ID
    home.append(b"new")
    home.flush()
    again = home.restart(home.disk.crash(random.Random(3)))
    assert values_of(again.replicas.partition("t", 0).log) == {0: b"new"}


def test_a_topic_that_grows_gets_the_partitions_that_it_lacks() -> None:
    home = Home(image=image_of(topic()))
    home.append(b"kept")
    home.change(topic(count=3), changed_partitions=((FIRST_ID, 1), (FIRST_ID, 2)))
    assert len(list(home.replicas)) == 3
    assert home.replicas.partition("t", 0).log.log_end_offset == 1


def test_partitions_of_other_brokers_are_not_opened() -> None:
    record = PartitionRecord(replicas=(2,), leader=2, leader_epoch=0, isr=(2,))
    mixed = TopicImage(FIRST_ID, "t", {}, {0: topic().partitions[0], 1: record}, 1, 1)
    home = Home()
    home.change(mixed, created_topics=(mixed,))
    assert [partition.index for partition in home.replicas] == [0]


def test_a_change_of_configuration_reaches_the_log_and_those_who_wait() -> None:
    home = Home(image=image_of(topic()))
    partition = home.append(b"a")
    codes: list[ErrorCode] = []
    partition.when_acknowledged(0, -1, codes.append)
    home.change(topic(flush=str(2**40)), changed_topic_configs=(FIRST_ID,))
    assert partition.log.config.flush_messages == 2**40
    assert codes == [ErrorCode.NONE]


def test_a_leader_goes_by_the_min_isr_of_its_record_and_not_by_the_configs() -> None:
    """Rule min-isr-in-record: whoever is elected next goes by the record, too."""
    record = PartitionRecord((NODE, 2), NODE, 0, isr=(NODE,), min_isr=2)
    strict = replace(topic(), partitions={0: record}, min_isr=2)
    home = Home()
    home.change(strict, created_topics=(strict,))
    lenient = replace(strict, min_isr=1)
    home.change(lenient, changed_topic_configs=(FIRST_ID,))
    with pytest.raises(KafkaError) as refused:
        home.append(b"a")
    assert refused.value.code == ErrorCode.NOT_ENOUGH_REPLICAS
    told = replace(record, min_isr=1, partition_epoch=1)
    home.change(replace(lenient, partitions={0: told}), changed_partitions=((FIRST_ID, 0),))
    home.append(b"a")


def test_an_election_reaches_the_partition() -> None:
    home = Home(image=image_of(topic()))
    home.change(topic(epoch=4), changed_partitions=((FIRST_ID, 0),))
    assert home.replicas.partition("t", 0).leader_epoch == 4


# --- the disk ---


def test_an_orderly_stop_is_trusted_by_the_next_start() -> None:
    home = Home(image=image_of(topic()))
    home.append(b"a")
    home.append(b"b")
    assert home.replicas.close(clean=True)
    again = home.restart(home.disk.kill())
    assert again.directory.was_clean
    partition = again.replicas.partition("t", 0)
    assert values_of(partition.log) == {0: b"a", 1: b"b"}
    assert partition.high_watermark == 2


@pytest.mark.parametrize("threads", [0, 8])
def test_many_partitions_are_all_closed_and_one_that_fails_is_told(threads: int) -> None:
    for fails in (False, True):
        home = Home(image=image_of(topic(count=40)), closing_threads=threads)
        for index in range(40):
            home.append(b"%d" % index, index=index)
        if fails:
            home.disk.fail("flush", "*/t-33/*")
        assert home.replicas.close(clean=True) is not fails
        home.disk.heal()
        again = home.restart(home.disk.crash(random.Random(1)))
        assert again.directory.was_clean is not fails
        closed = [index for index in range(40) if index != 33]
        logs = {index: again.replicas.partition("t", index).log for index in closed}
        assert all(values_of(logs[index]) == {0: b"%d" % index} for index in closed)


def test_a_crash_keeps_what_was_flushed() -> None:
    for seed in range(10):
        home = Home(image=image_of(topic()))
        home.append(b"a")
        home.flush()
        home.append(b"b")
        again = home.restart(home.disk.crash(random.Random(seed)), topic(epoch=1))
        assert not again.directory.was_clean
        assert values_of(again.replicas.partition("t", 0).log)[0] == b"a"


def test_only_page_cache_topics_are_lossy_after_a_crash() -> None:
    cached = topic("cached", SECOND_ID, flush=str(2**40))
    home = Home(image=image_of(topic(), cached))
    home.directory.damaged.told()  # that there are topics, and no log of them on this disk
    crashed = home.restart(home.disk.crash(random.Random(0)))
    lossy = crashed.replicas.is_lossy
    assert not lossy(FIRST_ID, 0, crashed.image)
    assert lossy(SECOND_ID, 0, crashed.image)
    crashed.replicas.close(clean=True)
    clean = crashed.restart(crashed.disk.kill())
    assert not clean.replicas.is_lossy(SECOND_ID, 0, clean.image)


def replicated(*, isr: tuple[int, ...], elr: tuple[int, ...] = (), count: int = 1) -> TopicImage:
    record = PartitionRecord((NODE, 2, 3), -1, 0, isr=isr, elr=elr)
    return replace(topic(count=count), partitions=dict.fromkeys(range(count), record))


def lossy_and_missing(home: Home, index: int = 0) -> tuple[bool, bool]:
    replicas, image = home.replicas, home.image
    return replicas.is_lossy(FIRST_ID, index, image), replicas.is_missing(FIRST_ID, index, image)


def opened(disk: SimulatedDisk, *topics: TopicImage) -> Home:
    """As far as a registration needs it: no missing log is made."""
    return Home(disk=disk, image=image_of(*topics), serves=False)


def test_a_new_disk_makes_every_partition_of_this_broker_lossy_until_that_is_told() -> None:
    """Also those that nobody else has, so that a loss is on record."""
    disk = SimulatedDisk()
    alone, others = topic(), replicated(isr=(2,))
    for known in (alone, others):
        assert lossy_and_missing(opened(SimulatedDisk(), known)) == (True, True)
    first = opened(disk, others)
    again = opened(disk.kill(), others)
    assert lossy_and_missing(again) == (True, True)
    again.directory.damaged.told()
    # It keeps no place that its admission took. What was created a moment before a crash, and never
    # made, has lost nothing either.
    assert lossy_and_missing(opened(again.disk.kill(), others)) == (False, False)
    again.directory.damaged.told()
    assert lossy_and_missing(opened(again.disk.kill(), alone)) == (False, False)
    assert first.directory.is_new
    assert not again.directory.is_new


@pytest.mark.parametrize("isr", [(NODE, 2), (NODE,), ()])
@pytest.mark.parametrize("elr", [(3,), (NODE,), ()])
def test_a_damaged_log_is_refused_unless_another_is_known_to_have_all(
    isr: tuple[int, ...], elr: tuple[int, ...]
) -> None:
    home = Home(image=image_of(topic(count=2)))
    home.directory.damaged.told()
    home.append(b"a")
    home.flush()
    assert home.replicas.close(clean=True)
    disk = home.disk.kill()
    path = "/data/t-0/00000000000000000000.log"
    disk.corrupt(path, 8, b"\x7f")
    known = replicated(isr=isr, elr=elr, count=2)
    if 2 in isr or 3 in elr:
        found = opened(disk, known)
        assert lossy_and_missing(found) == (True, False)
        assert lossy_and_missing(found, 1) == (False, False), "another partition of the topic"
        return
    with pytest.raises(LogDamagedError):
        opened(disk, known)


def test_a_topic_deleted_while_the_broker_was_down_does_not_come_back() -> None:
    home = Home(image=image_of(topic()))
    home.append(b"old")
    home.flush()
    home.replicas.close(clean=True)
    new = topic(topic_id=SECOND_ID)
    again = home.restart(home.disk.kill(), new)
    assert again.replicas.partition("t", 0).log.log_end_offset == 0
    assert again.replicas.partition("t", 0) is again.replicas.partition_by_id(SECOND_ID, 0)


@pytest.mark.parametrize("is_made_anew", [True, False])
def test_a_topic_deleted_since_its_logs_were_opened_does_not_come_back(is_made_anew: bool) -> None:
    home = Home(image=image_of(topic()))
    home.append(b"old")
    home.flush()
    home.replicas.close(clean=True)
    # Joining the others may take long, and they go on meanwhile.
    again = Home(disk=home.disk, image=home.image, serves=False)
    new = [topic(topic_id=SECOND_ID)] if is_made_anew else []
    again.replicas.start(image_of(*new))
    assert [each.log.topic_id for each in again.replicas] == [SECOND_ID] * len(new)
    assert [each.log.log_end_offset for each in again.replicas] == [0] * len(new)
    assert [each.topic_id for each in again.directory.logs.values()] == [SECOND_ID] * len(new)
    assert len(again.directory.deleted_directories) == 1


def test_settings_that_changed_since_its_logs_were_opened_hold_for_a_topic() -> None:
    home = Home(image=image_of(topic()))
    home.replicas.close(clean=True)
    again = Home(disk=home.disk, image=home.image, serves=False)
    again.replicas.start(image_of(topic(flush="7")))
    assert again.replicas.partition("t", 0).log.config.flush_messages == 7


def test_checkpoints_are_written_and_used() -> None:
    async def scenario() -> None:
        home = Home(image=image_of(topic(flush=str(2**40))))
        home.append(b"a")
        home.append(b"b")
        await home.replicas.write_checkpoints()
        text = home.disk.read_file("/data/replication-offset-checkpoint")
        assert b"t 0 2" in text
        await home.replicas.write_checkpoints()

    asyncio.run(scenario())


def test_without_a_checkpoint_nothing_is_known_to_be_committed() -> None:
    """It is the log's start, never its end: what another one has may be all that counts."""
    record = PartitionRecord((NODE, 2), NODE, 0, isr=(NODE, 2), min_isr=2)
    shared = replace(topic(), partitions={0: record})
    home = Home()
    home.change(shared, created_topics=(shared,))
    home.append(b"a", b"b")
    home.flush()
    again = home.restart(home.disk.crash(random.Random(1))).replicas.partition("t", 0)
    assert again.log.log_end_offset == 2
    assert again.high_watermark == 0


def test_checkpoints_that_cannot_be_written_harm_nobody() -> None:
    async def scenario() -> None:
        home = Home(image=image_of(topic()))
        home.append(b"a")
        home.flush()
        home.disk.fail("append", "*checkpoint*", error_number=errno.ENOSPC)
        await home.replicas.write_checkpoints()
        home.disk.heal()
        await home.replicas.write_checkpoints()
        assert b"t 0 1" in home.disk.read_file("/data/replication-offset-checkpoint")

    asyncio.run(scenario())


def test_the_space_of_deleted_topics_is_freed() -> None:
    async def scenario() -> None:
        old = topic()
        home = Home(image=image_of(old))
        home.append(b"x" * 10_000)
        home.change(deleted_topics=(old,))
        await home.replicas.remove_deleted()
        assert not [name for name in home.disk.list_directory("/data") if "delete" in name]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("number", "offline"),
    [(errno.ENOSPC, False), (errno.EDQUOT, False), (errno.EIO, True), (errno.EROFS, True)],
)
def test_a_full_disk_passes_and_any_other_failure_takes_the_directory_offline(
    number: int, offline: bool
) -> None:
    home = Home(image=image_of(topic()))
    partition = home.append(b"a")
    codes: list[ErrorCode] = []
    partition.when_acknowledged(0, -1, codes.append)
    home.replicas.storage_failed(OSError(number, "no"))
    assert home.replicas.offline is offline
    assert codes == ([ErrorCode.KAFKA_STORAGE_ERROR] if offline else [])
    assert home.replicas.close(clean=True) is not offline


def test_old_segments_are_retired() -> None:
    home = Home(image=image_of(topic()))
    partition = home.append(b"a")
    home.flush()
    partition.log.update_config(LogConfig(retention_bytes=0))
    asyncio.run(home.replicas.apply_retention())
    assert partition.log.log_start_offset == 1
    assert partition.high_watermark == 1


def test_a_kill_after_retention_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    home = Home(image=image_of(topic(count=2)))
    for index in range(2):
        log = home.append(b"a", index=index).log
        log.update_config(LogConfig(segment_bytes=100, retention_bytes=0))
        home.append(b"b", index=index)
        home.flush()
    asyncio.run(home.replicas.write_checkpoints())
    asyncio.run(home.replicas.apply_retention())
    again = home.restart(home.disk.kill())
    assert [log.log_start_offset for log in again.directory.logs.values()] == [2, 2]
    assert "are gone" not in caplog.text


def test_a_flush_that_is_overdue_is_armed() -> None:
    cached = topic(flush=str(2**40))
    home = Home(image=image_of(cached))
    partition = home.append(b"a")
    partition.log.update_config(LogConfig(flush_messages=2**40, flush_ms=0))
    home.replicas.flush_overdue()
    home.replicas.flush_overdue()
    home.flush()
    assert partition.log.recovery_point == 1


def test_a_partition_that_cannot_be_retired_does_not_keep_the_others() -> None:
    home = Home(image=image_of(topic(count=3)))
    for index in range(3):
        home.append(b"a", index=index)
        home.flush()
        home.replicas.partition("t", index).log.update_config(LogConfig(retention_bytes=0))
    home.disk.fail("rename", "*t-1/*", error_number=errno.ENOSPC)
    asyncio.run(home.replicas.apply_retention())
    starts = [home.replicas.partition("t", index).log.log_start_offset for index in (0, 2)]
    assert starts == [1, 1]
    assert [error.errno for error in home.errors] == [errno.ENOSPC]


def turns_of_others_during_retention(home: Home) -> int:
    async def scenario() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await home.replicas.apply_retention()
        task.cancel()
        return turns

    return asyncio.run(scenario())


def test_retention_lets_others_run_between_two_partitions() -> None:
    assert turns_of_others_during_retention(Home(image=image_of(topic(count=5)))) >= 5


def test_many_segments_are_retired_in_one_pass_and_others_run_in_between() -> None:
    home = Home(image=image_of(topic()))
    log = home.replicas.partition("t", 0).log
    log.update_config(LogConfig(segment_bytes=100, retention_bytes=0))
    count = 4 * RETIRED_TOGETHER
    for _ in range(count):
        home.append(b"a")
    home.flush()
    assert len(log.segments) == count
    assert turns_of_others_during_retention(home) >= 4
    assert (log.log_start_offset, len(log.segments)) == (count, 1)


# --- many partitions ---


def test_many_partitions_are_made_beside_others_work_and_usable_when_settled() -> None:
    async def scenario() -> None:
        home = Home()
        task = asyncio.create_task(home.replicas.make_partitions())
        await asyncio.sleep(0)
        new = topic(count=20)
        home.change(new, created_topics=(new,))
        assert list(home.replicas) == []
        assert code_of(home.replicas.partition, "t", 19) == ErrorCode.NOT_LEADER_OR_FOLLOWER
        await home.replicas.settled([FIRST_ID])
        assert len(list(home.replicas)) == 20
        home.append(b"a", index=19)
        await home.replicas.settled([FIRST_ID, SECOND_ID])
        task.cancel()

    asyncio.run(scenario())


def test_a_topic_deleted_before_its_partitions_were_made_settles_and_leaves_nothing() -> None:
    async def scenario() -> None:
        home = Home()
        task = asyncio.create_task(home.replicas.make_partitions())
        await asyncio.sleep(0)
        old, new = topic(count=20), topic(topic_id=SECOND_ID, count=2)
        home.change(old, created_topics=(old,))
        await asyncio.sleep(0)
        home.change(new, deleted_topics=(old,), created_topics=(new,))
        await home.replicas.settled([FIRST_ID, SECOND_ID])
        assert len(list(home.replicas)) == 2
        assert home.replicas.partition("t", 0) is home.replicas.partition_by_id(SECOND_ID, 0)
        await home.replicas.remove_deleted()
        names = [name for name in home.disk.list_directory("/data") if name.startswith("t-")]
        assert names == ["t-0", "t-1"]
        task.cancel()

    asyncio.run(scenario())


def test_partitions_that_the_disk_refuses_are_settled_too_and_tried_again() -> None:
    async def scenario() -> None:
        home = Home()
        task = asyncio.create_task(home.replicas.make_partitions())
        await asyncio.sleep(0)
        home.disk.fail("make_directory", "*/t-1", error_number=errno.ENOSPC)
        new = topic(count=3)
        home.change(new, created_topics=(new,))
        await home.replicas.settled([FIRST_ID])
        assert code_of(home.replicas.partition, "t", 1) == ErrorCode.KAFKA_STORAGE_ERROR
        home.replicas.make_unmade(home.image)
        assert [partition.index for partition in home.replicas] == [0, 2]
        home.disk.heal()
        home.replicas.make_unmade(home.image)
        assert len(list(home.replicas)) == 3
        task.cancel()

    asyncio.run(scenario())


def test_a_topic_made_anew_and_killed_keeps_what_was_acknowledged_of_it() -> None:
    async def scenario() -> None:
        old, new = topic(), topic(topic_id=SECOND_ID)
        home = Home(image=image_of(old))
        for _ in range(20):
            home.append(b"old")
        home.flush()
        home.replicas.partition("t", 0).log.advance_log_start(12)
        await home.replicas.write_checkpoints()
        home.change(new, deleted_topics=(old,), created_topics=(new,))
        home.append(b"new")
        home.flush()
        again = home.restart(home.disk.kill(), topic(topic_id=SECOND_ID, epoch=1))
        assert values_of(again.replicas.partition("t", 0).log) == {0: b"new"}

    asyncio.run(scenario())


def test_nobody_waits_for_partitions_that_a_stop_left_unmade() -> None:
    async def scenario() -> None:
        home = Home()
        task = asyncio.create_task(home.replicas.make_partitions())
        await asyncio.sleep(0)
        new = topic(count=50)
        home.change(new, created_topics=(new,))
        waiting = asyncio.create_task(home.replicas.settled([FIRST_ID]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())
