"""The values a state of the model is made of: one partition, its replicas, and the metadata store.

Everything is an immutable tuple of small integers: states compare and hash by value, the same under
every hash seed. Sets of brokers are bit masks (`Replicas`), since most of what is asked of them is
their size and their union.
"""

from typing import NamedTuple, TypeVar

Replicas = int
"""A set of brokers: bit b stands for broker b."""

NOBODY = -1
"""In place of a broker: no leader, or an action that is no broker's."""

NEVER_FETCHED = -1
"""In place of a durable end: the follower has not told one in this leader epoch."""


class Record(NamedTuple):
    """One record of the log; records are numbered in the order in which leaders append them."""

    leader_epoch: int
    number: int


Log = tuple[Record, ...]
Item = TypeVar("Item")


class PartitionRecord(NamedTuple):
    """`p/<topic-id>/<n>` in the metadata store, or what a broker believes it to be."""

    leader: int
    leader_epoch: int
    isr: Replicas
    elr: Replicas
    last_known_leader: int
    min_isr: int
    partition_epoch: int


UNKNOWN_PARTITION = PartitionRecord(NOBODY, 0, 0, 0, NOBODY, 1, 0)
"""What a broker knows that has just started."""


class Follower(NamedTuple):
    """What a leader knows of a follower: by its last Fetch in this leader epoch."""

    durable_end: int
    broker_epoch: int


UNKNOWN_FOLLOWER = Follower(NEVER_FETCHED, 0)


class Broker(NamedTuple):
    """One broker: its replica, what it believes, and what it knows as a leader."""

    running: bool
    broker_epoch: int
    """The create_revision of its own registration, as it knows it."""
    partition: PartitionRecord
    """As it last adopted it."""
    log: Log
    durable_end: int
    """What is below it survives a crash (but not a lossy one)."""
    high_watermark: int
    epoch_start: int
    """Its log end when it became the leader of this leader epoch."""
    followers: tuple[Follower, ...]
    unresolved: tuple[Replicas, ...]
    """The ISRs it has proposed on its partition epoch and whose outcome it does not know."""
    lossy: bool
    """It may have lost what was durable, and no controller has been told so by an admission."""


class Proposal(NamedTuple):
    """A leader's change of the ISR, on its way to the metadata store."""

    leader: int
    broker_epoch: int
    """The leader's own."""
    leader_epoch: int
    partition_epoch: int
    isr: Replicas
    joining: int
    """The broker that is added, or NOBODY."""
    joining_epoch: int
    """The broker epoch that its Fetch carried."""


class Answer(NamedTuple):
    """What the metadata store says to a proposal that it has applied; it may come late."""

    leader: int
    broker_epoch: int
    """Of the leader that proposed."""
    partition: PartitionRecord
    """As the proposal made it."""


class Budget(NamedTuple):
    """How often each may still happen: what bounds the model."""

    records: int = 3
    crashes: int = 2
    lossy_crashes: int = 1
    shutdowns: int = 1
    lease_expiries: int = 2
    proposals: int = 5
    leader_moves: int = 2
    min_isr_changes: int = 1


UNBOUNDED = Budget(*[1_000_000_000] * len(Budget._fields))
SMALL = Budget(
    records=1,
    crashes=1,
    lossy_crashes=0,
    shutdowns=0,
    lease_expiries=0,
    proposals=1,
    leader_moves=0,
    min_isr_changes=0,
)
"""Few enough of everything that all states can be visited."""


class State(NamedTuple):
    """The whole: metadata store, brokers, proposals under way, and what clients were promised."""

    partition: PartitionRecord
    registrations: tuple[int, ...]
    """`brokers/<id>`: the broker epoch, 0 while there is none."""
    lossy_registrations: Replicas
    """Whose registration says that the restart was lossy."""
    admissions: tuple[int, ...]
    """`admit/<id>`: the broker epoch last admitted."""
    next_broker_epoch: int
    configured_min_isr: int
    """min.insync.replicas in the configs."""
    brokers: tuple[Broker, ...]
    proposals: tuple[Proposal, ...]
    answers: tuple[Answer, ...]
    committed: Log
    """Every record that was ever below a high watermark, in order."""
    loss_logged: bool
    """The last known leader was elected, and with it the possible loss was logged."""
    next_record: int
    budget: Budget


def initial(budget: Budget, broker_count: int = 3, min_isr: int = 2) -> State:
    """A cluster at rest: broker 0 leads an empty partition, all are in the ISR and admitted."""
    everyone = (1 << broker_count) - 1
    partition = PartitionRecord(
        leader=0,
        leader_epoch=1,
        isr=everyone,
        elr=0,
        last_known_leader=NOBODY,
        min_isr=min_isr,
        partition_epoch=1,
    )
    broker_epochs = tuple(range(1, broker_count + 1))
    brokers = tuple(
        Broker(
            running=True,
            broker_epoch=broker_epoch,
            partition=partition,
            log=(),
            durable_end=0,
            high_watermark=0,
            epoch_start=0,
            followers=(UNKNOWN_FOLLOWER,) * broker_count,
            unresolved=(),
            lossy=False,
        )
        for broker_epoch in broker_epochs
    )
    return State(
        partition=partition,
        registrations=broker_epochs,
        lossy_registrations=0,
        admissions=broker_epochs,
        next_broker_epoch=broker_count + 1,
        configured_min_isr=min_isr,
        brokers=brokers,
        proposals=(),
        answers=(),
        committed=(),
        loss_logged=False,
        next_record=0,
        budget=budget,
    )


def with_broker(state: State, broker_id: int, broker: Broker) -> State:
    """The state with that broker in place of the one it had."""
    return state._replace(brokers=replaced(state.brokers, broker_id, broker))


def replaced(items: tuple[Item, ...], index: int, item: Item) -> tuple[Item, ...]:
    return (*items[:index], item, *items[index + 1 :])


def maximal_isr(broker: Broker) -> Replicas:
    """The ISR a leader believes in, and every ISR that may already be in force."""
    members = broker.partition.isr
    for proposed in broker.unresolved:
        members |= proposed
    return members


def leads(broker: Broker, broker_id: int) -> bool:
    """Whether it takes itself for the leader; it may have been deposed."""
    return broker.running and broker.partition.leader == broker_id


def members(replicas: Replicas) -> tuple[int, ...]:
    """The brokers of a set, in order."""
    return tuple(index for index in range(replicas.bit_length()) if replicas >> index & 1)
