"""A classic group: its members, its generation, its state.

Pure data with its invariants; which requests and timers change it is the business of the
modules beside it. After Kafka's `ClassicGroup`. Members keep the order in which they came, where
Kafka's are in the order of a hash: so the next leader is the eldest member, and of protocols with
as many votes the eldest member's favourite wins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import Enum

from coordinator.group.classic.member import ClassicMember, MemberProtocol, ParkedJoin
from coordinator.group.subscription import subscribed_topics
from wire.errors import ErrorCode, KafkaError
from wire.messages.join_group import JoinGroupResponseMember

CONSUMER_PROTOCOL_TYPE = "consumer"
LAST_GENERATION = (1 << 31) - 1


class GroupState(Enum):
    """Kafka's states, by the names that it shows. (Its Dead is here a group that is not there.)"""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"


PREVIOUS_STATES = {
    GroupState.EMPTY: {GroupState.PREPARING_REBALANCE},
    GroupState.PREPARING_REBALANCE: {
        GroupState.STABLE,
        GroupState.COMPLETING_REBALANCE,
        GroupState.EMPTY,
    },
    GroupState.COMPLETING_REBALANCE: {GroupState.PREPARING_REBALANCE},
    GroupState.STABLE: {GroupState.COMPLETING_REBALANCE},
}


class ClassicGroup:
    """One group. Mutable."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.previous_state = GroupState.EMPTY
        self.state_timestamp_ms: int | None = None
        """When the state was entered, by the wall clock; None if an old record did not tell."""
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.leader: str | None = None
        self.members: dict[str, ClassicMember] = {}
        self.pending_members: dict[str, None] = {}
        """Member ids given out (KIP-394) that have not come back to join."""
        self.pending_sync: dict[str, None] = {}
        """Members of this generation that have not asked for their assignment."""
        self.subscribed_topics: frozenset[str] | None = None
        """What the members of a consumer group read; None where that cannot be known."""
        self.awaiting_join_count = 0
        self.has_new_member = False
        """Somebody came while the group waits for its first members: it waits on."""
        self.initial_delay_ms = 0
        self.initial_remaining_ms = 0
        self._static_members: dict[str, str] = {}
        self._protocol_counts: dict[str, int] = {}

    # --- what it is ---

    @property
    def is_consumer_group(self) -> bool:
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    @property
    def has_all_joined(self) -> bool:
        """Whether every member waits for the next generation, and nobody is expected back."""
        return self.awaiting_join_count == len(self.members) and not self.pending_members

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest that any member asks for."""
        timeouts = (member.rebalance_timeout_ms for member in self.members.values())
        return max(timeouts, default=0)

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether a member reads `topic`; a consumer group that cannot tell may read any."""
        if self.subscribed_topics is None:
            return self.is_consumer_group
        return topic in self.subscribed_topics

    def static_member(self, group_instance_id: str) -> ClassicMember | None:
        """The member that the instance is now (KIP-345)."""
        member_id = self._static_members.get(group_instance_id)
        return None if member_id is None else self.members[member_id]

    def require_member(self, member_id: str, group_instance_id: str | None) -> ClassicMember:
        """The member; UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID where its instance is another's."""
        if group_instance_id is not None:
            current = self._static_members.get(group_instance_id)
            if current is not None and current != member_id:
                raise KafkaError(ErrorCode.FENCED_INSTANCE_ID)
            if current is None:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    def supports(self, protocol_type: str, protocols: Collection[MemberProtocol]) -> bool:
        """Whether somebody with these protocols may join: one of them all members know."""
        if self.state is GroupState.EMPTY:
            return bool(protocol_type) and bool(protocols)
        return protocol_type == self.protocol_type and any(
            self._protocol_counts.get(name, 0) == len(self.members) for name, _ in protocols
        )

    def select_protocol(self) -> str:
        """The protocol that all members know with the most votes."""
        assert self.members, "an empty group selects no protocol"
        everyone = len(self.members)
        candidates = {name for name, count in self._protocol_counts.items() if count == everyone}
        assert candidates, "members share a protocol"
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = member.vote(candidates)
            votes[choice] = votes.get(choice, 0) + 1
        return max(votes, key=lambda name: votes[name])

    def joined_members(self) -> list[JoinGroupResponseMember]:
        """What the leader needs to know of everybody."""
        return [
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                metadata=member.metadata(self.protocol_name),
            )
            for member in self.members.values()
        ]

    # --- who is in it ---

    def add(self, member: ClassicMember, protocol_type: str) -> None:
        """Take `member` in; the first one brings the protocol type and leads."""
        assert member.member_id not in self.members, "a member joins once"
        if member.group_instance_id is not None:
            assert member.group_instance_id not in self._static_members, "an instance joins once"
            self._static_members[member.group_instance_id] = member.member_id
        if not self.members:
            self.protocol_type = protocol_type
        if self.leader is None:
            self.leader = member.member_id
        self.members[member.member_id] = member
        self._count_protocols(member, 1)
        self.awaiting_join_count += member.is_awaiting_join
        self.pending_members.pop(member.member_id, None)

    def remove(self, member_id: str) -> None:
        """Let a member go, or a pending one; its tickets must have been answered."""
        member = self.members.pop(member_id, None)
        if member is not None:
            assert member.parked_join is None, "who goes is told"
            assert member.sync_ticket is None, "who goes is told"
            self._count_protocols(member, -1)
            if member.group_instance_id is not None:
                del self._static_members[member.group_instance_id]
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        self.pending_members.pop(member_id, None)
        self.pending_sync.pop(member_id, None)

    def replace_static(self, old: ClassicMember, new_member_id: str) -> ClassicMember:
        """Give an instance a new member id, with all that the old one had, also its leadership."""
        assert old.parked_join is None, "who goes is told"
        assert old.sync_ticket is None, "who goes is told"
        assert old.group_instance_id is not None, "only static members are replaced"
        new = ClassicMember(
            new_member_id,
            group_instance_id=old.group_instance_id,
            client=old.client,
            rebalance_timeout_ms=old.rebalance_timeout_ms,
            session_timeout_ms=old.session_timeout_ms,
            protocols=old.protocols,
            assignment=old.assignment,
        )
        # In the old one's place, so that the record that is read back has the same order.
        self.members = {
            each.member_id: each
            for each in (new if member is old else member for member in self.members.values())
        }
        self._static_members[old.group_instance_id] = new_member_id
        if self.leader == old.member_id:
            self.leader = new_member_id
        if old.member_id in self.pending_sync:
            del self.pending_sync[old.member_id]
            self.pending_sync[new_member_id] = None
        return new

    def update(
        self,
        member: ClassicMember,
        *,
        protocols: Sequence[MemberProtocol],
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
    ) -> None:
        """Take over what a member says when it joins again."""
        self._count_protocols(member, -1)
        member.protocols = tuple(protocols)
        self._count_protocols(member, 1)
        member.rebalance_timeout_ms = rebalance_timeout_ms
        member.session_timeout_ms = session_timeout_ms

    def await_join(self, member: ClassicMember, join: ParkedJoin | None) -> ParkedJoin | None:
        """The member waits with `join` (None: no more); returns what it waited with before."""
        before, member.parked_join = member.parked_join, join
        self.awaiting_join_count += (join is not None) - (before is not None)
        assert 0 <= self.awaiting_join_count <= len(self.members)
        return before

    # --- how it moves ---

    def transition_to(self, state: GroupState, wall_ms: int) -> None:
        """Enter `state`, from one that may come before it."""
        assert self.state in PREVIOUS_STATES[state], f"{self.state} before {state}"
        self.previous_state = self.state
        self.state = state
        self.state_timestamp_ms = wall_ms

    def elect_joined_leader(self) -> bool:
        """See to it that the leader is one that has joined; False where nobody has."""
        if self.leader is None:
            return False
        if self.members[self.leader].is_awaiting_join:
            return True
        for member in self.members.values():
            if member.is_awaiting_join:
                self.leader = member.member_id
                return True
        return False

    def begin_generation(self, wall_ms: int) -> None:
        """The next generation, with those who are in the group now."""
        # A stored record may hold the last number that there is: it must not lock its group out.
        self.generation = 1 if self.generation == LAST_GENERATION else self.generation + 1
        self.pending_sync.clear()
        if self.members:
            self.protocol_name = self.select_protocol()
            self.transition_to(GroupState.COMPLETING_REBALANCE, wall_ms)
        else:
            self.protocol_name = None
            self.transition_to(GroupState.EMPTY, wall_ms)
        self.refresh_subscribed_topics()

    def refresh_subscribed_topics(self) -> None:
        """Read from the members' metadata what they are subscribed to."""
        self.subscribed_topics = None
        if not self.is_consumer_group:
            return
        if not self.members:
            self.subscribed_topics = frozenset()
        elif self.protocol_name is not None:
            self.subscribed_topics = _union(
                subscribed_topics(member.metadata(self.protocol_name))
                for member in self.members.values()
            )

    def _count_protocols(self, member: ClassicMember, change: int) -> None:
        for protocol in member.protocols:
            count = self._protocol_counts.get(protocol.name, 0) + change
            if count:
                self._protocol_counts[protocol.name] = count
            else:
                del self._protocol_counts[protocol.name]


def _union(each: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """All topics of all members; None as soon as one cannot be read."""
    topics: set[str] = set()
    for found in each:
        if found is None:
            return None
        topics |= found
    return frozenset(topics)
