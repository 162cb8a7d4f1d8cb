"""Walks of the model are accepted as seen; what no action explains is refused at its step."""

import dataclasses
from random import Random

import pytest

from simulator.model import acceptance
from simulator.model.acceptance import Seen, SeenBroker, TooLittleSeenError, accepts, observed
from simulator.model.actions import drawn_step, drawn_urn, step_named
from simulator.model.explorer import without_rules
from simulator.model.rules import ALL_RULES, Rule
from simulator.model.scenarios import steps_of
from simulator.model.state import UNBOUNDED, Budget, Record, initial
from simulator.model.steps import Label

SEEDS = range(8)


def trace_of(seed: int, length: int = 60) -> list[Seen]:
    """A random walk as an observer sees it who sees everything."""
    random, state, trace = Random(seed), initial(Budget()), []
    urn = drawn_urn(3, random)
    for _ in range(length):
        step = drawn_step(state, ALL_RULES, urn, random)
        if step is None:
            break
        label, state = step
        trace.append(observed(state, label))
    return trace


def without_states(trace: list[Seen]) -> list[Seen]:
    return [Seen(label=seen.label) for seen in trace]


def without_labels(trace: list[Seen]) -> list[Seen]:
    return [seen._replace(label=None) for seen in trace]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_walk_is_accepted_however_much_of_it_was_seen(seed: int) -> None:
    trace = trace_of(seed)
    assert accepts(trace) is None
    assert accepts(without_states(trace)) is None
    assert accepts(without_labels(trace[:8])) is None
    without_arguments = [
        seen._replace(label=seen.label._replace(argument=-1)) for seen in trace if seen.label
    ]
    assert accepts(without_arguments) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_left_out_is_noticed(seed: int) -> None:
    trace = trace_of(seed)
    changes = [
        index
        for index in range(1, len(trace) - 1)
        if trace[index]._replace(label=None) != trace[index - 1]._replace(label=None)
        and trace[index].label != trace[index + 1].label
    ]
    index = Random(seed).choice(changes)
    refused = accepts(trace[:index] + trace[index + 1 :])
    assert refused is not None
    assert refused >= index


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("field", ["high_watermark", "durable_end", "leader_epoch"])
def test_a_state_that_no_action_gives_is_refused_where_it_is_seen(seed: int, field: str) -> None:
    trace = trace_of(seed)
    index = Random(seed).randrange(len(trace))
    broker = trace[index].brokers[1]
    wrong = broker._replace(**{field: getattr(broker, field) + 1})
    brokers = (trace[index].brokers[0], wrong, trace[index].brokers[2])
    trace[index] = trace[index]._replace(brokers=brokers)
    assert accepts(trace) == index
    assert accepts([each._replace(label=None) for each in trace[: index + 1]][index:]) is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_record_that_changes_is_refused(seed: int) -> None:
    trace = trace_of(seed)
    for index, seen in enumerate(trace):
        log = seen.brokers[0].log
        if log:
            changed = seen.brokers[0]._replace(log=(Record(log[0].leader_epoch, 77), *log[1:]))
            trace[index] = Seen(seen.label, brokers=(changed,))
            assert accepts(trace) == index
            return


@pytest.mark.parametrize("rule", Rule)
def test_a_cluster_that_lacks_a_rule_is_refused(rule: Rule) -> None:
    rules, state, trace = without_rules(rule), initial(UNBOUNDED), []
    for label in steps_of(rule):
        state = step_named(state, label, rules)
        trace.append(observed(state, label))
    assert accepts(trace, rules=rules) is None
    assert accepts(trace) is not None


def test_a_fetch_that_changes_nothing_is_accepted() -> None:
    again = [Seen(Label("fetch", 1))] * 3
    assert accepts(again) is None
    assert accepts([Seen(Label("fetch", 0))]) == 0


def test_what_cannot_be_seen_may_have_happened() -> None:
    trace = [
        Seen(Label("propose_isr", 0, 2)),
        Seen(Label("propose_isr", 0, 1)),
        Seen(Label("apply_proposal", 0)),
    ]
    # Which of the two was applied was not seen; that both were cannot be.
    for member in (0b011, 0b101):
        partition = initial(UNBOUNDED).partition._replace(isr=member, partition_epoch=2)
        assert accepts([*trace, Seen(partition=partition)]) is None
    assert accepts([*trace, Seen(Label("apply_proposal", 0))]) == 3
    flushed = [Seen(Label("append", 0)), Seen(brokers=(SeenBroker(durable_end=1),))]
    # Without a label one action may have happened: here the flush.
    assert accepts(flushed) is None
    late = [*flushed[:1], Seen(Label("fetch", 1)), Seen(Label("fetch", 2)), flushed[1]]
    late[-1] = late[-1]._replace(label=Label("fetch", 1))
    assert accepts(late) == 3
    assert accepts(late, unseen=frozenset({"flush"})) is None


def test_a_trace_that_says_too_little_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "MOST_POSSIBLE", 5)
    with pytest.raises(TooLittleSeenError):
        accepts([Seen()] * 3, unseen=frozenset({"append", "flush", "fetch"}))
    with pytest.raises(TooLittleSeenError):
        accepts([Seen()] * 3)


def test_seen_values_are_values() -> None:
    assert not dataclasses.is_dataclass(Seen)
    assert observed(initial(Budget())) == observed(initial(UNBOUNDED))
