"""Requests about groups, and a member that makes them one after another as consumers do."""

from __future__ import annotations

from collections.abc import Callable

from tests.kbroker.broker_harness import Client
from wire.api_key import ApiKey
from wire.errors import ErrorCode
from wire.messages.delete_groups import DeleteGroupsRequest
from wire.messages.describe_groups import DescribedGroup, DescribeGroupsRequest
from wire.messages.heartbeat import HeartbeatRequest
from wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from wire.messages.list_groups import ListGroupsRequest
from wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from wire.schema import Request

OF_MEMBERS = (ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP, ApiKey.HEARTBEAT, ApiKey.LEAVE_GROUP)
"""What makes sense only one after the other; `Member` asks it."""

SUBSCRIPTION = b"\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff"
"""The metadata of a consumer that reads the topic "t"."""


def join_group(
    target: object = None,
    version: int = 7,
    *,
    group: str = "g",
    member_id: str = "",
    instance_id: str | None = None,
    session_timeout_ms: int = 10_000,
    rebalance_timeout_ms: int = 60_000,
    metadata: bytes = SUBSCRIPTION,
    protocol: str = "range",
) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=rebalance_timeout_ms,
        member_id=member_id,
        group_instance_id=instance_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name=protocol, metadata=metadata)],
    )


def sync_group(
    target: object = None,
    version: int = 5,
    *,
    group: str = "g",
    member_id: str = "m",
    generation: int = 1,
    assignments: dict[str, bytes] | None = None,
) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id=group,
        generation_id=generation,
        member_id=member_id,
        protocol_type="consumer",
        protocol_name="range",
        assignments=[
            SyncGroupRequestAssignment(member_id=each, assignment=assignment)
            for each, assignment in (assignments or {}).items()
        ],
    )


def heartbeat(
    target: object = None,
    version: int = 4,
    *,
    group: str = "g",
    member_id: str = "m",
    generation: int = 1,
) -> HeartbeatRequest:
    return HeartbeatRequest(group_id=group, generation_id=generation, member_id=member_id)


def leave_group(
    target: object = None, version: int = 5, *, group: str = "g", member_id: str = "m"
) -> LeaveGroupRequest:
    if version < 3:
        return LeaveGroupRequest(group_id=group, member_id=member_id)
    return LeaveGroupRequest(group_id=group, members=[MemberIdentity(member_id=member_id)])


def describe_groups(target: object, version: int, *groups: str) -> DescribeGroupsRequest:
    return DescribeGroupsRequest(groups=list(groups or ("g",)), include_authorized_operations=True)


def list_groups(target: object, version: int) -> ListGroupsRequest:
    return ListGroupsRequest()


def delete_groups(target: object, version: int, *groups: str) -> DeleteGroupsRequest:
    return DeleteGroupsRequest(groups_names=list(groups or (f"doomed-{version}",)))


def offset_delete(
    target: object, version: int, *, group: str = "g", topic: str = "t", partition: int = 0
) -> OffsetDeleteRequest:
    return OffsetDeleteRequest(
        group_id=group,
        topics=[
            OffsetDeleteRequestTopic(
                name=getattr(target, "name", topic),
                partitions=[OffsetDeleteRequestPartition(partition_index=partition)],
            )
        ],
    )


GROUP_MAKERS: dict[ApiKey, Callable[..., Request]] = {
    ApiKey.JOIN_GROUP: join_group,
    ApiKey.SYNC_GROUP: sync_group,
    ApiKey.HEARTBEAT: heartbeat,
    ApiKey.LEAVE_GROUP: leave_group,
    ApiKey.DESCRIBE_GROUPS: describe_groups,
    ApiKey.LIST_GROUPS: list_groups,
    ApiKey.DELETE_GROUPS: delete_groups,
    ApiKey.OFFSET_DELETE: offset_delete,
}


class Member:
    """One member of a group, on a connection of its own. Mutable."""

    def __init__(self, client: Client, *, group: str = "g", instance_id: str | None = None) -> None:
        self.client = client
        self.group = group
        self.instance_id = instance_id
        self.member_id = ""
        self.generation = -1
        self.joined: JoinGroupResponse | None = None
        self.session_timeout_ms = 10_000

    @property
    def leads(self) -> bool:
        return self.joined is not None and self.joined.leader == self.member_id

    async def get_id(self) -> None:
        """Ask for a member id (KIP-394)."""
        answer = await self.client.ask(self._join(), 7)
        assert isinstance(answer, JoinGroupResponse)
        assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED
        assert answer.member_id
        self.member_id = answer.member_id

    async def start_join(self) -> None:
        """Send a JoinGroup, whose answer may have to wait for others."""
        if not self.member_id and self.instance_id is None:
            await self.get_id()
        self.client.send(self._join(), 7)

    async def finish_join(self) -> JoinGroupResponse:
        answer = await self.client.receive()
        assert isinstance(answer, JoinGroupResponse)
        assert answer.error_code == 0, ErrorCode(answer.error_code).name
        self.joined = answer
        self.member_id, self.generation = answer.member_id, answer.generation_id
        return answer

    async def join(self) -> JoinGroupResponse:
        await self.start_join()
        return await self.finish_join()

    def start_sync(self) -> None:
        """Ask for the assignment; a leader gives each member its own id."""
        assignments = {}
        if self.leads:
            assert self.joined is not None
            assignments = {each.member_id: each.member_id.encode() for each in self.joined.members}
        self.client.send(
            sync_group(
                group=self.group,
                member_id=self.member_id,
                generation=self.generation,
                assignments=assignments,
            ),
            5,
        )

    async def finish_sync(self) -> None:
        answer = await self.client.receive()
        assert isinstance(answer, SyncGroupResponse)
        assert answer.error_code == 0, ErrorCode(answer.error_code).name
        assert answer.assignment == self.member_id.encode()

    async def enter(self) -> None:
        """Join and synchronise, as the only one who does."""
        await self.join()
        self.start_sync()
        await self.finish_sync()

    async def beat(self, *, generation: int | None = None) -> int:
        """The error code of a heartbeat."""
        request = heartbeat(
            group=self.group,
            member_id=self.member_id,
            generation=self.generation if generation is None else generation,
        )
        answer = await self.client.ask(request, 4)
        code: int = answer.error_code  # type: ignore[attr-defined]
        return code

    async def leave(self) -> int:
        """The member's error code."""
        request = leave_group(group=self.group, member_id=self.member_id)
        answer = await self.client.ask(request, 5)
        (member,) = answer.members  # type: ignore[attr-defined]
        code: int = member.error_code
        return code

    def _join(self) -> JoinGroupRequest:
        return join_group(
            group=self.group,
            member_id=self.member_id,
            instance_id=self.instance_id,
            session_timeout_ms=self.session_timeout_ms,
        )


async def described(client: Client, group: str = "g", version: int = 6) -> DescribedGroup:
    """What DescribeGroups says of one group."""
    answer = await client.ask(describe_groups(None, version, group), version)
    (found,) = answer.groups  # type: ignore[attr-defined]
    assert isinstance(found, DescribedGroup)
    return found
