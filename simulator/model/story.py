"""A violation told step by step, for whoever has to understand it."""

from simulator.model.actions import step_named
from simulator.model.explorer import Violation
from simulator.model.rules import ALL_RULES, Rules
from simulator.model.state import NOBODY, UNBOUNDED, Broker, State, initial, members
from simulator.model.steps import Label


def told(violation: Violation, rules: Rules) -> str:
    """The rules that were off, the steps and what each changed, and the invariant they break."""
    lines = [f"without the rule {rule}: {rule.sentence}" for rule in sorted(ALL_RULES - rules)]
    state = initial(UNBOUNDED)
    for number, label in enumerate(violation.trace, 1):
        after = step_named(state, label, rules)
        assert after is not None, f"{label} cannot happen here"
        lines.append(f"{number:3} {label!s:28} {change(state, after, label)}".rstrip())
        state = after
    return "\n".join([*lines, f"breaks {violation.invariant}: {violation.words}"])


def change(before: State, after: State, label: Label) -> str:
    """What the step changed, in a few words: the partition record, or the broker it is about."""
    if before.partition != after.partition:
        return shown_partition(after)
    if label.broker != NOBODY and before.brokers != after.brokers:
        return shown_broker(after.brokers[label.broker])
    return ""


def shown_partition(state: State) -> str:
    partition = state.partition
    leader = "none" if partition.leader == NOBODY else str(partition.leader)
    return (
        f"partition {partition.partition_epoch}: leader {leader}, epoch {partition.leader_epoch}, "
        f"isr {list(members(partition.isr))}, elr {list(members(partition.elr))}, "
        f"min isr {partition.min_isr}"
    )


def shown_broker(broker: Broker) -> str:
    log = " ".join(f"{record.leader_epoch}:{record.number}" for record in broker.log)
    return (
        f"in epoch {broker.partition.leader_epoch}, log [{log}], durable end "
        f"{broker.durable_end}, high watermark {broker.high_watermark}"
    )
