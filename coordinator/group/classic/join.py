"""JoinGroup (versions 0 to 9): become a member, or take part in the next generation.

- 0: the session timeout is the rebalance timeout too. 4: a new member is given its id and asked to
  come back with it (KIP-394). 5: static members (KIP-345). 8: a reason (KIP-800), not used.
- 9: a static leader that is back may skip the assignment (KIP-814); see `static`.

After Kafka's `classicGroupJoin`. Where one member's joins overlap, the earlier one is answered
REBALANCE_IN_PROGRESS; Kafka never answers it.
"""

from __future__ import annotations

from collections.abc import Callable

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.member import ClassicMember, MemberProtocol, ParkedJoin
from coordinator.group.classic.rebalance import (
    NO_MEMBER_ID,
    answer_waiting,
    complete_if_joined,
    expect_heartbeat,
    join_failed,
    joined,
    prepare_or_complete,
)
from coordinator.group.classic.static import (
    keeps_generation,
    replace_static_member,
    store_and_answer,
)
from coordinator.group.settings import Client, GroupSettings
from coordinator.group.timers import TimerKey, TimerKind
from coordinator.group.turn import Turn
from coordinator.outcome import Ticket
from wire.errors import ErrorCode, KafkaError
from wire.messages.join_group import JoinGroupRequest

MEMBER_ID_REQUIRED_SINCE = 4
REBALANCE_TIMEOUT_SINCE = 1
NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60 * 1000
"""A new member has no id to send heartbeats with: so long it may wait, then it asks again."""

MAX_PROTOCOLS = 1_000
"""Of one member. Clients name a handful; each is remembered, at many times the bytes it came in.

Kafka takes any number.
"""

MAX_PENDING_MEMBERS = 10_000
"""Ids of one group that nobody has come back with: a client that only asks for more is stopped.

Kafka gives out any number.
"""


class Join:
    """One JoinGroup request, read once: protocols named twice count once."""

    __slots__ = (
        "client",
        "group_instance_id",
        "member_id",
        "protocol_type",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "ticket",
        "version",
    )

    def __init__(
        self, request: JoinGroupRequest, *, version: int, client: Client, ticket: Ticket
    ) -> None:
        self.version = version
        self.client = client
        self.ticket = ticket
        self.member_id = request.member_id
        self.group_instance_id = request.group_instance_id
        self.protocol_type = request.protocol_type
        first_by_name: dict[str, MemberProtocol] = {}
        for each in request.protocols:
            first_by_name.setdefault(each.name, MemberProtocol(each.name, each.metadata))
        self.protocols = tuple(first_by_name.values())
        self.session_timeout_ms = request.session_timeout_ms
        self.rebalance_timeout_ms = (
            request.rebalance_timeout_ms
            if version >= REBALANCE_TIMEOUT_SINCE
            else request.session_timeout_ms
        )


def check_join(request: JoinGroupRequest, settings: GroupSettings) -> ErrorCode:
    """What can be said of a request without its group."""
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    shortest_ms, longest_ms = settings.min_session_timeout_ms, settings.max_session_timeout_ms
    if not shortest_ms <= request.session_timeout_ms <= longest_ms:
        return ErrorCode.INVALID_SESSION_TIMEOUT
    if len(request.protocols) > MAX_PROTOCOLS:
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    return ErrorCode.NONE


def join_group(
    group: ClassicGroup,
    join: Join,
    new_id: Callable[[], str],
    turn: Turn,
    settings: GroupSettings,
) -> None:
    """Answer or park the request. `new_id` gives what a new member's id ends with."""
    if not _has_place(group, join.member_id, settings):
        _turn_away(group, join, turn)
    elif not group.supports(join.protocol_type, join.protocols):
        code = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        _refuse(join, turn, code, join.member_id)
    elif join.member_id:
        _join_again(group, join, turn, settings)
    else:
        instance = join.group_instance_id
        name = join.client.client_id if instance is None else instance
        member_id = f"{name}-{new_id()}"
        _join_anew(group, join, member_id, turn, settings)


def _has_place(group: ClassicGroup, member_id: str, settings: GroupSettings) -> bool:
    """Whether the group is not full; a limit that was lowered shrinks it as members rejoin."""
    member = group.members.get(member_id)
    if group.state is GroupState.EMPTY:
        return True
    if group.state is GroupState.PREPARING_REBALANCE:
        is_counted = member is not None and member.is_awaiting_join
        return is_counted or group.awaiting_join_count < settings.max_size
    return member is not None or len(group.members) < settings.max_size


def _turn_away(group: ClassicGroup, join: Join, turn: Turn) -> None:
    """The group is full: a member that comes too late is one no more."""
    key = TimerKey(TimerKind.SESSION, group.group_id, join.member_id)
    _refuse(join, turn, ErrorCode.GROUP_MAX_SIZE_REACHED)
    if join.member_id in group.members or join.member_id in group.pending_members:
        turn.timers.cancel(key)
        group.remove(join.member_id)
        # Kafka lets the others wait for the rebalance timeout.
        complete_if_joined(group, turn)


def _join_anew(
    group: ClassicGroup, join: Join, member_id: str, turn: Turn, settings: GroupSettings
) -> None:
    """Somebody without a member id: a new member, or the instance of an old one."""
    instance = join.group_instance_id
    old = None if instance is None else group.static_member(instance)
    if old is not None:
        member = replace_static_member(group, old, member_id, turn)
        _update(group, member, join, turn)
        expect_heartbeat(group, member, turn)
        if keeps_generation(group, settings):
            store_and_answer(group, member, old.member_id, turn, version=join.version)
        else:
            prepare_or_complete(group, turn, settings)
    elif instance is None and join.version >= MEMBER_ID_REQUIRED_SINCE:
        if len(group.pending_members) >= MAX_PENDING_MEMBERS:
            _refuse(join, turn, ErrorCode.GROUP_MAX_SIZE_REACHED)
            return
        group.pending_members[member_id] = None
        key = TimerKey(TimerKind.SESSION, group.group_id, member_id)
        turn.timers.schedule(key, turn.now.steady_ms + join.session_timeout_ms)
        _refuse(join, turn, ErrorCode.MEMBER_ID_REQUIRED, member_id)
    else:
        _add(group, join, member_id, turn, settings)


def _join_again(group: ClassicGroup, join: Join, turn: Turn, settings: GroupSettings) -> None:
    """Somebody with a member id: one given out a moment ago, or a member's."""
    if join.member_id in group.pending_members:
        if join.group_instance_id is not None:
            # Only dynamic members are given an id to come back with; Kafka fails the same way.
            _refuse(join, turn, ErrorCode.UNKNOWN_SERVER_ERROR)
        else:
            _add(group, join, join.member_id, turn, settings)
        return
    try:
        member = group.require_member(join.member_id, join.group_instance_id)
    except KafkaError as error:
        _refuse(join, turn, error.code, join.member_id)
        return
    is_same = member.protocols == join.protocols
    is_current = is_same and (
        group.state is GroupState.COMPLETING_REBALANCE
        or (group.state is GroupState.STABLE and group.leader != member.member_id)
    )
    if is_current:
        # It did not get the answer of its last join. A leader of a stable group joins again to
        # have the partitions assigned anew: what it sees of topics is no part of its metadata.
        turn.answer(join.ticket, joined(group, member))
    else:
        _update(group, member, join, turn)
        prepare_or_complete(group, turn, settings)


def _add(
    group: ClassicGroup, join: Join, member_id: str, turn: Turn, settings: GroupSettings
) -> None:
    """Take a new member in; it waits for the next generation."""
    member = ClassicMember(
        member_id,
        group_instance_id=join.group_instance_id,
        client=join.client,
        rebalance_timeout_ms=join.rebalance_timeout_ms,
        session_timeout_ms=join.session_timeout_ms,
        protocols=join.protocols,
    )
    member.is_new = True
    if group.state is GroupState.PREPARING_REBALANCE and group.previous_state is GroupState.EMPTY:
        group.has_new_member = True
    group.add(member, join.protocol_type)
    group.await_join(member, ParkedJoin(join.ticket, join.version))
    expect_heartbeat(group, member, turn, NEW_MEMBER_JOIN_TIMEOUT_MS)
    prepare_or_complete(group, turn, settings)


def _update(group: ClassicGroup, member: ClassicMember, join: Join, turn: Turn) -> None:
    """Take over what a member says now; it waits for the next generation."""
    group.update(
        member,
        protocols=join.protocols,
        rebalance_timeout_ms=join.rebalance_timeout_ms,
        session_timeout_ms=join.session_timeout_ms,
    )
    code = ErrorCode.REBALANCE_IN_PROGRESS
    answer_waiting(group, member, turn, code, member.member_id)
    group.await_join(member, ParkedJoin(join.ticket, join.version))


def _refuse(join: Join, turn: Turn, code: ErrorCode, member_id: str = NO_MEMBER_ID) -> None:
    turn.answer(join.ticket, join_failed(code, member_id, version=join.version))
