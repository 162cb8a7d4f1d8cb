"""What a leader knows of its followers, and which of them the high watermark waits for (pure).

Counterparts: `partition` (the leader that asks), `isr_changes` (sends what is proposed here), and
`simulator.model.replication`, which has the same rules under the same names.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, replace

from kbroker.cluster.metadata_records import PartitionRecord
from wire.errors import ErrorCode, KafkaError

NEVER_FETCHED = -1
"""In place of a durable end: the follower has not told one in this leader epoch."""

UNKNOWN_BROKER_EPOCH = -1


@dataclass(frozen=True, slots=True)
class IsrProposal:
    """One change of the partition's record: `record` instead of `seen`, if that still stands.

    `joining`: (broker id, broker epoch) of who must still be that admitted incarnation.
    """

    record: PartitionRecord
    joining: tuple[tuple[int, int], ...]
    seen: PartitionRecord


def with_isr(record: PartitionRecord, isr: Collection[int]) -> PartitionRecord:
    """The next record, with that ISR. Rule elr-kept: who leaves an ISR that is then below its
    minimum stays eligible; an ISR of the minimum has no ELR beside it (KIP-966)."""
    members = tuple(each for each in record.replicas if each in isr)
    elr: tuple[int, ...] = ()
    if len(members) < record.effective_min_isr:
        elr = tuple(
            each
            for each in record.replicas
            if each not in members and (each in record.elr or each in record.isr)
        )
    epoch = record.partition_epoch + 1
    return replace(record, isr=members, elr=elr, partition_epoch=epoch)


class _Follower:
    """One follower, by its Fetches in this leader epoch. Mutable."""

    __slots__ = (
        "broker_epoch",
        "caught_up_at",
        "durable_end",
        "fetched_at",
        "is_awaited",
        "is_member",
        "leader_end_then",
        "log_start_offset",
    )

    def __init__(self) -> None:
        self.is_member = False  # of the ISR in the record
        self.is_awaited = False
        self.begin(UNKNOWN_BROKER_EPOCH)

    def begin(self, broker_epoch: int) -> None:
        """A life of the broker begins: what a former one has told says nothing of it."""
        self.broker_epoch = broker_epoch
        self.durable_end = NEVER_FETCHED
        self.log_start_offset = 0
        self.fetched_at: float | None = None
        self.leader_end_then = 0  # the leader's log end at that Fetch
        self.caught_up_at: float | None = None


class InSyncReplicas:
    """The followers of a leader in one leader epoch. Mutable.

    Rule ends-of-this-epoch: a new leader epoch needs a new object. Times are seconds of the loop's
    clock. `record` is the one the leader leads by.
    """

    __slots__ = (
        "_counted",
        "_epoch_start_offset",
        "_followers",
        "_in_flight",
        "_node_id",
        "_perhaps",
        "_since",
        "record",
    )

    def __init__(self, node_id: int, record: PartitionRecord, epoch_start_offset: int) -> None:
        assert record.leader == node_id, "only a leader counts"
        self._node_id = node_id
        self._epoch_start_offset = epoch_start_offset
        self._since: float | None = None
        self._followers: dict[int, _Follower] = {}
        self._counted: list[_Follower] = []
        self._in_flight: IsrProposal | None = None
        self._perhaps: set[int] = set()  # members by proposals of unknown outcome
        self._adopt(record)

    # What it was told.

    def fetched(
        self,
        broker_id: int,
        broker_epoch: int,
        durable_end: int,
        log_start_offset: int,
        *,
        now: float,
        leader_log_end: int,
    ) -> bool:
        """A follower's log is the leader's up to `durable_end`, durably. True: it may want to join.

        KafkaError: UNKNOWN_LEADER_EPOCH from a broker that is no replica (here not yet, as in
        Kafka), NOT_LEADER_OR_FOLLOWER from a former life of one.
        """
        follower = self._followers.get(broker_id)
        if follower is None:
            raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH)
        if broker_epoch != follower.broker_epoch:
            if broker_epoch < follower.broker_epoch:
                raise KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            follower.begin(broker_epoch)
        follower.durable_end = durable_end
        follower.log_start_offset = log_start_offset
        # Kafka's measure of lag: at the leader's end now, or where that was at the last Fetch,
        # so that a follower of a busy leader is in sync although it never sees the end.
        caught_up = durable_end >= leader_log_end
        if caught_up:
            follower.caught_up_at = now
        elif follower.fetched_at is not None and durable_end >= follower.leader_end_then:
            caught_up = True
            follower.caught_up_at = follower.fetched_at
        follower.fetched_at = now
        follower.leader_end_then = leader_log_end
        return caught_up and not follower.is_member and self._in_flight is None

    def committed_end(self, own_durable_end: int) -> int:
        """Up to where everybody who counts has the log, durably; exclusive, perhaps -1.

        Rules durable-ends, maximal-isr: all who are in the ISR, or are if a proposal of unknown
        outcome was applied. Whoever is about to join is waited for as well, as in Kafka: it could
        never reach the high watermark of a busy leader otherwise.
        """
        end = own_durable_end
        for follower in self._counted:
            if follower.durable_end < end:
                end = follower.durable_end
        return end

    def lowest_log_start(self, own_log_start: int, live: Container[int]) -> int:
        """The lowest log start of the leader and those of the followers that are `live`."""
        starts = [
            each.log_start_offset for broker, each in self._followers.items() if broker in live
        ]
        return min([own_log_start, *starts])

    def followers_with(self, offset: int) -> dict[int, int]:
        """The durable ends of the in-sync followers that have what is at `offset`, or are there."""
        return {
            broker_id: each.durable_end
            for broker_id, each in self._followers.items()
            if each.is_member and each.log_start_offset <= offset <= each.durable_end
        }

    @property
    def is_anybody_awaited(self) -> bool:
        """Whether the high watermark waits for followers that have not joined yet."""
        return any(each.is_awaited for each in self._followers.values())

    def maximal_isr(self) -> tuple[int, ...]:
        """The members of every ISR that may be in force, in the order of the replicas."""
        members = {*self.record.isr, *self._perhaps}
        if self._in_flight is not None:
            members.update(self._in_flight.record.isr)
        return tuple(each for each in self.record.replicas if each in members)

    # Changes of the ISR.

    def propose(
        self,
        now: float,
        *,
        high_watermark: int,
        leader_log_end: int,
        lag_max_s: float,
        active: Mapping[int, int],
    ) -> IsrProposal | None:
        """One change that is due, under way from here on; None: none, or one is under way.

        `active` has the broker epochs of the brokers that may be members. Only these are taken out
        for their lag: a broker whose registration is gone is the controller's to take out (rule
        12), and so is one that shuts down.
        """
        if self._in_flight is not None:
            return None
        if self._since is None:
            self._since = now
        for broker_id, follower in self._followers.items():
            follower.is_awaited = (
                not follower.is_member
                and active.get(broker_id) == follower.broker_epoch
                and follower.caught_up_at is not None
                and now - follower.caught_up_at <= lag_max_s
            )
        self._in_flight = (
            self._removal(now, leader_log_end, lag_max_s, active)
            or self._joining(high_watermark, active)
            or self._settlement()
        )
        self._count()
        return self._in_flight

    def refused(self, proposal: IsrProposal) -> None:
        """The proposal did not take effect and never will; what it was refused for comes by
        `applied`, if that is a newer record."""
        if self._in_flight is proposal:
            self._in_flight = None
            self._count()

    def unknown(self, proposal: IsrProposal) -> None:
        """The proposal may take effect, now or later. Rule unknown-outcome-kept: its members count
        until a later partition epoch is seen; to read the same one again settles nothing."""
        if self._in_flight is proposal:
            self._perhaps.update(proposal.record.isr)
            self._in_flight = None
            self._count()

    def applied(self, record: PartitionRecord) -> None:
        """A newer record of this leader epoch is in force: ours, or somebody else's.

        No proposal on a former partition epoch can take effect any more.
        """
        assert record.leader == self._node_id, "another leader needs another object"
        assert record.leader_epoch == self.record.leader_epoch, "another epoch, another object"
        self._in_flight = None
        self._perhaps.clear()
        self._adopt(record)

    def _adopt(self, record: PartitionRecord) -> None:
        self.record = record
        former = self._followers
        self._followers = {
            each: former.get(each) or _Follower()
            for each in dict.fromkeys((*record.replicas, *record.isr))
            if each != self._node_id
        }
        for broker_id, follower in self._followers.items():
            follower.is_member = broker_id in record.isr
            follower.is_awaited = follower.is_awaited and not follower.is_member
        self._count()

    def _count(self) -> None:
        maximal = self.maximal_isr()
        self._counted = [
            follower
            for broker_id, follower in self._followers.items()
            if follower.is_member or follower.is_awaited or broker_id in maximal
        ]

    def _removal(
        self, now: float, leader_log_end: int, lag_max_s: float, active: Mapping[int, int]
    ) -> IsrProposal | None:
        assert self._since is not None
        for broker_id, follower in self._followers.items():
            if not follower.is_member or broker_id not in active:
                continue
            caught_up_at = self._since if follower.caught_up_at is None else follower.caught_up_at
            if follower.durable_end < leader_log_end and now - caught_up_at > lag_max_s:
                return self._proposal([each for each in self.record.isr if each != broker_id])
        return None

    def _joining(self, high_watermark: int, active: Mapping[int, int]) -> IsrProposal | None:
        """Rules join-past-epoch-start, join-past-high-watermark, broker-epoch-compared. Whoever is
        a member already, for all that is known, is asked for again whatever its lag."""
        for broker_id, follower in self._followers.items():
            may_join = (
                not follower.is_member
                and (follower.is_awaited or broker_id in self._perhaps)
                and active.get(broker_id) == follower.broker_epoch
                and follower.durable_end >= self._epoch_start_offset
                and follower.durable_end >= high_watermark
            )
            if may_join:
                isr = (*self.record.isr, broker_id)
                return self._proposal(isr, ((broker_id, follower.broker_epoch),))
        return None

    def _settlement(self) -> IsrProposal | None:
        """The same ISR in a later partition epoch: after it, nothing is unknown any more."""
        if self._perhaps <= {self._node_id, *self.record.isr}:
            return None  # nobody counts who would not otherwise
        return self._proposal(self.record.isr)

    def _proposal(
        self, isr: Collection[int], joining: tuple[tuple[int, int], ...] = ()
    ) -> IsrProposal:
        return IsrProposal(with_isr(self.record, isr), joining, self.record)
