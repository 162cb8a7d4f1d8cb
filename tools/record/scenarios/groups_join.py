"""JoinGroup of classic groups: every version, and what is refused."""

from tools.record.group_requests import (
    LONG_MS,
    Member,
    admit,
    describe,
    heartbeat,
    join,
    leave,
    member_of,
    rejoin,
    share_out,
    stable_group,
    subscription,
    sync,
    wait_for_state,
)
from tools.record.player import Player
from wire.messages.join_group import JoinGroupRequest, JoinGroupResponse

UNKNOWN = "recorder-00000000-0000-0000-0000-000000000000"


def versions(kafka: Player) -> None:
    """Every version alone in its group: an id, a join, a sync, a heartbeat, a leave."""
    kafka.setup_offsets_topic()
    for version in JoinGroupRequest.VERSIONS:
        member = Member(kafka, f"join-{version}", f"v{version}", version=version)
        if version >= 4:
            member.take_id("asks for an id")
        member.join("joins")
        member.sync("syncs", member)
        member.heartbeat("beats")
        member.join("joins again")
        member.sync("syncs again", member)
        member.leave("leaves")
        member.heartbeat("beats after that")


def member_id(kafka: Player) -> None:
    """KIP-394: from version 4 on a member is given an id before it joins."""
    kafka.setup_offsets_topic()
    group = "join-id"
    first = kafka.send("nobody asks", join(group), 9)
    second = kafka.send("nobody asks again", join(group), 9)
    assert isinstance(first, JoinGroupResponse)
    assert isinstance(second, JoinGroupResponse)
    kafka.send("described", describe(group), 5)
    kafka.send("beats before it joins", heartbeat(group, first.member_id, -1), 4)
    kafka.send("syncs before it joins", sync(group, first.member_id, -1), 5)
    kafka.send("leaves before it joins", leave(group, first.member_id), 2)
    kafka.send("joins, having left", join(group, member=first.member_id), 9)
    kafka.send("joins", join(group, member=second.member_id), 9)
    kafka.send("an id of nobody", join(group, member=UNKNOWN), 9)
    kafka.send("an id of nobody, in a group of nobody", join("join-id-new", member=UNKNOWN), 9)
    kafka.send("an id of one's own making", join("join-id-new", member="me"), 3)
    kafka.send("described as well", describe("join-id-new"), 5)
    old = kafka.send("version 3 needs none", join("join-id-old"), 3)
    assert isinstance(old, JoinGroupResponse)
    kafka.send("version 3's id in version 9", join("join-id-old", member=old.member_id), 9)
    static = join("join-id-static", instance="i")
    kafka.send("a static member needs none", static, 5)


def refused(kafka: Player) -> None:
    """Groups, times and protocols that cannot be."""
    kafka.setup_offsets_topic()
    for version in (0, 3, 4, 5, 9):
        for title, request in (
            ("an empty group", join("")),
            ("a session too short", join("join-refused", session_timeout_ms=1)),
            ("a session too long", join("join-refused", session_timeout_ms=1_800_001)),
            ("session 0", join("join-refused", session_timeout_ms=0)),
            ("session -1", join("join-refused", session_timeout_ms=-1)),
            ("no protocols", join("join-refused", protocols=())),
            ("no protocol type", join("join-refused", protocol_type="")),
            ("an empty group and an unknown member", join("", member="m")),
        ):
            kafka.send(f"{title}, version {version}", request, version)
    for title, instance in (
        ("empty", ""),
        ("with a slash", "a/b"),
        ("of one dot", "."),
        ("of 250 letters", "i" * 250),
        ("with a space", "a b"),
    ):
        group = f"join-instance-{title.replace(' ', '-')}"
        kafka.send(f"an instance {title}", join(group, instance=instance), 5)
    kafka.send("a long group", join("g" * 300), 3)
    kafka.send("a group with a slash", join("join/refused"), 3)
    kafka.send("a reason", join("join-reason", reason="because"), 9)
    kafka.send("a long reason", join("join-reason", reason="x" * 300), 9)
    timeout = join("join-rebalance", rebalance_timeout_ms=-1)
    kafka.send("a rebalance timeout of -1", timeout, 3)


def protocols(kafka: Player) -> None:
    """A group has one type, and a protocol that all its members have."""
    kafka.setup_offsets_topic()
    group = "join-protocols"
    both = (("range", subscription("r1")), ("roundrobin", subscription("rr1")))
    first = Member(kafka, group, "a", protocols=both)
    stable_group(first)
    for version in (0, 3, 4, 6, 9):
        for title, request in (
            ("another type", join(group, protocol_type="connect")),
            ("no type", join(group, protocol_type="")),
            ("another protocol", join(group, protocols=(("sticky", b""),))),
            ("no protocol", join(group, protocols=())),
        ):
            kafka.send(f"{title}, version {version}", request, version)
    kafka.send("nothing came of it", describe(group), 5)
    second = Member(
        kafka,
        group,
        "b",
        protocols=(("roundrobin", subscription("rr2")), ("range", subscription("r2"))),
    )
    admit(second, first, title="joins with the same two")
    kafka.send("described after two", describe(group), 5)
    share_out(first, second)
    first.protocols = (("range", subscription("r1")), ("sticky", subscription("s1")))
    admit(first, second, title="exchanges one")
    kafka.send("described without roundrobin", describe(group), 5)
    share_out(first, second)
    request = join(group, member=first.member_id, protocols=(("sticky", subscription("s1")),))
    kafka.send("a member keeps none of the others'", request, 9)
    request = join(group, member=first.member_id, protocol_type="connect", protocols=both)
    kafka.send("a member changes its type", request, 9)
    first.heartbeat("is still in")


def votes(kafka: Player) -> None:
    """Of the protocols that all have, each member votes for its first; the most votes win."""
    kafka.setup_offsets_topic()
    lists = (("x", "y", "z"), ("y", "x", "z"), ("y", "z", "x"))
    members = [
        Member(kafka, "join-votes", name, protocols=[(each, subscription(each)) for each in names])
        for name, names in zip("abc", lists, strict=True)
    ]
    for count, newcomer in enumerate(members):
        admit(newcomer, *members[:count], title=f"joins when {count} are there")
        share_out(*members[: count + 1])
    kafka.send("described", describe("join-votes"), 5)


def again(kafka: Player) -> None:
    """Joining again: what starts a rebalance, and what is answered at once."""
    kafka.setup_offsets_topic()
    leader, other = members = [Member(kafka, "join-again", name) for name in "ab"]
    stable_group(*members)
    other.join("joins again with nothing new: the generation as it is")
    other.sync("syncs in it")
    leader.heartbeat("beats: nothing has happened")
    admit(leader, other, title="joins since the leader wants a rebalance")
    other.join("joins once more before the sync")
    leader.join("joins once more before the sync")
    share_out(*members, title="syncs")
    other.protocols = (("range", subscription("other")),)
    admit(other, leader, title="joins since a follower has other topics")
    kafka.send("described before the sync", describe("join-again"), 5)
    other.protocols = (("range", subscription("third")),)
    pending = other.begin_join("changes its mind before the sync")
    wait_for_state(kafka, "join-again", "PreparingRebalance")
    leader.heartbeat("beats")
    leader.join("joins a fourth time")
    other.finish_join(pending)


def subscribed(kafka: Player) -> None:
    """Metadata is the members' own business: every version of a consumer's, and what is none."""
    kafka.setup_offsets_topic()
    for title, metadata in (
        ("version 0", subscription("t", "u")),
        ("version 1, cooperative", subscription("t", version=1)),
        ("version 3", subscription("t", version=3)),
        ("no topics", subscription()),
        ("empty", b""),
        ("nonsense", b"\xff\xff\xff\xff\xff"),
    ):
        group = f"join-{title.replace(' ', '-').replace(',', '')}"
        member = Member(kafka, group, "a", protocols=(("cooperative-sticky", metadata),))
        member.join(f"joins, {title}")
        member.sync("", member)
        kafka.send(f"described, {title}", describe(group), 5)


def full(kafka: Player) -> None:
    """No more members than group.max.size, which is three here."""
    kafka.setup_offsets_topic()
    group = "join-full"
    members = [Member(kafka, group, name) for name in "abc"]
    stable_group(*members)
    for version in (0, 3, 4, 9):
        kafka.send(f"one more, version {version}", join(group), version)
    kafka.send("one more, static", join(group, instance="i"), 9)
    kafka.send("nobody came", describe(group), 5)
    members[0].heartbeat("beats undisturbed")
    members[1].leave()
    rejoin(members[0], members[2])
    share_out(members[0], members[2])
    admit(Member(kafka, group, "d"), members[0], members[2], title="joins where one has left")


def before_the_first_sync(kafka: Player) -> None:
    """A second member comes between the first one's join and sync."""
    kafka.setup_offsets_topic()
    group = "join-between"
    first, second = Member(kafka, group, "a"), Member(kafka, group, "b")
    first.join("joins")
    kafka.send("described", describe(group), 5)
    pending = second.begin_join("joins before the sync")
    wait_for_state(kafka, group, "PreparingRebalance")
    first.sync("syncs too late", first)
    first.heartbeat("beats")
    first.join("joins again")
    second.finish_join(pending)
    kafka.send("described then", describe(group), 5)
    share_out(first, second, title="syncs")
    kafka.send("described in the end", describe(group), 5)


def timeouts(kafka: Player) -> None:
    """The shortest and the longest sessions that are allowed, and rebalances of no time."""
    kafka.setup_offsets_topic()
    for session_ms in (100, 99, 1_800_000):
        request = join(f"join-session-{session_ms}", session_timeout_ms=session_ms)
        kafka.send(f"a session of {session_ms} ms", request, 9)
    rebalance = join("join-rebalance-0", session_timeout_ms=LONG_MS, rebalance_timeout_ms=0)
    kafka.send("a rebalance of 0 ms", rebalance, 5)


def unused_member(kafka: Player) -> None:
    """A member's id means nothing in another group."""
    kafka.setup_offsets_topic()
    member = member_of(kafka, "join-mine")
    kafka.send("joins another group", join("join-other", member=member.member_id), 9)
    other = member_of(kafka, "join-other-still")
    kafka.send("joins a group of others", join(other.group, member=member.member_id), 9)
    kafka.send("version 0", join(other.group, member=member.member_id), 0)


SCENARIOS = {
    "groups_join/versions": versions,
    "groups_join/member_id": member_id,
    "groups_join/refused": refused,
    "groups_join/protocols": protocols,
    "groups_join/votes": votes,
    "groups_join/again": again,
    "groups_join/subscribed": subscribed,
    "groups_join/full": full,
    "groups_join/before_the_first_sync": before_the_first_sync,
    "groups_join/timeouts": timeouts,
    "groups_join/unused_member": unused_member,
}
