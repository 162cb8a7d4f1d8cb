"""What must hold in every state; `INVARIANTS` is the table, `broken` looks for the first."""

from collections.abc import Callable

from simulator.model.state import NOBODY, State, leads, maximal_isr, members


def leader_completeness(state: State) -> str | None:
    """A running leader of the current epoch holds every committed record."""
    leader_id = state.partition.leader
    if leader_id == NOBODY:
        return None
    leader = state.brokers[leader_id]
    current = leader.partition.leader_epoch == state.partition.leader_epoch
    if not current or not leads(leader, leader_id):
        return None
    if leader.log[: len(state.committed)] != state.committed:
        return f"broker {leader_id} leads without a committed record"
    return None


def eligible_completeness(state: State) -> str | None:
    """Each running, admitted member of ISR or ELR holds every committed record, durably."""
    for broker_id in members(state.partition.isr | state.partition.elr):
        broker = state.brokers[broker_id]
        if not broker.running or not is_counted(state, broker_id):
            continue
        end = len(state.committed)
        if broker.durable_end < end or broker.log[:end] != state.committed:
            return f"broker {broker_id} may be elected and lacks a committed record"
    return None


def served_prefix(state: State) -> str | None:
    """What was served stays: below its high watermark a running broker has what was committed."""
    if state.loss_logged:
        return None  # those that have not heard of the new epoch still serve what was lost
    for broker_id, broker in enumerate(state.brokers):
        end = broker.high_watermark
        if broker.running and broker.log[:end] != state.committed[:end]:
            return f"broker {broker_id} serves another record than was committed"
    return None


def log_matching(state: State) -> str | None:
    """No two replicas hold different records of one leader epoch at one offset."""
    brokers = state.brokers
    for first in range(len(brokers)):
        for second in range(first):
            for ours, theirs in zip(brokers[first].log, brokers[second].log, strict=False):
                if ours.leader_epoch == theirs.leader_epoch and ours != theirs:
                    return f"brokers {second} and {first} differ within a leader epoch"
    return None


def one_leader(state: State) -> str | None:
    """No two brokers lead in one leader epoch."""
    seen: list[int] = []
    for broker_id, broker in enumerate(state.brokers):
        if leads(broker, broker_id):
            if broker.partition.leader_epoch in seen:
                return f"broker {broker_id} is the second leader of its epoch"
            seen.append(broker.partition.leader_epoch)
    return None


def maximal_isr_covers(state: State) -> str | None:
    """The current leader counts every member of the ISR that is in force; an ISR that is large
    enough has no ELR beside it."""
    partition = state.partition
    if partition.elr and partition.isr.bit_count() >= partition.min_isr:
        return "there is an ELR beside an ISR of min ISR members"
    if partition.leader == NOBODY:
        return None
    leader = state.brokers[partition.leader]
    current = leader.partition.leader_epoch == partition.leader_epoch
    if leads(leader, partition.leader) and current and partition.isr & ~maximal_isr(leader):
        return f"broker {partition.leader} does not count a member of the ISR"
    return None


def ends_in_order(state: State) -> str | None:
    """High watermark and durable end are within the log."""
    for broker_id, broker in enumerate(state.brokers):
        if not max(broker.high_watermark, broker.durable_end) <= len(broker.log):
            return f"broker {broker_id} has an end past its log"
    return None


def is_counted(state: State, broker_id: int) -> bool:
    """Whether the incarnation that runs is the one registered and admitted."""
    epoch = state.brokers[broker_id].broker_epoch
    return epoch == state.registrations[broker_id] == state.admissions[broker_id]


Invariant = Callable[[State], str | None]
LOSSES: tuple[Invariant, ...] = (leader_completeness, eligible_completeness, served_prefix)
"""What clients would notice, at once or after the next election."""

INVARIANTS: tuple[Invariant, ...] = (
    *LOSSES,
    log_matching,
    one_leader,
    maximal_isr_covers,
    ends_in_order,
)


def broken(state: State, invariants: tuple[Invariant, ...] = INVARIANTS) -> tuple[str, str] | None:
    """The name of the first invariant that does not hold, and how; None if all do."""
    for invariant in invariants:
        words = invariant(state)
        if words is not None:
            return invariant.__name__, words
    return None
