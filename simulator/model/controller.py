"""What the controller does, each in one transaction that compares everything it decides by.

Which controller does not matter here: every step is a comparison with what is stored now.
"""

from collections.abc import Iterator

from simulator.model.rules import Rule, Rules
from simulator.model.state import (
    NOBODY,
    PartitionRecord,
    State,
    replaced,
    with_broker,
)
from simulator.model.steps import Label, Step


def take_out(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A broker that is not registered, or not admitted, leaves leadership and ISR.

    Argument: who is elected in the same transaction because of it, if anyone is.
    """
    if is_active(state, broker_id, rules):
        return
    without = taken_out(state, broker_id, rules)
    if without != state.partition:
        for partition in settled(state, without, (), rules):
            yield (
                Label("take_out", broker_id, partition.leader),
                with_partition(state, partition, without),
            )


def admit(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A registered broker is taken out everywhere, if it was not yet, and counts from then on.

    Argument: who is elected in the same transaction, if anyone is: it may be the broker itself.
    """
    registration = state.registrations[broker_id]
    if not registration or state.admissions[broker_id] == registration:
        return
    without = taken_out(state, broker_id, rules)
    if Rule.EPOCH_RAISED_AT_START not in rules and not state.lossy_registrations >> broker_id & 1:
        without = state.partition  # it goes on as if it had never been away
    admitted = state._replace(admissions=replaced(state.admissions, broker_id, registration))
    broker = state.brokers[broker_id]
    if broker.running and broker.broker_epoch == registration:
        # One that has died since may have died lossily: its admission says nothing of that.
        admitted = with_broker(admitted, broker_id, broker._replace(lossy=False))
    if without == state.partition:
        yield Label("admit", broker_id), admitted
        if without.leader != NOBODY or not candidates(state, without, (broker_id,), rules):
            return
    for partition in settled(state, without, (broker_id,), rules):
        yield (
            Label("admit", broker_id, partition.leader if without.leader == NOBODY else NOBODY),
            with_partition(admitted, partition, without),
        )


def elect(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A partition without a leader gets one."""
    partition = state.partition
    if partition.leader == NOBODY and broker_id in candidates(state, partition, (), rules):
        after = with_partition(state, elected(partition, broker_id), partition)
        yield Label("elect", broker_id), after


def move_leadership(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """Another member of the ISR leads: the preferred one, or before a controlled shutdown."""
    partition = state.partition
    if (
        state.budget.leader_moves
        and partition.leader not in (NOBODY, broker_id)
        and partition.isr >> broker_id & 1
        and is_active(state, broker_id, rules)
    ):
        yield (
            Label("move_leadership", broker_id),
            state._replace(
                partition=elected(partition, broker_id),
                budget=state.budget._replace(leader_moves=state.budget.leader_moves - 1),
            ),
        )


def change_min_isr(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """min.insync.replicas goes from 2 to 1, or back. Argument: the new value."""
    if not state.budget.min_isr_changes:
        return
    min_isr = 1 if state.configured_min_isr > 1 else 2
    partition = state.partition._replace(
        min_isr=min_isr, partition_epoch=state.partition.partition_epoch + 1
    )
    if Rule.MIN_ISR_CHANGE_EMPTIES_ELR in rules:
        partition = partition._replace(elr=0)
    yield (
        Label("change_min_isr", NOBODY, min_isr),
        state._replace(
            partition=partition,
            configured_min_isr=min_isr,
            budget=state.budget._replace(min_isr_changes=state.budget.min_isr_changes - 1),
        ),
    )


def is_active(state: State, broker_id: int, rules: Rules) -> bool:
    """Whether the broker may lead and be in an ISR: registered, and admitted as that."""
    registration = state.registrations[broker_id]
    if Rule.ADMISSION not in rules:
        return registration != 0
    return registration != 0 and state.admissions[broker_id] == registration


def taken_out(state: State, broker_id: int, rules: Rules) -> PartitionRecord:
    """The partition record without the broker; the epochs are left to whoever stores it."""
    partition, bit = state.partition, 1 << broker_id
    # Only a registration says how a restart was.
    lossy = state.registrations[broker_id] != 0 and state.lossy_registrations & bit
    isr, elr = partition.isr & ~bit, partition.elr
    if Rule.ELR_KEPT not in rules and not isr:
        isr = partition.isr  # as before KIP-966: the last member is never taken out
    if lossy and Rule.LOSSY_LEAVES_ELR in rules:
        elr &= ~bit
    elif partition.isr & bit and isr.bit_count() < partition.min_isr and Rule.ELR_KEPT in rules:
        elr |= bit
    if partition.leader != broker_id:
        return partition._replace(isr=isr, elr=elr)
    return partition._replace(leader=NOBODY, isr=isr, elr=elr, last_known_leader=broker_id)


def settled(
    state: State, partition: PartitionRecord, also: tuple[int, ...], rules: Rules
) -> Iterator[PartitionRecord]:
    """The records that can be stored once a broker was taken out: with an election if one is due.

    `also`: brokers that count although they are not admitted yet.
    """
    if partition.leader != NOBODY:
        yield partition._replace(partition_epoch=partition.partition_epoch + 1)
        return
    nominated = candidates(state, partition, also, rules)
    for broker_id in nominated:
        yield elected(partition, broker_id)
    if not nominated:
        yield partition._replace(
            leader_epoch=partition.leader_epoch + 1, partition_epoch=partition.partition_epoch + 1
        )


def candidates(
    state: State, partition: PartitionRecord, also: tuple[int, ...], rules: Rules
) -> tuple[int, ...]:
    """Who may be elected: of the ISR, else of the ELR, else the last known leader."""
    active = tuple(
        broker_id
        for broker_id in range(len(state.brokers))
        if broker_id in also or is_active(state, broker_id, rules)
    )
    for pool in (partition.isr, partition.elr):
        nominated = tuple(broker_id for broker_id in active if pool >> broker_id & 1)
        if nominated:
            return nominated
        if pool and pool == partition.isr:
            break
    if Rule.CLEAN_ELECTION not in rules:
        return active
    if is_last_resort(partition) or Rule.LAST_KNOWN_LEADER_LAST not in rules:
        return tuple(each for each in active if each == partition.last_known_leader)
    return ()


def is_last_resort(partition: PartitionRecord) -> bool:
    """Whether nobody is known to have everything that was committed."""
    return not partition.isr and not partition.elr


def elected(partition: PartitionRecord, broker_id: int) -> PartitionRecord:
    """The record led by the broker, in a new leader epoch."""
    isr = partition.isr if partition.isr >> broker_id & 1 else 1 << broker_id
    # Once the ISR alone decides what is committed, the ELR ends.
    elr = partition.elr & ~isr if isr.bit_count() < partition.min_isr else 0
    return PartitionRecord(
        leader=broker_id,
        leader_epoch=partition.leader_epoch + 1,
        isr=isr,
        elr=elr,
        last_known_leader=NOBODY,
        min_isr=partition.min_isr,
        partition_epoch=partition.partition_epoch + 1,
    )


def with_partition(state: State, partition: PartitionRecord, before: PartitionRecord) -> State:
    """The state with the record stored; `before` is what the election, if any, went by.

    The last resort says that records may be lost: what the new leader has is what is left.
    """
    after = state._replace(partition=partition)
    if partition.leader == NOBODY or before.leader != NOBODY or not is_last_resort(before):
        return after
    log = state.brokers[partition.leader].log
    kept = 0
    while kept < min(len(log), len(state.committed)) and log[kept] == state.committed[kept]:
        kept += 1
    return after._replace(committed=state.committed[:kept], loss_logged=True)
