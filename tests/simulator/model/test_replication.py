"""Appending, flushing, fetching, truncating; what counts for the high watermark and the ISR."""

import pytest

from simulator.model.replication import divergence, end_of_epoch, has_caught_up
from simulator.model.rules import ALL_RULES, Rule
from simulator.model.state import UNKNOWN_FOLLOWER, Follower, Record, members

REPLICATED = "append 0; flush 0; fetch 1; flush 1; fetch 1; fetch 2; flush 2; fetch 2;"


def log(*epochs: int) -> tuple[Record, ...]:
    return tuple(Record(epoch, number) for number, epoch in enumerate(epochs))


@pytest.mark.parametrize(
    ("leader", "follower", "end"),
    [
        (log(1, 1), log(1), None),
        (log(1, 1), (), None),
        (log(1), log(1, 1), 1),
        (log(1, 2), log(1, 1), 1),
        (log(1, 3, 3), log(1, 2, 2), 1),
        ((), log(1), 0),
        # KIP-279: an epoch that the leader never had, between two it has.
        (log(1, 1, 4), log(1, 3, 3), 1),
    ],
)
def test_a_follower_cuts_where_its_epochs_part_from_the_leaders(leader, follower, end) -> None:
    assert divergence(leader=leader, follower=follower) == end


def test_an_epoch_ends_where_a_later_one_begins() -> None:
    assert end_of_epoch(log(1, 1, 3), 1) == (1, 2)
    assert end_of_epoch(log(1, 1, 3), 2) == (1, 2)
    assert end_of_epoch(log(3), 2) == (0, 0)


def test_a_record_is_committed_once_durable_on_the_whole_isr(after, possible) -> None:
    told = after("append 0; fetch 1; flush 1; fetch 1; fetch 2; flush 2; fetch 2")
    assert not possible(told, "advance")
    assert possible(told, "advance", ALL_RULES - {Rule.DURABLE_ENDS}) == [
        "advance_high_watermark 0 1"
    ]
    done = after("flush 0; advance_high_watermark 0 1", state=told)
    assert done.committed == (Record(1, 0),)


def test_a_proposed_member_counts_before_it_is_one(after, possible) -> None:
    out = after("propose_isr 0 2; apply_proposal 0 2; adopt_partition 0; fetch 2; propose_isr 0 2")
    told = after("append 0; flush 0; fetch 1; flush 1; fetch 1", state=out)
    assert not possible(told, "advance")
    assert possible(told, "advance", ALL_RULES - {Rule.MAXIMAL_ISR})
    assert possible(told, "forget", ALL_RULES - {Rule.UNKNOWN_OUTCOME_KEPT})
    assert not possible(told, "forget")


def test_nothing_is_committed_below_min_isr(after, possible) -> None:
    alone = after(
        "propose_isr 0 1; apply_proposal 0 1; adopt_partition 0;"
        "propose_isr 0 2; apply_proposal 0 2; adopt_partition 0; append 0; flush 0"
    )
    assert not possible(alone, "advance")
    assert possible(alone, "advance", ALL_RULES - {Rule.MIN_ISR_GATE})
    lowered = after("change_min_isr - 1", state=alone)
    assert not possible(lowered, "advance")
    assert possible(lowered, "advance", ALL_RULES - {Rule.MIN_ISR_IN_RECORD})
    assert possible(after("adopt_partition 0", state=lowered), "advance")


def test_who_joins_has_caught_up_in_this_epoch(after) -> None:
    leader = after(REPLICATED + "advance_high_watermark 0 1").brokers[0]
    assert has_caught_up(leader, Follower(1, 2), ALL_RULES)
    assert not has_caught_up(leader, Follower(0, 2), ALL_RULES)
    assert not has_caught_up(leader, UNKNOWN_FOLLOWER, frozenset())
    assert has_caught_up(leader, Follower(0, 2), ALL_RULES - {Rule.JOIN_PAST_HIGH_WATERMARK})
    started = leader._replace(epoch_start=2)
    assert not has_caught_up(started, Follower(1, 2), ALL_RULES)
    assert has_caught_up(started, Follower(1, 2), ALL_RULES - {Rule.JOIN_PAST_EPOCH_START})


def test_a_fetch_of_another_epoch_is_not_answered(after, possible) -> None:
    moved = after("append 0; move_leadership 1; move_leadership 0; adopt_partition 2")
    assert not possible(moved, "fetch 2")
    assert possible(moved, "fetch 2", ALL_RULES - {Rule.FETCH_EPOCH_FENCED}) == ["fetch 2"]


def test_a_follower_truncates_before_it_fetches(after, possible) -> None:
    moved = after("append 0; fetch 2; move_leadership 1; adopt_partition 1; adopt_partition 2")
    assert (possible(moved, "fetch 2"), possible(moved, "truncate 2")) == ([], ["truncate 2 0"])
    cut = after("truncate 2 0; fetch 2", state=moved)
    assert cut.brokers[2].log == ()
    assert cut.brokers[1].followers[2] == Follower(0, 3)


def test_a_deposed_leader_can_append_but_not_commit(after, possible) -> None:
    moved = after("move_leadership 1; adopt_partition 1; adopt_partition 2; append 0; flush 0")
    assert members(moved.partition.isr) == (0, 1, 2)
    assert not possible(moved, "advance")
