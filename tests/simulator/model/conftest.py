"""States of the model, by the steps that lead to them."""

import pytest

from simulator.model.actions import step_named, steps
from simulator.model.rules import ALL_RULES
from simulator.model.state import UNBOUNDED, initial
from simulator.model.steps import parse_label


@pytest.fixture
def after():
    """The state after `action broker argument; ...`, every step of which must be possible."""

    def play(lines: str, rules=ALL_RULES, state=None):
        state = state or initial(UNBOUNDED)
        for line in filter(str.strip, lines.split(";")):
            reached = step_named(state, parse_label(line), rules)
            assert reached is not None, f"{line.strip()} cannot happen"
            state = reached
        return state

    return play


@pytest.fixture
def possible():
    """The names of the steps out of a state that begin with these words."""

    def names(state, beginning: str, rules=ALL_RULES) -> list[str]:
        found = [str(label) for label, _ in steps(state, rules)]
        return [name for name in found if name.startswith(beginning)]

    return names
