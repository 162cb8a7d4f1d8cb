"""What leaders and followers do with the log: append, flush, fetch, truncate, count.

Counterpart: `membership`, which decides who they are.
"""

from collections.abc import Iterator

from simulator.model.rules import Rule, Rules
from simulator.model.state import (
    NEVER_FETCHED,
    NOBODY,
    Broker,
    Follower,
    Log,
    Proposal,
    Record,
    Replicas,
    State,
    leads,
    maximal_isr,
    members,
    replaced,
    with_broker,
)
from simulator.model.steps import Label, Step


def append(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A leader appends a record. Whoever it is: that it may be deposed it cannot know."""
    broker = state.brokers[broker_id]
    if state.budget.records and leads(broker, broker_id):
        record = Record(broker.partition.leader_epoch, state.next_record)
        after = with_broker(state, broker_id, broker._replace(log=(*broker.log, record)))
        yield (
            Label("append", broker_id),
            after._replace(
                next_record=state.next_record + 1,
                budget=state.budget._replace(records=state.budget.records - 1),
            ),
        )


def flush(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """Everything that a broker has appended becomes durable."""
    broker = state.brokers[broker_id]
    if broker.running and broker.durable_end < len(broker.log):
        flushed = broker._replace(durable_end=len(broker.log))
        yield Label("flush", broker_id), with_broker(state, broker_id, flushed)


def fetch(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A follower tells its durable end and takes one record and the high watermark.

    Only once its log is a prefix of the leader's, as far as epochs can tell: see `truncate`.
    """
    after = fetched(state, broker_id, rules)
    if after is not None and after != state:
        yield Label("fetch", broker_id), after


def truncate(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A follower cuts what the leader's epochs tell it is not the leader's. Argument: the new end.

    KIP-101, KIP-279: the fetch that carries the last epoch is answered with where that ends.
    """
    if Rule.TRUNCATION_BY_EPOCH not in rules:
        return
    leader_id = leader_fetched_from(state, broker_id, rules)
    if leader_id == NOBODY:
        return
    broker = state.brokers[broker_id]
    end = divergence(leader=state.brokers[leader_id].log, follower=broker.log)
    if end is not None:
        yield Label("truncate", broker_id, end), with_broker(state, broker_id, cut(broker, end))


def advance_high_watermark(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A leader takes the minimum of the durable ends. Argument: the new high watermark.

    From then on these records are committed: acknowledged, and served to readers.
    """
    broker = state.brokers[broker_id]
    if not leads(broker, broker_id):
        return
    if Rule.MIN_ISR_GATE in rules and broker.partition.isr.bit_count() < min_isr(
        state, broker, rules
    ):
        return
    counted = maximal_isr(broker) if Rule.MAXIMAL_ISR in rules else broker.partition.isr
    end = told_end(broker, rules)
    for member in members(counted & ~(1 << broker_id)):
        end = min(end, broker.followers[member].durable_end)
    if end > broker.high_watermark:
        after = with_broker(state, broker_id, broker._replace(high_watermark=end))
        # What was committed stays so: a contradiction is left for the invariants to see.
        if end > len(state.committed) and broker.log[: len(state.committed)] == state.committed:
            after = after._replace(committed=broker.log[:end])
        yield Label("advance_high_watermark", broker_id, end), after


def propose_isr(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """A leader asks for one member less, or for one more that has caught up. Argument: which.

    That a member is slow is a matter of time, which the model lacks: any may be taken out. While
    somebody else may be a member by a proposal of unknown outcome, the leader can ask for the ISR
    that it has: a later partition epoch settles the others. Argument then: the leader itself.
    """
    leader = state.brokers[broker_id]
    if not state.budget.proposals or not leads(leader, broker_id):
        return
    for other, follower in enumerate(leader.followers):
        bit = 1 << other
        if other == broker_id:
            if maximal_isr(leader) & ~(leader.partition.isr | bit):
                yield proposed(state, broker_id, Label("propose_isr", broker_id, other), 0)
            continue
        shrinks = bool(leader.partition.isr & bit)
        if not shrinks and not has_caught_up(leader, follower, rules):
            continue
        label = Label("propose_isr", broker_id, other)
        joining = NOBODY if shrinks else other
        yield proposed(state, broker_id, label, bit, joining)


def proposed(
    state: State, broker_id: int, label: Label, changes: Replicas, joining: int = NOBODY
) -> Step:
    """The leader asks for its ISR with these members changed."""
    leader = state.brokers[broker_id]
    isr = leader.partition.isr ^ changes
    proposal = Proposal(
        leader=broker_id,
        broker_epoch=leader.broker_epoch,
        leader_epoch=leader.partition.leader_epoch,
        partition_epoch=leader.partition.partition_epoch,
        isr=isr,
        joining=joining,
        joining_epoch=0 if joining == NOBODY else leader.followers[joining].broker_epoch,
    )
    waiting = leader._replace(unresolved=(*leader.unresolved, isr))
    return label, with_broker(state, broker_id, waiting)._replace(
        proposals=(*state.proposals, proposal),
        budget=state.budget._replace(proposals=state.budget.proposals - 1),
    )


def forget_proposals(state: State, broker_id: int, rules: Rules) -> Iterator[Step]:
    """Against the rules: a leader takes a timeout for a refusal, and its old ISR for the true one.

    A re-read does not help: a request still under way can arrive after it.
    """
    broker = state.brokers[broker_id]
    if Rule.UNKNOWN_OUTCOME_KEPT not in rules and broker.running and broker.unresolved:
        yield (
            Label("forget_proposals", broker_id),
            with_broker(state, broker_id, broker._replace(unresolved=())),
        )


def fetched(state: State, broker_id: int, rules: Rules) -> State | None:
    """The state after a Fetch, which may have changed nothing; None if nobody answers it."""
    leader_id = leader_fetched_from(state, broker_id, rules)
    if leader_id == NOBODY:
        return None
    broker, leader = state.brokers[broker_id], state.brokers[leader_id]
    by_epoch = Rule.TRUNCATION_BY_EPOCH in rules
    if by_epoch and divergence(leader=leader.log, follower=broker.log) is not None:
        return None
    log_end = len(broker.log)
    log = broker.log + leader.log[log_end : log_end + 1]
    told = Follower(told_end(broker, rules), broker.broker_epoch)
    brokers = list(state.brokers)
    brokers[leader_id] = leader._replace(followers=replaced(leader.followers, broker_id, told))
    brokers[broker_id] = broker._replace(
        log=log, high_watermark=min(leader.high_watermark, len(log))
    )
    return state._replace(brokers=tuple(brokers))


def has_caught_up(leader: Broker, follower: Follower, rules: Rules) -> bool:
    """Whether the follower may join the ISR, by what the leader was told."""
    end = follower.durable_end
    if end == NEVER_FETCHED:
        return False
    if Rule.JOIN_PAST_EPOCH_START in rules and end < leader.epoch_start:
        return False
    return Rule.JOIN_PAST_HIGH_WATERMARK not in rules or end >= leader.high_watermark


def leader_fetched_from(state: State, broker_id: int, rules: Rules) -> int:
    """The broker that answers this one's Fetch; NOBODY if none does."""
    follower = state.brokers[broker_id]
    leader_id = follower.partition.leader
    if not follower.running or leader_id in (NOBODY, broker_id):
        return NOBODY
    leader = state.brokers[leader_id]
    if not leads(leader, leader_id):
        return NOBODY
    same_epoch = leader.partition.leader_epoch == follower.partition.leader_epoch
    if Rule.FETCH_EPOCH_FENCED in rules and not same_epoch:
        return NOBODY
    return leader_id


def told_end(broker: Broker, rules: Rules) -> int:
    """The end that counts for the high watermark."""
    return broker.durable_end if Rule.DURABLE_ENDS in rules else len(broker.log)


def min_isr(state: State, leader: Broker, rules: Rules) -> int:
    """How many members the leader wants in the ISR before it commits anything."""
    if Rule.MIN_ISR_IN_RECORD in rules:
        return leader.partition.min_isr
    return state.configured_min_isr


def divergence(*, leader: Log, follower: Log) -> int | None:
    """Where the follower must cut its log, by epochs alone; None if it can go on fetching."""
    if not follower:
        return None
    last_epoch = follower[-1].leader_epoch
    epoch, end = end_of_epoch(leader, last_epoch)
    if epoch == last_epoch and end >= len(follower):
        return None
    return min(end, end_of_epoch(follower, epoch)[1])


def end_of_epoch(log: Log, epoch: int) -> tuple[int, int]:
    """OffsetForLeaderEpoch: the largest epoch of the log up to this one, and where it ends."""
    for end in range(len(log), 0, -1):
        if log[end - 1].leader_epoch <= epoch:
            return log[end - 1].leader_epoch, end
    return 0, 0


def cut(broker: Broker, end: int) -> Broker:
    """The broker with its log cut to the end offset."""
    return broker._replace(
        log=broker.log[:end],
        durable_end=min(broker.durable_end, end),
        high_watermark=min(broker.high_watermark, end),
    )
