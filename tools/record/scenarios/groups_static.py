"""Static members (KIP-345): who has an instance id may come back without a rebalance."""

from tools.record.group_requests import (
    Member,
    admit,
    describe,
    heartbeat,
    join,
    leave_many,
    share_out,
    stable_group,
    subscription,
    sync,
    wait_for_state,
)
from tools.record.player import Player
from tools.record.requests import commit_part, offset_commit
from wire.messages.join_group import JoinGroupResponse


def versions(kafka: Player) -> None:
    """Every version that has instance ids; alone in its group, and back with the same protocols."""
    kafka.setup_offsets_topic()
    for version in (5, 6, 7, 8, 9):
        group = f"static-{version}"
        member = Member(kafka, group, f"v{version}", version=version, instance="i")
        member.join("joins")
        member.sync("syncs", member)
        member.heartbeat("beats")
        old = member.member_id
        member.member_id = ""
        member.join("comes back without its id")
        beat = heartbeat(group, old, member.generation, instance="i")
        kafka.send(f"v{version} beats with the old id", beat, 4)
        member.heartbeat("beats with the new id")
        member.sync("syncs with the new id")
        kafka.send(f"v{version} described", describe(group), 5)
        member.leave("leaves by its instance")


def replaced(kafka: Player) -> None:
    """A follower and a leader are replaced in a stable group; whoever they were is fenced."""
    kafka.setup_offsets_topic()
    group = "replaced"
    kafka.setup_topic("replaced-topic")
    part = commit_part("replaced-topic", 5)
    leader = Member(kafka, group, "a", instance="one")
    other = Member(kafka, group, "b", instance="two")
    stable_group(leader, other)
    old = other.member_id
    other.member_id = ""
    other.join("comes back: no rebalance")
    leader.heartbeat("beats as if nothing had happened")
    generation = other.generation
    for title, request, version in (
        ("beats", heartbeat(group, old, generation, instance="two"), 4),
        ("syncs", sync(group, old, generation, instance="two"), 5),
        ("joins", join(group, member=old, instance="two"), 9),
        ("leaves", leave_many(group, (old, "two")), 5),
        (
            "commits",
            offset_commit(group, part, generation=generation, member=old, instance="two"),
            9,
        ),
        ("beats without its instance", heartbeat(group, old, generation), 4),
        ("joins without its instance", join(group, member=old), 9),
    ):
        kafka.send(f"the replaced one {title}", request, version)
    other.sync("syncs with the new id")
    other.commit("commits", part)
    leader.member_id = ""
    answer = leader.join("comes back, a leader still: KIP-814")
    leader.sync("syncs with nothing to give")
    other.heartbeat("beats: the leader is another")
    kafka.send("described in the end", describe(group), 5)
    assert answer.members


def replaced_old_leader(kafka: Player) -> None:
    """A leader of a version without skip_assignment comes back: it is told of another leader."""
    kafka.setup_offsets_topic()
    for version in (5, 8):
        group = f"old-leader-{version}"
        leader = Member(kafka, group, f"a{version}", version=version, instance="one")
        other = Member(kafka, group, f"b{version}", version=version, instance="two")
        stable_group(leader, other)
        leader.member_id = ""
        leader.join("comes back")
        leader.sync("syncs")
        other.heartbeat("beats")


def other_protocols(kafka: Player) -> None:
    """A static member that comes back with other metadata: a rebalance where that matters."""
    kafka.setup_offsets_topic()
    group = "static-protocols"
    leader = Member(kafka, group, "a", instance="one")
    other = Member(kafka, group, "b", instance="two")
    stable_group(leader, other)
    other.member_id = ""
    other.protocols = (("range", subscription("other")),)
    other.join("comes back with other topics: the protocol is the same")
    leader.heartbeat("beats: nothing has happened")
    kafka.send("described with other topics", describe(group), 5)
    other.protocols = (("range", subscription()), ("sticky", subscription()))
    other.member_id = ""
    other.join("comes back with one protocol more")
    leader.protocols = (("sticky", subscription()), ("range", subscription()))
    leader.member_id = ""
    again = leader.begin_join("comes back with another first protocol, and waits")
    wait_for_state(kafka, group, "PreparingRebalance")
    other.heartbeat("beats: a rebalance")
    other.join("joins, which answers both")
    leader.finish_join(again)
    kafka.send("described in the end", describe(group), 5)
    alien = join(group, instance="two", protocols=(("cooperative", subscription()),))
    kafka.send("comes back with nothing in common", alien, 9)


def same_id_twice(kafka: Player) -> None:
    """Two processes with one instance id: the later one wins, the earlier one is fenced."""
    kafka.setup_offsets_topic()
    group = "same-id"
    others = Member(kafka, group, "a")
    stable_group(others)
    first = kafka.begin("the first joins, and waits", join(group, instance="i"), 9, on="first")
    wait_for_state(kafka, group, "PreparingRebalance", members=2)
    second = kafka.begin("the second joins", join(group, instance="i"), 9, on="second")
    kafka.finish(first)
    others.join("joins, which answers the second")
    answer = kafka.finish(second)
    assert isinstance(answer, JoinGroupResponse)
    kafka.send("described with one of them", describe(group), 5)
    third = join(group, instance="i")
    pending = kafka.begin("a third joins before the sync", third, 9, on="third")
    wait_for_state(kafka, group, "PreparingRebalance")
    beat = heartbeat(group, answer.member_id, answer.generation_id, instance="i")
    kafka.send("the second beats", beat, 4)
    others.join("joins again")
    kafka.finish(pending)


def leaves(kafka: Player) -> None:
    """Static members leave by their instance, by their id, by both; several at once."""
    kafka.setup_offsets_topic()
    group = "static-leaves"
    members = [Member(kafka, group, name, instance=f"i{name}") for name in "abc"]
    stable_group(*members)
    a, b, c = members
    request = leave_many(group, ("nobody", "ia"), (b.member_id, "ia"), ("", "unknown"))
    kafka.send("by wrong ids", request, 5)
    request = leave_many(group, ("", "ia"), (b.member_id, "ib"))
    kafka.send("by instance, and by both", request, 5)
    kafka.send("described with one left", describe(group), 5)
    c.heartbeat("beats")
    c.join("joins alone")
    kafka.send("by its id alone", leave_many(group, (c.member_id, None)), 5)
    kafka.send("described with nobody left", describe(group), 5)
    a.heartbeat("beats, having left")
    a.join("joins with the id it had")
    a.member_id = ""
    a.join("joins anew")


def mixed(kafka: Player) -> None:
    """Static and dynamic members in one group, and requests that mix the two up."""
    kafka.setup_offsets_topic()
    group = "mixed"
    kafka.setup_topic("mixed-topic")
    part = commit_part("mixed-topic", 5)
    static = Member(kafka, group, "s", instance="i")
    dynamic = Member(kafka, group, "d")
    stable_group(static, dynamic)
    generation = static.generation
    for title, member, instance in (
        ("the static one's id without its instance", static.member_id, None),
        ("the dynamic one with the static one's instance", dynamic.member_id, "i"),
        ("the dynamic one with an unknown instance", dynamic.member_id, "unknown"),
        ("the static one with an unknown instance", static.member_id, "unknown"),
        ("nobody with the static one's instance", "nobody", "i"),
        ("an empty id with the static one's instance", "", "i"),
    ):
        beat = heartbeat(group, member, generation, instance=instance)
        kafka.send(f"{title} beats", beat, 4)
        request = sync(group, member, generation, instance=instance)
        kafka.send(f"{title} syncs", request, 5)
        commit = offset_commit(group, part, generation=generation, member=member, instance=instance)
        kafka.send(f"{title} commits", commit, 9)
    for title, member in (("nobody", "nobody"), ("the dynamic one", dynamic.member_id)):
        request = join(group, member=member, instance="i")
        kafka.send(f"{title} joins with the static one's instance", request, 9)
    static.heartbeat("beats in peace")


def during(kafka: Player) -> None:
    """A static member is replaced while others are waited for, and before the sync."""
    kafka.setup_offsets_topic()
    group = "static-during"
    static = Member(kafka, group, "s", instance="i")
    other = Member(kafka, group, "o")
    stable_group(static)
    pending = other.begin_join("joins, and waits")
    wait_for_state(kafka, group, "PreparingRebalance")
    static.member_id = ""
    static.join("comes back, which answers both")
    other.finish_join(pending)
    share_out(static, other, title="syncs")
    admit(other, static) if other.leader == other.member_id else admit(static, other)
    static.member_id = ""
    again = static.begin_join("comes back before the sync")
    wait_for_state(kafka, group, "PreparingRebalance")
    other.heartbeat("beats")
    other.join("joins again")
    static.finish_join(again)
    share_out(static, other, title="syncs again")


SCENARIOS = {
    "groups_static/versions": versions,
    "groups_static/replaced": replaced,
    "groups_static/replaced_old_leader": replaced_old_leader,
    "groups_static/other_protocols": other_protocols,
    "groups_static/same_id_twice": same_id_twice,
    "groups_static/leaves": leaves,
    "groups_static/mixed": mixed,
    "groups_static/during": during,
}
