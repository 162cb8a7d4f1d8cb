"""Rebalances of two and three members: joins that park, and what completes them."""

from tools.record.group_requests import (
    Member,
    admit,
    describe,
    heartbeat,
    join,
    leave_many,
    rejoin,
    share_out,
    stable_group,
    sync,
    wait_for_state,
)
from tools.record.player import Player
from tools.record.requests import commit_part


def two(kafka: Player) -> None:
    """A second member comes: every step of both."""
    kafka.setup_offsets_topic()
    first, second = Member(kafka, "two", "a"), Member(kafka, "two", "b")
    first.join("joins")
    first.sync("syncs", first)
    second.take_id("asks for an id")
    first.heartbeat("beats: an id is no member")
    pending = second.begin_join("joins, and waits")
    wait_for_state(kafka, "two", "PreparingRebalance")
    kafka.send("described while it waits", describe("two"), 5)
    first.heartbeat("beats: a rebalance")
    first.sync("syncs in the old generation")
    kafka.send(
        "a wrong generation beats", heartbeat("two", first.member_id, first.generation + 1), 4
    )
    first.join("joins, which answers both")
    second.finish_join(pending)
    kafka.send("described before they sync", describe("two"), 5)
    first.heartbeat("beats before it syncs")
    second.heartbeat("beats before it syncs")
    waiting = second.begin_sync("syncs, and waits")
    first.sync("syncs, which answers both", first, second)
    kafka.finish(waiting)
    kafka.send("described when they synced", describe("two"), 5)
    first.heartbeat("beats")
    second.heartbeat("beats")


def late_follower(kafka: Player) -> None:
    """A follower syncs after the leader, and again; the leader syncs again."""
    kafka.setup_offsets_topic()
    first, second = members = Member(kafka, "late", "a"), Member(kafka, "late", "b")
    stable_group(*members)
    rejoin(second)
    admit(first, second)
    first.sync("syncs first", first, second)
    second.heartbeat("beats before it syncs")
    second.sync("syncs after")
    second.sync("syncs again")
    first.sync("syncs again with another share for all", second)
    second.sync("syncs: what was given stays")


def three(kafka: Player) -> None:
    """Three members; one leaves in peace, one amid a rebalance, and the leader."""
    kafka.setup_offsets_topic()
    a, b, c = members = [Member(kafka, "three", name) for name in "abc"]
    stable_group(*members)
    b.leave("leaves a stable group")
    kafka.send("described with two left", describe("three"), 5)
    b.heartbeat("beats, having left")
    b.leave("leaves twice")
    a.heartbeat("beats")
    c.heartbeat("beats")
    rejoin(a, c, title="joins again")
    a.heartbeat("beats before the sync")
    waiting = c.begin_sync("syncs, and waits")
    request = leave_many("three", (a.member_id, None))
    kafka.send("the leader leaves before it syncs", request, 5)
    kafka.finish(waiting)
    kafka.send("described without its leader", describe("three"), 5)
    c.join("joins alone, and leads")
    c.sync("syncs alone", c)
    c.leave("leaves last")
    kafka.send("described when all have left", describe("three"), 5)


def leaving_completes(kafka: Player) -> None:
    """A join that waits for another member is answered when that one leaves."""
    kafka.setup_offsets_topic()
    a, b, c = (Member(kafka, "leaving", name) for name in "abc")
    stable_group(a, b)
    pending = c.begin_join("joins, and waits for two")
    wait_for_state(kafka, "leaving", "PreparingRebalance")
    again = a.begin_join("joins, and waits for one")
    kafka.send("the one leaves", leave_many("leaving", (b.member_id, None)), 5)
    a.finish_join(again)
    c.finish_join(pending)
    share_out(a, c, title="syncs without the one that left")
    kafka.send("described in the end", describe("leaving"), 5)


def id_blocks(kafka: Player) -> None:
    """Who was given an id and has not joined yet is waited for (KIP-394)."""
    kafka.setup_offsets_topic()
    a, b, c = (Member(kafka, "blocks", name) for name in "abc")
    stable_group(a)
    c.take_id("asks for an id")
    pending = b.begin_join("joins, and waits")
    wait_for_state(kafka, "blocks", "PreparingRebalance")
    again = a.begin_join("joins, and waits still")
    wait_for_state(kafka, "blocks", "PreparingRebalance")
    c.join("joins, which answers all")
    a.finish_join(again)
    b.finish_join(pending)
    share_out(a, b, c, title="syncs")


def id_leaves(kafka: Player) -> None:
    """Who was given an id leaves without having joined: nobody waits for it any more."""
    kafka.setup_offsets_topic()
    a, b, c = (Member(kafka, "gives-up", name) for name in "abc")
    stable_group(a)
    c.take_id("asks for an id")
    pending = b.begin_join("joins, and waits")
    wait_for_state(kafka, "gives-up", "PreparingRebalance")
    again = a.begin_join("joins, and waits still")
    c.leave("leaves without having joined")
    a.finish_join(again)
    b.finish_join(pending)


def during(kafka: Player) -> None:
    """What members may do while the others are waited for."""
    kafka.setup_offsets_topic()
    kafka.setup_topic("during-topic")
    part = commit_part("during-topic", 5)
    a, b = Member(kafka, "during", "a"), Member(kafka, "during", "b")
    stable_group(a)
    pending = b.begin_join("joins, and waits")
    wait_for_state(kafka, "during", "PreparingRebalance")
    a.commit("commits while it is waited for", part)
    kafka.send("the one that waits beats", heartbeat("during", b.member_id, 1), 4)
    kafka.send("the one that waits syncs", sync("during", b.member_id, 1), 5)
    kafka.send("the leader syncs", sync("during", a.member_id, 1, [(a.member_id, b"x")]), 5)
    kafka.send("a wrong generation syncs", sync("during", a.member_id, 7), 5)
    kafka.send("nobody beats", heartbeat("during", "nobody", 1), 4)
    a.join("joins")
    b.finish_join(pending)
    a.commit("commits before it syncs", part)
    b.commit("commits before it syncs", part)
    for version in (2, 6, 7, 8):
        a.commit(f"commits before it syncs, version {version}", part, version)
    share_out(a, b)
    a.commit("commits", part)
    b.commit("commits", part)


def joins_twice_waiting(kafka: Player) -> None:
    """A member whose join waits joins again on another connection: that one is answered.

    What becomes of the first is no matter: who sent it has given up. Kafka never answers it.
    """
    kafka.setup_offsets_topic()
    group = "twice"
    a, b = Member(kafka, group, "a"), Member(kafka, group, "b")
    stable_group(a)
    b.take_id()
    b.begin_join()
    wait_for_state(kafka, group, "PreparingRebalance", members=2)
    elsewhere = kafka.begin("b joins elsewhere", join(group, member=b.member_id), 9, on="other b")
    a.begin_join()
    kafka.finish(elsewhere)


def old_clients(kafka: Player) -> None:
    """Members of versions that need no id, and are given one with the join."""
    kafka.setup_offsets_topic()
    a = Member(kafka, "old-clients", "a", version=2)
    b = Member(kafka, "old-clients", "b", version=1)
    a.join("joins")
    a.sync("syncs", a)
    pending = b.begin_join("joins, and waits")
    wait_for_state(kafka, "old-clients", "PreparingRebalance")
    a.heartbeat("beats")
    again = a.begin_join("joins again")
    b.finish_join(pending)
    a.finish_join(again)
    waiting = b.begin_sync("syncs, and waits")
    a.sync("shares out", a, b)
    kafka.finish(waiting)
    b.leave("leaves")
    a.heartbeat("beats when the other has left")


SCENARIOS = {
    "groups_rebalance/two": two,
    "groups_rebalance/late_follower": late_follower,
    "groups_rebalance/three": three,
    "groups_rebalance/leaving_completes": leaving_completes,
    "groups_rebalance/id_blocks": id_blocks,
    "groups_rebalance/id_leaves": id_leaves,
    "groups_rebalance/during": during,
    "groups_rebalance/joins_twice_waiting": joins_twice_waiting,
    "groups_rebalance/old_clients": old_clients,
}
