"""Each invariant can fail: a state that breaks it, and it alone is named."""

import pytest

from simulator.model.invariants import INVARIANTS, broken
from simulator.model.state import Budget, Record, State, initial, with_broker

FIRST, SECOND = Record(1, 0), Record(1, 1)


def changed(state: State, broker_id: int, **fields) -> State:
    return with_broker(state, broker_id, state.brokers[broker_id]._replace(**fields))


def committed_everywhere() -> State:
    state = initial(Budget())._replace(committed=(FIRST,))
    for broker_id in range(3):
        state = changed(state, broker_id, log=(FIRST,), durable_end=1, high_watermark=1)
    return state


def second_leader(state: State) -> State:
    return changed(state, 1, partition=state.partition._replace(leader=1))


BREAK = {
    "leader_completeness": lambda s: changed(s, 0, log=(), durable_end=0, high_watermark=0),
    "eligible_completeness": lambda s: changed(s, 2, durable_end=0),
    "served_prefix": lambda s: changed(
        s._replace(partition=s.partition._replace(isr=0b011)), 2, log=(Record(2, 1),)
    ),
    "log_matching": lambda s: changed(
        changed(s, 1, log=(FIRST, SECOND)), 2, log=(FIRST, Record(1, 2))
    ),
    "one_leader": second_leader,
    "maximal_isr_covers": lambda s: changed(s, 0, partition=s.partition._replace(isr=0b011)),
    "ends_in_order": lambda s: changed(s, 1, durable_end=2),
}


def test_a_state_of_which_all_holds() -> None:
    assert broken(committed_everywhere()) is None


@pytest.mark.parametrize("name", BREAK)
def test_an_invariant_can_fail(name: str) -> None:
    found = broken(BREAK[name](committed_everywhere()))
    assert found is not None
    assert found[0] == name
    assert "broker" in found[1]


def test_every_invariant_is_shown_to_fail() -> None:
    assert list(BREAK) == [invariant.__name__ for invariant in INVARIANTS]


def test_an_elr_beside_a_full_isr_is_found() -> None:
    state = committed_everywhere()
    partition = state.partition._replace(isr=0b011, elr=0b100)
    assert broken(state._replace(partition=partition)) == (
        "maximal_isr_covers",
        "there is an ELR beside an ISR of min ISR members",
    )


def test_a_broker_that_is_not_counted_may_lack_what_was_committed() -> None:
    state = changed(committed_everywhere(), 2, log=(), durable_end=0, high_watermark=0)
    assert broken(state) is not None
    assert broken(changed(state, 2, running=False)) is None
    assert broken(state._replace(registrations=(1, 2, 9))) is None


def test_after_a_logged_loss_a_straggler_may_still_show_what_was_lost() -> None:
    state = BREAK["served_prefix"](committed_everywhere())
    assert broken(state._replace(loss_logged=True)) is None
