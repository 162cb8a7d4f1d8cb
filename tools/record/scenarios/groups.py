"""FindCoordinator, OffsetCommit and OffsetFetch, as consumers that assign themselves use them."""

from tools.record.player import Player
from tools.record.requests import (
    commit_part,
    delete_topics,
    fetch_group,
    offset_commit,
    offset_fetch,
)
from wire.messages.find_coordinator import FindCoordinatorRequest
from wire.messages.offset_commit import OffsetCommitRequest
from wire.messages.offset_fetch import OffsetFetchRequest

UNKNOWN_ID = bytes(range(16))
GROUP, TRANSACTION, SHARE = range(3)


def find_versions(kafka: Player) -> None:
    """Every version names the coordinator of a group."""
    for version in FindCoordinatorRequest.VERSIONS:
        keys = ["a-group", "b-group"] if version >= 4 else []
        request = FindCoordinatorRequest(key="a-group", coordinator_keys=keys)
        kafka.send(f"version {version}", request, version)


def find_refused(kafka: Player) -> None:
    """Key types that are none, empty keys, no keys."""
    for version in (1, 2, 3, 4, 5, 6):
        for title, key, key_type in (
            ("type 7", "a-group", 7),
            ("type -1", "a-group", -1),
            ("type 2", "a-group", SHARE),
            ("an empty key", "", GROUP),
        ):
            keys = [key, "b-group"] if version >= 4 else []
            request = FindCoordinatorRequest(key=key, key_type=key_type, coordinator_keys=keys)
            kafka.send(f"{title}, version {version}", request, version)
    kafka.send("an empty key, version 0", FindCoordinatorRequest(key=""), 0)
    kafka.send("no keys", FindCoordinatorRequest(coordinator_keys=[]), 4)
    kafka.send("a key twice", FindCoordinatorRequest(coordinator_keys=["a-group"] * 2), 4)


def find_transaction(kafka: Player) -> None:
    """The coordinator of a transactional id."""
    for version in (1, 3, 4):
        keys = ["an-id"] if version >= 4 else []
        request = FindCoordinatorRequest(key="an-id", key_type=TRANSACTION, coordinator_keys=keys)
        kafka.send(f"version {version}", request, version)


def versions(kafka: Player) -> None:
    """Every version commits, and every version reads it back."""
    kafka.setup_offsets_topic()
    topic_id = kafka.setup_topic("group-versions")
    for version in OffsetCommitRequest.VERSIONS:
        name = topic_id if version >= 10 else "group-versions"
        part = commit_part(name, 100 + version, leader_epoch=0, metadata=f"v{version}")
        kafka.send(f"commit {version}", offset_commit("versions", part), version)
    for version in OffsetFetchRequest.VERSIONS:
        asked = {topic_id: [0]} if version >= 10 else {"group-versions": [0]}
        kafka.send(f"fetch {version}", offset_fetch("versions", asked, version=version), version)
        kafka.send(
            f"fetch {version}, unknown group",
            offset_fetch("versions-nobody", asked, version=version),
            version,
        )
        if version >= 2:
            kafka.send(
                f"fetch {version}, all", offset_fetch("versions", None, version=version), version
            )
            kafka.send(
                f"fetch {version}, all of an unknown group",
                offset_fetch("versions-nobody", None, version=version),
                version,
            )


def commit_values(kafka: Player) -> None:
    """Offsets, epochs and metadata come back as they went; metadata has a largest size."""
    kafka.setup_offsets_topic()
    topic = "group-values"
    kafka.setup_topic(topic, partitions=2)
    for title, offset, epoch, metadata in (
        ("null metadata", 1, -1, None),
        ("empty metadata", 2, -1, ""),
        ("metadata not ASCII", 3, -1, "größe"),
        ("a leader epoch", 4, 7, "m"),
        ("offset 0", 0, -1, ""),
        ("the largest offset", 2**63 - 1, -1, ""),
        ("4096 characters", 5, -1, "x" * 4096),
        ("4097 characters", 6, -1, "x" * 4097),
        ("2048 characters of two units", 5, -1, "\U0001f600" * 2048),
        ("2049 characters of two units", 6, -1, "\U0001f600" * 2049),
        ("offset -1", -1, -1, ""),
        ("offset -2", -2, -1, ""),
        ("epoch -2", 8, -2, ""),
        ("an offset past the end of the log", 999, -1, ""),
    ):
        part = commit_part(topic, offset, leader_epoch=epoch, metadata=metadata)
        kafka.send(f"commit {title}", offset_commit("values", part), 8)
        kafka.send(f"read {title}", offset_fetch("values", {topic: [0, 1]}, version=8), 8)


def commit_refused(kafka: Player) -> None:
    """Unknown partitions, groups that cannot be, and members of a group that has none."""
    kafka.setup_offsets_topic()
    topic = "group-refused"
    topic_id = kafka.setup_topic(topic)
    good = commit_part(topic, 5)
    for version in (2, 5, 8, 9):
        for title, parts in (
            ("unknown topic", [commit_part("group-nowhere", 5)]),
            ("unknown partition", [commit_part(topic, 5, partition=9)]),
            ("negative partition", [commit_part(topic, 5, partition=-1)]),
            ("good and bad", [good, commit_part("group-nowhere", 5)]),
            ("nothing", []),
        ):
            kafka.send(f"{title}, version {version}", offset_commit("refused", *parts), version)
        for title, request in (
            ("an empty group", offset_commit("", good)),
            ("a member of a simple group", offset_commit("refused", good, member="m")),
            ("a generation", offset_commit("refused", good, generation=1, member="m")),
            ("a generation, new group", offset_commit("refused-new", good, generation=1)),
            ("generation -2", offset_commit("refused", good, generation=-2)),
        ):
            kafka.send(f"{title}, version {version}", request, version)
    instance = offset_commit("refused", good, instance="i")
    kafka.send("an instance of a simple group", instance, 7)
    for title, part in (("unknown id", UNKNOWN_ID), ("id zero", bytes(16))):
        request = offset_commit("refused", commit_part(part, 5), commit_part(topic_id, 6))
        kafka.send(title, request, 10)
    kafka.setup_send(offset_commit("twice", good), 8)
    twice = offset_commit("twice", commit_part(topic, 7), commit_part(topic, 8))
    kafka.send("a partition twice", twice, 8)
    kafka.send("a partition twice: read", offset_fetch("twice", {topic: [0, 0]}, version=8), 8)
    old = offset_commit("old", good)
    old.retention_time_ms = 1
    kafka.send("a retention time", old, 4)
    kafka.send("a retention time: read", offset_fetch("old", {topic: [0]}, version=8), 8)
    unknown = offset_commit("refused", commit_part(topic_id, 5, partition=9))
    kafka.send("unknown partition, version 10", unknown, 10)


def fetch_asked(kafka: Player) -> None:
    """What was never committed, several groups at once, all topics, stable offsets only."""
    kafka.setup_offsets_topic()
    topic, other = "group-asked", "group-asked-too"
    topic_id = kafka.setup_topic(topic, partitions=2)
    kafka.setup_topic(other)
    kafka.setup_send(offset_commit("asked-a", commit_part(topic, 1, metadata="m")), 8)
    kafka.setup_send(offset_commit("asked-a", commit_part(other, 2, leader_epoch=0)), 8)
    kafka.setup_send(offset_commit("asked-b", commit_part(topic, 3, partition=1)), 8)
    for version in (1, 5, 7, 8, 9):
        asked = {topic: [0, 1, 9], "group-nowhere": [0]}
        kafka.send(f"version {version}", offset_fetch("asked-a", asked, version=version), version)
        kafka.send(
            f"nothing, version {version}", offset_fetch("asked-a", {}, version=version), version
        )
        kafka.send(
            f"an empty group, version {version}",
            offset_fetch("", {topic: [0]}, version=version),
            version,
        )
    stable = offset_fetch("asked-a", {topic: [0, 1]}, version=7, require_stable=True)
    kafka.send("stable", stable, 7)
    stable = offset_fetch("asked-a", None, version=8, require_stable=True)
    kafka.send("all, stable", stable, 8)
    groups = OffsetFetchRequest(
        groups=[
            fetch_group("asked-a", None),
            fetch_group("asked-b", {topic: [1]}),
            fetch_group("asked-nobody", {topic: [0]}),
            fetch_group("asked-nobody-too", None),
            fetch_group("", {topic: [0]}),
        ]
    )
    kafka.send("several groups", groups, 8)
    kafka.send("no groups", OffsetFetchRequest(groups=[]), 8)
    by_id: tuple[tuple[str, dict[bytes, list[int]] | None], ...] = (
        ("by id", {topic_id: [0, 1]}),
        ("unknown id", {UNKNOWN_ID: [0]}),
        ("id zero", {bytes(16): [0]}),
        ("all by id", None),
    )
    for title, ids in by_id:
        kafka.send(title, offset_fetch("asked-a", ids, version=10), 10)
    for title, member, epoch in (
        ("a member", "m", 1),
        ("a member without an epoch", "m", -1),
        ("an epoch without a member", None, 1),
    ):
        request = OffsetFetchRequest(
            groups=[fetch_group("asked-a", None, member=member, member_epoch=epoch)]
        )
        kafka.send(title, request, 9)


def deleted_topic(kafka: Player) -> None:
    """Offsets leave with their topic."""
    kafka.setup_offsets_topic()
    topic = "group-deleted"
    kafka.setup_topic(topic)
    kafka.send("commit", offset_commit("deleted", commit_part(topic, 5)), 8)
    kafka.setup_send(delete_topics(topic, version=5), 5)
    kafka.setup_gone(topic)
    kafka.send("commit again", offset_commit("deleted", commit_part(topic, 6)), 8)
    asked = offset_fetch("deleted", {topic: [0]}, version=8)
    kafka.setup_until(asked, 8, lambda answer: "committed_offset: -1" in answer)
    kafka.send("read", asked, 8)
    kafka.send("read all", offset_fetch("deleted", None, version=8), 8)
    topic_id = kafka.setup_topic(topic)
    kafka.send("made again: read", asked, 8)
    kafka.send("made again: commit", offset_commit("deleted", commit_part(topic_id, 7)), 10)
    kafka.send("made again: read then", asked, 8)


SCENARIOS = {
    "find_coordinator/versions": find_versions,
    "find_coordinator/refused": find_refused,
    "find_coordinator/transaction": find_transaction,
    "offsets/versions": versions,
    "offsets/commit_values": commit_values,
    "offsets/commit_refused": commit_refused,
    "offsets/fetch_asked": fetch_asked,
    "offsets/deleted_topic": deleted_topic,
}
