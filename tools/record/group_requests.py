"""Short ways to write the requests of classic groups, and `Member`, who sends them in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack

from tools.record.player import Pending, Player
from tools.record.requests import offset_commit
from wire.errors import ErrorCode
from wire.messages.delete_groups import DeleteGroupsRequest
from wire.messages.describe_groups import DescribeGroupsRequest
from wire.messages.heartbeat import HeartbeatRequest
from wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from wire.messages.list_groups import ListGroupsRequest
from wire.messages.offset_commit import OffsetCommitRequestTopic
from wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from wire.schema import Request

LONG_MS = 60_000
"""A session or a rebalance that outlives its scenario."""
JOIN_VERSION = 9
DESCRIBE_VERSION = 5
"""The newest at which a group that is not there is no error."""


def subscription(*topics: str, version: int = 0) -> bytes:
    """A consumer's metadata: ConsumerProtocolSubscription 0, or 1 and later with nothing owned.

    Apache Kafka 4.3.1 reads it for groups of the type "consumer", and never answers a join whose
    metadata declares more topics than there are bytes: what a member sends has to be sound.
    """
    body = pack(">hi", version, len(topics))
    for topic in topics:
        body += pack(">h", len(topic)) + topic.encode()
    body += pack(">i", -1)
    if version >= 1:
        body += pack(">i", 0)
    if version >= 2:
        body += pack(">i", -1)
    if version >= 3:
        body += pack(">h", -1)
    return body


RANGE: Sequence[tuple[str, bytes]] = (("range", subscription()),)
"""The protocols of a member whose metadata nobody reads."""


def join(
    group: str,
    *,
    member: str = "",
    instance: str | None = None,
    protocol_type: str = "consumer",
    protocols: Sequence[tuple[str, bytes]] = RANGE,
    session_timeout_ms: int = LONG_MS,
    rebalance_timeout_ms: int = LONG_MS,
    reason: str | None = None,
) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=rebalance_timeout_ms,
        member_id=member,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocols=[
            JoinGroupRequestProtocol(name=name, metadata=metadata) for name, metadata in protocols
        ],
        reason=reason,
    )


def sync(
    group: str,
    member: str,
    generation: int,
    assignments: Sequence[tuple[str, bytes]] = (),
    *,
    instance: str | None = None,
    protocol_type: str | None = "consumer",
    protocol_name: str | None = "range",
) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id=group,
        generation_id=generation,
        member_id=member,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocol_name=protocol_name,
        assignments=[
            SyncGroupRequestAssignment(member_id=to, assignment=data) for to, data in assignments
        ],
    )


def heartbeat(
    group: str, member: str, generation: int, *, instance: str | None = None
) -> HeartbeatRequest:
    return HeartbeatRequest(
        group_id=group, generation_id=generation, member_id=member, group_instance_id=instance
    )


def leave(group: str, member: str) -> LeaveGroupRequest:
    """One member, in the form of versions 0 to 2."""
    return LeaveGroupRequest(group_id=group, member_id=member)


def leave_many(
    group: str, *members: tuple[str, str | None], reason: str | None = None
) -> LeaveGroupRequest:
    """Members by `(member id, instance id)`, in the form of versions 3 and later."""
    return LeaveGroupRequest(
        group_id=group,
        members=[
            MemberIdentity(member_id=member, group_instance_id=instance, reason=reason)
            for member, instance in members
        ],
    )


def leave_request(
    group: str, member: str, *, version: int, instance: str | None = None
) -> LeaveGroupRequest:
    """One member, in the form that the version has for it."""
    return leave_many(group, (member, instance)) if version >= 3 else leave(group, member)


def describe(*groups: str, operations: bool = False) -> DescribeGroupsRequest:
    return DescribeGroupsRequest(groups=list(groups), include_authorized_operations=operations)


def list_groups(states: Sequence[str] = (), types: Sequence[str] = ()) -> ListGroupsRequest:
    return ListGroupsRequest(states_filter=list(states), types_filter=list(types))


def delete_groups(*groups: str) -> DeleteGroupsRequest:
    return DeleteGroupsRequest(groups_names=list(groups))


def offset_delete(group: str, **topics: Sequence[int]) -> OffsetDeleteRequest:
    """Partitions by their topic, whose name has underscores where Python allows no hyphen."""
    return OffsetDeleteRequest(
        group_id=group,
        topics=[
            OffsetDeleteRequestTopic(
                name=topic.replace("_", "-"),
                partitions=[OffsetDeleteRequestPartition(partition_index=at) for at in partitions],
            )
            for topic, partitions in topics.items()
        ],
    )


@dataclass(slots=True)
class Member:
    """Somebody who joins a group on a connection of his own, named like him. Mutable: what the
    group told him.

    A step without a title is not recorded; a title is preceded by the member's name.
    """

    kafka: Player
    group: str
    name: str
    version: int = JOIN_VERSION
    instance: str | None = None
    protocols: Sequence[tuple[str, bytes]] = RANGE
    session_timeout_ms: int = LONG_MS
    rebalance_timeout_ms: int = LONG_MS
    member_id: str = ""
    generation: int = -1
    leader: str = ""
    protocol: str | None = "range"

    def begin_join(self, title: str = "") -> Pending:
        """Ask for an id where one is needed, then join and do not wait."""
        if not self.member_id and self.instance is None and self.version >= 4:
            self.take_id()
        return self.kafka.begin(self._title(title), self._join(), self.version, on=self.name)

    def take_id(self, title: str = "") -> None:
        """The join that is answered with nothing but a member id (KIP-394)."""
        asked = self.kafka.begin(self._title(title), self._join(), self.version, on=self.name)
        self._learn(self.kafka.finish(asked))
        assert self.member_id

    def finish_join(self, pending: Pending) -> JoinGroupResponse:
        return self._learn(self.kafka.finish(pending))

    def join(self, title: str = "") -> JoinGroupResponse:
        """A join that nobody need wait for."""
        return self.finish_join(self.begin_join(title))

    def begin_sync(self, title: str = "", *receivers: "Member") -> Pending:
        """Sync; with receivers as a leader, who gives each "to NAME"."""
        assignments = [(each.member_id, f"to {each.name}".encode()) for each in receivers]
        request = sync(
            self.group,
            self.member_id,
            self.generation,
            assignments,
            instance=self.instance,
            protocol_name=self.protocol,
        )
        return self.kafka.begin(self._title(title), request, min(self.version, 5), on=self.name)

    def sync(self, title: str = "", *receivers: "Member") -> None:
        self.kafka.finish(self.begin_sync(title, *receivers))

    def heartbeat(self, title: str = "") -> None:
        request = heartbeat(self.group, self.member_id, self.generation, instance=self.instance)
        self._send(title, request, min(self.version, 4))

    def leave(self, title: str = "") -> None:
        version = min(self.version, 5)
        request = leave_request(self.group, self.member_id, version=version, instance=self.instance)
        self._send(title, request, version)

    def commit(self, title: str, part: OffsetCommitRequestTopic, version: int = 9) -> None:
        request = offset_commit(
            self.group,
            part,
            generation=self.generation,
            member=self.member_id,
            instance=self.instance,
        )
        self._send(title, request, version)

    def _send(self, title: str, request: Request, version: int) -> None:
        pending = self.kafka.begin(self._title(title), request, version, on=self.name)
        self.kafka.finish(pending)

    def _join(self) -> JoinGroupRequest:
        return join(
            self.group,
            member=self.member_id,
            instance=self.instance if self.version >= 5 else None,
            protocols=self.protocols,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
        )

    def _learn(self, answer: object) -> JoinGroupResponse:
        assert isinstance(answer, JoinGroupResponse)
        if answer.error_code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
            self.member_id = answer.member_id
            self.generation = answer.generation_id
            self.leader = answer.leader
            self.protocol = answer.protocol_name
        return answer

    def _title(self, title: str) -> str:
        return f"{self.name} {title}" if title else ""


def wait_for_state(kafka: Player, group: str, state: str, *, members: int | None = None) -> None:
    """Wait until the group is described in this state, with so many members."""

    def is_reached(answer: str) -> bool:
        count = answer.count("member_id: ")
        return f'group_state: "{state}"' in answer and members in (None, count)

    kafka.setup_until(describe(group), DESCRIBE_VERSION, is_reached)


def rejoin(*members: Member, title: str = "") -> None:
    """All join again at once; the last to be seen completes the rebalance."""
    joins = [member.begin_join(title) for member in members]
    for member, pending in zip(members, joins, strict=True):
        member.finish_join(pending)


def admit(newcomer: Member, *others: Member, title: str = "") -> None:
    """A member joins, which parks until the others have joined again."""
    pending = newcomer.begin_join(title)
    if others:
        wait_for_state(newcomer.kafka, newcomer.group, "PreparingRebalance")
        rejoin(*others, title=title)
    newcomer.finish_join(pending)


def share_out(*members: Member, title: str = "") -> None:
    """All sync, the leader first."""
    leader = next(member for member in members if member.leader == member.member_id)
    leader.sync(title, *members)
    for member in members:
        if member is not leader:
            member.sync(title)


def stable_group(*members: Member) -> None:
    """Bring the members into a stable group, one generation each; nothing is recorded."""
    for count, newcomer in enumerate(members):
        admit(newcomer, *members[:count])
        share_out(*members[: count + 1])


def member_of(kafka: Player, group: str) -> Member:
    """A stable group of one."""
    member = Member(kafka, group, "a")
    stable_group(member)
    return member
