"""What must hold of a cluster at any moment, read off its brokers' objects, disks and metadata.

The names are those of the model (`simulator.model.invariants`). `ClusterWatch` looks after each
fault, now and then, and after flushes, whatever runs at that moment. What was committed once stays:
it is remembered, batch by batch, from the high watermarks that were seen. Counterparts: `log_scan`
(what is on a disk), `cluster_truth` (what the store holds), `ledger` (what clients were told).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord
from simulator.cluster_truth import PartitionId, Truth
from simulator.durability import DurableScan
from simulator.invariant_error import InvariantError
from simulator.invariants import wrong_epochs
from simulator.log_scan import Batch, LogScan
from simulator.network import WORLD
from simulator.probes_cluster import ClusterProbes

if TYPE_CHECKING:
    from kbroker.broker import Broker
    from kbroker.replication.partition import Partition
    from simulator.cluster import Machine
    from simulator.world import World

FLUSHES_PER_LOOK = 8
SECONDS_PER_LOOK = (0.1, 4.0)


@dataclass(slots=True)
class History:
    """Of one partition, over all brokers and lives. Mutable.

    `committed` is what was below a high watermark, `leaders` who led in which epoch, `written` what
    was seen at which place: (leader epoch, base offset) -> batch. From `loss_epoch` on there is
    what the leader of that epoch had, after a loss that was logged; stragglers may show the rest
    until they are cut.
    """

    committed: list[Batch] = field(default_factory=list)
    leaders: dict[int, str] = field(default_factory=dict)
    written: dict[tuple[int, int], Batch] = field(default_factory=dict)
    losses: int = 0
    loss_epoch: int = -1
    record: PartitionRecord | None = None
    """As it was seen last."""

    @property
    def end(self) -> int:
        return self.committed[-1].last_offset + 1 if self.committed else 0


@dataclass(slots=True)
class Replica:
    """One partition of one life of a broker, as it was seen last. Mutable."""

    machine: Machine
    partition: Partition
    scan: LogScan
    durable: DurableScan
    cuts: int = 0
    checked: int = 0
    """So many batches are what was committed."""
    losses: int = 0
    looked: int = 0
    """So many batches were compared with what others had written."""
    watermark: tuple[int, int] = (-1, 0)
    """(leader epoch that it leads in, high watermark then)."""

    @property
    def name(self) -> str:
        return f"broker {self.machine.node_id}, {self.partition.log.name}"


class ClusterWatch:
    """Mutable: what was seen of each partition."""

    def __init__(self, world: World) -> None:
        assert world.store is not None
        self.truth = Truth(world.store)
        self.probes = ClusterProbes(world, self.truth)
        self._world = world
        self._chance = world.chance("state watch")
        self._histories: dict[PartitionId, History] = {}
        self._replicas: dict[Partition, Replica] = {}
        self._flushes = 0
        self._looks_soon = False
        world.store.on_changed = self._look_soon
        for machine in world.machines.values():
            machine.on_flushed = self._flushed

    def look_now_and_then(self) -> None:
        """From now on, at random moments."""
        if self._world.loop.is_ending:
            return
        self.look()
        later_s = self._chance.uniform(*SECONDS_PER_LOOK)
        WORLD.copy().run(self._world.loop.call_later, later_s, self.look_now_and_then)

    def _flushed(self) -> None:
        self._flushes += 1
        if self._flushes % FLUSHES_PER_LOOK == 0:
            self.look()

    def _look_soon(self) -> None:
        """Before anybody is told of what has changed in the store, and once for all of it."""
        if not self._looks_soon and not self._world.loop.is_ending:
            self._looks_soon = True
            WORLD.copy().run(self._world.loop.call_soon, self._changed)

    def _changed(self) -> None:
        self._looks_soon = False
        self.look()

    def look(self) -> None:
        """Fail the run where something does not hold."""
        self._world.counts["looks at the state"] += 1
        for name, words in self._all_wrong():
            self._world.loop.fail(InvariantError(f"{name}: {words}"))
            return

    def all_in_sync(self) -> bool:
        """Every partition has a leader, and all its replicas are in the ISR."""
        return all(
            record.leader != NO_LEADER and set(record.isr) == set(record.replicas)
            for record in self.truth.partitions().values()
        )

    def lose(self, partition: PartitionId, leader_epoch: int) -> None:
        """What was committed is what the leader of this epoch has."""
        history = self._histories.setdefault(partition, History())
        history.committed.clear()
        history.losses += 1
        history.loss_epoch = max(history.loss_epoch, leader_epoch)

    # --- the look ---

    def _all_wrong(self) -> Iterator[tuple[str, str]]:
        replicas = list(self._running())
        by_partition: dict[PartitionId, list[Replica]] = {}
        for each in replicas:
            key = each.partition.topic, each.partition.index
            by_partition.setdefault(key, []).append(each)
        truth = self.truth.partitions()
        for key, known in truth.items():
            self._note_loss(key, known)
        self.probes.looked(
            (each.partition, truth.get((each.partition.topic, each.partition.index)))
            for each in replicas
        )
        for key, ours in sorted(by_partition.items()):
            history = self._histories.setdefault(key, History())
            for replica in ours:
                self._scan(replica, history)
                yield from ends_in_order(replica)
                yield from self._durable_on_disk(replica)
                yield from log_matching(replica, history)
                yield from one_leader(replica, history)
                yield from watermark_rises(replica)
            # Those who know of the most first: the others are compared with them.
            for replica in sorted(ours, key=lambda each: -each.partition.high_watermark):
                yield from served_prefix(replica, history)
            record = truth.get(key)
            if record is not None:
                yield from maximal_isr_covers(ours, record)
                yield from leader_completeness(ours, record, history)
                yield from self._eligible_completeness(ours, record, history)

    def _note_loss(self, key: PartitionId, record: PartitionRecord) -> None:
        """The last resort, as the store shows it: whoever says so in a log may die before."""
        history = self._histories.setdefault(key, History())
        former, history.record = history.record, record
        if former is not None and former != record:
            self.probes.changed(former, record)
        if former is None or former.leader_epoch == record.leader_epoch:
            return
        if record.leader == NO_LEADER:
            return
        eligible = {*former.isr, *former.elr}
        broker = self.truth.brokers().get(record.leader)
        topic_id = self.truth.image.topic_ids[key[0]]
        is_lossy = broker is not None and topic_id in broker.registration.lossy_topics
        if record.leader not in eligible or (is_lossy and eligible == {record.leader}):
            self._world.on_possible_loss(*key, record.leader_epoch)

    def has_lost(self, partition: PartitionId, leader_epoch: int) -> bool:
        """Whether that is known already."""
        history = self._histories.get(partition)
        return history is not None and history.loss_epoch >= leader_epoch

    def _running(self) -> Iterator[Replica]:
        known, self._replicas = self._replicas, {}
        for machine in self._world.machines.values():
            if machine.broker is None or machine.disk.is_dead:
                continue
            for partition in machine.broker.replicas:
                if partition.is_stopped:
                    continue
                replica = known.get(partition)
                if replica is None:
                    log = partition.log
                    replica = Replica(machine, partition, LogScan(log), DurableScan(log))
                self._replicas[partition] = replica
                yield replica

    def _scan(self, replica: Replica, history: History) -> None:
        batches = replica.scan.update(replica.machine.disk)
        if replica.cuts != replica.scan.cuts:
            replica.cuts = replica.scan.cuts
            self.probes.truncated(replica.partition)
            replica.durable = DurableScan(replica.partition.log)
        if replica.losses != history.losses:
            replica.losses, replica.checked = history.losses, 0
        replica.checked = min(replica.checked, len(batches))
        replica.looked = min(replica.looked, len(batches))

    def _durable_on_disk(self, replica: Replica) -> Iterator[tuple[str, str]]:
        wrong = replica.durable.check(replica.machine.disk)
        if wrong:
            yield "durable_ends", f"broker {replica.machine.node_id}: {wrong}"

    def _eligible_completeness(
        self, replicas: Iterable[Replica], record: PartitionRecord, history: History
    ) -> Iterator[tuple[str, str]]:
        """Whoever may be elected has all that was committed, durably, in the life that counts."""
        for replica in replicas:
            machine = replica.machine
            if machine.node_id not in (*record.isr, *record.elr) or not self._is_counted(machine):
                continue
            end = replica.partition.durable_end_offset
            if end < history.end:
                words = f"{replica.name}: durable to {end}, committed is {history.end}; {record}"
                yield "eligible_completeness", words

    def _is_counted(self, machine: Machine) -> bool:
        """Whether the incarnation that runs is the one registered and admitted."""
        broker = self.truth.brokers().get(machine.node_id)
        return (
            broker is not None
            and broker.is_admitted
            and machine.broker is not None
            and _epoch_of(machine.broker) == broker.broker_epoch
        )


# --- the invariants, each as (name, words) where it does not hold ---


def ends_in_order(replica: Replica) -> Iterator[tuple[str, str]]:
    partition, log = replica.partition, replica.partition.log
    offsets = [
        log.log_start_offset,
        partition.last_stable_offset,
        partition.high_watermark,
        log.log_end_offset,
    ]
    if offsets != sorted(offsets) or partition.durable_end_offset > log.log_end_offset:
        words = f"{replica.name}: start, stable, high watermark and end are {offsets}"
        yield "ends_in_order", f"{words}, durable is what lies below {partition.durable_end_offset}"
    wrong = wrong_epochs(partition)
    if wrong:
        yield "ends_in_order", f"broker {replica.machine.node_id}: {wrong}"


def watermark_rises(replica: Replica) -> Iterator[tuple[str, str]]:
    """It never falls while one broker leads in one epoch."""
    partition = replica.partition
    epoch, before = replica.watermark
    leads_in = partition.leader_epoch if partition.is_leader else -1
    if leads_in >= 0 and leads_in == epoch and partition.high_watermark < before:
        words = f"{replica.name} in epoch {epoch}: {partition.high_watermark} after {before}"
        yield "watermark_rises", words
    replica.watermark = leads_in, partition.high_watermark


def log_matching(replica: Replica, history: History) -> Iterator[tuple[str, str]]:
    """At one offset, in one leader epoch, there is one batch, on whatever broker, for ever."""
    for batch in replica.scan.batches[replica.looked :]:
        known = history.written.setdefault((batch.leader_epoch, batch.base_offset), batch)
        if known != batch:
            yield "log_matching", f"{replica.name}: {batch} where {known} was seen"
            break
    replica.looked = len(replica.scan.batches)


def one_leader(replica: Replica, history: History) -> Iterator[tuple[str, str]]:
    """No two brokers, and no two lives of one, lead in one leader epoch."""
    partition = replica.partition
    if not partition.is_leader:
        return
    name = replica.machine.process.name
    first = history.leaders.setdefault(partition.leader_epoch, name)
    if first != name:
        words = f"{partition.log.name}: {first} and {name} lead in epoch {partition.leader_epoch}"
        yield "one_leader", words


def served_prefix(replica: Replica, history: History) -> Iterator[tuple[str, str]]:
    """Below its high watermark a running broker has what was committed. What nobody has seen
    committed before is so from now on."""
    partition, watermark = replica.partition, replica.partition.high_watermark
    if partition.leader_epoch < history.loss_epoch:
        return
    batches, committed = replica.scan.batches, history.committed
    while replica.checked < len(batches) and batches[replica.checked].last_offset < watermark:
        at = replica.checked
        straggles = not partition.is_leader and batches[at].leader_epoch < history.loss_epoch
        if at == len(committed) and not straggles:
            committed.append(batches[at])
        elif at == len(committed) or committed[at] != batches[at]:
            if straggles:
                return
            words = f"{replica.name}: serves {batches[at]}, committed is {committed[at]}"
            yield "served_prefix", words
            return
        replica.checked += 1


def maximal_isr_covers(
    replicas: Iterable[Replica], record: PartitionRecord
) -> Iterator[tuple[str, str]]:
    """The current leader counts every member of the ISR in force; no ELR beside one that is large
    enough."""
    if record.elr and len(record.isr) >= record.effective_min_isr:
        yield "maximal_isr_covers", f"there is an ELR beside an ISR of min ISR members: {record}"
    for replica in replicas:
        partition = replica.partition
        if not partition.is_leader or partition.leader_epoch != record.leader_epoch:
            continue
        counted = () if partition.in_sync is None else partition.in_sync.maximal_isr()
        missing = set(record.isr) - {*counted, replica.machine.node_id}
        if missing:
            words = f"{replica.name} counts {counted}, in the ISR are {record.isr}"
            yield "maximal_isr_covers", words


def leader_completeness(
    replicas: Iterable[Replica], record: PartitionRecord, history: History
) -> Iterator[tuple[str, str]]:
    """The leader of the current epoch has every batch that was ever committed."""
    for replica in replicas:
        partition = replica.partition
        if not partition.is_leader or partition.leader_epoch != record.leader_epoch:
            continue
        batches, committed = replica.scan.batches, history.committed
        if batches[: len(committed)] != committed:
            at = next(
                (n for n, both in enumerate(zip(batches, committed)) if both[0] != both[1]),  # noqa: B905
                len(batches),
            )
            words = f"{replica.name} leads, and has at {at} not {committed[at]}"
            yield "leader_completeness", words


def _epoch_of(broker: Broker) -> int:
    """As it knows it: of its registration in this life; 0 while it has none."""
    clustering = getattr(broker, "clustering", None)
    return 0 if clustering is None else int(clustering.membership.broker_epoch)
