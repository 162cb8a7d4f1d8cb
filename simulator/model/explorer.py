"""Looks for a state that breaks an invariant: breadth first, or by random walks from seeds."""

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from simulator.model.actions import drawn_step, drawn_urn, step_named, steps
from simulator.model.invariants import INVARIANTS, Invariant, broken
from simulator.model.rules import ALL_RULES, Rules
from simulator.model.state import Budget, State, initial
from simulator.model.steps import Label

WALK_STEPS = 120
PROGRESS_EVERY = 1_000

Progress = Callable[[int], None]
"""Told from time to time how many states were visited, or walks made."""


class Violation(NamedTuple):
    """A broken invariant and the steps from the initial state that lead to it."""

    invariant: str
    words: str
    trace: tuple[Label, ...]


class Exploration(NamedTuple):
    """What was visited. `complete`: there is nothing else to visit within the budget."""

    violation: Violation | None
    states: int
    steps: int
    complete: bool
    walks: int = 0


def search(start: State, rules: Rules, *, most_states: int, progress: Progress) -> Exploration:
    """Visits states breadth first, each once: the trace of what it finds is a shortest one."""
    came_from: dict[State, tuple[State, Label] | None] = {start: None}
    queue = deque([start])
    step_count = 0
    while queue:
        state = queue.popleft()
        for label, after in steps(state, rules):
            step_count += 1
            step = (state, label)
            if came_from.setdefault(after, step) is not step:
                continue
            found = broken(after)
            if found:
                violation = Violation(*found, _trace(came_from, after))
                return Exploration(violation, len(came_from), step_count, complete=False)
            if len(came_from) >= most_states:
                return Exploration(None, len(came_from), step_count, complete=False)
            if len(came_from) % PROGRESS_EVERY == 0:
                progress(len(came_from))
            queue.append(after)
    return Exploration(None, len(came_from), step_count, complete=True)


def _trace(came_from: dict[State, tuple[State, Label] | None], state: State) -> tuple[Label, ...]:
    labels = []
    step = came_from[state]
    while step is not None:
        before, label = step
        labels.append(label)
        step = came_from[before]
    return tuple(reversed(labels))


def walk(start: State, rules: Rules, seed: int) -> Exploration:
    """One random walk: the same steps for the same seed, rules and start."""
    random = Random(seed)
    urn = drawn_urn(len(start.brokers), random)
    state = start
    trace: list[Label] = []
    for _ in range(WALK_STEPS):
        step = drawn_step(state, rules, urn, random)
        if step is None:
            break
        label, state = step
        trace.append(label)
        found = broken(state)
        if found:
            violation = Violation(*found, tuple(trace))
            return Exploration(violation, len(trace), len(trace), complete=False, walks=1)
    return Exploration(None, len(trace), len(trace), complete=False, walks=1)


def walks(
    budget: Budget, rules: Rules, *, most_walks: int, progress: Progress, first_seed: int = 0
) -> Exploration:
    """Random walks from consecutive seeds until one breaks an invariant; its trace is shrunk."""
    start = initial(budget)
    step_count = 0
    for number in range(most_walks):
        explored = walk(start, rules, first_seed + number)
        step_count += explored.steps
        if explored.violation:
            violation = shrunk(start, rules, explored.violation)
            return Exploration(violation, step_count, step_count, False, number + 1)
        if number % PROGRESS_EVERY == PROGRESS_EVERY - 1:
            progress(number + 1)
    return Exploration(None, step_count, step_count, complete=False, walks=most_walks)


def replay(
    start: State,
    labels: Sequence[Label],
    rules: Rules,
    invariants: tuple[Invariant, ...] = INVARIANTS,
) -> tuple[State, tuple[Label, ...], Violation | None]:
    """Takes the steps that can happen, skips the others, stops at the first violation.

    Returns the last state, the steps taken, and what they broke.
    """
    state = start
    taken: list[Label] = []
    for label in labels:
        after = step_named(state, label, rules)
        if after is None:
            continue
        state = after
        taken.append(label)
        found = broken(state, invariants)
        if found:
            return state, tuple(taken), Violation(*found, tuple(taken))
    return state, tuple(taken), None


def shrunk(start: State, rules: Rules, violation: Violation) -> Violation:
    """A violation with steps left out as long as some invariant is still broken at the end."""
    size = max(1, len(violation.trace) // 2)
    while size:
        at = 0
        while at < len(violation.trace):
            without = violation.trace[:at] + violation.trace[at + size :]
            shorter = replay(start, without, rules)[2]
            if shorter and len(shorter.trace) < len(violation.trace):
                violation = shorter
            else:
                at += size
        size //= 2
    return violation


def without_rules(*names: str) -> Rules:
    """All rules but these; ValueError for a name that is none."""
    unknown = sorted(set(names) - set(ALL_RULES))
    if unknown:
        raise ValueError(f"no such rule: {', '.join(unknown)}; there are {', '.join(ALL_RULES)}")
    return frozenset(rule for rule in ALL_RULES if rule not in names)
