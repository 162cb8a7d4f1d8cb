"""Groups made by hand, for tests of one step at a time."""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ClassicMember, MemberProtocol
from coordinator.group.settings import Client
from coordinator.group.timers import Timers
from coordinator.group.turn import Turn
from coordinator.outcome import Moment
from tests.coordinator.requests import subscription

NOW = Moment(wall_ms=1_700_000_000_000, steady_ms=5_000)


def new_turn() -> Turn:
    return Turn(NOW, Timers())


def new_member(
    member_id: str, *, instance: str | None = None, protocols: str = "range", topic: str = "t"
) -> ClassicMember:
    return ClassicMember(
        member_id,
        group_instance_id=instance,
        client=Client("client", "/127.0.0.1"),
        rebalance_timeout_ms=30_000,
        session_timeout_ms=10_000,
        protocols=[MemberProtocol(name, subscription([topic])) for name in protocols.split(",")],
    )


def stable_group(
    *members: ClassicMember, protocol_type: str = "consumer", group_id: str = "g"
) -> ClassicGroup:
    """In generation 1, each member with its own name as assignment."""
    group = ClassicGroup(group_id)
    group.protocol_type = protocol_type
    for member in members:
        group.add(member, protocol_type)
        member.assignment = member.member_id.encode()
    group.transition_to(GroupState.PREPARING_REBALANCE, NOW.wall_ms)
    group.begin_generation(NOW.wall_ms)
    if members:
        group.transition_to(GroupState.STABLE, NOW.wall_ms)
    return group
