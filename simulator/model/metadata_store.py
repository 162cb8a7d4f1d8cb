"""What the metadata store does with a leader's proposals: one transaction each, or none.

Proposals arrive in any order, late, or not at all, and after whoever sent them has crashed.
"""

from collections.abc import Iterator

from simulator.model.rules import Rule, Rules
from simulator.model.state import NOBODY, Answer, Proposal, State, with_broker
from simulator.model.steps import Label, Step


def apply_proposal(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A proposal of the broker arrives and its comparisons hold. Argument: who joined or left,
    if anybody did.

    Its leader learns of it by the answer, or as all others do: by adopting what is stored.
    """
    for index, proposal in proposals_of(state, broker_id):
        if not holds(state, proposal, rules):
            continue
        partition = state.partition
        left = partition.isr & ~proposal.isr
        if proposal.isr.bit_count() >= partition.min_isr:
            elr = 0
        elif Rule.ELR_KEPT in rules:
            elr = (partition.elr | left) & ~proposal.isr
        else:
            elr = 0
        stored = partition._replace(
            isr=proposal.isr, elr=elr, partition_epoch=partition.partition_epoch + 1
        )
        answer = Answer(broker_id, proposal.broker_epoch, stored)
        yield (
            Label("apply_proposal", broker_id, changed_member(proposal, partition.isr)),
            without_proposal(state, index)._replace(
                partition=stored, answers=(*state.answers, answer)
            ),
        )


def refuse_proposal(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A comparison fails, and the leader that proposed is told: this one did not happen."""
    for index, proposal in proposals_of(state, broker_id):
        if holds(state, proposal, rules):
            continue
        leader = state.brokers[broker_id]
        after = without_proposal(state, index)
        if proposal.isr in leader.unresolved and is_from(state, proposal):
            unresolved = list(leader.unresolved)
            unresolved.remove(proposal.isr)
            after = with_broker(after, broker_id, leader._replace(unresolved=tuple(unresolved)))
        yield Label("refuse_proposal", broker_id), after


def lose_proposal(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A proposal never arrives, or its refusal never comes back. The leader cannot tell."""
    for index, _ in proposals_of(state, broker_id):
        yield Label("lose_proposal", broker_id), without_proposal(state, index)


def proposals_of(state: State, broker_id: int) -> Iterator[tuple[int, Proposal]]:
    for index, proposal in enumerate(state.proposals):
        if proposal.leader == broker_id:
            yield index, proposal


def holds(state: State, proposal: Proposal, rules: Rules) -> bool:
    """Whether the transaction's comparisons hold."""
    partition = state.partition
    if Rule.PARTITION_EPOCH_COMPARED in rules:
        seen = proposal.partition_epoch == partition.partition_epoch
    else:
        seen = proposal.leader_epoch == partition.leader_epoch
    # Nothing in the model breaks without this comparison; it stops a leader that lost its lease.
    seen = seen and state.registrations[proposal.leader] == proposal.broker_epoch
    joining = proposal.joining
    if joining == NOBODY or Rule.BROKER_EPOCH_COMPARED not in rules:
        return seen
    registration = state.registrations[joining]
    return seen and registration == proposal.joining_epoch == state.admissions[joining]


def is_from(state: State, proposal: Proposal) -> bool:
    """Whether the leader still waits for it: on the same partition epoch."""
    partition = state.brokers[proposal.leader].partition
    return partition.partition_epoch == proposal.partition_epoch


def changed_member(proposal: Proposal, isr: int) -> int:
    """The broker that joins, or else the one that leaves; NO_ARGUMENT, as -1: nobody does."""
    if proposal.joining != NOBODY:
        return proposal.joining
    return (isr & ~proposal.isr).bit_length() - 1


def without_proposal(state: State, index: int) -> State:
    return state._replace(proposals=state.proposals[:index] + state.proposals[index + 1 :])
