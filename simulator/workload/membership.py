"""One member's way through the classic group protocol: join, sync, heartbeat, leave.

Every answer that a real client goes on after is followed as that client does it; what is left of
the codes ends the run. Counterpart: `group_members`, which consumes what is assigned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.client import ConnectionGoneError
from simulator.invariant_error import InvariantError
from simulator.workload.assignor import (
    PROTOCOL_NAME,
    PROTOCOL_TYPE,
    assign_ranges,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)
from simulator.workload.caller import RETRIABLE, STALE_COORDINATOR, Caller, must_be
from simulator.workload.group_rules import GroupRules
from simulator.workload.requests import Partition
from wire.errors import ErrorCode
from wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

if TYPE_CHECKING:
    from simulator.world import World

REBALANCE_TIMEOUT_S = 15.0
JOIN_TIMEOUT_S = REBALANCE_TIMEOUT_S + 10.0
REJOIN = (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION)
GONE = (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID)


class Membership:
    """Mutable. `generation` is -1 while the member belongs to none."""

    def __init__(
        self,
        world: World,
        caller: Caller,
        rules: GroupRules,
        *,
        topics: dict[str, int],
        instance_id: str | None,
        session_timeout_ms: int,
    ) -> None:
        self.member_id = ""
        self.generation = -1
        self.instance_id = instance_id
        self.partitions: list[Partition] = []
        self._last_id = ""
        self._world = world
        self._caller = caller
        self._rules = rules
        self._topics = topics
        self._session_timeout_ms = session_timeout_ms
        self._heard: tuple[int, int, float] = (0, 0, 0.0)
        """The life and the losses of the groups in which a heartbeat went well, and when."""

    @property
    def floor(self) -> int:
        """Of the generation that holds, as far as anybody knows now."""
        self._rules.forget(self._world.ledger.group_losses)
        return self._rules.floor

    async def join(self) -> bool:
        """Become a member of a generation and learn what it owns; False: try again."""
        self.generation = -1
        try:
            answer = await self._join()
            return answer is not None and await self._sync(answer)
        except ConnectionGoneError:
            await self._caller.pause()
            return False

    async def heartbeat(self) -> bool:
        """Whether it goes on as it is. ConnectionGoneError."""
        request = HeartbeatRequest(
            group_id=self._rules.group,
            generation_id=self.generation,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
        )
        now_s = self._world.loop.now
        heard = self._world.moves, self._world.ledger.group_losses
        answer = await self._caller.ask(request, 4, HeartbeatResponse)
        self._check_still_known(answer.error_code, heard)
        if answer.error_code == ErrorCode.NONE:
            self._heard = *heard, now_s
        return await self.went_well(answer.error_code, "a heartbeat")

    def _check_still_known(self, code: int, heard: tuple[int, int]) -> None:
        """Who was heard of as a member is one until it could have missed something."""
        within_s = min(self._session_timeout_ms / 1000, REBALANCE_TIMEOUT_S)
        silent_s = self._world.loop.now - self._heard[2]
        if code in GONE and self._heard[:2] == heard and silent_s < within_s:
            raise InvariantError(
                f"{self._caller.name}: {self.member_id} was heard of {silent_s:.1f} s ago, "
                f"and is answered {ErrorCode(code).name}"
            )

    async def leave(self) -> None:
        """ConnectionGoneError."""
        identity = MemberIdentity(
            member_id=self.member_id, group_instance_id=self.instance_id, reason=None
        )
        request = LeaveGroupRequest(group_id=self._rules.group, members=[identity])
        answer = await self._caller.ask(request, 4, LeaveGroupResponse)
        code = answer.error_code or answer.members[0].error_code
        must_be(code, *GONE, *RETRIABLE, who=self._caller.name, what="leaving")
        self.forget()

    def forget(self) -> None:
        self.member_id, self.generation, self.partitions = "", -1, []
        self._heard = (0, 0, 0.0)

    async def went_well(self, code: int, what: str) -> bool:
        """Whether the member goes on in its generation; what an error asks for is done. In a
        rebalance it goes on with what it has, but for the next join."""
        found = must_be(code, *REJOIN, *GONE, *RETRIABLE, who=self._caller.name, what=what)
        if found is ErrorCode.NONE:
            return True
        if found in GONE:
            self.member_id = ""
            self._heard = (0, 0, 0.0)
        if found in STALE_COORDINATOR:
            await self._caller.recover(found, self._rules.group)
            return True
        if found in RETRIABLE:
            await self._caller.pause()
            return True
        return False

    async def _join(self) -> JoinGroupResponse | None:
        floor = self.floor
        losses = self._rules.losses
        request = JoinGroupRequest(
            group_id=self._rules.group,
            session_timeout_ms=self._session_timeout_ms,
            rebalance_timeout_ms=int(REBALANCE_TIMEOUT_S * 1000),
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocols=[
                JoinGroupRequestProtocol(
                    name=PROTOCOL_NAME, metadata=encode_subscription(sorted(self._topics))
                )
            ],
        )
        answer = await self._caller.ask(request, 7, JoinGroupResponse, JOIN_TIMEOUT_S)
        if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = answer.member_id
            return None
        if not await self.went_well(answer.error_code, "a join") or answer.error_code:
            return None
        self._rules.forget(self._world.ledger.group_losses)
        if losses == self._rules.losses and not self._world.is_cluster:
            # A deposed coordinator may still let members in; it can assign them nothing.
            self._rules.joined(answer.member_id, answer.generation_id, floor=floor)
        if self._last_id not in ("", answer.member_id) and self.instance_id is not None:
            self._world.situations.saw("static member came back")
        self._last_id = answer.member_id
        self.member_id = answer.member_id
        return answer

    async def _sync(self, joined: JoinGroupResponse) -> bool:
        losses = self._world.ledger.group_losses
        assignments = []
        if joined.leader == self.member_id:
            members = [each.member_id for each in joined.members]
            assignments = [
                SyncGroupRequestAssignment(
                    member_id=member, assignment=encode_assignment(partitions)
                )
                for member, partitions in assign_ranges(members, self._topics).items()
            ]
        request = SyncGroupRequest(
            group_id=self._rules.group,
            generation_id=joined.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=PROTOCOL_NAME,
            assignments=assignments,
        )
        answer = await self._caller.ask(request, 5, SyncGroupResponse, JOIN_TIMEOUT_S)
        if not await self.went_well(answer.error_code, "a sync") or answer.error_code:
            return False
        self.generation = joined.generation_id
        self.partitions = decode_assignment(answer.assignment)
        self._rules.forget(self._world.ledger.group_losses)
        if losses == self._rules.losses:
            # A static member that comes back takes the place that it had (KIP-345).
            owner = self.instance_id or self.member_id
            self._rules.assigned(owner, self.generation, self.partitions)
        self._world.counts["assignments"] += 1
        return True
