"""The values of a state: sets of brokers as masks, replacement, the maximal ISR."""

from simulator.model.state import (
    SMALL,
    UNBOUNDED,
    Budget,
    initial,
    leads,
    maximal_isr,
    members,
    replaced,
    with_broker,
)


def test_a_cluster_begins_at_rest() -> None:
    state = initial(Budget())
    assert members(state.partition.isr) == (0, 1, 2)
    assert [leads(broker, index) for index, broker in enumerate(state.brokers)] == [
        True,
        False,
        False,
    ]
    assert state.registrations == state.admissions == (1, 2, 3)
    assert members(initial(Budget(), broker_count=5).partition.isr) == (0, 1, 2, 3, 4)


def test_states_are_values() -> None:
    assert initial(Budget()) == initial(Budget())
    assert hash(initial(Budget())) == hash(initial(Budget()))
    assert initial(Budget()) != initial(SMALL)
    assert min(UNBOUNDED) > 1_000_000


def test_the_maximal_isr_has_every_member_that_was_proposed() -> None:
    broker = initial(Budget()).brokers[0]
    one = broker._replace(partition=broker.partition._replace(isr=0b001), unresolved=(0b101, 0b011))
    assert members(maximal_isr(one)) == (0, 1, 2)


def test_replacing_one_leaves_the_others() -> None:
    assert replaced((1, 2, 3), 1, 9) == (1, 9, 3)
    state = initial(Budget())
    gone = state.brokers[2]._replace(running=False)
    assert with_broker(state, 2, gone).brokers == (*state.brokers[:2], gone)
