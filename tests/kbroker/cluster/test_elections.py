"""Restarts: who leads, in which epoch, and when records may be lost."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.cluster.elections import Election, plan_election, plan_restart
from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord

ALONE = PartitionRecord(replicas=(0,), leader=0, leader_epoch=4, isr=(0,), partition_epoch=9)
THREE = PartitionRecord(
    replicas=(0, 1, 2), leader=0, leader_epoch=4, isr=(0, 1, 2), min_isr=2, partition_epoch=9
)


def restart(
    record: PartitionRecord,
    broker: int,
    *,
    live: set[int] = frozenset(),
    lossy: bool = False,
    missing: bool = False,
) -> Election | None:
    return plan_restart(
        record, broker, lossy=lossy, missing=missing, is_live=lambda each: each in live
    )


def test_a_lone_replica_leads_again_in_a_new_epoch() -> None:
    expected = replace(ALONE, leader_epoch=5, partition_epoch=10)
    assert restart(ALONE, 0) == Election(expected)


def test_a_lone_replica_leads_again_after_a_lossy_crash_and_it_is_said() -> None:
    expected = replace(ALONE, leader_epoch=5, partition_epoch=10)
    assert restart(ALONE, 0, lossy=True) == Election(expected, possible_loss=True)


def test_a_leader_that_comes_back_finds_another() -> None:
    expected = replace(THREE, leader=1, leader_epoch=5, isr=(1, 2), partition_epoch=10)
    assert restart(THREE, 0, live={1, 2}) == Election(expected)


def test_a_follower_that_comes_back_leaves_the_isr_and_the_epoch_stays() -> None:
    assert restart(THREE, 2, live={0, 1}) == Election(
        replace(THREE, isr=(0, 1), partition_epoch=10)
    )


def test_below_the_minimum_who_leaves_the_isr_stays_eligible() -> None:
    """KIP-966: it has every record that was committed while it was a member."""
    two = replace(THREE, isr=(0, 1))
    assert restart(two, 1, live={0}) == Election(
        replace(two, isr=(0,), elr=(1,), partition_epoch=10)
    )


def test_after_a_lossy_crash_it_is_not_eligible() -> None:
    two = replace(THREE, isr=(0, 1))
    assert restart(two, 1, live={0}, lossy=True) == Election(
        replace(two, isr=(0,), partition_epoch=10)
    )


@pytest.mark.parametrize("leader", [1, NO_LEADER])
def test_who_lost_its_log_is_not_elected_even_where_it_led_last(leader: int) -> None:
    """The others would drop what they have; only where there are none it begins anew, and told."""
    isr, last = ((1,), NO_LEADER) if leader == 1 else ((), 1)
    last_led = replace(THREE, leader=leader, isr=isr, last_known_leader=last)
    stranded = Election(
        replace(
            last_led,
            leader=NO_LEADER,
            leader_epoch=5,
            isr=(),
            last_known_leader=NO_LEADER,
            partition_epoch=10,
        )
    )
    assert restart(last_led, 1, live={0, 2}, lossy=True, missing=True) == stranded
    cut = restart(last_led, 1, live={0, 2}, lossy=True)
    assert cut is not None
    assert (cut.record.leader, cut.possible_loss) == (1, True)
    assert restart(ALONE, 0, lossy=True, missing=True) == restart(ALONE, 0, lossy=True)


@pytest.mark.parametrize(
    ("live", "leader"), [({0, 1, 2}, 1), ({0, 2}, 2), ({0}, 0)], ids=["all", "some", "it alone"]
)
def test_an_unclean_election_takes_one_without_a_log_last(live: set[int], leader: int) -> None:
    stranded = replace(THREE, leader=NO_LEADER, isr=(), elr=())
    election = plan_election(
        stranded,
        is_live=lambda each: each in live,
        is_unclean=True,
        lacks_log=lambda each: each == 0,
    )
    assert election is not None
    assert (election.record.leader, election.possible_loss) == (leader, True)


def test_nobody_outside_isr_and_elr_leads_while_one_of_them_has_a_member() -> None:
    waiting = replace(THREE, leader=NO_LEADER, isr=(1,), elr=(2,), last_known_leader=0)
    assert restart(waiting, 0, live={0}) is None


def test_the_last_known_leader_leads_when_nobody_else_can() -> None:
    waiting = replace(THREE, leader=NO_LEADER, isr=(), elr=(), last_known_leader=1)
    assert restart(waiting, 0, live=set()) is None
    assert restart(waiting, 1, live=set()) == Election(
        replace(
            waiting, leader=1, leader_epoch=5, isr=(1,), last_known_leader=-1, partition_epoch=10
        ),
        possible_loss=True,
    )


def test_the_last_known_leader_does_not_lead_while_somebody_is_known_to_have_all() -> None:
    """Rule last-known-leader-last: who is in the ELR is waited for."""
    waiting = replace(THREE, leader=NO_LEADER, isr=(), elr=(2,), last_known_leader=1)
    assert plan_election(waiting, is_live=lambda each: each == 1) is None
    elected = plan_election(waiting, is_live=lambda each: True)
    assert elected is not None
    assert (elected.record.leader, elected.possible_loss) == (2, False)


def test_a_broker_without_a_replica_changes_nothing() -> None:
    assert restart(THREE, 7, live={0, 1, 2}) is None


brokers = st.integers(0, 3)
subsets = st.sets(brokers)


@given(
    replicas=st.permutations([0, 1, 2]),
    members=subsets,
    eligible=subsets,
    leads=st.booleans(),
    last_known=st.integers(-1, 2),
    min_isr=st.integers(1, 3),
    broker=brokers,
    live=subsets,
    lossy=st.booleans(),
)
def test_restarts_keep_the_rules(
    replicas: list[int],
    members: set[int],
    eligible: set[int],
    leads: bool,
    last_known: int,
    min_isr: int,
    broker: int,
    live: set[int],
    lossy: bool,
) -> None:
    isr = tuple(each for each in replicas if each in members)
    record = PartitionRecord(
        replicas=tuple(replicas),
        leader=isr[0] if isr and leads else NO_LEADER,
        leader_epoch=4,
        isr=isr,
        elr=tuple(each for each in replicas if each in eligible - members),
        last_known_leader=last_known,
        min_isr=min_isr,
    )
    election = restart(record, broker, live=live, lossy=lossy)
    after = election.record if election else record
    safe = set(record.isr) | set(record.elr)
    if lossy:
        safe.discard(broker)
    if after.leader != NO_LEADER:
        assert after.leader in after.isr
    assert not set(after.isr) & set(after.elr)
    # The former life leads nothing: its leadership is gone, or is a new one.
    if record.leader == broker:
        assert after.leader_epoch > record.leader_epoch
    if after.leader != record.leader:
        assert after.leader_epoch == record.leader_epoch + 1
    assert after.partition_epoch == record.partition_epoch + (after != record)
    elected = election is not None and after.leader_epoch > record.leader_epoch
    if elected and after.leader != NO_LEADER:
        assert after.leader in live | {broker}
        assert election.possible_loss == (after.leader not in safe)
        assert after.leader in safe or not safe
    # Nobody becomes a member or eligible who was neither, but the last known leader.
    assert set(after.isr) | set(after.elr) <= safe | {after.leader}
