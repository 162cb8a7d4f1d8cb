"""The table of actions: complete, drawn from by seed, asked by name."""

from random import Random

from simulator.model import controller, lifecycle, metadata_store, replication
from simulator.model.actions import ACTIONS, drawn_step, drawn_urn, step_named, steps
from simulator.model.rules import ALL_RULES
from simulator.model.state import Budget, initial
from simulator.model.steps import Label

NOTHING = Budget(*[0] * len(Budget._fields))


def test_each_action_of_the_modules_is_in_the_table() -> None:
    for module in (controller, lifecycle, metadata_store, replication):
        for name, value in vars(module).items():
            annotations = getattr(value, "__annotations__", {})
            if list(annotations) == ["state", "broker_id", "rules", "return"]:
                is_action = "Iterator" in str(annotations["return"])
                assert (name in ACTIONS) == is_action or value.__module__ != module.__name__, name


def test_each_action_says_what_it_is() -> None:
    for name, action in ACTIONS.items():
        assert action.__doc__, name


def test_the_steps_of_a_state_are_told_apart_by_their_labels() -> None:
    found = [label for label, _ in steps(initial(Budget()), ALL_RULES)]
    assert Label("append", 0) in found
    assert Label("append", 1) not in found
    assert len(found) == len(set(found))


def test_a_drawn_step_is_one_of_the_steps() -> None:
    random, state = Random(5), initial(Budget())
    urn = drawn_urn(3, random)
    for _ in range(50):
        step = drawn_step(state, ALL_RULES, urn, random)
        assert step in list(steps(state, ALL_RULES))
        state = step[1]


def test_where_nothing_can_happen_nothing_is_drawn() -> None:
    random = Random(1)
    resting = initial(NOTHING)
    fetched = resting
    for label, _ in list(steps(resting, ALL_RULES)):
        fetched = step_named(fetched, label, ALL_RULES) or fetched
    assert drawn_step(fetched, ALL_RULES, drawn_urn(3, random), random) is None


def test_a_step_is_found_by_its_name() -> None:
    state = initial(Budget())
    assert step_named(state, Label("append", 0), ALL_RULES) is not None
    assert step_named(state, Label("append", 1), ALL_RULES) is None
