"""Who may commit, and what a commit and its deletion write."""

from __future__ import annotations

import pytest

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.commit import (
    all_offset_tombstones,
    check_may_commit,
    commit_offsets,
    delete_offsets,
)
from coordinator.group.offsets import CommittedOffset, CommittedOffsets
from coordinator.group.records import decode_offset_commit_key, decode_offset_commit_value
from tests.coordinator.group.groups import NOW, new_member, stable_group
from tests.coordinator.requests import commit_request, offset_delete_request
from wire.errors import ErrorCode, KafkaError

COMMITTED = CommittedOffset(
    offset=1,
    leader_epoch=-1,
    metadata="",
    commit_timestamp_ms=0,
    expire_timestamp_ms=-1,
    topic_id=bytes(16),
)


def refusal(group: ClassicGroup | None, version: int = 9, **options: str) -> ErrorCode:
    request, _ = commit_request("g", options)
    try:
        check_may_commit(group, request, version)
    except KafkaError as error:
        return error.code
    return ErrorCode.NONE


def offsets(*places: tuple[str, int]) -> CommittedOffsets:
    found = CommittedOffsets()
    for topic, partition in places:
        found.put("g", topic, partition, COMMITTED)
    return found


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"member": "a", "generation": "1"}, ErrorCode.NONE),
        ({"member": "a", "generation": "0"}, ErrorCode.ILLEGAL_GENERATION),
        ({"member": "a", "generation": "2"}, ErrorCode.ILLEGAL_GENERATION),
        ({"member": "a"}, ErrorCode.ILLEGAL_GENERATION),
        ({"member": "z", "generation": "1"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation": "1"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member": "s", "instance": "i", "generation": "1"}, ErrorCode.NONE),
        ({"member": "s", "generation": "1"}, ErrorCode.NONE),
        ({"member": "a", "instance": "i", "generation": "1"}, ErrorCode.FENCED_INSTANCE_ID),
        ({"instance": "i"}, ErrorCode.FENCED_INSTANCE_ID),
        ({"member": "s", "instance": "j", "generation": "1"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_members_commit_in_their_generation(options: dict[str, str], code: ErrorCode) -> None:
    group = stable_group(new_member("a"), new_member("s", instance="i"))
    assert refusal(group, **options) is code


def test_nobody_commits_while_the_leader_assigns() -> None:
    group = stable_group(new_member("a"))
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    assert refusal(group, member="a", generation="1") is ErrorCode.NONE
    group.begin_generation(0)
    assert refusal(group, member="a", generation="2") is ErrorCode.REBALANCE_IN_PROGRESS
    assert refusal(group, member="a", generation="1") is ErrorCode.ILLEGAL_GENERATION


def test_a_group_without_members_takes_commits_without_a_generation() -> None:
    for group in (None, stable_group()):
        assert refusal(group) is ErrorCode.NONE
        assert refusal(group, member="m") is ErrorCode.NONE
    assert refusal(stable_group(), generation="1", member="m") is ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal(None, generation="1") is ErrorCode.GROUP_ID_NOT_FOUND
    assert refusal(None, 8, generation="1") is ErrorCode.ILLEGAL_GENERATION


def test_a_commit_is_one_record_a_partition_but_for_too_much_metadata() -> None:
    request, _ = commit_request("g", {"offsets": "t-0:5,t-1:6", "metadata": "xyz"})
    outcome = commit_offsets(request, max_metadata_bytes=3, wall_ms=NOW.wall_ms)
    assert len(outcome.records) == 2
    outcome = commit_offsets(request, max_metadata_bytes=2, wall_ms=NOW.wall_ms)
    assert outcome.records == ()
    assert outcome.reply is not None
    codes = [each.error_code for each in outcome.reply.topics[0].partitions]
    assert codes == [ErrorCode.OFFSET_METADATA_TOO_LARGE] * 2


def test_offsets_of_topics_that_members_read_stay() -> None:
    group = stable_group(new_member("a", topic="t"))
    request = offset_delete_request("g", {"t": [0], "u": [0, 1]})
    outcome = delete_offsets(group, offsets(("t", 0), ("u", 0)), request)
    keys = [decode_offset_commit_key(record.key) for record in outcome.records]
    assert [(key.topic, key.partition) for key in keys if key] == [("u", 0)]
    assert outcome.reply is not None
    codes = [[each.error_code for each in topic.partitions] for topic in outcome.reply.topics]
    assert codes == [[ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC], [0, 0]]


def test_a_consumer_group_that_cannot_tell_what_it_reads_may_read_anything() -> None:
    group = stable_group(new_member("a"))
    group.subscribed_topics = None
    outcome = delete_offsets(group, offsets(("u", 0)), offset_delete_request("g", {"u": [0]}))
    assert outcome.records == ()


def test_another_protocols_group_must_be_empty() -> None:
    group = stable_group(new_member("a"), protocol_type="connect")
    with pytest.raises(KafkaError) as refused:
        delete_offsets(group, offsets(), offset_delete_request("g", {"u": [0]}))
    assert refused.value.code is ErrorCode.NON_EMPTY_GROUP


def test_everything_is_forgotten_in_order() -> None:
    records = all_offset_tombstones("g", offsets(("u", 1), ("t", 2), ("u", 0)))
    assert {record.value for record in records} == {None}
    keys = [decode_offset_commit_key(record.key) for record in records]
    places = [(key.topic, key.partition) for key in keys if key]
    assert places == [("t", 2), ("u", 0), ("u", 1)]


@pytest.mark.parametrize(
    ("retention", "expires"), [("1000", NOW.wall_ms + 1000), (str((1 << 63) - 1), (1 << 63) - 1)]
)
def test_a_retention_time_ends_at_the_latest_moment_that_there_is(
    retention: str, expires: int
) -> None:
    request, _ = commit_request("g", {"retention": retention})
    outcome = commit_offsets(request, max_metadata_bytes=100, wall_ms=NOW.wall_ms)
    (record,) = outcome.records
    assert record.value is not None
    assert decode_offset_commit_value(record.value).expire_timestamp == expires
