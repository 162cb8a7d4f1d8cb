"""Taking out, admitting, electing; the last known leader; min ISR."""

from simulator.model.rules import ALL_RULES, Rule
from simulator.model.state import members

SECOND_OUT = "expire_lease 1; take_out 1 0; expire_lease 2; take_out 2 0;"
BOTH_EMPTY = (
    SECOND_OUT + "change_min_isr - 1; adopt_partition 0; append 0; flush 0;"
    "advance_high_watermark 0 1; crash_lossily 0 0; start 0 0; take_out 0;"
)


def test_a_leader_without_a_lease_is_replaced_in_a_new_epoch(after, possible) -> None:
    gone = after("expire_lease 0")
    assert possible(gone, "take_out") == ["take_out 0 1", "take_out 0 2"]
    replaced = after("take_out 0 2", state=gone).partition
    assert (replaced.leader, replaced.leader_epoch, replaced.partition_epoch) == (2, 2, 2)
    assert members(replaced.isr) == (1, 2)


def test_the_last_of_the_isr_stays_eligible(after) -> None:
    all_out = after(SECOND_OUT + "expire_lease 0; take_out 0").partition
    assert (all_out.leader, all_out.last_known_leader, all_out.isr) == (-1, 0, 0)
    assert members(all_out.elr) == (0, 2)


def test_an_admitted_member_of_the_elr_can_be_elected(after, possible) -> None:
    back = after(SECOND_OUT + "expire_lease 0; take_out 0; register_again 2; admit 2; elect 2")
    assert (back.partition.leader, members(back.partition.isr)) == (2, (2,))
    assert members(back.partition.elr) == (0,)
    assert after(SECOND_OUT + "expire_lease 0; take_out 0; register_again 2; admit 2 2") == back
    two_steps = after(SECOND_OUT + "expire_lease 0; take_out 0; register_again 1; admit 1")
    assert not possible(two_steps, "elect")
    assert possible(two_steps, "elect", ALL_RULES - {Rule.CLEAN_ELECTION}) == ["elect 1"]


def test_a_lossy_restart_leaves_the_elr(after) -> None:
    written = "append 0; flush 0; fetch 2; flush 2;"
    ended = written + SECOND_OUT + "crash_lossily 2 0; start 2 0; admit 2"
    assert not after(ended).partition.elr
    assert members(after(ended, ALL_RULES - {Rule.LOSSY_LEAVES_ELR}).partition.elr) == (2,)


def test_a_broker_is_taken_out_before_it_counts(after, possible) -> None:
    back = after("crash 2 0; start 2 0")
    assert back.registrations != back.admissions
    assert members(after("admit 2", state=back).partition.isr) == (0, 1)
    own = after("crash 0 0; start 0 0")
    assert possible(own, "admit 0") == ["admit 0 1", "admit 0 2"]
    assert possible(own, "admit 0", ALL_RULES - {Rule.EPOCH_RAISED_AT_START}) == ["admit 0"]


def test_the_last_known_leader_comes_back_by_itself_and_the_loss_is_logged(after) -> None:
    empty = after(BOTH_EMPTY)
    assert (empty.partition.isr, empty.partition.elr) == (0, 0)
    assert (len(empty.committed), empty.loss_logged) == (1, False)
    back = after("admit 0; elect 0", state=empty)
    assert (back.partition.leader, members(back.partition.isr)) == (0, (0,))
    assert (back.committed, back.loss_logged) == ((), True)


def test_the_last_known_leader_waits_for_whoever_is_eligible(after, possible) -> None:
    lossy = "append 0; flush 0; crash_lossily 0 0; start 0 0;"
    waiting = after(SECOND_OUT + lossy + "take_out 0; admit 0")
    assert members(waiting.partition.elr) == (2,)
    assert not possible(waiting, "elect")
    assert possible(waiting, "elect", ALL_RULES - {Rule.LAST_KNOWN_LEADER_LAST}) == ["elect 0"]


def test_a_change_of_min_isr_empties_the_elr(after) -> None:
    steps = SECOND_OUT + "change_min_isr - 1"
    assert (after(steps).partition.elr, after(steps).partition.min_isr) == (0, 1)
    assert after(steps, ALL_RULES - {Rule.MIN_ISR_CHANGE_EMPTIES_ELR}).partition.elr
    assert after("change_min_isr - 2", state=after(steps)).partition.min_isr == 2


def test_leadership_moves_within_the_isr(after, possible) -> None:
    assert possible(after("expire_lease 2; take_out 2 0"), "move") == ["move_leadership 1"]
    moved = after("move_leadership 1").partition
    assert (moved.leader, moved.leader_epoch, members(moved.isr)) == (1, 2, (0, 1, 2))
