"""The table of all actions, how likely each is in a random walk, and the steps out of a state."""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from simulator.model import controller, lifecycle, metadata_store, replication
from simulator.model.rules import Rules
from simulator.model.state import NOBODY, State
from simulator.model.steps import Action, Label, Step


class Row(NamedTuple):
    """An action, its weight in a walk, and whether it is asked for each broker."""

    action: Action
    weight: int
    of_brokers: bool = True


# Faults are rare against what a cluster does all day, or nothing would ever be committed.
TABLE = (
    Row(replication.append, 6),
    Row(replication.flush, 8),
    Row(replication.fetch, 12),
    Row(replication.truncate, 12),
    Row(replication.advance_high_watermark, 12),
    Row(replication.propose_isr, 3),
    Row(replication.forget_proposals, 2),
    Row(metadata_store.apply_proposal, 6),
    Row(metadata_store.refuse_proposal, 2),
    Row(metadata_store.lose_proposal, 1),
    Row(controller.take_out, 4),
    Row(controller.admit, 4),
    Row(controller.elect, 4),
    Row(controller.move_leadership, 1),
    Row(controller.change_min_isr, 1, of_brokers=False),
    Row(lifecycle.adopt_partition, 4),
    Row(lifecycle.receive_answer, 3),
    Row(lifecycle.crash, 1),
    Row(lifecycle.crash_lossily, 1),
    Row(lifecycle.shut_down, 1),
    Row(lifecycle.start, 4),
    Row(lifecycle.expire_lease, 1),
    Row(lifecycle.register_again, 2),
)
ACTIONS: dict[str, Action] = {row.action.__name__: row.action for row in TABLE}
Urn = tuple[tuple[Action, int], ...]
"""Actions with their brokers, each as often as it weighs: a draw is one index."""

HASTE = (1, 3, 9)
"""How much more often than another one an action of a broker happens in a walk."""
DRAWS = 40
"""So many draws without a step, and the state is searched for one."""


def steps(state: State, rules: Rules) -> Iterator[Step]:
    """Every step out of a state."""
    brokers = range(len(state.brokers))
    for action, _, of_brokers in TABLE:
        if of_brokers:
            for broker_id in brokers:
                yield from action(state, broker_id, rules)
        else:
            yield from action(state, NOBODY, rules)


def drawn_urn(broker_count: int, random: Random) -> Urn:
    """What a walk draws from. Each has its own: brokers that lag, crash often, never flush ...

    Walks that are all alike in how fast each thing goes find what takes a laggard much later.
    """
    pairs = []
    for action, weight, of_brokers in TABLE:
        for broker_id in range(broker_count) if of_brokers else (NOBODY,):
            pairs += [(action, broker_id)] * (weight * random.choice(HASTE))
    return tuple(pairs)


def drawn_step(state: State, rules: Rules, urn: Urn, random: Random) -> Step | None:
    """One step by chance: an action is drawn before it is asked, so that few are asked in vain.

    None: no step is possible at all.
    """
    chance, pairs = random.random, len(urn)
    for _ in range(DRAWS):
        action, broker_id = urn[int(chance() * pairs)]
        found = list(action(state, broker_id, rules))
        if found:
            return found[int(chance() * len(found))]
    found = list(steps(state, rules))
    return found[int(chance() * len(found))] if found else None


def step_named(state: State, label: Label, rules: Rules) -> State | None:
    """Where the step of that name leads; None if it cannot happen."""
    for found, after in ACTIONS[label.action](state, label.broker, rules):
        if found == label:
            return after
    return None
