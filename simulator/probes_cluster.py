"""Notices the situations of a cluster: by its store, by its brokers' objects, when a machine dies.

Counterparts: `probes` (of a broker that is alone), `cluster_invariants` (who looks, and when).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord

if TYPE_CHECKING:
    from kbroker.broker import Broker
    from kbroker.replication.partition import Partition
    from simulator.cluster import Machine
    from simulator.cluster_truth import Truth
    from simulator.world import World


def changes_of(
    former: PartitionRecord, record: PartitionRecord, *, leader_lives: bool
) -> Iterator[str]:
    """What became of a partition, from one look at the store to the next. `leader_lives`: the
    former leader is still the member that it was."""
    before, now = set(former.isr), set(record.isr)
    if record.leader_epoch == former.leader_epoch:
        if before > now:
            yield "ISR shrunk by its leader"
        elif before < now:
            yield "ISR grown by its leader"
        elif record.partition_epoch > former.partition_epoch and former.elr == record.elr:
            yield "ISR asked for once more"
    elif record.leader == NO_LEADER:
        yield "partition without a leader"
    elif record.leader == former.leader:
        yield "leader elected again"
    elif leader_lives and former.leader != NO_LEADER:
        yield "leadership moved while its leader lived"
    elif record.leader in before:
        yield "leader elected from the ISR"
    elif record.leader in former.elr:
        yield "leader elected from the ELR"
    if len(now) < record.effective_min_isr <= len(before):
        yield "ISR below its minimum"
    if set(record.elr) - set(former.elr):
        yield "broker eligible outside the ISR"


def lost_with(partition: Partition) -> Iterator[str]:
    """What a partition was at when its broker died."""
    log = partition.log
    if not partition.is_leader:
        if partition.is_follower and partition.durable_end_offset < log.log_end_offset:
            yield "follower lost between append and flush"
        return
    yield "leader lost"
    if partition.high_watermark < log.log_end_offset:
        yield "leader lost with unacknowledged records"
    if partition.durable_end_offset < log.log_end_offset:
        yield "leader lost with records not durable"
    if partition.in_sync is not None and partition.in_sync._in_flight is not None:
        yield "leader lost with an ISR change under way"


def leading(partition: Partition, record: PartitionRecord) -> Iterator[str]:
    """How it is to lead at this moment."""
    if partition.leader_epoch < record.leader_epoch:
        yield "deposed leader not told yet"
    waits = partition.high_watermark < partition.log.log_end_offset
    if waits and len(partition.record.isr) < partition.record.effective_min_isr:
        yield "records wait for enough in sync"
    if partition.in_sync is not None:
        if partition.in_sync._perhaps:
            yield "outcome of an ISR change unknown"
        if partition.in_sync.is_anybody_awaited:
            yield "follower awaited before it joins"


class ClusterProbes:
    """Mutable: what was seen last. Something that lasts is counted at each look."""

    def __init__(self, world: World, truth: Truth) -> None:
        self._world = world
        self._truth = truth
        self._controller: int | None = None
        self._late = 0
        for machine in world.machines.values():
            machine.on_dying = partial(self._dying, machine)

    def changed(self, former: PartitionRecord, record: PartitionRecord) -> None:
        """The store shows another record of a partition than at the last look."""
        broker = self._truth.brokers().get(former.leader)
        lives = broker is not None and broker.is_admitted
        names = list(changes_of(former, record, leader_lives=lives))
        store = self._world.store
        assert store is not None
        if store.late_changes > self._late and former.leader_epoch == record.leader_epoch:
            names.append("ISR change unknown and applied late")
        self._saw(names)

    def truncated(self, partition: Partition) -> None:
        """Batches that were in its log are there no more."""
        if partition.is_follower:
            self._saw(["follower truncated by epoch"])

    def looked(
        self,
        partitions: Iterable[tuple[Partition, PartitionRecord | None]],
    ) -> None:
        """At all that runs, and at the store."""
        store = self._world.store
        assert store is not None
        if store.late_changes > self._late:
            self._late = store.late_changes
            self._saw(["change applied after its sender had given up"])
        controller = self._truth.controller()
        if controller is not None and controller != self._controller:
            if self._controller is not None:
                self._saw(["office handed on"])
            self._controller = controller
        for partition, record in partitions:
            if partition.is_leader and record is not None:
                self._saw(leading(partition, record))
        for machine in self._world.machines.values():
            if machine.broker is not None:
                self._saw(self._membership(machine, machine.broker))

    def _membership(self, machine: Machine, broker: Broker) -> Iterator[str]:
        clustering = getattr(broker, "clustering", None)
        if clustering is None:
            return
        state = clustering.membership.state.value
        leads = any(each.is_leader for each in broker.replicas)
        if state == "suspect" and leads:
            yield "leader goes on without the store"
        if leads and machine.node_id not in self._truth.brokers():
            yield "leader does not know that its lease has ended"

    def _dying(self, machine: Machine, how: str) -> None:
        self._saw([how if machine.broker is not None else f"{how} while starting"])
        if not any(each.is_running for each in self._world.machines.values() if each != machine):
            self._saw(["all brokers down"])
        if self._truth.controller() == machine.node_id:
            self._saw(["controller lost"])
        registered = self._truth.brokers().get(machine.node_id)
        if registered is not None and not registered.is_admitted:
            self._saw(["broker lost before its admission"])
        if machine.broker is not None:
            for partition in machine.broker.replicas:
                self._saw(lost_with(partition))

    def _saw(self, names: Iterable[str]) -> None:
        for name in names:
            self._world.situations.saw(name)
