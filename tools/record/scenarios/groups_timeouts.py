"""Members that are heard of no more, and rebalances that some do not take part in.

Sessions are as long as a scenario bears, so that a busy machine loses no member too early.
"""

from tools.record.group_requests import (
    Member,
    admit,
    describe,
    join,
    member_of,
    share_out,
    stable_group,
    wait_for_state,
)
from tools.record.player import Player

SHORT_MS = 900


def session(kafka: Player) -> None:
    """The only member is heard of no more: the group is empty."""
    kafka.setup_offsets_topic()
    member = Member(kafka, "session", "a", session_timeout_ms=SHORT_MS)
    member.join("joins")
    member.sync("syncs", member)
    wait_for_state(kafka, "session", "Empty")
    kafka.send("described", describe("session"), 5)
    member.heartbeat("beats too late")
    member.sync("syncs too late")
    member.join("joins too late")
    member.member_id = ""
    member.join("joins anew: the generations go on")


def session_of_two(kafka: Player) -> None:
    """One of two is heard of no more: the other is told, and goes on alone."""
    kafka.setup_offsets_topic()
    a = Member(kafka, "session-two", "a")
    b = Member(kafka, "session-two", "b", session_timeout_ms=SHORT_MS)
    stable_group(a, b)
    wait_for_state(kafka, "session-two", "PreparingRebalance")
    kafka.send("described when one is gone", describe("session-two"), 5)
    a.heartbeat("beats: a rebalance")
    b.heartbeat("beats too late")
    a.join("joins alone")
    a.sync("syncs alone", a)


def rebalance(kafka: Player) -> None:
    """A member that beats and does not join again is put out after the rebalance timeout."""
    kafka.setup_offsets_topic()
    a = Member(kafka, "slow", "a", rebalance_timeout_ms=SHORT_MS)
    b = Member(kafka, "slow", "b", rebalance_timeout_ms=SHORT_MS)
    stable_group(a)
    pending = b.begin_join("joins, and is answered when the other is put out")
    wait_for_state(kafka, "slow", "PreparingRebalance")
    a.heartbeat("beats: a rebalance")
    b.finish_join(pending)
    a.heartbeat("beats, having been put out")
    b.sync("syncs alone", b)
    kafka.send("described without the slow one", describe("slow"), 5)


def static_leader(kafka: Player) -> None:
    """A static member that does not join again keeps its place until its session ends."""
    kafka.setup_offsets_topic()
    a = Member(kafka, "slow-static", "a", instance="i", rebalance_timeout_ms=SHORT_MS)
    b = Member(kafka, "slow-static", "b", rebalance_timeout_ms=SHORT_MS)
    stable_group(a)
    pending = b.begin_join("joins, and is answered without the static one's")
    wait_for_state(kafka, "slow-static", "PreparingRebalance")
    b.finish_join(pending)
    kafka.send("described with both", describe("slow-static"), 5)


def unsynced(kafka: Player) -> None:
    """Who joins and does not sync is put out after the rebalance timeout."""
    kafka.setup_offsets_topic()
    a = Member(kafka, "unsynced", "a", rebalance_timeout_ms=SHORT_MS)
    b = Member(kafka, "unsynced", "b", rebalance_timeout_ms=SHORT_MS)
    stable_group(a)
    admit(b, a, title="joins")
    a.sync("syncs", a, b)
    wait_for_state(kafka, "unsynced", "PreparingRebalance", members=1)
    kafka.send("described when one is put out", describe("unsynced"), 5)
    a.heartbeat("beats: a rebalance")
    b.sync("syncs too late")
    a.join("joins alone")


def unused_id(kafka: Player) -> None:
    """An id that nobody joins with is void after the session timeout."""
    kafka.setup_offsets_topic()
    a, b = Member(kafka, "unused", "a"), Member(kafka, "unused", "b")
    stable_group(a)
    c = Member(kafka, "unused", "c", session_timeout_ms=SHORT_MS)
    c.take_id("asks for an id")
    pending = b.begin_join("joins, and waits for all")
    wait_for_state(kafka, "unused", "PreparingRebalance")
    a.join("joins, and waits for the third")
    b.finish_join(pending)
    kafka.send("the third joins too late", join("unused", member=c.member_id), 9, on="c")
    share_out(a, b, title="syncs")


def kept(kafka: Player) -> None:
    """A member whose join waits lives, however long it waits."""
    kafka.setup_offsets_topic()
    a = member_of(kafka, "kept")
    b = Member(kafka, "kept", "b", session_timeout_ms=SHORT_MS // 2)
    clock = Member(kafka, "kept-clock", "clock", session_timeout_ms=SHORT_MS)
    pending = b.begin_join("joins, and waits longer than its session")
    wait_for_state(kafka, "kept", "PreparingRebalance")
    stable_group(clock)
    wait_for_state(kafka, "kept-clock", "Empty")
    kafka.send("described after that time", describe("kept"), 5)
    a.join("joins")
    b.finish_join(pending)


SCENARIOS = {
    "groups_timeouts/session": session,
    "groups_timeouts/session_of_two": session_of_two,
    "groups_timeouts/rebalance": rebalance,
    "groups_timeouts/static_leader": static_leader,
    "groups_timeouts/unsynced": unsynced,
    "groups_timeouts/unused_id": unused_id,
    "groups_timeouts/kept": kept,
}
