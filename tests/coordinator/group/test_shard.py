"""A group shard: handlers say what is to be written, replay alone changes it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.group.records import offset_commit_record
from coordinator.group.settings import Client, GroupSettings
from coordinator.group.shard import GroupShard
from coordinator.outcome import CoordinatorRecord, Moment
from tests.coordinator.requests import join_request, offset_delete_request
from wire.errors import ErrorCode, KafkaError, WireError
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from wire.messages.offset_records import OffsetCommitKey, OffsetCommitValue

NOW = Moment(1_700_000_000_000, 5_000)

# A stable group with one member, "m", whose session lasts ten seconds.
GROUP_VALUE = bytes.fromhex(
    "0003 0008 636f6e73756d6572 00000001 0005 72616e6765 0001 6d 000001a204cda30e 00000001"
    "0001 6d ffff 0001 63 0001 68 00004e20 00002710 00000000 00000000"
)


def commit(
    *places: tuple[str, int, int],
    group: str = "g",
    note: str | None = "note",
    generation: int = -1,
    retention_time_ms: int = -1,
) -> OffsetCommitRequest:
    """A request; places are (topic, partition, offset)."""
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id="",
        retention_time_ms=retention_time_ms,
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=partition,
                        committed_offset=offset,
                        committed_leader_epoch=2,
                        committed_metadata=note,
                    )
                ],
            )
            for topic, partition, offset in places
        ],
    )


def shard() -> GroupShard:
    return GroupShard(GroupSettings(max_metadata_bytes=10), new_id=lambda: "id")


def replay(state: GroupShard, records: tuple[CoordinatorRecord, ...]) -> None:
    for record in records:
        state.replay(record.key, record.value)


def contents(state: GroupShard) -> dict[str, object]:
    return {group: state.offsets.of_group(group) for group in "gh"}


def test_a_commit_changes_nothing_until_it_is_replayed() -> None:
    state = shard()
    outcome = state.handle_offset_commit(commit(("t", 0, 5), ("u", 1, 6)), version=8, now=NOW)
    assert "g" not in state.offsets
    assert len(outcome.records) == 2
    replay(state, outcome.records)
    found = state.offsets.get("g", "t", 0)
    assert found is not None
    assert (found.offset, found.leader_epoch, found.metadata) == (5, 2, "note")
    assert (found.commit_timestamp_ms, found.expire_timestamp_ms) == (NOW.wall_ms, -1)


def test_every_partition_is_answered_in_the_order_asked() -> None:
    outcome = shard().handle_offset_commit(commit(("t", 3, 5), ("u", 1, 6)), version=8, now=NOW)
    answers = [(each.name, each.partitions[0].partition_index) for each in outcome.reply.topics]
    assert answers == [("t", 3), ("u", 1)]


@pytest.mark.parametrize(("note", "kept"), [(None, ""), ("", ""), ("0123456789", "0123456789")])
def test_metadata_up_to_the_limit_is_kept(note: str | None, kept: str) -> None:
    state = shard()
    outcome = state.handle_offset_commit(commit(("t", 0, 5), note=note), version=8, now=NOW)
    replay(state, outcome.records)
    found = state.offsets.get("g", "t", 0)
    assert found is not None
    assert found.metadata == kept


def test_metadata_above_the_limit_is_refused_without_a_record() -> None:
    request = commit(("t", 0, 5), note="x" * 11)
    outcome = shard().handle_offset_commit(request, version=8, now=NOW)
    assert outcome.records == ()
    code = outcome.reply.topics[0].partitions[0].error_code
    assert code == ErrorCode.OFFSET_METADATA_TOO_LARGE


def test_a_clients_own_retention_becomes_an_expiry() -> None:
    state = shard()
    request = commit(("t", 0, 5), retention_time_ms=1000)
    replay(state, state.handle_offset_commit(request, version=4, now=NOW).records)
    found = state.offsets.get("g", "t", 0)
    assert found is not None
    assert found.expire_timestamp_ms == NOW.wall_ms + 1000


@pytest.mark.parametrize(
    ("version", "known", "code"),
    [
        (8, False, ErrorCode.ILLEGAL_GENERATION),
        (9, False, ErrorCode.GROUP_ID_NOT_FOUND),
        (8, True, ErrorCode.UNKNOWN_MEMBER_ID),
        (9, True, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_nobody_commits_as_a_member_of_a_group_without_members(version, known, code) -> None:
    state = shard()
    if known:
        replay(state, state.handle_offset_commit(commit(("t", 0, 1)), version=8, now=NOW).records)
    with pytest.raises(KafkaError) as refused:
        state.handle_offset_commit(commit(("t", 0, 5), generation=0), version=version, now=NOW)
    assert refused.value.code == code


def test_a_deleted_topics_offsets_are_forgotten_and_no_others() -> None:
    state = shard()
    for group in "gh":
        request = commit(("t", 0, 1), ("t", 1, 1), ("u", 0, 1), group=group)
        replay(state, state.handle_offset_commit(request, version=8, now=NOW).records)
    outcome = state.on_topic_deleted("t")
    assert [record.value for record in outcome.records] == [None] * 4
    replay(state, outcome.records)
    assert contents(state).keys() == {"g", "h"}
    for group in "gh":
        assert list(state.offsets.of_group(group)) == ["u"]
    assert state.on_topic_deleted("t").records == ()


def test_a_group_whose_last_offset_is_forgotten_is_gone() -> None:
    state = shard()
    replay(state, state.handle_offset_commit(commit(("t", 0, 1)), version=8, now=NOW).records)
    replay(state, state.on_topic_deleted("t").records)
    assert "g" not in state.offsets


@pytest.mark.parametrize("version", [3, 5, 99])
def test_records_of_other_kinds_are_passed_over(version: int) -> None:
    state = shard()
    state.replay(version.to_bytes(2, "big") + b"whatever", b"value")
    assert contents(state) == {"g": {}, "h": {}}


def test_a_record_that_cannot_be_read_is_a_wire_error_and_changes_nothing() -> None:
    state = shard()
    record = offset_commit_record(
        OffsetCommitKey(group="g", topic="t", partition=0),
        OffsetCommitValue(offset=1, metadata="", commit_timestamp=0),
    )
    assert record.value is not None
    for key, value in ((record.key[:-1], record.value), (record.key, record.value[:-1])):
        with pytest.raises(WireError):
            state.replay(key, value)
    assert "g" not in state.offsets


@given(value=st.binary(max_size=80), group=st.sampled_from("gh"))
def test_no_groups_record_raises_anything_but_a_wire_error(value: bytes, group: str) -> None:
    state = shard()
    for made in (GROUP_VALUE, value, None, value):
        key = b"\x00\x02\x00\x01" + group.encode()
        try:
            state.replay(key, made)
        except WireError:
            continue
    state.on_loaded(NOW)
    state.describe_group(group, version=6)


def test_members_of_a_loaded_group_have_their_whole_session() -> None:
    state = shard()
    state.replay(b"\x00\x02\x00\x01g", GROUP_VALUE)
    assert state.next_deadline_ms() is None
    state.on_loaded(NOW)
    assert state.next_deadline_ms() == NOW.steady_ms + 10_000
    due = Moment(NOW.wall_ms + 10_000, NOW.steady_ms + 10_000)
    outcome = state.on_deadline(due)
    replay(state, outcome.records)
    assert state.describe_group("g", version=6).group_state == "Empty"
    replay(state, state.expire_offsets(due, state.group_ids()).records)
    # Others may have had their turn since the groups were listed.
    assert state.expire_offsets(due, ["gone"]).records == ()
    assert state.list_groups(states=frozenset(), types=frozenset()) == []


def test_a_group_that_is_forgotten_takes_its_timers_along() -> None:
    state = shard()
    request, version = join_request("g", {})
    client = Client("c", "/127.0.0.1")
    joined = state.handle_join_group(request, version=version, client=client, ticket=1, now=NOW)
    replay(state, joined.records)
    assert state.next_deadline_ms() is not None
    deleted = state.handle_delete_group("g", now=NOW)
    assert deleted.reply is ErrorCode.NONE
    replay(state, deleted.records)
    assert state.next_deadline_ms() is None
    assert state.on_deadline(Moment(NOW.wall_ms, 10**9)).replies == ()


def test_offsets_are_deleted_of_a_group_with_a_name() -> None:
    request = offset_delete_request("", {"t": [0]})
    with pytest.raises(KafkaError) as refused:
        shard().handle_offset_delete(request, now=NOW)
    assert refused.value.code == ErrorCode.INVALID_GROUP_ID


STEPS = st.one_of(
    st.tuples(
        st.just("commit"),
        st.sampled_from("gh"),
        st.lists(
            st.tuples(st.sampled_from("tu"), st.integers(0, 2), st.integers(0, 99)), max_size=3
        ),
    ),
    st.tuples(st.just("delete"), st.sampled_from("tu"), st.just(None)),
)


@settings(max_examples=100)
@given(steps=st.lists(STEPS, max_size=20))
def test_a_replayed_shard_equals_the_one_that_was_lost(steps) -> None:
    state = shard()
    written: list[CoordinatorRecord] = []
    model: dict[tuple[str, str, int], int] = {}
    for kind, who, places in steps:
        if kind == "commit":
            request = commit(*places, group=who)
            outcome = state.handle_offset_commit(request, version=8, now=NOW)
            model.update({(who, topic, index): offset for topic, index, offset in places})
        else:
            outcome = state.on_topic_deleted(who)  # type: ignore[assignment]
            model = {key: value for key, value in model.items() if key[1] != who}
        written += outcome.records
        replay(state, outcome.records)
    rebuilt = shard()
    replay(rebuilt, tuple(written))
    assert contents(rebuilt) == contents(state)
    found = {
        (group, topic, index): committed.offset
        for group in "gh"
        for topic, partitions in rebuilt.offsets.of_group(group).items()
        for index, committed in partitions.items()
    }
    assert found == model
    # What compaction leaves, the last record of each key, rebuilds the same.
    compacted = shard()
    last = {record.key: record for record in written}
    replay(compacted, tuple(last.values()))
    assert contents(compacted) == contents(state)
