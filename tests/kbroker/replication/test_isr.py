"""Who is counted for the high watermark, and which changes of the ISR a leader asks for."""

from __future__ import annotations

import dataclasses

import pytest

from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.replication.isr import InSyncReplicas, IsrProposal, with_isr
from wire.errors import ErrorCode, KafkaError

ALL = PartitionRecord(
    replicas=(1, 2, 3), leader=1, leader_epoch=5, isr=(1, 2, 3), min_isr=2, partition_epoch=9
)
TWO = dataclasses.replace(ALL, isr=(1, 2))
ALONE = dataclasses.replace(ALL, isr=(1,))
ACTIVE = {1: 101, 2: 102, 3: 103}
LAG_S = 30.0
EPOCH_START = 10


class Leader:
    """Broker 1 at a log end, with a clock in the test's hands. Mutable."""

    def __init__(self, record: PartitionRecord = ALL, log_end: int = 20) -> None:
        self.isr = InSyncReplicas(1, record, EPOCH_START)
        self.now = 1000.0
        self.log_end = log_end
        self.high_watermark = 0

    def fetch(self, broker: int, end: int, *, epoch: int | None = None, start: int = 0) -> bool:
        broker_epoch = ACTIVE[broker] if epoch is None else epoch
        return self.isr.fetched(
            broker, broker_epoch, end, start, now=self.now, leader_log_end=self.log_end
        )

    def propose(self, active: dict[int, int] | None = None) -> IsrProposal | None:
        return self.isr.propose(
            self.now,
            high_watermark=self.high_watermark,
            leader_log_end=self.log_end,
            lag_max_s=LAG_S,
            active=ACTIVE if active is None else active,
        )

    def committed(self) -> int:
        return self.isr.committed_end(self.log_end)


def refusal_of(leader: Leader, broker: int, *, epoch: int) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        leader.isr.fetched(broker, epoch, 20, 0, now=leader.now, leader_log_end=20)
    return refused.value.code


# --- counting ---


def test_nothing_is_committed_before_every_member_was_heard_of_in_this_epoch() -> None:
    """Rule ends-of-this-epoch."""
    leader = Leader()
    assert leader.committed() == -1
    leader.fetch(2, 20)
    assert leader.committed() == -1
    leader.fetch(3, 12)
    assert leader.committed() == 12
    assert leader.isr.committed_end(11) == 11, "the leader's own end counts as well"


def test_who_is_not_in_the_isr_does_not_hold_it_back() -> None:
    leader = Leader(TWO)
    leader.fetch(2, 20)
    leader.fetch(3, 4)
    assert leader.committed() == 20


def test_a_life_of_a_follower_says_nothing_of_the_next_nor_the_next_of_it() -> None:
    leader = Leader(TWO)
    leader.fetch(2, 20)
    leader.fetch(2, 7, epoch=202)
    assert leader.committed() == 7
    assert refusal_of(leader, 2, epoch=102) == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert refusal_of(leader, 9, epoch=1) == ErrorCode.UNKNOWN_LEADER_EPOCH


# --- taking out by lag (Kafka's replica.lag.time.max.ms) ---


def test_a_member_that_never_fetches_is_taken_out_after_the_lag_and_not_before() -> None:
    leader = Leader()
    assert leader.propose() is None, "its time begins now"
    leader.fetch(3, 20)
    leader.now += LAG_S
    assert leader.propose() is None
    leader.now += 1
    proposal = leader.propose()
    assert proposal is not None
    assert proposal.record.isr == (1, 3)
    assert proposal.record.partition_epoch == ALL.partition_epoch + 1
    assert proposal.seen is ALL
    assert proposal.joining == ()


def test_a_member_at_the_leaders_end_never_lags_however_long_it_says_nothing() -> None:
    leader = Leader()
    leader.propose()
    leader.fetch(2, 20)
    leader.fetch(3, 20)
    leader.now += 10 * LAG_S
    assert leader.propose() is None


def test_who_reaches_the_end_of_the_last_fetch_is_caught_up_although_it_never_sees_the_end() -> (
    None
):
    leader = Leader(dataclasses.replace(ALL, replicas=(1, 2), isr=(1, 2)))
    leader.propose()
    for _ in range(20):
        end = leader.log_end
        leader.log_end += 10
        leader.fetch(2, end)
        leader.now += LAG_S / 2
        assert leader.propose() is None
    for _ in range(4):
        leader.fetch(2, 100)  # it goes on fetching, and comes no further
        leader.log_end += 10
        leader.now += LAG_S / 2
    assert leader.propose() is not None


def test_the_controller_takes_out_who_is_gone_or_shuts_down() -> None:
    """Rule 12: not every leader for itself."""
    leader = Leader()
    leader.propose()
    leader.fetch(3, 20)
    leader.now += 2 * LAG_S
    assert leader.propose({1: 101, 3: 103}) is None
    assert leader.propose({1: 101, 2: 202, 3: 103}) is not None


# --- joining ---


def test_a_follower_joins_as_the_incarnation_that_fetched() -> None:
    """Rule broker-epoch-compared."""
    leader = Leader(TWO)
    leader.fetch(2, 20)
    assert leader.fetch(3, 20)
    assert leader.propose({1: 101, 2: 102}) is None, "not admitted"
    assert leader.propose({1: 101, 2: 102, 3: 203}) is None, "that one is another"
    proposal = leader.propose()
    assert proposal is not None
    assert proposal.record.isr == (1, 2, 3)
    assert proposal.joining == ((3, 103),)


@pytest.mark.parametrize(("end", "high_watermark", "joins"), [
    (9, 0, False), (10, 0, True), (10, 10, True), (10, 11, False), (20, 20, True),
])  # fmt: skip
def test_a_follower_joins_past_the_epoch_start_and_the_high_watermark_only(
    end: int, high_watermark: int, joins: bool
) -> None:
    """Rules join-past-epoch-start, join-past-high-watermark (KAFKA-7128)."""
    leader = Leader(TWO, log_end=end)
    leader.high_watermark = high_watermark
    assert leader.fetch(3, end)
    assert (leader.propose() is not None) == joins


def test_who_is_far_behind_does_not_join_although_little_is_committed() -> None:
    leader = Leader(ALONE)
    assert not leader.fetch(3, 15)
    assert leader.propose() is None
    assert leader.fetch(3, 20), "where the end was at its last Fetch"
    assert leader.propose() is not None


def test_the_high_watermark_waits_for_who_has_caught_up_and_is_about_to_join() -> None:
    """As in Kafka: it would be passed by for ever while producers are busy."""
    leader = Leader(dataclasses.replace(ALL, replicas=(1, 3), isr=(1,), min_isr=1))
    leader.fetch(3, 20)
    leader.log_end = leader.high_watermark = 30
    assert not leader.fetch(3, 19), "behind where it was: it has not caught up"
    leader.log_end = 40
    assert leader.fetch(3, 30)
    leader.high_watermark = 35
    assert leader.propose() is None, "it has not reached the high watermark"
    assert leader.committed() == 30, "which waits for it now"
    leader.log_end = 50
    leader.fetch(3, 40)
    assert leader.committed() == 40
    proposal = leader.propose()
    assert proposal is not None
    leader.isr.refused(proposal)
    leader.now += LAG_S + 1
    assert leader.propose() is None
    assert leader.committed() == 50, "it is waited for no longer than the lag"


# --- outcomes ---


def joining() -> tuple[Leader, IsrProposal]:
    """A leader that has asked for broker 3, which then falls behind."""
    leader = Leader(TWO)
    leader.fetch(2, 20)
    leader.fetch(3, 20)
    proposal = leader.propose()
    assert proposal is not None
    leader.log_end = 30
    leader.fetch(2, 30)
    return leader, proposal


def test_who_is_proposed_counts_until_it_is_refused() -> None:
    """Rule maximal-isr; one proposal is under way at a time."""
    leader, proposal = joining()
    assert leader.propose() is None
    assert leader.isr.maximal_isr() == (1, 2, 3)
    assert leader.committed() == 20
    leader.isr.refused(proposal)
    leader.now += 2 * LAG_S
    leader.propose({})
    assert leader.committed() == 30


def test_an_unknown_outcome_counts_until_a_later_partition_epoch_is_seen() -> None:
    """Rule unknown-outcome-kept: a re-read of the same partition epoch settles nothing."""
    leader, proposal = joining()
    leader.isr.unknown(proposal)
    assert leader.isr.maximal_isr() == (1, 2, 3)
    assert leader.committed() == 20
    again = leader.propose()
    assert again is not None
    assert again.record == proposal.record
    leader.isr.refused(again)
    assert leader.isr.maximal_isr() == (1, 2, 3), "the refusal of one says nothing of the other"
    leader.isr.applied(with_isr(TWO, (1, 2)))
    assert leader.isr.maximal_isr() == (1, 2)


def test_an_unknown_outcome_is_settled_by_a_proposal_of_the_same_isr_if_need_be() -> None:
    leader, proposal = joining()
    leader.isr.unknown(proposal)
    settling = leader.propose({1: 101, 2: 102})
    assert settling is not None
    assert settling.record == dataclasses.replace(TWO, partition_epoch=TWO.partition_epoch + 1)
    assert settling.joining == ()
    leader.isr.applied(settling.record)
    leader.now += 2 * LAG_S
    assert leader.propose({1: 101, 2: 102}) is None
    assert leader.committed() == 30


def test_a_removal_of_unknown_outcome_needs_no_settling() -> None:
    leader = Leader(TWO)
    leader.propose()
    leader.now += 2 * LAG_S
    proposal = leader.propose()
    assert proposal is not None
    assert proposal.record.isr == (1,)
    assert leader.isr.maximal_isr() == (1, 2)
    leader.isr.unknown(proposal)
    leader.fetch(2, 20)
    assert leader.propose() is None


def test_an_answer_that_comes_after_a_newer_record_changes_nothing() -> None:
    leader, proposal = joining()
    leader.isr.applied(with_isr(TWO, (1, 2)))
    leader.isr.unknown(proposal)
    leader.isr.refused(proposal)
    assert leader.isr.maximal_isr() == (1, 2)


# --- the record ---


@pytest.mark.parametrize(
    ("isr", "elr", "then", "expected"),
    [
        ((1, 2, 3), (), (1, 2), ()),
        ((1, 2), (), (1,), (2,)),
        ((1,), (3,), (1, 2), ()),
        ((1, 2, 3), (), (1,), (2, 3)),
        ((1,), (2, 3), (1,), (2, 3)),
    ],
)
def test_who_leaves_an_isr_below_its_minimum_stays_eligible(
    isr: tuple[int, ...], elr: tuple[int, ...], then: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Rule elr-kept (KIP-966)."""
    record = with_isr(dataclasses.replace(ALL, isr=isr, elr=elr), then)
    assert (record.isr, record.elr) == (then, expected)
    assert record.partition_epoch == ALL.partition_epoch + 1
    assert record.leader_epoch == ALL.leader_epoch


def test_the_lowest_log_start_is_that_of_the_live_replicas() -> None:
    leader = Leader()
    leader.fetch(2, 20, start=3)
    leader.fetch(3, 20, start=7)
    assert leader.isr.lowest_log_start(9, {1, 2, 3}) == 3
    assert leader.isr.lowest_log_start(9, {1, 3}) == 7
    assert leader.isr.lowest_log_start(2, {1, 3}) == 2


def test_replicas_that_are_added_are_known_once_the_record_says_so() -> None:
    leader = Leader(dataclasses.replace(ALL, replicas=(1, 2), isr=(1, 2)))
    leader.fetch(2, 20)
    assert refusal_of(leader, 3, epoch=103) == ErrorCode.UNKNOWN_LEADER_EPOCH
    leader.isr.applied(dataclasses.replace(ALL, isr=(1, 2), partition_epoch=10))
    assert leader.fetch(3, 20)
    assert leader.committed() == 20, "what it knows of the others stays"
