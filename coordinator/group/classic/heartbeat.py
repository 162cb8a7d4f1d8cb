"""Heartbeat (versions 0 to 4): a member is there, and learns whether it has to join again.

- 3: static members (KIP-345). After Kafka's `classicGroupHeartbeat`.
"""

from __future__ import annotations

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.rebalance import expect_heartbeat
from coordinator.group.turn import Turn
from wire.errors import ErrorCode, KafkaError
from wire.messages.heartbeat import HeartbeatRequest


def heartbeat(group: ClassicGroup, request: HeartbeatRequest, turn: Turn) -> ErrorCode:
    """Prolong the member's session; KafkaError where it is none or of another generation."""
    member = group.require_member(request.member_id, request.group_instance_id)
    if request.generation_id != group.generation:
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
    expect_heartbeat(group, member, turn)
    if group.state is GroupState.PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE
