"""Proposals that are applied, refused, lost, and what the leader then knows."""

from simulator.model.rules import ALL_RULES, Rule
from simulator.model.state import maximal_isr, members

OUT = "propose_isr 0 2; apply_proposal 0 2; adopt_partition 0; fetch 2; propose_isr 0 2;"


def test_a_proposal_changes_isr_and_partition_epoch(after) -> None:
    state = after("propose_isr 0 2; apply_proposal 0 2")
    assert members(state.partition.isr) == (0, 1)
    assert (state.partition.partition_epoch, state.partition.leader_epoch) == (2, 1)
    assert state.brokers[0].unresolved == (0b011,)
    assert after("adopt_partition 0", state=state).brokers[0].unresolved == ()


def test_who_leaves_an_isr_below_min_isr_is_kept_in_the_elr(after) -> None:
    steps = OUT.split("fetch")[0] + "propose_isr 0 1; apply_proposal 0 1"
    assert members(after(steps).partition.elr) == (1,)
    assert not after(steps, ALL_RULES - {Rule.ELR_KEPT}).partition.elr
    back = after(
        "adopt_partition 0; fetch 2; propose_isr 0 2; apply_proposal 0 2",
        state=after(steps),
    )
    assert (members(back.partition.isr), back.partition.elr) == ((0, 2), 0)


def test_an_older_partition_epoch_is_refused(after, possible) -> None:
    late = after("propose_isr 0 2; propose_isr 0 1; apply_proposal 0 1")
    assert not possible(late, "apply")
    assert possible(late, "apply", ALL_RULES - {Rule.PARTITION_EPOCH_COMPARED})
    assert after("refuse_proposal 0", state=late).brokers[0].unresolved == (0b101,)


def test_only_the_incarnation_that_fetched_may_join(after, possible) -> None:
    again = after(OUT + "crash 2 0; start 2 0; admit 2")
    assert not possible(again, "apply")
    assert possible(again, "apply", ALL_RULES - {Rule.BROKER_EPOCH_COMPARED})


def test_a_leader_without_its_registration_changes_nothing(after, possible) -> None:
    assert not possible(after("propose_isr 0 2; expire_lease 0"), "apply")


def test_a_lost_proposal_stays_unresolved(after, possible) -> None:
    lost = after("propose_isr 0 2; lose_proposal 0")
    assert (lost.proposals, lost.brokers[0].unresolved) == ((), (0b011,))
    assert not possible(lost, "apply")


def test_a_refusal_of_what_is_no_longer_waited_for_changes_nothing(after) -> None:
    late = after("propose_isr 0 2; move_leadership 1; adopt_partition 0; refuse_proposal 0")
    assert late.proposals == ()
    assert late.brokers[0].unresolved == ()


def test_the_same_isr_in_a_later_epoch_settles_what_is_unknown(after, possible) -> None:
    """What is late cannot be applied after it, and until then its member counts."""
    shrunk = after(OUT.split("fetch")[0])
    assert "propose_isr 0 0" not in possible(shrunk, "propose_isr")
    joining = after("fetch 2; propose_isr 0 2", state=shrunk)
    asked = after("propose_isr 0 0", state=joining)
    assert members(maximal_isr(asked.brokers[0])) == (0, 1, 2)
    settled = after("apply_proposal 0", state=asked)
    assert members(settled.partition.isr) == (0, 1)
    assert settled.partition.partition_epoch == shrunk.partition.partition_epoch + 1
    assert not possible(settled, "apply")
    known = after("adopt_partition 0", state=settled)
    assert members(maximal_isr(known.brokers[0])) == (0, 1)
    assert possible(after("refuse_proposal 0", state=known), "apply") == []
