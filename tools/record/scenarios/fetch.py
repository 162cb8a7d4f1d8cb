"""Fetch without a session: versions, limits in bytes, long polls, and what is refused."""

from tools.record.batches import batch
from tools.record.player import Player
from tools.record.requests import fetch, fetch_part, list_offsets, produce
from wire.messages.fetch import FetchRequest, ReplicaState

UNKNOWN_ID = bytes(range(16))


def _filled(kafka: Player, topic: str, count: int = 3, partitions: int = 1) -> bytes:
    """A topic with `count` batches of two records in every partition."""
    topic_id = kafka.setup_topic(topic, partitions=partitions)
    for partition in range(partitions):
        for number in range(count):
            half = f"{number}" + "x" * 47
            kafka.setup_send(produce(topic, batch(half, half), partition=partition), 9)
    return topic_id


def versions(kafka: Player) -> None:
    """Every version reads the same batches."""
    topic_id = _filled(kafka, "fetch-versions")
    for version in FetchRequest.VERSIONS:
        name = topic_id if version >= 13 else "fetch-versions"
        kafka.send(f"version {version}", fetch(fetch_part(name, 2)), version)


def refused_versions(kafka: Player) -> None:
    """Every version refuses an offset past the end, and partitions that are not there."""
    topic_id = _filled(kafka, "fetch-refused")
    for version in FetchRequest.VERSIONS:
        name, unknown = (
            (topic_id, UNKNOWN_ID) if version >= 13 else ("fetch-refused", "fetch-nowhere")
        )
        request = fetch(
            fetch_part(name, 99), fetch_part(name, 0, partition=7), fetch_part(unknown, 0)
        )
        kafka.send(f"version {version}", request, version)


def offsets(kafka: Player) -> None:
    """Whole batches from the one that holds the offset; before the start or past the end is out."""
    _filled(kafka, "fetch-offsets")
    for offset in range(7):
        kafka.send(f"offset {offset}", fetch(fetch_part("fetch-offsets", offset)), 11)
    for offset in (7, 2**62, -1, -2):
        kafka.send(f"offset {offset}", fetch(fetch_part("fetch-offsets", offset)), 11)
        kafka.send(f"offset {offset}, version 4", fetch(fetch_part("fetch-offsets", offset)), 4)
    kafka.setup_topic("fetch-never-written")
    kafka.send("an empty partition", fetch(fetch_part("fetch-never-written", 0)), 11)
    kafka.send("an empty partition, offset 1", fetch(fetch_part("fetch-never-written", 1)), 11)


def byte_limits(kafka: Player) -> None:
    """The first batch comes whole (KIP-74), what follows is cut at the limit."""
    topic = "fetch-limits"
    _filled(kafka, topic, partitions=2)
    size = len(batch("0" + "x" * 47, "0" + "x" * 47))
    for title, limit in (
        ("nothing", 0),
        ("one byte", 1),
        ("one byte less than a batch", size - 1),
        ("a batch", size),
        ("a batch and a byte", size + 1),
        ("a batch and a header", size + 61),
        ("two batches", 2 * size),
        ("more than there is", 10 * size),
        ("a negative number", -1),
    ):
        kafka.send(f"for the partition: {title}", fetch(fetch_part(topic, 0, max_bytes=limit)), 11)
        kafka.send(
            f"for the answer: {title}",
            fetch(fetch_part(topic, 0), fetch_part(topic, 0, partition=1), max_bytes=limit),
            11,
        )
    both = fetch(
        fetch_part(topic, 0, max_bytes=size),
        fetch_part(topic, 0, partition=1, max_bytes=size),
        max_bytes=2 * size,
    )
    kafka.send("a batch of each partition", both, 11)
    kafka.send("one byte, version 4", fetch(fetch_part(topic, 0, max_bytes=1)), 4)


def waiting(kafka: Player) -> None:
    """A fetch waits for min_bytes until max_wait_ms, but not with an error or what it needs."""
    topic = "fetch-waiting"
    _filled(kafka, topic, partitions=2)
    at_end = fetch_part(topic, 6)
    kafka.send("at the end, no wait", fetch(at_end, max_wait_ms=0), 11)
    kafka.send("at the end, a short wait", fetch(at_end, max_wait_ms=20), 11)
    kafka.send("at the end, no bytes wanted", fetch(at_end, max_wait_ms=10_000, min_bytes=0), 11)
    kafka.send("bytes are there", fetch(fetch_part(topic, 0), max_wait_ms=10_000), 11)
    kafka.send(
        "more wanted than there is",
        fetch(fetch_part(topic, 0), max_wait_ms=20, min_bytes=1_000_000),
        11,
    )
    kafka.send(
        "an error does not wait",
        fetch(at_end, fetch_part(topic, 99, partition=1), max_wait_ms=10_000),
        11,
    )
    kafka.send(
        "a topic that is not there does",
        fetch(at_end, fetch_part("fetch-nowhere", 0), max_wait_ms=20),
        11,
    )
    kafka.send("nothing asked", fetch(max_wait_ms=10_000), 11)
    waiter = kafka.begin("woken by a produce", fetch(at_end, max_wait_ms=10_000), 11, on="waiter")
    kafka.send("the produce", produce(topic, batch("new")), 9)
    kafka.finish(waiter)
    waiter = kafka.begin(
        "woken when there is enough",
        fetch(fetch_part(topic, 7), max_wait_ms=10_000, min_bytes=100),
        11,
        on="waiter",
    )
    kafka.send("too little", produce(topic, batch("s")), 9)
    kafka.send("enough", produce(topic, batch("l" * 50)), 9)
    kafka.finish(waiter)


def leader_epochs(kafka: Player) -> None:
    """A wrong leader epoch is fenced or unknown (KIP-320); a diverging one says where (KIP-595)."""
    topic = "fetch-epochs"
    topic_id = _filled(kafka, topic)
    for version, name in ((9, topic), (12, topic), (16, topic_id)):
        for title, epoch in (("current", 0), ("newer", 1), ("far newer", 100), ("negative", -2)):
            kafka.send(
                f"{title}, version {version}",
                fetch(fetch_part(name, 6, leader_epoch=epoch)),
                version,
            )
    for title, epoch in (("the same", 0), ("newer", 5), ("negative", -2)):
        kafka.send(
            f"last fetched epoch {title}",
            fetch(fetch_part(topic, 2, leader_epoch=0, last_fetched_epoch=epoch)),
            12,
        )


def isolation(kafka: Player) -> None:
    """read_committed lists aborted transactions, of which there are none."""
    topic = "fetch-isolation"
    _filled(kafka, topic)
    for level in (0, 1):
        for version in (4, 11, 12):
            kafka.send(
                f"level {level}, version {version}",
                fetch(fetch_part(topic, 4), isolation_level=level),
                version,
            )
    kafka.send("level 1, at the end", fetch(fetch_part(topic, 6), isolation_level=1), 11)
    kafka.send("level 1, out of range", fetch(fetch_part(topic, 9), isolation_level=1), 11)
    kafka.send("level 2", fetch(fetch_part(topic, 4), isolation_level=2), 11)


def names(kafka: Player) -> None:
    """Unknown and impossible names and ids."""
    for title, name in (
        ("unknown", "fetch-never-made"),
        ("empty", ""),
        ("a dot", "."),
        ("a slash", "a/b"),
    ):
        kafka.send(title, fetch(fetch_part(name, 0)), 11)
    kafka.send("a negative partition", fetch(fetch_part("fetch-never-made", 0, partition=-1)), 11)
    for version in (13, 17):
        kafka.send(f"unknown id, version {version}", fetch(fetch_part(UNKNOWN_ID, 0)), version)
        kafka.send(f"id zero, version {version}", fetch(fetch_part(bytes(16), 0)), version)


def together(kafka: Player) -> None:
    """Several partitions: good ones, errors, and one asked for twice."""
    topic_id = _filled(kafka, "fetch-together", count=1, partitions=3)
    kafka.setup_topic("fetch-together-too")
    for version, name, other in (
        (11, "fetch-together", "fetch-together-too"),
        (13, topic_id, UNKNOWN_ID),
    ):
        request = fetch(
            fetch_part(name, 0, partition=1), fetch_part(name, 5, partition=2), fetch_part(other, 0)
        )
        request.topics[0].partitions += fetch_part(name, 0, partition=0).partitions
        kafka.send(f"version {version}", request, version)
    twice = fetch(fetch_part("fetch-together", 0), fetch_part("fetch-together", 2))
    kafka.send("a partition twice", twice, 11)


def followers(kafka: Player) -> None:
    """Nobody but a replica of the partition may fetch as one."""
    topic = "fetch-followers"
    topic_id = _filled(kafka, topic, count=1)
    kafka.send("replica 77", fetch(fetch_part(topic, 0), replica_id=77), 11)
    kafka.send("the debugging replica", fetch(fetch_part(topic, 0), replica_id=-2), 11)
    request = fetch(fetch_part(topic_id, 0))
    request.replica_state = ReplicaState(replica_id=77, replica_epoch=1)
    kafka.send("replica 77 with its epoch", request, 15)
    kafka.send("nothing came of it", list_offsets(topic, -1), 7)


SCENARIOS = {
    "fetch/versions": versions,
    "fetch/refused_versions": refused_versions,
    "fetch/offsets": offsets,
    "fetch/byte_limits": byte_limits,
    "fetch/waiting": waiting,
    "fetch/leader_epochs": leader_epochs,
    "fetch/isolation": isolation,
    "fetch/names": names,
    "fetch/together": together,
    "fetch/followers": followers,
}
