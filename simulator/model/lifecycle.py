"""What happens to a broker: it starts, learns who leads, loses its lease, stops, crashes."""

from collections.abc import Iterator

from simulator.model.rules import Rule, Rules
from simulator.model.state import (
    UNKNOWN_FOLLOWER,
    UNKNOWN_PARTITION,
    Broker,
    PartitionRecord,
    State,
    replaced,
    with_broker,
)
from simulator.model.steps import Label, Step


def adopt_partition(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A watch brings an admitted broker the record as it is now."""
    broker, stored = state.brokers[broker_id], state.partition
    if not broker.running or stored.partition_epoch <= broker.partition.partition_epoch:
        return
    if Rule.ADMISSION in rules and state.admissions[broker_id] != broker.broker_epoch:
        return
    adopting = adopted(broker, broker_id, stored, rules)
    yield Label("adopt_partition", broker_id), with_broker(state, broker_id, adopting)


def receive_answer(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A leader is told what its proposal has made of the record, perhaps long after it was
    overtaken. Argument: the partition epoch."""
    broker = state.brokers[broker_id]
    for index, answer in enumerate(state.answers):
        if (answer.leader, answer.broker_epoch) != (broker_id, broker.broker_epoch):
            continue
        rest = state.answers[:index] + state.answers[index + 1 :]
        partition_epoch = answer.partition.partition_epoch
        # A broker that knows nothing yet waits for its admission, and takes no answers.
        waits = not broker.running or broker.partition == UNKNOWN_PARTITION
        newer = partition_epoch > broker.partition.partition_epoch
        after = state._replace(answers=rest)
        if not waits and (newer or Rule.NEWER_RECORD_ONLY not in rules):
            adopting = adopted(broker, broker_id, answer.partition, rules)
            after = with_broker(after, broker_id, adopting)
        yield Label("receive_answer", broker_id, partition_epoch), after


def adopted(broker: Broker, broker_id: int, partition: PartitionRecord, rules: Rules) -> Broker:
    """The broker once it goes by that record.

    A later partition epoch settles every proposal on an earlier one: done, or never to be.
    """
    adopting = broker._replace(partition=partition, unresolved=())
    if partition.leader_epoch == broker.partition.leader_epoch:
        return adopting
    return in_new_epoch(adopting, broker_id, rules)


def in_new_epoch(broker: Broker, broker_id: int, rules: Rules) -> Broker:
    """What a broker does as a leader or a follower of a new leader epoch."""
    if Rule.ENDS_OF_THIS_EPOCH in rules:
        broker = broker._replace(followers=(UNKNOWN_FOLLOWER,) * len(broker.followers))
    if broker.partition.leader == broker_id:
        return broker._replace(epoch_start=len(broker.log))
    if Rule.TRUNCATION_BY_EPOCH in rules:
        return broker._replace(epoch_start=0)
    end = broker.high_watermark
    return broker._replace(
        epoch_start=0, log=broker.log[:end], durable_end=min(broker.durable_end, end)
    )


def crash(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A broker dies, and loses some of what was not durable. Argument: its log end afterwards."""
    broker, budget = state.brokers[broker_id], state.budget
    if not broker.running or not budget.crashes:
        return
    lossy = broker.lossy and Rule.LOSSY_UNTIL_ADMITTED in rules
    for end in range(broker.durable_end, len(broker.log) + 1):
        after = with_broker(state, broker_id, stopped(broker, end=end, lossy=lossy))
        yield (
            Label("crash", broker_id, end),
            after._replace(budget=budget._replace(crashes=budget.crashes - 1)),
        )


def crash_lossily(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A broker dies, and loses of what was durable, too: page cache counted as durable, or damage
    that recovery finds. Argument: its log end afterwards."""
    broker, budget = state.brokers[broker_id], state.budget
    if not broker.running or not budget.lossy_crashes:
        return
    for end in range(broker.durable_end):
        after = with_broker(state, broker_id, stopped(broker, end=end, lossy=True))
        yield (
            Label("crash_lossily", broker_id, end),
            after._replace(budget=budget._replace(lossy_crashes=budget.lossy_crashes - 1)),
        )


def shut_down(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A broker flushes, writes its clean-shutdown file and revokes its lease."""
    broker, budget = state.brokers[broker_id], state.budget
    if not broker.running or not budget.shutdowns:
        return
    lossy = broker.lossy and Rule.LOSSY_UNTIL_ADMITTED in rules
    after = with_broker(state, broker_id, stopped(broker, end=len(broker.log), lossy=lossy))
    yield (
        Label("shut_down", broker_id),
        after._replace(
            registrations=without_registration(state, broker_id),
            budget=budget._replace(shutdowns=budget.shutdowns - 1),
        ),
    )


def start(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A broker starts and registers, once its old registration is gone.

    Argument: the high watermark of its checkpoint, which a crash can leave missing.
    """
    broker = state.brokers[broker_id]
    if broker.running:
        return
    for high_watermark in sorted({0, broker.high_watermark}):
        started = broker._replace(running=True, high_watermark=high_watermark)
        old_epoch = state.registrations[broker_id]
        if Rule.NEW_REGISTRATION not in rules and old_epoch:
            after = with_broker(state, broker_id, started)  # as who it was
        else:
            after = registered(state, broker_id, started)
        yield Label("start", broker_id, high_watermark), after


def expire_lease(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A lease ends, of a broker that is alive as well: no clock can be trusted for safety."""
    running, budget = state.brokers[broker_id].running, state.budget
    if not state.registrations[broker_id] or (running and not budget.lease_expiries):
        return
    after = state._replace(registrations=without_registration(state, broker_id))
    if running:
        after = after._replace(budget=budget._replace(lease_expiries=budget.lease_expiries - 1))
    yield Label("expire_lease", broker_id), after


def register_again(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A broker that has lost its lease sees so, steps down from everything and registers anew."""
    broker = state.brokers[broker_id]
    if broker.running and not state.registrations[broker_id]:
        yield (
            Label("register_again", broker_id),
            registered(state, broker_id, knows_nothing(broker)),
        )


def registered(state: State, broker_id: int, broker: Broker) -> State:
    """A new registration, and with it a new broker epoch."""
    epoch, bit = state.next_broker_epoch, 1 << broker_id
    lossy = state.lossy_registrations & ~bit
    return with_broker(state, broker_id, broker._replace(broker_epoch=epoch))._replace(
        registrations=replaced(state.registrations, broker_id, epoch),
        lossy_registrations=lossy | bit if broker.lossy else lossy,
        next_broker_epoch=epoch + 1,
    )


def stopped(broker: Broker, *, end: int, lossy: bool) -> Broker:
    """What a crash or a stop leaves. Recovery flushes what it keeps: all of it is durable then."""
    return knows_nothing(broker)._replace(
        running=False,
        log=broker.log[:end],
        durable_end=end,
        high_watermark=min(broker.high_watermark, end),
        lossy=lossy,
    )


def knows_nothing(broker: Broker) -> Broker:
    """The broker without what it believed of the partition."""
    return broker._replace(
        partition=UNKNOWN_PARTITION,
        epoch_start=0,
        followers=(UNKNOWN_FOLLOWER,) * len(broker.followers),
        unresolved=(),
    )


def without_registration(state: State, broker_id: int) -> tuple[int, ...]:
    return replaced(state.registrations, broker_id, 0)
