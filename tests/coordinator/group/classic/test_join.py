"""JoinGroup: what is read of a request, and who finds a place."""

from __future__ import annotations

from itertools import count

import pytest

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.join import (
    MAX_PENDING_MEMBERS,
    MAX_PROTOCOLS,
    NEW_MEMBER_JOIN_TIMEOUT_MS,
    Join,
    check_join,
    join_group,
)
from coordinator.group.settings import Client, GroupSettings
from coordinator.group.turn import Turn
from coordinator.outcome import Reply
from tests.coordinator.group.groups import NOW, new_member, new_turn, stable_group
from tests.coordinator.requests import join_request
from wire.errors import ErrorCode
from wire.messages.join_group import JoinGroupRequestProtocol, JoinGroupResponse

SETTINGS = GroupSettings()
NUMBERS = count()


def read(**options: str) -> Join:
    request, version = join_request("g", options)
    client = Client("client", "/127.0.0.1")
    return Join(request, version=version, client=client, ticket=next(NUMBERS))


def run(group: ClassicGroup, turn: Turn, settings: GroupSettings = SETTINGS, **options: str) -> int:
    """The ticket of a join that is handled."""
    join = read(**options)
    join_group(group, join, lambda: "new", turn, settings)
    return join.ticket


def answer(replies: tuple[Reply, ...], ticket: int) -> JoinGroupResponse:
    found = [reply.response for reply in replies if reply.ticket == ticket]
    assert len(found) == 1
    assert isinstance(found[0], JoinGroupResponse)
    return found[0]


def test_a_protocol_named_twice_counts_once() -> None:
    join = read(protocols="range:t,sticky:t,range:u")
    assert [each.name for each in join.protocols] == ["range", "sticky"]
    assert join.protocols[0].metadata == read(protocols="range:t").protocols[0].metadata


def test_version_0_has_one_timeout() -> None:
    assert read(version="0", rebalance="-1", session="7000").rebalance_timeout_ms == 7_000
    assert read(version="1", rebalance="8000", session="7000").rebalance_timeout_ms == 8_000


@pytest.mark.parametrize(
    ("session", "code"),
    [
        (5_999, ErrorCode.INVALID_SESSION_TIMEOUT),
        (6_000, ErrorCode.NONE),
        (1_800_000, ErrorCode.NONE),
        (1_800_001, ErrorCode.INVALID_SESSION_TIMEOUT),
    ],
)
def test_session_timeouts_have_limits(session: int, code: ErrorCode) -> None:
    request, _ = join_request("g", {"session": str(session)})
    assert check_join(request, SETTINGS) is code


@pytest.mark.parametrize(
    ("options", "member_id"),
    [({"version": "3"}, "client-new"), ({"instance": "i"}, "i-new"), ({"instance": ""}, "-new")],
)
def test_a_member_is_named_after_its_instance_or_its_client(options, member_id) -> None:
    group, turn = ClassicGroup("g"), new_turn()
    run(group, turn, **options)
    assert list(group.members) == [member_id]
    assert group.members[member_id].is_new
    assert NOW.steady_ms + NEW_MEMBER_JOIN_TIMEOUT_MS in {
        deadline for deadline, _ in turn.timers._deadlines.values()
    }


def test_an_id_is_given_out_and_expected_back() -> None:
    group, turn = ClassicGroup("g"), new_turn()
    ticket = run(group, turn, session="7000")
    refused = answer(turn.replies(), ticket)
    assert (refused.error_code, refused.member_id) == (ErrorCode.MEMBER_ID_REQUIRED, "client-new")
    assert list(group.pending_members) == ["client-new"]
    assert turn.timers.next_deadline_ms() == NOW.steady_ms + 7_000


def test_ids_are_not_given_out_without_end() -> None:
    group, turn = ClassicGroup("g"), new_turn()
    group.pending_members.update((str(number), None) for number in range(MAX_PENDING_MEMBERS))
    ticket = run(group, turn)
    assert answer(turn.replies(), ticket).error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert len(group.pending_members) == MAX_PENDING_MEMBERS
    group.remove("7")
    ticket = run(group, turn)
    assert answer(turn.replies(), ticket).error_code == ErrorCode.MEMBER_ID_REQUIRED


def test_a_member_names_a_bounded_number_of_protocols() -> None:
    request, _ = join_request("g", {})
    request.protocols = [
        JoinGroupRequestProtocol(name=str(number), metadata=b"") for number in range(MAX_PROTOCOLS)
    ]
    assert check_join(request, SETTINGS) == ErrorCode.NONE
    request.protocols.append(JoinGroupRequestProtocol(name="one more", metadata=b""))
    assert check_join(request, SETTINGS) == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_full_group_is_full_for_pending_members_too() -> None:
    group, turn = stable_group(new_member("a")), new_turn()
    group.pending_members["p"] = None
    ticket = run(group, turn, GroupSettings(max_size=1), member="p")
    assert answer(turn.replies(), ticket).error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert not group.pending_members


def test_a_follower_with_the_same_metadata_learns_its_generation() -> None:
    group, turn = stable_group(new_member("a"), new_member("b")), new_turn()
    ticket = run(group, turn, member="b")
    found = answer(turn.replies(), ticket)
    assert (found.generation_id, found.leader, found.members) == (1, "a", [])
    assert group.state is GroupState.STABLE


def test_a_member_that_joins_again_in_an_empty_group_is_unknown() -> None:
    group, turn = stable_group(), new_turn()
    ticket = run(group, turn, member="a")
    found = answer(turn.replies(), ticket)
    assert (found.error_code, found.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "a")
