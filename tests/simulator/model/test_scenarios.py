"""Each rule has a scenario, every step of which is taken, that loses what was committed."""

import pytest

from simulator.model.explorer import replay, without_rules
from simulator.model.rules import ALL_RULES, Rule
from simulator.model.scenarios import SCENARIOS, played, steps_of
from simulator.model.state import UNBOUNDED, initial


def test_each_rule_has_its_scenario() -> None:
    assert set(SCENARIOS) == set(Rule)


@pytest.mark.parametrize("rule", SCENARIOS)
def test_without_the_rule_something_committed_is_lost(rule: Rule) -> None:
    violation = played(rule, without_rules(rule))
    assert violation is not None
    assert violation.trace == steps_of(rule)


@pytest.mark.parametrize("rule", SCENARIOS)
def test_with_the_rule_the_same_steps_lead_elsewhere_and_lose_nothing(rule: Rule) -> None:
    assert played(rule, ALL_RULES) is None
    reached, _, violation = replay(initial(UNBOUNDED), steps_of(rule), ALL_RULES)
    assert violation is None
    assert reached != replay(initial(UNBOUNDED), steps_of(rule), without_rules(rule))[0]
