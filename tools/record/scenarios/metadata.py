"""Metadata: brokers and topics, by name and by id, and topics made at the first question."""

from tools.record.player import Player
from tools.record.requests import metadata
from wire.messages.metadata import MetadataRequest

UNKNOWN_ID = bytes(range(16))


def versions(kafka: Player) -> None:
    """Every version describes a topic, and says that another is not there."""
    kafka.setup_topic("metadata-versions", partitions=3)
    for version in MetadataRequest.VERSIONS:
        kafka.send(f"version {version}", metadata("metadata-versions"), version)
    for version in MetadataRequest.VERSIONS:
        # Before version 4 a question makes the topic, so those ask for names that cannot be.
        name = "metadata-nowhere" if version >= 4 else "not/a/name"
        kafka.send(f"version {version}, not there", metadata(name), version)


def all_and_none(kafka: Player) -> None:
    """Null is all topics and empty is none; in version 0 empty is all."""
    kafka.setup_topic("metadata-all")
    kafka.setup_offsets_topic()
    kafka.only_topics("metadata-all", "__consumer_offsets")
    kafka.send("version 0, empty", metadata(), 0)
    for version in (1, 4, 9, 10, 12, 13):
        kafka.send(f"version {version}, empty", metadata(), version)
        kafka.send(f"version {version}, null", metadata(all_topics=True), version)


def by_id(kafka: Player) -> None:
    """From version 12 on a topic may be asked for by its id (KIP-516)."""
    topic_id = kafka.setup_topic("metadata-by-id")
    for version in (10, 11, 12, 13):
        for title, which in (("known", topic_id), ("unknown", UNKNOWN_ID), ("zero", bytes(16))):
            kafka.send(f"version {version}, {title}", metadata(which), version)
    both = metadata(topic_id, UNKNOWN_ID, UNKNOWN_ID[::-1])
    kafka.send("three ids", both, 12)
    kafka.send("an id and a name", metadata(topic_id, "metadata-by-id"), 12)
    request = metadata("metadata-by-id")
    assert request.topics is not None
    request.topics[0].topic_id = UNKNOWN_ID
    kafka.send("a name with an unknown id", request, 12)
    request.topics[0].topic_id = topic_id
    kafka.send("a name with its id", request, 12)


def names(kafka: Player) -> None:
    """Names that cannot be, with and without leave to create."""
    for auto_create in (False, True):
        word = "may be created" if auto_create else "not created"
        for title, name in (
            ("empty", ""),
            ("a dot", "."),
            ("two dots", ".."),
            ("a slash", "a/b"),
            ("a space", "a b"),
            ("not ASCII", "tópico"),
            ("250 characters", "x" * 250),
        ):
            kafka.send(f"{title}, {word}", metadata(name, auto_create=auto_create), 9)
    kafka.send("a topic twice", metadata("metadata-twice", "metadata-twice"), 9)
    kafka.send("null", metadata(None), 12)
    kafka.send("null, version 10", metadata(None), 10)


def auto_create(kafka: Player) -> None:
    """A question makes the topic: always before version 4, on demand since (KIP-361)."""
    kafka.send("not wanted", metadata("auto-not-wanted"), 4)
    kafka.send("so it is not there", metadata("auto-not-wanted"), 4)
    for version in (0, 1, 3):
        name = f"auto-{version}"
        kafka.send(f"version {version}", metadata(name), version)
        kafka.send(f"version {version}, then", metadata(name), version, settled=True)
    for version in (4, 9, 12, 13):
        name = f"auto-{version}"
        kafka.send(f"version {version}", metadata(name, auto_create=True), version)
        kafka.send(f"version {version}, then", metadata(name), version, settled=True)
    kafka.send("250 characters", metadata("x" * 250, auto_create=True), 9)
    kafka.send("the longest name", metadata("y" * 249, auto_create=True), 9)
    kafka.send("it is there", metadata("y" * 249), 9, settled=True)
    kafka.setup_topic("auto.collides")
    kafka.send("a colliding name", metadata("auto_collides", auto_create=True), 9)
    two = metadata("auto-two-a", "auto-two-b", "a/b", auto_create=True)
    kafka.send("several", two, 9)
    kafka.send("several, then", metadata("auto-two-a", "auto-two-b"), 9, settled=True)


def authorized_operations(kafka: Player) -> None:
    """Operations allowed are told where they are asked for (KIP-430); all, without ACLs."""
    kafka.setup_topic("metadata-operations")
    for version in (8, 10, 11, 13):
        request = metadata("metadata-operations")
        request.include_cluster_authorized_operations = True
        request.include_topic_authorized_operations = True
        kafka.send(f"version {version}", request, version)


SCENARIOS = {
    "metadata/versions": versions,
    "metadata/all_and_none": all_and_none,
    "metadata/by_id": by_id,
    "metadata/names": names,
    "metadata/auto_create": auto_create,
    "metadata/authorized_operations": authorized_operations,
}
