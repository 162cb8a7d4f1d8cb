"""A violation told: the rule, each step with what it changed, the invariant."""

from simulator.model.explorer import without_rules
from simulator.model.rules import Rule
from simulator.model.scenarios import played
from simulator.model.steps import Label
from simulator.model.story import change, told


def test_a_violation_is_told_step_by_step() -> None:
    rules = without_rules(Rule.ENDS_OF_THIS_EPOCH)
    violation = played(Rule.ENDS_OF_THIS_EPOCH, rules)
    assert violation is not None
    lines = told(violation, rules).splitlines()
    assert lines[0] == f"without the rule ends-of-this-epoch: {Rule.ENDS_OF_THIS_EPOCH.sentence}"
    assert lines[1].endswith("log [1:0], durable end 0, high watermark 0")
    assert "partition 2: leader 1, epoch 2, isr [0, 1, 2], elr [], min isr 2" in lines[6]
    assert lines[-1] == "breaks eligible_completeness: " + violation.words
    assert len(lines) == len(violation.trace) + 2


def test_what_changes_elsewhere_is_not_told(after) -> None:
    before, proposed = after(""), after("propose_isr 0 2; lose_proposal 0")
    assert change(proposed, proposed, Label("lose_proposal", 0)) == ""
    nobody = after("move_leadership 1")
    assert "leader 1" in change(before, nobody, Label("move_leadership", 1))
