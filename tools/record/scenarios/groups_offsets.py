"""Offsets of groups that have members: who may commit, read and delete them."""

from tools.record.group_requests import (
    Member,
    describe,
    member_of,
    offset_delete,
    stable_group,
    subscription,
)
from tools.record.player import Player
from tools.record.requests import commit_part, fetch_group, offset_commit, offset_fetch
from wire.messages.offset_commit import OffsetCommitRequest
from wire.messages.offset_fetch import OffsetFetchRequest


def commit_versions(kafka: Player) -> None:
    """Every version, by a member, by strangers, in wrong generations."""
    kafka.setup_offsets_topic()
    topic = "member-commits"
    topic_id = kafka.setup_topic(topic)
    member = member_of(kafka, "commits")
    for version in OffsetCommitRequest.VERSIONS:
        part = commit_part(topic_id if version >= 10 else topic, 100 + version)
        for title, group, who, generation in (
            ("a member", "commits", member.member_id, 1),
            ("an old generation", "commits", member.member_id, 0),
            ("a new generation", "commits", member.member_id, 2),
            ("no generation", "commits", member.member_id, -1),
            ("nobody", "commits", "nobody", 1),
            ("no member id", "commits", "", 1),
            ("neither", "commits", "", -1),
            ("a member of an unknown group", "commits-not", member.member_id, 1),
        ):
            request = offset_commit(group, part, generation=generation, member=who)
            kafka.send(f"{title}, version {version}", request, version)
    kafka.send("what was committed", offset_fetch("commits", None, version=8), 8)
    member.leave()
    part = commit_part(topic, 7)
    for title, who, generation in (
        ("a member that has left", member.member_id, 1),
        ("its next generation", member.member_id, 2),
        ("nobody in an empty group", "", -1),
    ):
        request = offset_commit("commits", part, generation=generation, member=who)
        kafka.send(title, request, 9)
    kafka.send("what is committed in the end", offset_fetch("commits", None, version=8), 8)


def commit_static(kafka: Player) -> None:
    """Commits of a static member: by its instance, by a wrong one, fenced."""
    kafka.setup_offsets_topic()
    topic = "static-commits"
    kafka.setup_topic(topic)
    part = commit_part(topic, 5)
    group = "commits-static"
    member = Member(kafka, group, "a", instance="i")
    stable_group(member)
    for version in (7, 8, 9):
        for title, who, generation, instance in (
            ("a member", member.member_id, 1, "i"),
            ("without its instance", member.member_id, 1, None),
            ("an unknown instance", member.member_id, 1, "j"),
            ("a fenced id", "another", 1, "i"),
            ("an empty id", "", 1, "i"),
            ("an old generation", member.member_id, 0, "i"),
            ("no generation", member.member_id, -1, "i"),
            ("an instance alone", "", -1, "i"),
        ):
            request = offset_commit(
                group, part, generation=generation, member=who, instance=instance
            )
            kafka.send(f"{title}, version {version}", request, version)


def fetch(kafka: Player) -> None:
    """Reading needs no membership; from version 9 on a member may name itself (KIP-848)."""
    kafka.setup_offsets_topic()
    topic = "member-fetches"
    topic_id = kafka.setup_topic(topic)
    member = member_of(kafka, "fetches")
    member.commit("", commit_part(topic, 5, metadata="m"))
    for version in (1, 2, 5, 7, 8, 9, 10):
        asked = {topic_id: [0]} if version >= 10 else {topic: [0]}
        kafka.send(
            f"anybody, version {version}", offset_fetch("fetches", asked, version=version), version
        )
    for version in (9, 10):
        for title, who, epoch in (
            ("a member", member.member_id, 1),
            ("an old generation", member.member_id, 0),
            ("a new generation", member.member_id, 2),
            ("no generation", member.member_id, -1),
            ("nobody", "nobody", 1),
            ("an empty id", "", 1),
            ("a generation alone", None, 1),
        ):
            groups = [fetch_group("fetches", None, member=who, member_epoch=epoch)]
            kafka.send(f"{title}, version {version}", OffsetFetchRequest(groups=groups), version)
    groups = [
        fetch_group("fetches", {topic: [0]}, member=member.member_id, member_epoch=1),
        fetch_group("fetches-not", {topic: [0]}, member=member.member_id, member_epoch=1),
        fetch_group("fetches", None),
    ]
    kafka.send("batched, a group twice", OffsetFetchRequest(groups=groups), 9)


def delete_subscribed(kafka: Player) -> None:
    """Offsets of topics that a consumer's members subscribe to are not deleted."""
    kafka.setup_offsets_topic()
    for topic in ("delete-mine", "delete-other"):
        kafka.setup_topic(topic, partitions=2)
    group = "deletes"
    member = Member(kafka, group, "a", protocols=(("range", subscription("delete-mine")),))
    stable_group(member)
    for topic in ("delete-mine", "delete-other"):
        for partition in (0, 1):
            member.commit("", commit_part(topic, 5, partition=partition))
    kafka.send("subscribed", offset_delete(group, delete_mine=[0]), 0)
    kafka.send("not subscribed", offset_delete(group, delete_other=[0]), 0)
    kafka.send("both", offset_delete(group, delete_mine=[0, 1], delete_other=[0, 1]), 0)
    kafka.send("what is left", offset_fetch(group, None, version=8), 8)
    kafka.send("an unknown topic", offset_delete(group, delete_nowhere=[0]), 0)
    kafka.send("an unknown partition", offset_delete(group, delete_other=[9]), 0)
    kafka.send("an unknown partition, subscribed", offset_delete(group, delete_mine=[9]), 0)
    member.leave()
    kafka.send("subscribed by nobody", offset_delete(group, delete_mine=[0]), 0)
    kafka.send("again", offset_delete(group, delete_mine=[0]), 0)
    kafka.send("what is left then", offset_fetch(group, None, version=8), 8)
    kafka.send("the last", offset_delete(group, delete_mine=[1]), 0)
    kafka.send("a group without offsets", describe(group), 6)


def delete_simple(kafka: Player) -> None:
    """Groups without members, groups that are none, and nothing to delete."""
    kafka.setup_offsets_topic()
    kafka.setup_topic("simple-mine", partitions=3)
    parts = [commit_part("simple-mine", 5, partition=partition) for partition in range(3)]
    kafka.setup_send(offset_commit("deletes-simple", *parts), 8)
    kafka.send("an unknown group", offset_delete("deletes-not", simple_mine=[0]), 0)
    kafka.send("an empty group id", offset_delete("", simple_mine=[0]), 0)
    kafka.send("nothing", offset_delete("deletes-simple"), 0)
    kafka.send("no partitions", offset_delete("deletes-simple", simple_mine=[]), 0)
    kafka.send("one", offset_delete("deletes-simple", simple_mine=[0]), 0)
    kafka.send("one twice", offset_delete("deletes-simple", simple_mine=[1, 1]), 0)
    kafka.send("a negative one", offset_delete("deletes-simple", simple_mine=[-1]), 0)
    kafka.send("what is left", offset_fetch("deletes-simple", None, version=8), 8)
    kafka.send("the last", offset_delete("deletes-simple", simple_mine=[2]), 0)
    kafka.send("the group after that", describe("deletes-simple"), 6)
    kafka.send("from what is left", offset_delete("deletes-simple", simple_mine=[2]), 0)


def delete_protocols(kafka: Player) -> None:
    """Members of other types than consumers, and metadata that names no topics."""
    kafka.setup_offsets_topic()
    kafka.setup_topic("types-mine")
    for title, metadata in (
        ("empty metadata", b""),
        ("cooperative", subscription("types-mine", version=1)),
        ("no topics", subscription()),
    ):
        group = f"deletes-{title.replace(' ', '-')}"
        member = Member(kafka, group, "a", protocols=(("range", metadata),))
        stable_group(member)
        member.commit("", commit_part("types-mine", 5))
        kafka.send(title, offset_delete(group, types_mine=[0]), 0)
        kafka.send(f"{title}: what is left", offset_fetch(group, None, version=8), 8)
        member.leave()


SCENARIOS = {
    "groups_offsets/commit_versions": commit_versions,
    "groups_offsets/commit_static": commit_static,
    "groups_offsets/fetch": fetch,
    "groups_offsets/delete_subscribed": delete_subscribed,
    "groups_offsets/delete_simple": delete_simple,
    "groups_offsets/delete_protocols": delete_protocols,
}
