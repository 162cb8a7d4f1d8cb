"""DeleteRecords, DescribeProducers and DescribeLogDirs: what is asked about a partition's log."""

from collections.abc import Sequence

from tools.record.batches import batch
from tools.record.player import Player
from tools.record.requests import (
    fetch,
    fetch_part,
    init_producer_id,
    list_offsets,
    produce,
)
from wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from wire.messages.describe_producers import DescribeProducersRequest, TopicRequest
from wire.messages.init_producer_id import InitProducerIdResponse

HIGH_WATERMARK = -1
EARLIEST = -2
LATEST = -1


def delete_part(topic: str, *offsets: tuple[int, int]) -> DeleteRecordsTopic:
    """`(partition, offset)` for each: what lies below the offset is to go."""
    return DeleteRecordsTopic(
        name=topic,
        partitions=[
            DeleteRecordsPartition(partition_index=partition, offset=offset)
            for partition, offset in offsets
        ],
    )


def delete_records(*topics: DeleteRecordsTopic, timeout_ms: int = 10_000) -> DeleteRecordsRequest:
    return DeleteRecordsRequest(topics=list(topics), timeout_ms=timeout_ms)


def delete_versions(kafka: Player) -> None:
    """Every version moves the log start; what lies below it is not served any more."""
    for version in DeleteRecordsRequest.VERSIONS:
        topic = f"records-{version}"
        kafka.setup_topic(topic)
        kafka.send(f"version {version}, ten", produce(topic, batch(*"abcdefghij")), 9)

        def delete(title: str, offset: int, *, topic: str = topic, version: int = version) -> None:
            request = delete_records(delete_part(topic, (0, offset)))
            kafka.send(f"version {version}, {title}", request, version)

        delete("nothing", 0)
        delete("to the fourth", 3)
        delete("once more", 3)
        delete("less", 1)
        kafka.send(f"version {version}, where it starts", list_offsets(topic, EARLIEST), 6)
        kafka.send(f"version {version}, below", fetch(fetch_part(topic, 2)), 12)
        kafka.send(f"version {version}, from there on", fetch(fetch_part(topic, 3)), 12)
        delete("past the end", 11)
        delete("a number below -1", -2)
        delete("to the end", 10)
        delete("to the high watermark", HIGH_WATERMARK)
        kafka.send(f"version {version}, the start is", list_offsets(topic, EARLIEST), 6)
        kafka.send(f"version {version}, the end is", list_offsets(topic, LATEST), 6)
        kafka.send(f"version {version}, nothing left", fetch(fetch_part(topic, 10)), 12)
        kafka.send(f"version {version}, one more", produce(topic, batch("k")), 9)
        delete("the one too", HIGH_WATERMARK)


def delete_several(kafka: Player) -> None:
    """Many partitions in one request, good and bad, and one of them twice."""
    kafka.setup_topic("records-many", 3)
    for partition in range(3):
        kafka.send(
            f"three to {partition}",
            produce("records-many", batch(*"abc"), partition=partition),
            9,
        )
    request = delete_records(delete_part("records-many", (0, 1), (1, 2), (2, HIGH_WATERMARK)))
    kafka.send("each its own", request, 2)
    mixed = delete_records(
        delete_part("records-many", (0, 2), (1, 4), (2, 3), (7, 0)),
        delete_part("records-nowhere", (0, 1)),
    )
    for version in (0, 1, 2):
        kafka.send(f"good and bad, version {version}", mixed, version)
    kafka.send("a partition twice", delete_records(delete_part("records-many", (1, 2), (1, 3))), 2)
    starts = list_offsets("records-many", EARLIEST, partitions=(0, 1, 2))
    kafka.send("where they start", starts, 6)
    topics = [delete_part("records-many", (0, 3)), delete_part("records-many", (1, 3))]
    kafka.send("a topic twice", delete_records(*topics), 2)
    kafka.send("no topics", delete_records(), 2)
    kafka.send("no partitions", delete_records(delete_part("records-many")), 2)
    kafka.send("no time", delete_records(delete_part("records-many", (0, 3)), timeout_ms=0), 2)


def delete_refused(kafka: Player) -> None:
    """Topics and partitions that are not there, or whose policy forbids it."""
    kafka.setup_offsets_topic()
    kafka.setup_topic("records-compact", cleanup_policy="compact")
    kafka.setup_topic("records-both", cleanup_policy="compact,delete")
    kafka.setup_topic("records-one")
    for topic in ("records-compact", "records-both", "records-one"):
        kafka.send(f"a record to {topic}", produce(topic, batch("v", key=b"k")), 9)
    for version in (0, 1, 2):
        for title, topic, partition, offset in (
            ("an unknown topic", "records-nowhere", 0, 1),
            ("no name", "", 0, 1),
            ("a bad name", "a/b", 0, 1),
            ("an unknown partition", "records-one", 1, 0),
            ("a negative partition", "records-one", -1, 0),
            ("past the end", "records-one", 0, 2),
            ("far past the end", "records-one", 0, 2**63 - 1),
            ("the least number", "records-one", 0, -(2**63)),
            ("compacted", "records-compact", 0, 1),
            ("compacted, nothing", "records-compact", 0, 0),
            ("compacted, past the end", "records-compact", 0, 5),
            ("the offsets topic", "__consumer_offsets", 0, 0),
            ("the offsets topic, all of it", "__consumer_offsets", 0, HIGH_WATERMARK),
        ):
            request = delete_records(delete_part(topic, (partition, offset)))
            kafka.send(f"{title}, version {version}", request, version)
    both = delete_records(delete_part("records-both", (0, 1)))
    kafka.send("compacted and deleted", both, 2)


def delete_batches(kafka: Player) -> None:
    """Inside a batch the start moves, and the whole batch is still sent."""
    topic = "records-inside"
    kafka.setup_topic(topic)
    kafka.send("three", produce(topic, batch(*"abc")), 9)
    kafka.send("three more", produce(topic, batch(*"def")), 9)
    kafka.send("inside the second", delete_records(delete_part(topic, (0, 4))), 2)
    kafka.send("fetched from the start", fetch(fetch_part(topic, 4)), 12)
    kafka.send("fetched before it", fetch(fetch_part(topic, 3)), 12)
    kafka.send("earliest", list_offsets(topic, EARLIEST), 8)
    kafka.send("earliest local", list_offsets(topic, -4), 8)
    kafka.send("by time", list_offsets(topic, 0), 8)


def producers(kafka: Player) -> None:
    """DescribeProducers: who has written what, by partition."""
    topic = "producers-here"
    kafka.setup_topic(topic, 2)
    kafka.send("nobody yet", describe_producers((topic, [0, 1])), 0)
    kafka.send("no producer id", produce(topic, batch("a")), 9)
    kafka.send("still nobody", describe_producers((topic, [0])), 0)
    answer = kafka.send("a producer", init_producer_id(), 4)
    assert isinstance(answer, InitProducerIdResponse)
    first = batch(*"abc", producer_id=answer.producer_id, producer_epoch=0, base_sequence=0)
    kafka.send("three", produce(topic, first), 9)
    kafka.send("one producer", describe_producers((topic, [0])), 0)
    more = batch("d", producer_id=answer.producer_id, producer_epoch=0, base_sequence=3)
    kafka.send("one more", produce(topic, more), 9)
    kafka.send("its sequence grew", describe_producers((topic, [0, 1])), 0)
    other = batch("e", producer_id=4_000_000_001, producer_epoch=7, base_sequence=40)
    kafka.send("of another", produce(topic, other), 9)
    kafka.send("two producers", describe_producers((topic, [0])), 0)
    newer = batch("f", producer_id=4_000_000_001, producer_epoch=8, base_sequence=0)
    kafka.send("its next epoch", produce(topic, newer), 9)
    kafka.send("in its next epoch", describe_producers((topic, [0])), 0)
    kafka.send("delete all", delete_records(delete_part(topic, (0, HIGH_WATERMARK))), 2)
    kafka.send("after deletion", describe_producers((topic, [0])), 0)


def producers_refused(kafka: Player) -> None:
    """DescribeProducers: topics and partitions that are not there, or cannot be."""
    topic = "producers-refused"
    kafka.setup_topic(topic)
    kafka.setup_offsets_topic()
    kafka.send("no topics", describe_producers(), 0)
    kafka.send("no partitions", describe_producers((topic, [])), 0)
    for title, name, partitions in (
        ("an unknown topic", "producers-nowhere", [0, 1]),
        ("no name", "", [0]),
        ("a bad name", "a/b", [0]),
        ("a long name", "p" * 250, [0]),
        ("an unknown partition", topic, [1]),
        ("good and unknown", topic, [0, 1]),
        ("a negative partition", topic, [-1]),
        ("a partition twice", topic, [0, 0]),
        ("the offsets topic", "__consumer_offsets", [0]),
    ):
        kafka.send(title, describe_producers((name, partitions)), 0)
    kafka.send("a topic twice", describe_producers((topic, [0]), (topic, [0])), 0)


def describe_producers(*topics: tuple[str, Sequence[int]]) -> DescribeProducersRequest:
    return DescribeProducersRequest(
        topics=[
            TopicRequest(name=name, partition_indexes=list(partitions))
            for name, partitions in topics
        ]
    )


def log_dirs(kafka: Player) -> None:
    """DescribeLogDirs: the sizes of partitions, and what each version knows of the disk."""
    for topic in ("dirs-a", "dirs-b"):
        kafka.setup_topic(topic, 2)
    kafka.send("a record", produce("dirs-a", batch("a")), 9)
    kafka.send("three more", produce("dirs-a", batch(*"bcd")), 9)
    kafka.send("one elsewhere", produce("dirs-b", batch("e"), partition=1), 9)
    kafka.only_topics("dirs-a", "dirs-b")
    for version in DescribeLogDirsRequest.VERSIONS:
        kafka.send(f"all, version {version}", DescribeLogDirsRequest(topics=None), version)
        some = describe_log_dirs(("dirs-a", [0]), ("dirs-b", [0, 1]))
        kafka.send(f"some, version {version}", some, version)
        kafka.send(f"none, version {version}", describe_log_dirs(), version)
        unknown = describe_log_dirs(("dirs-nowhere", [0]), ("dirs-a", [5, 1]), ("", [0]))
        kafka.send(f"unknown ones, version {version}", unknown, version)
    kafka.send("no partitions", describe_log_dirs(("dirs-a", [])), 4)
    kafka.send("a partition twice", describe_log_dirs(("dirs-a", [0, 0])), 4)
    kafka.send("a topic twice", describe_log_dirs(("dirs-a", [0]), ("dirs-a", [1])), 4)
    kafka.send("a negative partition", describe_log_dirs(("dirs-a", [-1])), 4)
    gone = delete_records(delete_part("dirs-a", (0, HIGH_WATERMARK)))
    kafka.send("delete the records", gone, 2)
    kafka.send("the segment is still there", describe_log_dirs(("dirs-a", [0])), 4)


def describe_log_dirs(*topics: tuple[str, Sequence[int]]) -> DescribeLogDirsRequest:
    return DescribeLogDirsRequest(
        topics=[
            DescribableLogDirTopic(topic=name, partitions=list(partitions))
            for name, partitions in topics
        ]
    )


SCENARIOS = {
    "delete_records/versions": delete_versions,
    "delete_records/several": delete_several,
    "delete_records/refused": delete_refused,
    "delete_records/inside_batches": delete_batches,
    "describe_producers/producers": producers,
    "describe_producers/refused": producers_refused,
    "describe_log_dirs/log_dirs": log_dirs,
}
