"""A group's own invariants: who leads, what all understand, who is whom."""

from __future__ import annotations

import pytest

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import MemberProtocol, ParkedJoin
from tests.coordinator.group.groups import new_member, stable_group
from wire.errors import ErrorCode, KafkaError

WAITING = ParkedJoin(1, 9)


def protocols(*names: str) -> list[MemberProtocol]:
    return [MemberProtocol(name, b"") for name in names]


def test_the_first_member_leads_and_the_eldest_follows_it() -> None:
    group = stable_group(new_member("a"), new_member("b"), new_member("c"))
    assert group.leader == "a"
    group.remove("b")
    assert group.leader == "a"
    group.remove("a")
    assert group.leader == "c"
    group.remove("c")
    assert group.leader is None


def test_a_leader_that_has_not_joined_is_followed_by_one_that_has() -> None:
    group = stable_group(new_member("a"), new_member("b"), new_member("c"))
    assert not group.elect_joined_leader()
    group.await_join(group.members["c"], WAITING)
    assert group.elect_joined_leader()
    assert group.leader == "c"
    assert not ClassicGroup("g").elect_joined_leader()


def test_an_empty_group_takes_any_protocol_that_has_a_name() -> None:
    group = ClassicGroup("g")
    assert group.supports("connect", protocols("x"))
    assert not group.supports("", protocols("x"))
    assert not group.supports("connect", [])


def test_others_must_share_the_type_and_one_protocol_with_all() -> None:
    group = stable_group(new_member("a", protocols="range,sticky"), new_member("b"))
    assert group.supports("consumer", protocols("other", "range"))
    assert not group.supports("consumer", protocols("sticky"))
    assert not group.supports("connect", protocols("range"))


def test_of_equal_votes_the_eldest_members_favourite_wins() -> None:
    group = stable_group(
        new_member("a", protocols="sticky,range"), new_member("b", protocols="range,sticky")
    )
    assert group.select_protocol() == "sticky"


def test_who_is_asked_for_is_there_and_is_who_it_says() -> None:
    group = stable_group(new_member("a"), new_member("s", instance="i"))
    assert group.require_member("a", None) is group.members["a"]
    assert group.require_member("s", "i") is group.static_member("i")
    for member_id, instance, code in (
        ("z", None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("s", "j", ErrorCode.UNKNOWN_MEMBER_ID),
        ("a", "i", ErrorCode.FENCED_INSTANCE_ID),
        ("z", "i", ErrorCode.FENCED_INSTANCE_ID),
    ):
        with pytest.raises(KafkaError) as refused:
            group.require_member(member_id, instance)
        assert refused.value.code is code


def test_a_replaced_member_keeps_its_place_its_lead_and_its_debts() -> None:
    group = stable_group(new_member("s", instance="i"), new_member("a"))
    group.pending_sync["s"] = None
    new = group.replace_static(group.members["s"], "s2")
    assert list(group.members) == ["s2", "a"]
    assert (group.leader, new.assignment) == ("s2", b"s")
    assert group.static_member("i") is new
    assert list(group.pending_sync) == ["s2"]


def test_who_waits_for_a_join_is_counted() -> None:
    group = stable_group(new_member("a"), new_member("b"))
    a, b = group.members.values()
    assert group.await_join(a, WAITING) is None
    assert not group.has_all_joined
    assert group.await_join(a, ParkedJoin(2, 9)) == WAITING
    group.await_join(b, ParkedJoin(3, 9))
    assert group.has_all_joined
    group.pending_members["c"] = None
    assert not group.has_all_joined
    group.await_join(b, None)
    assert group.awaiting_join_count == 1


def test_a_generation_knows_what_its_members_read() -> None:
    group = stable_group(new_member("a", topic="t"), new_member("b", topic="u"))
    assert group.subscribed_topics == {"t", "u"}
    assert group.is_subscribed_to("u")
    assert not group.is_subscribed_to("v")
    group.members["b"].protocols = (MemberProtocol("range", b"junk"),)
    group.refresh_subscribed_topics()
    assert group.subscribed_topics is None
    assert group.is_subscribed_to("v")
    connect = stable_group(new_member("a"), protocol_type="connect")
    assert not connect.is_subscribed_to("t")


def test_states_follow_each_other_as_kafkas_do() -> None:
    group = stable_group(new_member("a"))
    for state in (GroupState.EMPTY, GroupState.COMPLETING_REBALANCE, GroupState.STABLE):
        with pytest.raises(AssertionError):
            group.transition_to(state, 0)
    group.transition_to(GroupState.PREPARING_REBALANCE, 7)
    assert (group.previous_state, group.state_timestamp_ms) == (GroupState.STABLE, 7)


def test_nobody_goes_untold() -> None:
    group = stable_group(new_member("a"))
    group.await_join(group.members["a"], WAITING)
    with pytest.raises(AssertionError):
        group.remove("a")


def test_after_the_last_generation_the_first_one_follows() -> None:
    group = stable_group(new_member("a"))
    group.generation = (1 << 31) - 1
    group.remove("a")
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    group.begin_generation(0)
    assert group.generation == 1
