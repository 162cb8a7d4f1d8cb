"""KIP-211: offsets are kept while somebody may come back for them."""

from __future__ import annotations

import pytest

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.expiry import expired_offsets
from coordinator.group.offsets import NO_EXPIRY, CommittedOffset, CommittedOffsets
from coordinator.group.records import decode_offset_commit_key
from tests.coordinator.group.groups import NOW, new_member, stable_group

RETENTION_MS = 1_000


def offsets(**committed_ms: int) -> CommittedOffsets:
    """Partition 0 of each topic, committed that long after `NOW`."""
    found = CommittedOffsets()
    for topic, elapsed_ms in committed_ms.items():
        found.put("g", topic, 0, committed(elapsed_ms))
    return found


def committed(elapsed_ms: int, expire_timestamp_ms: int = NO_EXPIRY) -> CommittedOffset:
    return CommittedOffset(
        offset=1,
        leader_epoch=-1,
        metadata="",
        commit_timestamp_ms=NOW.wall_ms + elapsed_ms,
        expire_timestamp_ms=expire_timestamp_ms,
        topic_id=bytes(16),
    )


def expired(
    group: ClassicGroup, found: CommittedOffsets, elapsed_ms: int
) -> tuple[list[str], bool]:
    tombstones, is_nothing_left = expired_offsets(
        group, found, wall_ms=NOW.wall_ms + elapsed_ms, retention_ms=RETENTION_MS
    )
    keys = [decode_offset_commit_key(record.key) for record in tombstones]
    return [key.topic for key in keys if key], is_nothing_left


def test_without_offsets_there_is_nothing_left() -> None:
    assert expired(stable_group(new_member("a")), offsets(), 0) == ([], True)


def test_an_empty_group_loses_all_at_once_when_it_was_empty_long_enough() -> None:
    group = stable_group()
    group.protocol_type = "consumer"
    found = offsets(t=-5_000, u=900)
    assert expired(group, found, 999) == ([], False)
    assert expired(group, found, 1_000) == (["t", "u"], True)


def test_where_an_old_record_does_not_tell_when_the_commits_count() -> None:
    group = stable_group()
    group.protocol_type = "consumer"
    group.state_timestamp_ms = None
    assert expired(group, offsets(t=0, u=900), 1_000) == (["t"], False)


def test_a_simple_groups_offsets_go_one_by_one() -> None:
    group = ClassicGroup("g")
    assert expired(group, offsets(t=0, u=900), 1_000) == (["t"], False)
    assert expired(group, offsets(u=900), 1_900) == (["u"], True)


def test_a_stable_consumer_group_keeps_what_it_reads() -> None:
    group = stable_group(new_member("a", topic="t"))
    assert expired(group, offsets(t=0, u=0, v=900), 1_000) == (["u"], False)


@pytest.mark.parametrize("state", ["rebalancing", "unreadable", "connect"])
def test_a_group_of_which_it_is_not_known_what_it_reads_keeps_all(state: str) -> None:
    protocol_type = "connect" if state == "connect" else "consumer"
    group = stable_group(new_member("a"), protocol_type=protocol_type)
    if state == "rebalancing":
        group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    if state == "unreadable":
        group.subscribed_topics = None
    assert expired(group, offsets(u=0), 99_000) == ([], False)


def test_a_time_of_the_clients_own_wins() -> None:
    found = CommittedOffsets()
    found.put("g", "t", 0, committed(0, expire_timestamp_ms=NOW.wall_ms + 5_000))
    group = ClassicGroup("g")
    assert expired(group, found, 4_999) == ([], False)
    assert expired(group, found, 5_000) == (["t"], True)
