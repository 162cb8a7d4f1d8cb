"""What others see of a group."""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.describe import describe, describe_missing, list_groups
from tests.coordinator.group.groups import new_member, stable_group
from tests.coordinator.requests import subscription
from wire.errors import ErrorCode

ALL: frozenset[str] = frozenset()


def test_what_members_said_is_shown_while_the_group_is_stable_only() -> None:
    group = stable_group(new_member("a"), new_member("s", instance="i"))
    found = describe(group, version=6)
    assert (found.group_state, found.protocol_type, found.protocol_data) == (
        "Stable",
        "consumer",
        "range",
    )
    assert [member.member_metadata for member in found.members] == [subscription(["t"])] * 2
    assert [member.member_assignment for member in found.members] == [b"a", b"s"]
    assert [member.group_instance_id for member in found.members] == [None, "i"]
    group.transition_to(GroupState.PREPARING_REBALANCE, 0)
    found = describe(group, version=6)
    assert (found.group_state, found.protocol_data) == ("PreparingRebalance", "")
    assert [member.member_metadata for member in found.members] == [b"", b""]


def test_a_missing_group_is_dead_and_since_version_6_an_error() -> None:
    dead, missing = (describe_missing("g", version=version) for version in (5, 6))
    assert (dead.error_code, dead.error_message, dead.group_state) == (0, None, "Dead")
    assert (missing.error_code, missing.group_state) == (ErrorCode.GROUP_ID_NOT_FOUND, "Dead")
    assert missing.error_message == "Group g not found."


def test_groups_are_listed_by_name_and_filtered_whatever_the_case() -> None:
    groups = [stable_group(new_member("a"), group_id="h"), ClassicGroup("g")]

    def names(states: frozenset[str] = ALL, types: frozenset[str] = ALL) -> list[str]:
        return [each.group_id for each in list_groups(groups, states=states, types=types)]

    assert names() == ["g", "h"]
    assert names(states=frozenset({" EMPTY "})) == ["g"]
    assert names(states=frozenset({"stable", "Empty"})) == ["g", "h"]
    assert names(states=frozenset({"Dead"})) == []
    assert names(types=frozenset({"CLASSIC"})) == ["g", "h"]
    assert names(types=frozenset({"share"})) == []
