"""For each rule the shortest known steps that break an invariant once it is switched off."""

from simulator.model.explorer import Violation, replay
from simulator.model.rules import Rule, Rules
from simulator.model.state import UNBOUNDED, initial
from simulator.model.steps import Label, parse_label

SCENARIOS: dict[Rule, str] = {
    Rule.ENDS_OF_THIS_EPOCH: """
        append 0; flush 0; fetch 2; flush 2; fetch 2; move_leadership 1; adopt_partition 1;
        adopt_partition 2; truncate 2 0; move_leadership 0; adopt_partition 0; adopt_partition 1;
        fetch 1; flush 1; fetch 1; advance_high_watermark 0 1
    """,
    Rule.FETCH_EPOCH_FENCED: """
        append 0; flush 0; fetch 1; flush 1; fetch 1; move_leadership 2; adopt_partition 2;
        adopt_partition 1; truncate 1 0; move_leadership 0; adopt_partition 2; fetch 2; flush 2;
        fetch 2; advance_high_watermark 0 1
    """,
}


def steps_of(rule: Rule) -> tuple[Label, ...]:
    """The scenario's steps, as they are taken without the rule."""
    return tuple(parse_label(line) for line in SCENARIOS[rule].split(";"))


def played(rule: Rule, rules: Rules) -> Violation | None:
    """What the rule's scenario breaks under these rules; steps that cannot happen are skipped."""
    return replay(initial(UNBOUNDED), steps_of(rule), rules)[2]
