"""A group with members of every temper, against what must always hold.

Members join, fetch their assignment, heartbeat, commit, leave, fall silent and come back; time
passes; the coordinator dies and is built again from its records, or loses its partition. The
leader assigns for real: every partition to one member. What is asserted after every step:

- the generation of who owns something never falls, and no partition has two owners in one;
- a commit that was acknowledged is what is committed until the next one is;
- only members of the current generation commit;
- who waits is answered within the timeouts, and nothing that is due is left undone;
- the shard built from the records is the one that lived (the host asserts it).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from coordinator.group.classic.group import GroupState
from coordinator.group.settings import Client, GroupSettings
from coordinator.outcome import Ticket
from tests.coordinator.host import Host
from tests.coordinator.requests import commit_request, join_request, leave_request, sync_request
from wire.errors import ErrorCode, KafkaError
from wire.messages.heartbeat import HeartbeatRequest
from wire.messages.join_group import JoinGroupResponse
from wire.messages.sync_group import SyncGroupResponse

GROUP = "g"
PARTITIONS = [f"t{index}" for index in range(4)]
REBALANCE_MS = 15_000
HEARTBEAT_MS = 3_000
LONGEST_WAIT_MS = 5 * 60_000
"""What a parked join waits at most: as a new member, for the timeouts of others."""
PROTOCOLS = ["range:t", "range:t,sticky:t", "sticky:t,range:t", "range:t+u", "roundrobin:t"]

# What makes a client forget its member id, and what makes it only join again.
LOST = {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}


@dataclass
class Consumer:
    """A client as it sees itself."""

    name: str
    instance: str | None
    version: int
    session_ms: int
    """Shorter than the rebalance timeout, or longer."""
    protocols: str = PROTOCOLS[0]
    member_id: str = ""
    generation: int = -1
    protocol: str | None = None
    """Of the generation joined; None while it has to join."""
    members: list[str] = field(default_factory=list)
    """Whom it assigns to, if it leads."""
    owned: frozenset[str] | None = None
    waiting: tuple[str, Ticket, int] | None = None
    """What it asked, under which ticket, and when."""

    def forget(self, *, member_id: bool) -> None:
        self.protocol, self.owned, self.members = None, None, []
        if member_id:
            self.member_id, self.generation = "", -1


class GroupMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.host = Host(GroupSettings(min_session_timeout_ms=1, max_size=4))
        self.consumers = [
            Consumer("a", None, 9, 10_000),
            Consumer("b", None, 3, 40_000),
            Consumer("c", None, 5, 40_000),
            Consumer("d", "x", 9, 40_000),
            Consumer("e", "y", 5, 10_000),
            Consumer("f", "y", 8, 40_000),
        ]
        self.owner_by_generation: dict[tuple[int, str], str] = {}
        self.shares: dict[tuple[int, str], frozenset[str]] = {}
        """What a leader gave to whom, by generation."""
        self.last_owned_generation = 0
        self.committed: dict[str, int] = {}
        self.commits = 0
        self.given_out = "nobody"

    # --- what members do ---

    @rule(index=st.integers(0, 5), protocols=st.sampled_from(PROTOCOLS))
    def joins(self, index: int, protocols: str) -> None:
        consumer = self.consumers[index]
        if consumer.waiting is not None:
            return
        consumer.protocols = protocols
        self._join(consumer)
        self._hear()

    @rule(index=st.integers(0, 5))
    def joins_twice_at_once(self, index: int) -> None:
        """Its connection broke and it asks again."""
        consumer = self.consumers[index]
        consumer.waiting = None
        self._join(consumer)
        self._hear()

    @rule(index=st.integers(0, 5))
    def restarts(self, index: int) -> None:
        """The process begins anew: it knows nothing but its instance."""
        consumer = self.consumers[index]
        consumer.waiting = None
        consumer.forget(member_id=True)
        self._join(consumer)
        self._hear()

    @rule()
    def asks_for_an_id_and_is_gone(self) -> None:
        request, version = join_request(GROUP, {"session": "10000"})
        _, outcome = self.host.ask(
            lambda ticket: self.host.shard.handle_join_group(
                request,
                version=version,
                client=Client("gone", "/127.0.0.1"),
                ticket=ticket,
                now=self.host.now,
            )
        )
        assert outcome.reply is not None, "somebody new does not wait"
        if outcome.reply.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.given_out = outcome.reply.member_id

    @rule()
    def a_pending_member_leaves(self) -> None:
        request, version = leave_request(GROUP, [self.given_out], {})
        handle = self.host.shard.handle_leave_group
        self.host.settle(handle(request, version=version, now=self.host.now))
        self._hear()

    @rule(index=st.integers(0, 5))
    def syncs(self, index: int) -> None:
        consumer = self.consumers[index]
        if consumer.waiting is None and consumer.protocol is not None:
            self._sync(consumer)
            self._hear()

    @rule(index=st.integers(0, 5))
    def syncs_twice_at_once(self, index: int) -> None:
        consumer = self.consumers[index]
        if consumer.protocol is not None:
            consumer.waiting = None
            self._sync(consumer)
            self._hear()

    @rule(index=st.integers(0, 5))
    def heartbeats(self, index: int) -> None:
        consumer = self.consumers[index]
        request = HeartbeatRequest(
            group_id=GROUP,
            generation_id=consumer.generation,
            member_id=consumer.member_id,
            group_instance_id=consumer.instance if consumer.member_id else None,
        )
        try:
            outcome = self.host.shard.handle_heartbeat(request, now=self.host.now)
            assert outcome.reply is not None
            code = ErrorCode(outcome.reply.error_code)
        except KafkaError as error:
            code = error.code
        if code is ErrorCode.NONE:
            assert consumer.generation == self._generation()
        elif consumer.waiting is None:
            consumer.forget(member_id=code in LOST)

    @rule(index=st.integers(0, 5), partition=st.sampled_from(PARTITIONS))
    def commits_an_offset(self, index: int, partition: str) -> None:
        consumer = self.consumers[index]
        self.commits += 1
        options = {
            "offsets": f"{partition}-0:{self.commits}",
            "generation": str(consumer.generation),
            "member": consumer.member_id,
        }
        if consumer.instance is not None and consumer.member_id:
            options["instance"] = consumer.instance
        request, version = commit_request(GROUP, options)
        group = self.host.group(GROUP)
        is_anonymous = consumer.generation < 0
        is_empty = group is None or group.state is GroupState.EMPTY
        try:
            outcome = self.host.shard.handle_offset_commit(
                request, version=version, now=self.host.now
            )
        except KafkaError:
            return
        self.host.settle(outcome)
        self.committed[partition] = self.commits
        if is_anonymous:
            assert is_empty, "members alone commit in a group that has some"
        else:
            assert consumer.generation == self._generation()

    @rule(index=st.integers(0, 5))
    def leaves(self, index: int) -> None:
        consumer = self.consumers[index]
        identity = f"{consumer.member_id}/{consumer.instance or ''}"
        request, version = leave_request(GROUP, [identity], {})
        handle = self.host.shard.handle_leave_group
        self.host.settle(handle(request, version=version, now=self.host.now))
        if consumer.waiting is None:
            consumer.forget(member_id=True)
        self._hear()

    @rule(steps=st.integers(1, 12), silent=st.sets(st.integers(0, 5)))
    def live_on(self, steps: int, silent: set[int]) -> None:
        """Everybody but the silent does what clients do, every three seconds."""
        for _ in range(steps):
            for index, consumer in enumerate(self.consumers):
                if index not in silent and consumer.waiting is None:
                    self._act(index)
                    self._hear()
            self.host.advance(HEARTBEAT_MS)
            self._hear()

    def _act(self, index: int) -> None:
        consumer = self.consumers[index]
        if consumer.protocol is None:
            self._join(consumer)
        elif consumer.owned is None:
            self._sync(consumer)
        else:
            self.heartbeats(index)

    # --- what happens to them ---

    @rule(elapsed_ms=st.sampled_from([0, 1, 1_000, 9_999, 15_000, 40_000]))
    def time_passes(self, elapsed_ms: int) -> None:
        self.host.advance(elapsed_ms)
        self._hear()

    @rule()
    def the_coordinator_dies(self) -> None:
        self.host.restart()
        for consumer in self.consumers:
            if consumer.waiting is not None:
                consumer.waiting = None
                consumer.forget(member_id=False)

    @rule()
    def leadership_is_lost(self) -> None:
        told = {reply.ticket for reply in self.host.drop()}
        for consumer in self.consumers:
            if consumer.waiting is not None:
                assert consumer.waiting[1] in told
                consumer.waiting = None
                consumer.forget(member_id=False)

    @rule(size=st.integers(1, 6), delay_ms=st.sampled_from([0, 3_000]))
    def settings_change(self, size: int, delay_ms: int) -> None:
        self.host.settings = GroupSettings(
            min_session_timeout_ms=1, max_size=size, initial_rebalance_delay_ms=delay_ms
        )
        self.host.shard.settings = self.host.settings

    # --- what must hold ---

    @invariant()
    def commits_are_kept(self) -> None:
        found = self.host.shard.offsets.of_group(GROUP)
        kept = {topic: partitions[0].offset for topic, partitions in found.items()}
        assert kept == self.committed

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        for consumer in self.consumers:
            if consumer.waiting is not None:
                assert self.host.now.steady_ms - consumer.waiting[2] <= LONGEST_WAIT_MS
        if self.host.parked:
            assert self.host.shard.next_deadline_ms() is not None

    @invariant()
    def the_group_is_sound(self) -> None:
        group = self.host.group(GROUP)
        if group is None:
            return
        waiting = [member for member in group.members.values() if member.is_awaiting_join]
        assert group.awaiting_join_count == len(waiting)
        assert (group.leader in group.members) == bool(group.members)
        assert not group.pending_members.keys() & group.members.keys()
        assert group.pending_sync.keys() <= group.members.keys()
        if group.state is not GroupState.PREPARING_REBALANCE:
            assert not waiting
            assert bool(group.members) == (group.state is not GroupState.EMPTY)
        if group.state is not GroupState.COMPLETING_REBALANCE:
            assert all(member.sync_ticket is None for member in group.members.values())

    def teardown(self) -> None:
        """In the end, left alone, everybody is answered and the group empties itself."""
        self.host.advance(2 * LONGEST_WAIT_MS)
        assert not self.host.parked
        assert self.host.shard.next_deadline_ms() is None
        group = self.host.group(GROUP)
        assert group is None or group.state is GroupState.EMPTY

    # --- clients ---

    def _join(self, consumer: Consumer) -> None:
        options = {
            "member": consumer.member_id,
            "session": str(consumer.session_ms),
            "rebalance": str(REBALANCE_MS),
            "protocols": consumer.protocols,
            "version": str(consumer.version),
        }
        if consumer.instance is not None:
            options["instance"] = consumer.instance
        request, version = join_request(GROUP, options)
        client = Client(consumer.name, "/127.0.0.1")
        consumer.forget(member_id=False)
        ticket, _ = self.host.ask(
            lambda ticket: self.host.shard.handle_join_group(
                request, version=version, client=client, ticket=ticket, now=self.host.now
            )
        )
        consumer.waiting = ("join", ticket, self.host.now.steady_ms)

    def _sync(self, consumer: Consumer) -> None:
        options = {
            "member": consumer.member_id,
            "generation": str(consumer.generation),
            "version": "5",
            "type": "consumer",
            "protocol": consumer.protocol or "",
        }
        if consumer.instance is not None:
            options["instance"] = consumer.instance
        if consumer.members:
            shares: dict[str, list[str]] = {member_id: [] for member_id in consumer.members}
            for index, partition in enumerate(PARTITIONS):
                shares[consumer.members[index % len(consumer.members)]].append(partition)
            options["assign"] = ",".join(f"{who}:{'+'.join(has)}" for who, has in shares.items())
            if self._leads(consumer):
                for who, has in shares.items():
                    self.shares[consumer.generation, self._person(who)] = frozenset(has)
        request, version = sync_request(GROUP, options)
        ticket, _ = self.host.ask(
            lambda ticket: self.host.shard.handle_sync_group(
                request, version=version, ticket=ticket, now=self.host.now
            )
        )
        consumer.waiting = ("sync", ticket, self.host.now.steady_ms)

    def _hear(self) -> None:
        """Clients take their answers; one that must ask for an id joins again at once."""
        for consumer in self.consumers:
            while consumer.waiting is not None and consumer.waiting[1] in self.host.answers:
                answer = self.host.answers[consumer.waiting[1]]
                consumer.waiting = None
                if isinstance(answer, JoinGroupResponse):
                    self._joined(consumer, answer)
                else:
                    assert isinstance(answer, SyncGroupResponse)
                    self._assigned(consumer, answer)

    def _joined(self, consumer: Consumer, answer: JoinGroupResponse) -> None:
        code = ErrorCode(answer.error_code)
        if code is ErrorCode.MEMBER_ID_REQUIRED:
            assert consumer.version >= 4
            assert consumer.instance is None
            consumer.member_id = answer.member_id
            self._join(consumer)
        elif code is not ErrorCode.NONE:
            consumer.forget(member_id=code in LOST or code is ErrorCode.GROUP_MAX_SIZE_REACHED)
        else:
            consumer.member_id = answer.member_id
            consumer.generation = answer.generation_id
            consumer.protocol = answer.protocol_name
            is_leader = answer.leader == answer.member_id and not answer.skip_assignment
            consumer.members = [member.member_id for member in answer.members] if is_leader else []
            if is_leader:
                assert answer.member_id in consumer.members

    def _assigned(self, consumer: Consumer, answer: SyncGroupResponse) -> None:
        code = ErrorCode(answer.error_code)
        if code is not ErrorCode.NONE:
            consumer.forget(member_id=code in LOST)
            return
        consumer.owned = frozenset(filter(None, answer.assignment.decode().split("+")))
        assert consumer.generation >= self.last_owned_generation, "generations never fall"
        self.last_owned_generation = consumer.generation
        assert consumer.generation == self._generation()
        who = self._person(consumer.member_id)
        assert consumer.owned == self.shares[consumer.generation, who], "what its leader gave it"
        for partition in consumer.owned:
            key = (consumer.generation, partition)
            assert self.owner_by_generation.setdefault(key, who) == who, "one owner"

    def _leads(self, consumer: Consumer) -> bool:
        """Whether the group waits for this assignment."""
        group = self.host.group(GROUP)
        return (
            group is not None
            and group.state is GroupState.COMPLETING_REBALANCE
            and group.generation == consumer.generation
            and group.leader == consumer.member_id
        )

    @staticmethod
    def _person(member_id: str) -> str:
        """A static member that came back owns what it had, under its new id."""
        name, _, _ = member_id.rpartition("-")
        return name if name in ("x", "y") else member_id

    def _generation(self) -> int:
        group = self.host.group(GROUP)
        assert group is not None
        return group.generation


TestGroupMachine = GroupMachine.TestCase
TestGroupMachine.settings = hypothesis_settings(max_examples=120, stateful_step_count=50)
