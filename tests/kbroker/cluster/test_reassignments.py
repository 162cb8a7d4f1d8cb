"""A partition's way to other replicas (KIP-455): examples, and stories in which nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.cluster.elections import (
    Election,
    plan_departure,
    plan_election,
    plan_preferred,
    plan_restart,
)
from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord
from kbroker.cluster.reassignments import (
    is_under_way,
    origin_of,
    plan_cancellation,
    plan_completion,
    plan_reassignment,
    target_of,
)
from kbroker.replication.isr import with_isr

BROKERS = range(5)


def record_of(
    *replicas: int, isr: Sequence[int] | None = None, **fields: object
) -> PartitionRecord:
    values = {"leader": replicas[0], "leader_epoch": 3, "min_isr": 2, **fields}
    members = replicas if isr is None else tuple(isr)
    return PartitionRecord(replicas=replicas, isr=members, **values)  # type: ignore[arg-type]


def everybody(broker_id: int) -> bool:
    return True


def reassigned(record: PartitionRecord, *target: int) -> PartitionRecord:
    planned = plan_reassignment(record, target, is_live=everybody)
    assert planned is not None
    return planned.record


def test_old_and_new_replicas_are_replicas_until_all_new_ones_are_in_sync() -> None:
    begun = reassigned(record_of(0, 1, 2), 3, 4, 0)
    assert begun.replicas == (3, 4, 0, 1, 2)
    assert (begun.adding, begun.removing) == ((3, 4), (1, 2))
    assert (begun.leader, begun.leader_epoch, begun.isr) == (0, 3, (0, 1, 2))
    assert plan_completion(with_isr(begun, (0, 1, 2, 3)), is_live=everybody) is None
    done = plan_completion(with_isr(begun, (0, 2, 3, 4)), is_live=everybody)
    assert done is not None
    assert done.record.replicas == (3, 4, 0)
    assert (done.record.adding, done.record.removing) == ((), ())
    assert done.record.isr == (3, 4, 0)
    assert (done.record.leader, done.record.leader_epoch) == (0, 4)


def test_a_leader_that_is_taken_away_hands_over_to_the_first_that_stays_and_lives() -> None:
    begun = reassigned(record_of(0, 1), 2, 3)
    ready = with_isr(begun, (0, 1, 2, 3))
    done = plan_completion(ready, is_live=lambda each: each != 2)
    assert done is not None
    assert (done.record.leader, done.record.leader_epoch) == (3, 4)
    leaving_first = plan_completion(ready, is_live=everybody, is_leaving=lambda each: each == 2)
    assert leaving_first is not None
    assert leaving_first.record.leader == 3
    assert plan_completion(ready, is_live=lambda each: each < 2) is None


def test_what_is_in_sync_already_is_done_at_once() -> None:
    shrunk = reassigned(record_of(0, 1, 2), 2, 1)
    assert (shrunk.replicas, shrunk.removing, shrunk.isr) == ((2, 1), (), (1, 2))
    assert (shrunk.leader, shrunk.leader_epoch) == (2, 4)
    reordered = reassigned(record_of(0, 1, 2), 2, 0, 1)
    assert (reordered.replicas, reordered.leader, reordered.leader_epoch) == ((2, 0, 1), 0, 3)
    assert plan_reassignment(record_of(0, 1), (0, 1), is_live=everybody) is None


def test_whoever_goes_with_the_leader_in_place_still_begins_an_epoch() -> None:
    """Its log may be gone, and back, before the leader hears of it."""
    done = reassigned(record_of(0, 1, 2), 0, 1)
    assert (done.leader, done.leader_epoch) == (0, 4)


def test_who_is_out_of_sync_is_waited_for_as_in_kafka() -> None:
    begun = reassigned(record_of(0, 1, 2, isr=(0, 2)), 0, 1)
    assert (begun.replicas, begun.removing) == ((0, 1, 2), (2,))
    assert plan_completion(begun, is_live=everybody) is None


def test_a_cancellation_takes_the_new_ones_away() -> None:
    begun = with_isr(reassigned(record_of(0, 1), 2, 3), (0, 1, 2))
    back = plan_cancellation(begun, is_live=everybody)
    assert back is not None
    assert back.record.replicas == (0, 1)
    assert (back.record.isr, back.record.leader, back.record.leader_epoch) == ((0, 1), 0, 4)
    assert not is_under_way(back.record)


def test_another_target_on_the_way_goes_back_to_where_it_came_from() -> None:
    first = with_isr(reassigned(record_of(0, 1), 2, 3), (0, 1, 2))
    second = reassigned(first, 2, 4)
    assert second.replicas == (2, 4, 0, 1, 3)
    assert (target_of(second), origin_of(second)) == ((2, 4), (0, 1))
    assert (second.adding, second.removing) == ((2, 3, 4), (0, 1, 3))
    back = plan_cancellation(second, is_live=everybody)
    assert back is not None
    assert back.record.replicas == (0, 1)
    home = reassigned(first, 0, 1)
    assert (home.replicas, home.isr, is_under_way(home)) == ((0, 1), (0, 1), False)


def test_a_cancellation_that_would_lose_records_takes_a_topic_that_would_rather() -> None:
    begun = with_isr(reassigned(record_of(0, 1), 2, 3), (2,))
    begun = replace(begun, leader=2, elr=())
    assert plan_cancellation(begun, is_live=everybody) is None
    assert plan_cancellation(begun, is_live=lambda each: each > 1, is_unclean=True) is None
    lost = plan_cancellation(begun, is_live=everybody, is_unclean=True)
    assert lost is not None
    assert lost.possible_loss
    assert (lost.record.leader, lost.record.isr, lost.record.replicas) == (0, (0,), (0, 1))


@pytest.mark.parametrize("leader", [0, NO_LEADER])
def test_a_cancellation_waits_without_a_leader_for_those_in_sync(leader: int) -> None:
    begun = replace(reassigned(record_of(0, 1), 2, 3), leader=leader)
    back = plan_cancellation(begun, is_live=lambda each: each > 1)
    assert back is not None
    assert (back.record.leader, back.record.isr) == (NO_LEADER, (0, 1))
    assert back.record.leader_epoch == 4
    elected = plan_election(back.record, is_live=everybody)
    assert elected is not None
    assert elected.record.leader == 0


def test_fewer_replicas_may_lower_the_minimum_and_then_nobody_else_is_eligible() -> None:
    begun = record_of(0, 1, 2, isr=(0,), elr=(1,))
    done = reassigned(begun, 0)
    assert (done.replicas, done.isr, done.elr, done.effective_min_isr) == ((0,), (0,), (), 1)


class Story:
    """A partition, and how much of it each broker has durably. Mutable.

    `committed` are the records acknowledged; who is elected without a word of loss has them all.
    """

    def __init__(self, replicas: tuple[int, ...], min_isr: int) -> None:
        self.record = record_of(*replicas, min_isr=min_isr)
        self.live = set(BROKERS)
        self.ends = dict.fromkeys(BROKERS, 0)
        self.committed = 0

    def is_live(self, broker_id: int) -> bool:
        return broker_id in self.live

    def take(self, planned: Election | None) -> None:
        if planned is None:
            return
        before, after = self.record, planned.record
        self.record = after
        assert after.replicas
        assert len(set(after.replicas)) == len(after.replicas)
        for part in (after.isr, after.elr, after.adding, after.removing):
            assert {*part} <= {*after.replicas}
        assert not {*after.isr} & {*after.elr}
        assert target_of(after)
        assert origin_of(after)
        assert after.leader == NO_LEADER or after.leader in after.isr
        assert after.partition_epoch == before.partition_epoch + 1
        grown = after.leader_epoch - before.leader_epoch
        assert grown in (0, 1)
        if after.leader != before.leader or not {*before.replicas} <= {*after.replicas}:
            assert grown == 1, "a leader's knowledge of replicas ends with its epoch"
        for broker in {*before.replicas} - {*after.replicas}:
            self.ends[broker] = 0  # it deletes its log
        if grown and after.leader != NO_LEADER:
            self._lead(after.leader, planned.possible_loss)

    def _lead(self, leader: int, possible_loss: bool) -> None:
        if possible_loss:
            self.committed = min(self.committed, self.ends[leader])
        assert self.ends[leader] >= self.committed, "it leads without acknowledged records"
        for broker in BROKERS:
            self.ends[broker] = min(self.ends[broker], self.ends[leader])

    # What happens

    def append(self, count: int) -> None:
        if self.record.leader in self.live:
            self.ends[self.record.leader] += count
            self.commit()

    def fetch(self, broker: int, count: int) -> None:
        record = self.record
        if record.leader in self.live and broker in self.live and broker in record.replicas:
            most = self.ends[record.leader] - self.ends[broker]
            self.ends[broker] += min(count, most)
            self.commit()

    def commit(self) -> None:
        record = self.record
        if len(record.isr) >= record.effective_min_isr:
            self.committed = max(self.committed, min(self.ends[each] for each in record.isr))

    def join(self, broker: int) -> None:
        record = self.record
        leads = record.leader in self.live
        caught_up = leads and self.ends[broker] >= self.committed
        is_new = broker in record.replicas and broker not in record.isr
        if is_new and caught_up and broker in self.live:
            self.take(Election(with_isr(record, {*record.isr, broker})))
            self.commit()

    def lag(self, broker: int) -> None:
        record = self.record
        if record.leader in self.live and broker in record.isr and broker != record.leader:
            self.take(Election(with_isr(record, {*record.isr} - {broker})))
            self.commit()

    def go(self, broker: int) -> None:
        self.live.discard(broker)

    def come(self, broker: int, lossy: bool) -> None:
        if broker in self.live:
            return
        if lossy:
            self.ends[broker] //= 2
        self.take(plan_restart(self.record, broker, lossy=lossy, is_live=self.is_live))
        self.live.add(broker)

    def tend(self) -> None:
        """As the controller's duties."""
        record = self.record
        gone = [
            each for each in (record.leader, *record.isr) if each not in {*self.live, NO_LEADER}
        ]
        if gone:
            self.take(plan_departure(record, gone[0], is_live=self.is_live))
        elif record.leader == NO_LEADER:
            self.take(plan_election(record, is_live=self.is_live))
        else:
            self.take(plan_completion(record, is_live=self.is_live))

    def reassign(self, target: Sequence[int]) -> None:
        self.take(plan_reassignment(self.record, target, is_live=self.is_live))
        if is_under_way(self.record):
            assert target_of(self.record) == tuple(target)

    def cancel(self, is_unclean: bool) -> None:
        if is_under_way(self.record):
            origin = origin_of(self.record)
            planned = plan_cancellation(self.record, is_live=self.is_live, is_unclean=is_unclean)
            self.take(planned)
            assert planned is None or self.record.replicas == origin

    def prefer(self) -> None:
        preferred = plan_preferred(self.record, is_staying=self.is_live)
        self.take(None if preferred is None else Election(preferred))


some = st.sampled_from(list(BROKERS))
targets = st.lists(some, min_size=1, max_size=4, unique=True)
steps = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 3)),
    st.tuples(st.just("fetch"), some, st.integers(1, 5)),
    st.tuples(st.sampled_from(["join", "lag", "go"]), some),
    st.tuples(st.just("come"), some, st.booleans()),
    st.tuples(st.sampled_from(["tend", "prefer"])),
    st.tuples(st.just("reassign"), targets),
    st.tuples(st.just("cancel"), st.booleans()),
)


@given(start=targets, min_isr=st.integers(1, 3), story=st.lists(steps, max_size=60), target=targets)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_on_the_way_nothing_is_lost_and_it_ends_in_the_target(
    start: list[int], min_isr: int, story: list[tuple], target: list[int]
) -> None:
    told = Story(tuple(start), min_isr)
    for name, *arguments in story:
        getattr(told, name)(*arguments)
    for broker in BROKERS:
        told.come(broker, False)
    told.reassign(target)
    for _ in range(2 * len(BROKERS) + 4):
        told.tend()
        for broker in BROKERS:
            told.fetch(broker, 1_000)
            told.join(broker)
    assert told.record.replicas == tuple(target)
    assert not is_under_way(told.record)
    assert told.record.leader in told.record.isr
    assert sorted(told.record.isr) == sorted(target)
