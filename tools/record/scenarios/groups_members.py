"""SyncGroup, Heartbeat and LeaveGroup: every version, and requests of those who are not members."""

from tools.record.group_requests import (
    Member,
    admit,
    describe,
    heartbeat,
    leave,
    leave_many,
    leave_request,
    member_of,
    stable_group,
    sync,
)
from tools.record.player import Player
from wire.messages.heartbeat import HeartbeatRequest
from wire.messages.leave_group import LeaveGroupRequest
from wire.messages.sync_group import SyncGroupRequest


def heartbeats(kafka: Player) -> None:
    """Every version of Heartbeat, right and wrong."""
    kafka.setup_offsets_topic()
    member = member_of(kafka, "beats")
    for version in HeartbeatRequest.VERSIONS:
        for title, request in (
            ("a member", heartbeat("beats", member.member_id, 1)),
            ("generation 0", heartbeat("beats", member.member_id, 0)),
            ("generation 2", heartbeat("beats", member.member_id, 2)),
            ("generation -1", heartbeat("beats", member.member_id, -1)),
            ("nobody", heartbeat("beats", "nobody", 1)),
            ("no member id", heartbeat("beats", "", 1)),
            ("an unknown group", heartbeat("beats-not", member.member_id, 1)),
            ("an empty group", heartbeat("", member.member_id, 1)),
        ):
            kafka.send(f"{title}, version {version}", request, version)
    for title, request in (
        ("an unknown instance", heartbeat("beats", member.member_id, 1, instance="i")),
        ("an unknown instance of nobody", heartbeat("beats", "nobody", 1, instance="i")),
    ):
        kafka.send(title, request, 3)
    member.leave()
    kafka.send("an empty group's generation", heartbeat("beats", member.member_id, 1), 4)
    kafka.send("an empty group's next generation", heartbeat("beats", member.member_id, 2), 4)


def syncs(kafka: Player) -> None:
    """Every version of SyncGroup, right and wrong."""
    kafka.setup_offsets_topic()
    member = member_of(kafka, "syncs")
    for version in SyncGroupRequest.VERSIONS:
        for title, request in (
            ("a member", sync("syncs", member.member_id, 1)),
            ("generation 0", sync("syncs", member.member_id, 0)),
            ("generation 2", sync("syncs", member.member_id, 2)),
            ("nobody", sync("syncs", "nobody", 1)),
            ("no member id", sync("syncs", "", 1)),
            ("an unknown group", sync("syncs-not", member.member_id, 1)),
            ("an empty group", sync("", member.member_id, 1)),
        ):
            kafka.send(f"{title}, version {version}", request, version)
    kafka.send("an unknown instance", sync("syncs", member.member_id, 1, instance="i"), 3)
    for title, kind, protocol in (
        ("another type", "connect", "range"),
        ("another protocol", "consumer", "sticky"),
        ("no type", None, "range"),
        ("no protocol", "consumer", None),
        ("neither", None, None),
        ("an empty type", "", "range"),
        ("an empty protocol", "consumer", ""),
    ):
        request = sync("syncs", member.member_id, 1, protocol_type=kind, protocol_name=protocol)
        kafka.send(title, request, 5)
    nobody = sync("syncs", "nobody", 7, protocol_type="connect")
    kafka.send("everything wrong", nobody, 5)
    member.leave()
    kafka.send("an empty group's generation", sync("syncs", member.member_id, 1), 5)


def assignments(kafka: Player) -> None:
    """What the leader gives whom: nothing, to strangers, twice, and what only followers say."""
    kafka.setup_offsets_topic()
    leader, other = Member(kafka, "shares", "a"), Member(kafka, "shares", "b")
    stable_group(leader)
    admit(other, leader)
    leader.sync("gives itself alone", leader)
    other.sync("was given nothing")
    kafka.send("described without a share", describe("shares"), 5)
    admit(leader, other)
    gifts = [("stranger", b"x"), (other.member_id, b"first"), (other.member_id, b"second")]
    request = sync("shares", leader.member_id, leader.generation, gifts)
    kafka.send("to a stranger, and twice", request, 5, on="a")
    other.sync("was given two")
    kafka.send("described with two shares", describe("shares"), 5)
    admit(leader, other)
    waiting = other.begin_sync("gives, being no leader", leader, other)
    leader.sync("gives nobody anything")
    kafka.finish(waiting)
    kafka.send("described with nothing", describe("shares"), 5)
    admit(leader, other)
    gifts = [(leader.member_id, b""), (other.member_id, b"\x00\xff" * 30)]
    request = sync("shares", leader.member_id, leader.generation, gifts)
    kafka.send("an empty share, and a binary one", request, 5, on="a")
    other.sync("was given bytes")


def leaves(kafka: Player) -> None:
    """Every version of LeaveGroup, right and wrong."""
    kafka.setup_offsets_topic()
    for version in LeaveGroupRequest.VERSIONS:
        member = member_of(kafka, f"leaves-{version}")
        for title, group, who in (
            ("nobody", member.group, "nobody"),
            ("no member id", member.group, ""),
            ("an unknown group", "leaves-not", member.member_id),
            ("an empty group", "", member.member_id),
            ("a member", member.group, member.member_id),
            ("a member that has left", member.group, member.member_id),
        ):
            request = leave_request(group, who, version=version)
            kafka.send(f"{title}, version {version}", request, version)
    kafka.send("nobody at all", leave_many("leaves-5"), 5)
    kafka.send("nobody at all, of an unknown group", leave_many("leaves-not"), 5)


def leaves_batched(kafka: Player) -> None:
    """KIP-345: several members leave at once, some of them unknown; reasons (KIP-800)."""
    kafka.setup_offsets_topic()
    a, b, c = members = [Member(kafka, "batched", name) for name in "abc"]
    stable_group(*members)
    request = leave_many(
        "batched",
        (a.member_id, None),
        ("nobody", None),
        ("", None),
        ("", "an-instance"),
        (a.member_id, None),
        reason="because",
    )
    kafka.send("one, twice, and strangers", request, 5)
    kafka.send("described with two left", describe("batched"), 5)
    b.heartbeat("beats")
    request = leave_many("batched", (b.member_id, None), (c.member_id, None))
    kafka.send("the rest", request, 3)
    kafka.send("described with nobody left", describe("batched"), 5)
    kafka.send("a member with an instance it has not", leave(a.group, a.member_id), 2)
    d = Member(kafka, "batched", "d")
    d.join("joins the empty group")
    request = leave_many("batched", (d.member_id, "not-mine"))
    kafka.send("a dynamic member by an unknown instance", request, 4)
    d.sync("syncs", d)


SCENARIOS = {
    "groups_members/heartbeats": heartbeats,
    "groups_members/syncs": syncs,
    "groups_members/assignments": assignments,
    "groups_members/leaves": leaves,
    "groups_members/leaves_batched": leaves_batched,
}
