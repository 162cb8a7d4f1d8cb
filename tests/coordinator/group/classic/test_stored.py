"""A group's record, and the group that is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.group.classic.group import GroupState
from coordinator.group.classic.stored import group_record, new_group_record, restore
from coordinator.group.records import decode_group_metadata_value
from coordinator.outcome import CoordinatorRecord
from tests.coordinator.group.groups import NOW, new_member, stable_group
from wire.errors import WireError
from wire.messages.offset_records import GroupMetadataValue, MemberMetadata


def value_of(record: CoordinatorRecord) -> GroupMetadataValue:
    assert record.value is not None
    return decode_group_metadata_value(record.value)


def test_a_group_is_rebuilt_as_it_was_stored() -> None:
    group = stable_group(new_member("a"), new_member("s", instance="i", topic="u"))
    value = value_of(group_record(group, {"a": b"x"}, NOW.wall_ms))
    found = restore(None, "g", value)
    assert (found.state, found.generation, found.leader) == (GroupState.STABLE, 1, "a")
    assert (found.protocol_type, found.protocol_name) == ("consumer", "range")
    assert found.subscribed_topics == {"t", "u"}
    assert [each.assignment for each in found.members.values()] == [b"x", b""]
    static = found.static_member("i")
    assert static is not None
    assert (static.client, static.session_timeout_ms, static.rebalance_timeout_ms) == (
        ("client", "/127.0.0.1"),
        10_000,
        30_000,
    )


def test_a_group_that_lives_keeps_what_is_not_stored() -> None:
    group = stable_group(new_member("a", protocols="range,sticky"), new_member("b"))
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    group.begin_generation(0)
    group.members["b"].sync_ticket = 5
    value = value_of(group_record(group, {"a": b"x"}, NOW.wall_ms))
    assert restore(group, "g", value) is group
    assert group.state is GroupState.STABLE
    assert group.members["a"].assignment == b"x"
    assert len(group.members["a"].protocols) == 2
    assert group.members["b"].sync_ticket == 5


def test_a_record_that_a_group_began_does_not_undo_its_first_joins() -> None:
    group = stable_group()
    record = new_group_record(group, NOW.wall_ms)
    group.pending_members["p"] = None
    assert list(restore(group, "g", value_of(record)).pending_members) == []
    group.generation = 0
    assert list(restore(group, "g", value_of(record)).pending_members) == ["p"]
    group.add(new_member("a"), "consumer")
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    assert list(restore(group, "g", value_of(record)).members) == ["a"]


def test_of_several_records_the_last_one_counts() -> None:
    first = value_of(group_record(stable_group(new_member("a")), {"a": b"x"}, 1))
    second = value_of(group_record(stable_group(new_member("a", topic="u")), {"a": b"y"}, 2))
    empty = value_of(group_record(stable_group(), {}, 3))
    group = restore(None, "g", first)
    group = restore(group, "g", second)
    assert group.subscribed_topics == {"u"}
    assert group.members["a"].assignment == b"y"
    group = restore(group, "g", empty)
    assert (group.state, group.state_timestamp_ms) == (GroupState.EMPTY, 3)


def member(member_id: str, instance: str | None = None) -> MemberMetadata:
    return MemberMetadata(
        member_id=member_id,
        group_instance_id=instance,
        client_id="c",
        client_host="h",
        session_timeout=7,
        subscription=b"",
        assignment=b"",
    )


def value(*members: MemberMetadata, protocol: str | None = "range") -> GroupMetadataValue:
    return GroupMetadataValue(
        protocol_type="consumer", generation=3, protocol=protocol, leader="z", members=[*members]
    )


def test_old_records_tell_less() -> None:
    group = restore(None, "g", value(member("a")))
    assert group.members["a"].rebalance_timeout_ms == 7
    assert group.state_timestamp_ms is None
    assert group.leader == "a", "a leader that is no member leads nobody"


@pytest.mark.parametrize(
    "broken",
    [
        value(member("a"), member("a")),
        value(member("a", "i"), member("b", "i")),
        value(member("a"), protocol=None),
    ],
)
def test_a_record_that_no_group_has_written_is_a_wire_error(broken: GroupMetadataValue) -> None:
    with pytest.raises(WireError):
        restore(None, "g", broken)


NAMES = st.one_of(st.none(), st.sampled_from(["", "a", "b"]))


@given(
    members=st.lists(st.tuples(st.sampled_from(["", "a", "b"]), NAMES), max_size=3),
    protocol=NAMES,
    leader=NAMES,
    generation=st.integers(-1, 3),
)
def test_whatever_is_stored_makes_a_group_or_a_wire_error(
    members, protocol, leader, generation
) -> None:
    stored = value(*(member(*each) for each in members), protocol=protocol)
    stored.leader, stored.generation = leader, generation
    group = restore(None, "g", value(member("a")))
    try:
        found = restore(group, "g", stored)
    except WireError:
        return
    assert list(found.members) == [each.member_id for each in stored.members]
    assert (found.leader in found.members) == bool(found.members)
