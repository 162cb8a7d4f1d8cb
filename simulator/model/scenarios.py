"""For each rule the shortest known steps that lose what was committed once it is switched
off."""

from simulator.model.explorer import Violation, replay
from simulator.model.invariants import LOSSES
from simulator.model.rules import Rule, Rules
from simulator.model.state import UNBOUNDED, initial
from simulator.model.steps import Label, parse_label

SCENARIOS: dict[Rule, str] = {
    Rule.PARTITION_EPOCH_COMPARED: """
        append 0; flush 0; propose_isr 0 2; fetch 2; propose_isr 0 1; flush 2; apply_proposal 0 1;
        fetch 2; adopt_partition 0; advance_high_watermark 0 1; apply_proposal 0 2
    """,
    Rule.BROKER_EPOCH_COMPARED: """
        append 0; fetch 2; fetch 1; flush 1; flush 2; fetch 1; crash_lossily 1 0; fetch 2;
        start 1 0; admit 1; flush 0; advance_high_watermark 0 1; adopt_partition 0;
        propose_isr 0 1; apply_proposal 0 1
    """,
    Rule.MAXIMAL_ISR: """
        propose_isr 0 2; apply_proposal 0 2; adopt_partition 0; fetch 2; propose_isr 0 2;
        append 0; flush 0; fetch 1; flush 1; fetch 1; advance_high_watermark 0 1;
        apply_proposal 0 2
    """,
    Rule.UNKNOWN_OUTCOME_KEPT: """
        propose_isr 0 2; apply_proposal 0 2; adopt_partition 0; fetch 2; propose_isr 0 2;
        append 0; flush 0; fetch 1; flush 1; fetch 1; forget_proposals 0;
        advance_high_watermark 0 1; apply_proposal 0 2
    """,
    Rule.DURABLE_ENDS: """
        append 0; fetch 2; fetch 1; fetch 1; fetch 2; advance_high_watermark 0 1
    """,
    Rule.MIN_ISR_GATE: """
        expire_lease 2; take_out 2 0; shut_down 0; start 0 0; admit 0 1; adopt_partition 1;
        append 1; flush 1; advance_high_watermark 1 1
    """,
    Rule.MIN_ISR_IN_RECORD: """
        shut_down 1; take_out 1 0; expire_lease 0; take_out 0 2; register_again 0;
        adopt_partition 2; append 2; expire_lease 2; admit 0; flush 2; take_out 2 0;
        change_min_isr - 1; advance_high_watermark 2 1
    """,
    Rule.MIN_ISR_CHANGE_EMPTIES_ELR: """
        expire_lease 2; take_out 2 0; crash 1 0; start 1 0; admit 1; change_min_isr - 1; append 0;
        flush 0; adopt_partition 0; advance_high_watermark 0 1
    """,
    Rule.ELR_KEPT: """
        append 0; expire_lease 0; expire_lease 1; flush 0; fetch 2; flush 2; take_out 1 0;
        fetch 2; adopt_partition 0; advance_high_watermark 0 1; take_out 0 2; crash_lossily 2 0;
        start 2 0; admit 2 2
    """,
    Rule.CLEAN_ELECTION: """
        append 0; fetch 2; shut_down 1; start 1 0; admit 1; flush 0; adopt_partition 0; flush 2;
        fetch 2; advance_high_watermark 0 1; expire_lease 0; expire_lease 2; take_out 0 1
    """,
    Rule.LAST_KNOWN_LEADER_LAST: """
        shut_down 1; append 0; flush 0; take_out 1 0; fetch 2; flush 2; fetch 2;
        adopt_partition 0; advance_high_watermark 0 1; expire_lease 2; crash_lossily 0 0;
        start 0 0; admit 0 0
    """,
    Rule.ADMISSION: """
        propose_isr 0 1; apply_proposal 0 1; adopt_partition 0; append 0; flush 0; fetch 2;
        flush 2; fetch 2; advance_high_watermark 0 1; crash_lossily 0 0; start 0 0;
        adopt_partition 0
    """,
    Rule.LOSSY_LEAVES_ELR: """
        shut_down 2; take_out 2 0; adopt_partition 0; append 0; fetch 1; flush 1; fetch 1;
        flush 0; crash_lossily 1 0; start 1 0; advance_high_watermark 0 1; admit 1
    """,
    Rule.LOSSY_UNTIL_ADMITTED: """
        append 0; fetch 2; flush 2; flush 0; fetch 2; expire_lease 1; crash_lossily 2 0;
        register_again 1; admit 1; adopt_partition 0; advance_high_watermark 0 1; start 2 0;
        crash 2 0; start 2 0; admit 2
    """,
    Rule.TRUNCATION_BY_EPOCH: """
        append 0; fetch 1; flush 1; fetch 1; fetch 2; flush 0; move_leadership 1; flush 2;
        fetch 2; adopt_partition 2; advance_high_watermark 0 1
    """,
    Rule.JOIN_PAST_EPOCH_START: """
        crash 1 0; start 1 0; append 0; admit 1; flush 0; fetch 2; flush 2; adopt_partition 0;
        fetch 2; advance_high_watermark 0 1; crash_lossily 0 0; start 0 0; take_out 0 2;
        adopt_partition 2; adopt_partition 1; fetch 1; propose_isr 2 1; apply_proposal 2 1
    """,
    Rule.JOIN_PAST_HIGH_WATERMARK: """
        append 0; append 0; append 0; flush 0; propose_isr 0 2; apply_proposal 0 2; fetch 1;
        fetch 1; fetch 1; flush 1; fetch 1; adopt_partition 0; advance_high_watermark 0 3;
        fetch 2; propose_isr 0 2; apply_proposal 0 2
    """,
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
    Rule.EPOCH_RAISED_AT_START: """
        append 0; shut_down 1; take_out 1 0; fetch 2; crash 0 0; start 0 0; admit 0;
        adopt_partition 0; append 0; flush 0; flush 2; fetch 2; advance_high_watermark 0 1
    """,
    Rule.NEW_REGISTRATION: """
        propose_isr 0 1; apply_proposal 0 1; adopt_partition 0; append 0; flush 0; fetch 2;
        flush 2; fetch 2; advance_high_watermark 0 1; crash_lossily 0 0; start 0 0
    """,
    Rule.NEWER_RECORD_ONLY: """
        propose_isr 0 2; apply_proposal 0 2; adopt_partition 0; fetch 2; propose_isr 0 2;
        apply_proposal 0 2; adopt_partition 0; receive_answer 0 2; append 0; flush 0; fetch 1;
        flush 1; fetch 1; advance_high_watermark 0 1
    """,
}


def steps_of(rule: Rule) -> tuple[Label, ...]:
    """The scenario's steps, as they are taken without the rule."""
    return tuple(parse_label(line) for line in SCENARIOS[rule].split(";"))


def played(rule: Rule, rules: Rules) -> Violation | None:
    """What the rule's scenario breaks under these rules; steps that cannot happen are skipped."""
    return replay(initial(UNBOUNDED), steps_of(rule), rules, LOSSES)[2]
