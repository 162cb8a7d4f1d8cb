"""With all rules nothing is found; what is found is found again, and its trace is short."""

import os
import subprocess
import sys

import pytest

from simulator.model.explorer import (
    Violation,
    replay,
    search,
    shrunk,
    walk,
    walks,
    without_rules,
)
from simulator.model.rules import ALL_RULES, Rule
from simulator.model.state import Budget, initial
from simulator.model.steps import parse_label

TINY = Budget(1, 0, 0, 0, 0, 0, 0, 0)
FOUND_IN_WALKS = {
    Rule.PARTITION_EPOCH_COMPARED: 50,
    Rule.BROKER_EPOCH_COMPARED: 150,
    Rule.MAXIMAL_ISR: 50,
    Rule.UNKNOWN_OUTCOME_KEPT: 50,
    Rule.DURABLE_ENDS: 20,
    Rule.MIN_ISR_GATE: 60,
    Rule.MIN_ISR_CHANGE_EMPTIES_ELR: 50,
    Rule.ELR_KEPT: 50,
    Rule.CLEAN_ELECTION: 150,
    Rule.ADMISSION: 80,
    Rule.LOSSY_LEAVES_ELR: 60,
    Rule.TRUNCATION_BY_EPOCH: 100,
    Rule.JOIN_PAST_HIGH_WATERMARK: 60,
    Rule.NEW_REGISTRATION: 40,
}
"""The rules whose lack random walks find soon; the others have their scenarios."""


def quietly(count: int) -> None:
    """Progress that nobody watches."""


def test_with_all_rules_a_search_finds_nothing() -> None:
    explored = search(initial(Budget()), ALL_RULES, most_states=15_000, progress=quietly)
    assert (explored.violation, explored.states, explored.complete) == (None, 15_000, False)


def test_with_all_rules_walks_find_nothing() -> None:
    explored = walks(Budget(), ALL_RULES, most_walks=150, progress=quietly, first_seed=1_000_000)
    assert (explored.violation, explored.walks) == (None, 150)


def test_a_search_that_has_seen_everything_says_so() -> None:
    explored = search(initial(TINY), ALL_RULES, most_states=5_000, progress=quietly)
    assert explored.complete
    assert explored.violation is None
    assert 10 < explored.states < 5_000


@pytest.mark.parametrize("rule", FOUND_IN_WALKS)
def test_walks_find_that_a_rule_is_missing(rule: Rule) -> None:
    rules = without_rules(rule)
    explored = walks(Budget(), rules, most_walks=FOUND_IN_WALKS[rule], progress=quietly)
    assert explored.violation is not None
    _, taken, violation = replay(initial(Budget()), explored.violation.trace, rules)
    assert violation == explored.violation
    assert taken == violation.trace


def test_a_search_finds_a_shortest_trace() -> None:
    rules = without_rules(Rule.DURABLE_ENDS)
    found = search(initial(TINY), rules, most_states=5_000, progress=quietly).violation
    assert found is not None
    assert len(found.trace) == 6
    assert shrunk(initial(TINY), rules, found) == found


def test_a_walk_is_the_same_for_the_same_seed() -> None:
    start = initial(Budget())
    rules = without_rules(Rule.DURABLE_ENDS)
    assert [walk(start, rules, seed) for seed in range(5)] == [
        walk(start, rules, seed) for seed in range(5)
    ]
    assert walk(start, rules, 1) != walk(start, rules, 2)


def test_hash_seeds_change_nothing() -> None:
    outcomes = []
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "simulator.model", "--rule-off", "broker-epoch-compared"]
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        outcomes.append([line for line in done.stdout.splitlines() if "seconds" not in line])
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) > 10


def test_shrinking_leaves_what_is_needed() -> None:
    rules = without_rules(Rule.DURABLE_ENDS)
    lines = "flush 1; append 0; expire_lease 2; fetch 1; fetch 2; fetch 1; fetch 2"
    trace = [*lines.split("; "), "advance_high_watermark 0 1"]
    violation = replay(initial(Budget()), [parse_label(each) for each in trace], rules)[2]
    assert isinstance(violation, Violation)
    short = shrunk(initial(Budget()), rules, violation)
    assert len(short.trace) == 6
    assert short.invariant == violation.invariant


def test_steps_that_cannot_happen_are_skipped() -> None:
    labels = [parse_label(each) for each in ("append 1", "append 0")]
    assert replay(initial(Budget()), labels, ALL_RULES)[1] == (labels[1],)


def test_only_rules_can_be_left_out() -> None:
    assert ALL_RULES - without_rules("maximal-isr", "admission") == {
        Rule.MAXIMAL_ISR,
        Rule.ADMISSION,
    }
    with pytest.raises(ValueError, match="no such rule: luck"):
        without_rules("luck")
