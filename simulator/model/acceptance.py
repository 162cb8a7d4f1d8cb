"""Whether what was seen of a cluster is something that the model allows.

An observer reports what a cluster did under the model's names, and what it saw of the state, as
much as it can: whatever it leaves out may be anything. It numbers broker epochs in the order of
registration and records in the order in which leaders append them, both from where `initial` ends,
and reports a Fetch of several records as so many fetches.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from simulator.model import replication
from simulator.model.actions import ACTIONS, steps
from simulator.model.rules import ALL_RULES, Rules
from simulator.model.state import UNBOUNDED, Broker, Log, PartitionRecord, State, initial
from simulator.model.steps import NO_ARGUMENT, Label

MOST_POSSIBLE = 20_000
"""The states a trace may leave possible; more, and the observer sees too little to judge."""


class SeenBroker(NamedTuple):
    """What was seen of a broker; None: not seen."""

    running: bool | None = None
    leader: int | None = None
    leader_epoch: int | None = None
    log: Log | None = None
    durable_end: int | None = None
    high_watermark: int | None = None


class Seen(NamedTuple):
    """One step of a trace: what happened, and what was then to be seen.

    Without a label, any one action has happened, or none. A label without an argument stands for
    any argument.
    """

    label: Label | None = None
    partition: PartitionRecord | None = None
    registrations: tuple[int, ...] | None = None
    admissions: tuple[int, ...] | None = None
    loss_logged: bool | None = None
    brokers: tuple[SeenBroker, ...] = ()


class TooLittleSeenError(Exception):
    """The trace leaves more than MOST_POSSIBLE states possible."""


def accepts(
    trace: Iterable[Seen],
    *,
    rules: Rules = ALL_RULES,
    start: State | None = None,
    unseen: frozenset[str] = frozenset(),
) -> int | None:
    """The index of the first step that no action explains; None if the model allows the trace.

    `unseen`: actions that the observer cannot see, such as lose_proposal: any number of them may
    have happened before each step. Raises TooLittleSeenError.
    """
    # A dict for its order: what is possible comes in the same order in every run.
    possible = dict.fromkeys([start or initial(UNBOUNDED)])
    for index, seen in enumerate(trace):
        possible = _with_unseen(possible, unseen, rules)
        after = (each for state in possible for each in _explained(state, seen.label, rules))
        possible = dict.fromkeys(each for each in after if _looks_like(each, seen))
        if not possible:
            return index
        _demand_few(possible)
    return None


def observed(state: State, label: Label | None = None) -> Seen:
    """All that can be seen of a state."""
    return Seen(
        label=label,
        partition=state.partition,
        registrations=state.registrations,
        admissions=state.admissions,
        loss_logged=state.loss_logged,
        brokers=tuple(map(_seen, state.brokers)),
    )


def _seen(broker: Broker) -> SeenBroker:
    return SeenBroker(
        running=broker.running,
        leader=broker.partition.leader,
        leader_epoch=broker.partition.leader_epoch,
        log=broker.log,
        durable_end=broker.durable_end,
        high_watermark=broker.high_watermark,
    )


def _with_unseen(
    possible: dict[State, None], unseen: frozenset[str], rules: Rules
) -> dict[State, None]:
    """These states, and all that unseen actions lead to from them."""
    reached = dict(possible)
    queue = list(possible) if unseen else []
    while queue:
        state = queue.pop()
        for label, after in steps(state, rules):
            if label.action in unseen and after not in reached:
                reached[after] = None
                queue.append(after)
        _demand_few(reached)
    return reached


def _demand_few(possible: dict[State, None]) -> None:
    if len(possible) > MOST_POSSIBLE:
        raise TooLittleSeenError(f"more than {MOST_POSSIBLE} states are possible")


def _explained(state: State, label: Label | None, rules: Rules) -> Iterator[State]:
    """Where an action of that name leads to from the state."""
    if label is None:
        yield state
        yield from (after for _, after in steps(state, rules))
        return
    for found, after in ACTIONS[label.action](state, label.broker, rules):
        if label.argument in (NO_ARGUMENT, found.argument):
            yield after
    # The one action that is repeated without an effect, and so is no step of the model.
    if label.action == "fetch" and replication.fetched(state, label.broker, rules) == state:
        yield state


def _looks_like(state: State, seen: Seen) -> bool:
    return (
        seen.partition in (None, state.partition)
        and seen.registrations in (None, state.registrations)
        and seen.admissions in (None, state.admissions)
        and seen.loss_logged in (None, state.loss_logged)
        and all(map(_is_like, state.brokers, seen.brokers))
    )


def _is_like(broker: Broker, seen: SeenBroker) -> bool:
    return all(what in (None, true) for true, what in zip(_seen(broker), seen, strict=True))
