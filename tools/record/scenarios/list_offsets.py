"""ListOffsets and OffsetForLeaderEpoch: where records lie, by time and by leader epoch."""

from tools.record.batches import TIMESTAMP_MS, batch
from tools.record.player import Player
from tools.record.requests import epoch_end, list_offsets, produce
from wire.messages.list_offsets import ListOffsetsRequest
from wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from wire.records.compression import Compression

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING = range(-1, -7, -1)
SENTINELS = {
    "latest": LATEST,
    "earliest": EARLIEST,
    "max timestamp": MAX_TIMESTAMP,
    "earliest local": EARLIEST_LOCAL,
    "latest tiered": LATEST_TIERED,
    "earliest pending upload": EARLIEST_PENDING,
}


def _filled(kafka: Player, topic: str) -> None:
    """Offsets 0 to 7; one second between records, but offset 3 is the latest in time."""
    kafka.setup_topic(topic, partitions=2)
    for records in (
        batch("0", "1", timestamp_ms=TIMESTAMP_MS, timestamp_step_ms=1000),
        batch("2", "3", timestamp_ms=TIMESTAMP_MS + 2000, timestamp_step_ms=60_000),
        batch(
            "4",
            "5",
            "6",
            timestamp_ms=TIMESTAMP_MS + 4000,
            timestamp_step_ms=1000,
            compression=Compression.GZIP,
        ),
        batch("7", timestamp_ms=TIMESTAMP_MS + 7000),
    ):
        kafka.setup_send(produce(topic, records), 9)


def versions(kafka: Player) -> None:
    """Every version finds the end, the start, a time, and nothing where there is nothing."""
    _filled(kafka, "list-versions")
    for version in ListOffsetsRequest.VERSIONS:
        for title, timestamp in (
            ("latest", LATEST),
            ("earliest", EARLIEST),
            ("a time", TIMESTAMP_MS + 1000),
            ("a time past the last", TIMESTAMP_MS + 1_000_000),
        ):
            kafka.send(
                f"version {version}, {title}",
                list_offsets("list-versions", timestamp, timeout_ms=1000),
                version,
            )


def sentinels(kafka: Player) -> None:
    """Every sentinel, in the version that brought it and in the one before."""
    _filled(kafka, "list-sentinels")
    for title, timestamp in SENTINELS.items():
        for version in (1, 6, 7, 8, 9, 10, 11):
            if version >= 7 or timestamp < EARLIEST:
                kafka.send(
                    f"{title}, version {version}",
                    list_offsets("list-sentinels", timestamp, partitions=(0, 1)),
                    version,
                )
    for timestamp in (-7, -100, -(2**63)):
        for version in (1, 7, 11):
            kafka.send(
                f"{timestamp}, version {version}",
                list_offsets("list-sentinels", timestamp),
                version,
            )


def times(kafka: Player) -> None:
    """The first offset whose time is at or after the one asked for, also inside a batch."""
    _filled(kafka, "list-times")
    for offset_ms in (-1000, 0, 1, 1000, 1500, 2000, 2001, 4000, 5000, 6999, 7000, 62_000, 62_001):
        kafka.send(
            f"{offset_ms} ms after the first",
            list_offsets("list-times", TIMESTAMP_MS + offset_ms, partitions=(0, 1)),
            7,
        )
    kafka.send("time 0", list_offsets("list-times", 0), 7)
    kafka.send("the largest time", list_offsets("list-times", 2**63 - 1), 7)


def refused(kafka: Player) -> None:
    """Unknown partitions, wrong leader epochs, a partition twice, replicas that are none."""
    topic = "list-refused"
    _filled(kafka, topic)
    for version in (1, 4, 11):
        for title, name, partition in (
            ("unknown topic", "list-nowhere", 0),
            ("unknown partition", topic, 9),
            ("negative partition", topic, -1),
            ("empty name", "", 0),
            ("impossible name", "a/b", 0),
        ):
            kafka.send(
                f"{title}, version {version}",
                list_offsets(name, LATEST, partitions=(partition,)),
                version,
            )
    for title, epoch in (("current", 0), ("newer", 1), ("far newer", 100), ("negative", -2)):
        for timestamp in (LATEST, TIMESTAMP_MS):
            kafka.send(
                f"leader epoch {title}, timestamp {timestamp}",
                list_offsets(topic, timestamp, leader_epoch=epoch),
                4,
            )
    twice = list_offsets(topic, LATEST, EARLIEST, partitions=(0, 0))
    kafka.send("a partition twice", twice, 7)
    kafka.send("a partition twice, version 1", twice, 1)
    mixed = list_offsets(topic, LATEST, EARLIEST, TIMESTAMP_MS, partitions=(0, 9, 1))
    kafka.send("good and bad", mixed, 7)
    kafka.send("replica 77", list_offsets(topic, LATEST, replica_id=77), 7)
    kafka.send("the debugging replica", list_offsets(topic, LATEST, replica_id=-2), 7)
    for level in (0, 1, 2):
        kafka.send(
            f"isolation level {level}", list_offsets(topic, LATEST, isolation_level=level), 7
        )
    nothing = ListOffsetsRequest(replica_id=-1, topics=[])
    kafka.send("nothing asked", nothing, 7)


def epoch_versions(kafka: Player) -> None:
    """Every version of OffsetForLeaderEpoch, for the current epoch and others."""
    topic = "epoch-versions"
    _filled(kafka, topic)
    for version in OffsetForLeaderEpochRequest.VERSIONS:
        for title, epoch in (
            ("current", 0),
            ("newer", 1),
            ("far newer", 1000),
            ("unknown", -1),
            ("negative", -2),
        ):
            kafka.send(f"version {version}, {title}", epoch_end(topic, epoch), version)
        kafka.send(
            f"version {version}, unknown partitions",
            epoch_end(topic, 0, 0, 0, partitions=(0, 9, -1)),
            version,
        )
        kafka.send(f"version {version}, unknown topic", epoch_end("epoch-nowhere", 0), version)


def epoch_refused(kafka: Player) -> None:
    """A wrong current leader epoch, an empty partition, and who asks."""
    topic = "epoch-refused"
    _filled(kafka, topic)
    for title, current in (("current", 0), ("newer", 1), ("negative", -2)):
        kafka.send(f"leader epoch {title}", epoch_end(topic, 0, current=current), 4)
    kafka.send("an empty partition", epoch_end(topic, 0, partitions=(1,)), 4)
    kafka.send("an empty partition, newer", epoch_end(topic, 3, partitions=(1,)), 4)
    for replica_id in (-2, 1, 77):
        kafka.send(f"replica {replica_id}", epoch_end(topic, 0, replica_id=replica_id), 3)
    kafka.send("an empty name", epoch_end("", 0), 4)
    kafka.send("nothing asked", OffsetForLeaderEpochRequest(replica_id=-1, topics=[]), 4)


SCENARIOS = {
    "list_offsets/versions": versions,
    "list_offsets/sentinels": sentinels,
    "list_offsets/times": times,
    "list_offsets/refused": refused,
    "leader_epochs/versions": epoch_versions,
    "leader_epochs/refused": epoch_refused,
}
