"""The groups of one partition of `__consumer_offsets`, as a state machine.

What is stored changes only in `replay`; handlers say which records are to be written, so that
nothing ever has to be undone. Who waits, who has joined so far and when sessions end is in memory
only, as in Kafka: handlers and `on_deadline` change it directly, and a shard whose records could
not be written is dropped and loaded anew. Counterpart: `kbroker.coordination`, the host.

Deliberately not here: consumer groups of KIP-848, and transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from coordinator.group.classic.group import ClassicGroup, GroupState
from coordinator.group.classic.heartbeat import heartbeat
from coordinator.group.classic.join import Join, check_join, join_group
from coordinator.group.classic.leave import leave_group
from coordinator.group.classic.rebalance import (
    answer_waiting,
    expect_heartbeat,
    join_failed,
    on_join_due,
    on_session_due,
    on_sync_due,
    prepare,
    sync_failed,
)
from coordinator.group.classic.stored import new_group_record, restore
from coordinator.group.classic.sync import sync_group
from coordinator.group.commit import (
    all_offset_tombstones,
    check_may_commit,
    commit_offsets,
    delete_offsets,
)
from coordinator.group.describe import describe, describe_missing, list_groups
from coordinator.group.expiry import expired_offsets
from coordinator.group.offsets import CommittedOffset, CommittedOffsets
from coordinator.group.records import (
    decode_group_metadata_key,
    decode_group_metadata_value,
    decode_offset_commit_key,
    decode_offset_commit_value,
    group_tombstone,
    offset_tombstone,
)
from coordinator.group.settings import Client, GroupSettings
from coordinator.group.timers import TimerKey, TimerKind, Timers
from coordinator.group.turn import Turn
from coordinator.outcome import CoordinatorRecord, Moment, Outcome, Reply, Ticket
from wire.errors import ErrorCode, KafkaError
from wire.messages.describe_groups import DescribedGroup
from wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from wire.messages.list_groups import ListedGroup
from wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from wire.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from wire.messages.offset_records import OffsetCommitKey
from wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

LEAVE_MANY_SINCE = 3


class GroupShard:
    """Groups and what they have committed. `new_id` gives a text that is never given twice."""

    def __init__(self, settings: GroupSettings, new_id: Callable[[], str]) -> None:
        self.settings = settings
        """The host replaces them when the configuration changes."""
        self.offsets = CommittedOffsets()
        self._new_id = new_id
        self._groups: dict[str, ClassicGroup] = {}
        self._timers = Timers()

    # --- members' requests ---

    def handle_join_group(
        self,
        request: JoinGroupRequest,
        *,
        version: int,
        client: Client,
        ticket: Ticket,
        now: Moment,
    ) -> Outcome[JoinGroupResponse]:
        """Join; parked until the next generation begins. Errors are in the response."""
        code = check_join(request, self.settings)
        if code:
            return Outcome((), join_failed(code, request.member_id, version=version))
        group = self._groups.get(request.group_id)
        if group is None and request.member_id:
            code = ErrorCode.UNKNOWN_MEMBER_ID
            return Outcome((), join_failed(code, request.member_id, version=version))
        turn = Turn(now, self._timers)
        if group is None:
            group = self._groups[request.group_id] = ClassicGroup(request.group_id)
            turn.records.append(new_group_record(group, now.wall_ms))
        join = Join(request, version=version, client=client, ticket=ticket)
        join_group(group, join, self._new_id, turn, self.settings)
        return turn.outcome(ticket, JoinGroupResponse)

    def handle_sync_group(
        self, request: SyncGroupRequest, *, version: int, ticket: Ticket, now: Moment
    ) -> Outcome[SyncGroupResponse]:
        """Bring or fetch an assignment; parked until it is there. Errors are in the response."""
        if not request.group_id:
            return Outcome((), sync_failed(ErrorCode.INVALID_GROUP_ID))
        group = self._groups.get(request.group_id)
        if group is None or group.state is GroupState.EMPTY:
            return Outcome((), sync_failed(ErrorCode.UNKNOWN_MEMBER_ID))
        turn = Turn(now, self._timers)
        sync_group(group, request, ticket, turn, self.settings)
        return turn.outcome(ticket, SyncGroupResponse)

    def handle_heartbeat(
        self, request: HeartbeatRequest, *, now: Moment
    ) -> Outcome[HeartbeatResponse]:
        """Prolong a session. Raises KafkaError."""
        group = self._group_of_members(request.group_id)
        code = heartbeat(group, request, Turn(now, self._timers))
        return Outcome((), HeartbeatResponse(error_code=code))

    def handle_leave_group(
        self, request: LeaveGroupRequest, *, version: int, now: Moment
    ) -> Outcome[LeaveGroupResponse]:
        """Let members go, each with its outcome. Raises KafkaError below version 3."""
        leaving = request.members
        if version < LEAVE_MANY_SINCE:
            leaving = [MemberIdentity(member_id=request.member_id)]
        turn = Turn(now, self._timers)
        try:
            group = self._group_of_members(request.group_id)
            codes = leave_group(group, leaving, turn, self.settings)
        except KafkaError as error:
            if error.code is not ErrorCode.UNKNOWN_MEMBER_ID:
                raise
            codes = [error.code] * len(leaving)
        response = LeaveGroupResponse(error_code=ErrorCode.NONE)
        if version < LEAVE_MANY_SINCE:
            response.error_code = codes[0]
        else:
            response.members = [
                MemberResponse(
                    member_id=identity.member_id,
                    group_instance_id=identity.group_instance_id,
                    error_code=code,
                )
                for identity, code in zip(leaving, codes, strict=True)
            ]
        return Outcome(tuple(turn.records), response, turn.replies())

    def handle_offset_commit(
        self, request: OffsetCommitRequest, *, version: int, now: Moment
    ) -> Outcome[OffsetCommitResponse]:
        """Commit the offsets of topics that exist; KafkaError where the member may not commit."""
        group = self._groups.get(request.group_id)
        check_may_commit(group, request, version)
        member = None if group is None else group.members.get(request.member_id)
        if group is not None and member is not None:
            # As good as a heartbeat: the member is there.
            expect_heartbeat(group, member, Turn(now, self._timers))
        return commit_offsets(
            request,
            max_metadata_bytes=self.settings.max_metadata_bytes,
            wall_ms=now.wall_ms,
        )

    # --- administrators' requests ---

    def handle_offset_delete(
        self, request: OffsetDeleteRequest, *, now: Moment
    ) -> Outcome[OffsetDeleteResponse]:
        """Forget offsets. Raises KafkaError: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP."""
        if not request.group_id:
            raise KafkaError(ErrorCode.INVALID_GROUP_ID)
        group = self._groups.get(request.group_id)
        if group is None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)
        return delete_offsets(group, self.offsets, request)

    def handle_delete_group(self, group_id: str, *, now: Moment) -> Outcome[ErrorCode]:
        """Forget a group that has no members, and all that it has committed."""
        group = self._groups.get(group_id)
        if group is None:
            return Outcome((), ErrorCode.GROUP_ID_NOT_FOUND)
        if group.state is not GroupState.EMPTY:
            return Outcome((), ErrorCode.NON_EMPTY_GROUP)
        records = all_offset_tombstones(group_id, self.offsets)
        return Outcome((*records, group_tombstone(group_id)), ErrorCode.NONE)

    def describe_group(self, group_id: str, *, version: int) -> DescribedGroup:
        """What there is to see of a group, also of one that is not there."""
        group = self._groups.get(group_id)
        if group is None:
            return describe_missing(group_id, version=version)
        return describe(group, version=version)

    def list_groups(self, *, states: frozenset[str], types: frozenset[str]) -> list[ListedGroup]:
        """The groups in one of `states` and of one of `types`, by name; empty sets mean all."""
        return list_groups(self._groups.values(), states=states, types=types)

    def group_sizes(self) -> Iterator[tuple[str, int]]:
        """(state, number of members) of each group, for whoever counts them."""
        return ((group.state.value, len(group.members)) for group in self._groups.values())

    def check_fetch(self, group_id: str, member_id: str | None, member_epoch: int) -> None:
        """Whether the offsets of the group may be fetched: of a classic group, by anybody."""

    # --- what happens by itself ---

    def on_deadline(self, now: Moment) -> Outcome[None]:
        """Do what is due: sessions that end, members that do not join or sync in time."""
        turn = Turn(now, self._timers)
        while (key := self._timers.take_due(now.steady_ms)) is not None:
            group = self._groups.get(key.group_id)
            assert group is not None, "a group that goes takes its timers along"
            if key.kind is TimerKind.SESSION:
                on_session_due(group, key.member_id, turn, self.settings)
            elif key.kind is TimerKind.JOIN:
                on_join_due(group, turn, self.settings)
            else:
                on_sync_due(group, turn, self.settings)
        return Outcome(tuple(turn.records), None, turn.replies())

    def next_deadline_ms(self) -> int | None:
        """When `on_deadline` has something to do next, by the steady clock."""
        return self._timers.next_deadline_ms()

    def group_ids(self) -> list[str]:
        """Every group that there is, sorted."""
        return sorted(self._groups)

    def expire_offsets(self, now: Moment, group_ids: Sequence[str]) -> Outcome[None]:
        """Forget what has expired of those of these groups that there are still, and the groups
        themselves where they are empty in every sense."""
        records: list[CoordinatorRecord] = []
        for group_id in group_ids:
            group = self._groups.get(group_id)
            if group is None:
                continue
            tombstones, is_nothing_left = expired_offsets(
                group,
                self.offsets,
                wall_ms=now.wall_ms,
                retention_ms=self.settings.offsets_retention_ms,
            )
            records += tombstones
            is_empty = group.state is GroupState.EMPTY and not group.pending_members
            if is_nothing_left and is_empty:
                records.append(group_tombstone(group_id))
        return Outcome(tuple(records), None)

    def on_topic_deleted(self, topic: str) -> Outcome[None]:
        """Forget what was committed of a topic that is gone: its name may come back."""
        return Outcome(
            tuple(
                offset_tombstone(OffsetCommitKey(group=group, topic=topic, partition=partition))
                for group, partition in self.offsets.of_topic(topic)
            ),
            None,
        )

    def on_loaded(self, now: Moment) -> None:
        """After a replay: every member has its session anew, and groups too large shrink."""
        turn = Turn(now, self._timers)
        for group in self._groups.values():
            for member in group.members.values():
                expect_heartbeat(group, member, turn)
            if len(group.members) > self.settings.max_size:
                prepare(group, turn, self.settings)
        assert not turn.records
        assert not turn.replies()

    def on_dropped(self) -> tuple[Reply, ...]:
        """The shard is given up: whoever waits has to look for the group's coordinator."""
        turn = Turn(Moment(0, 0), self._timers)
        for group in self._groups.values():
            for member in group.members.values():
                answer_waiting(group, member, turn, ErrorCode.NOT_COORDINATOR, member.member_id)
        return turn.replies()

    # --- what is stored ---

    def replay(self, key: bytes, value: bytes | None) -> None:
        """Take one record over. Raises WireError where it cannot be read.

        Kinds of records that are not known here are passed over: a newer broker wrote them.
        """
        group_key = decode_group_metadata_key(key)
        if group_key is not None:
            self._replay_group(group_key.group, value)
            return
        place = decode_offset_commit_key(key)
        if place is None:
            return
        if value is None:
            self.offsets.remove(place.group, place.topic, place.partition)
            return
        committed = decode_offset_commit_value(value)
        if place.group not in self._groups:
            # A simple group: it has no members and is known by its offsets.
            self._groups[place.group] = ClassicGroup(place.group)
        self.offsets.put(
            place.group,
            place.topic,
            place.partition,
            CommittedOffset(
                offset=committed.offset,
                leader_epoch=committed.leader_epoch,
                metadata=committed.metadata,
                commit_timestamp_ms=committed.commit_timestamp,
                expire_timestamp_ms=committed.expire_timestamp,
                topic_id=committed.topic_id,
            ),
        )

    def _replay_group(self, group_id: str, value: bytes | None) -> None:
        group = self._groups.get(group_id)
        if value is not None:
            self._groups[group_id] = restore(group, group_id, decode_group_metadata_value(value))
        elif group is not None:
            del self._groups[group_id]
            for member_id in (*group.members, *group.pending_members):
                self._timers.cancel(TimerKey(TimerKind.SESSION, group_id, member_id))

    def _group_of_members(self, group_id: str) -> ClassicGroup:
        if not group_id:
            raise KafkaError(ErrorCode.INVALID_GROUP_ID)
        group = self._groups.get(group_id)
        if group is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return group
