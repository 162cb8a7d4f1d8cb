"""The invariants of clusters, each on replicas that break it and on such that do not."""

from dataclasses import dataclass, field, replace
from typing import cast

from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.replication.partition import Partition
from simulator.cluster import Machine
from simulator.cluster_invariants import (
    History,
    Replica,
    ends_in_order,
    leader_completeness,
    log_matching,
    maximal_isr_covers,
    one_leader,
    served_prefix,
    watermark_rises,
)
from simulator.durability import DurableScan
from simulator.log_scan import Batch, LogScan

RECORD = PartitionRecord(
    replicas=(1, 2, 3), leader=1, leader_epoch=4, isr=(1, 2), min_isr=2, partition_epoch=7
)


@dataclass
class Epochs:
    entries: list[object] = field(default_factory=list)


@dataclass
class Log:
    """As much of a log as invariants look at."""

    name: str = "t-0"
    log_start_offset: int = 0
    log_end_offset: int = 0
    leader_epochs: Epochs = field(default_factory=Epochs)


@dataclass
class InSync:
    members: tuple[int, ...]

    def maximal_isr(self) -> tuple[int, ...]:
        return self.members


@dataclass
class Stand:
    """As much of a partition."""

    log: Log
    high_watermark: int = 0
    last_stable_offset: int = 0
    durable_end_offset: int = 0
    is_leader: bool = False
    leader_epoch: int = 4
    in_sync: InSync | None = None


@dataclass
class Process:
    name: str


@dataclass
class Host:
    node_id: int
    process: Process


def replica(broker: int, *crcs: int, watermark: int = 0, epoch: int = 4, **more: object) -> Replica:
    """Of batches of one record each."""
    log = Log(log_end_offset=len(crcs))
    stand = Stand(log, watermark, watermark, len(crcs), leader_epoch=epoch, **more)  # type: ignore[arg-type]
    machine = cast(Machine, Host(broker, Process(f"broker-{broker}.1")))
    scan = LogScan(log)  # type: ignore[arg-type]
    scan.batches = [Batch(at, at, 4, crc) for at, crc in enumerate(crcs)]
    return Replica(machine, cast(Partition, stand), scan, DurableScan(log))  # type: ignore[arg-type]


def test_ends_are_in_order() -> None:
    assert not list(ends_in_order(replica(1, 10, 11, watermark=2)))
    assert list(ends_in_order(replica(1, 10, watermark=2)))


def test_a_high_watermark_rises_while_one_leads() -> None:
    leader = replica(1, 10, 11, watermark=2, is_leader=True)
    assert not list(watermark_rises(leader))
    leader.partition.high_watermark = 1
    assert list(watermark_rises(leader))
    leader.partition.high_watermark = 0
    leader.watermark = (3, 9)
    assert not list(watermark_rises(leader))


def test_what_was_written_in_an_epoch_at_an_offset_is_so_for_ever() -> None:
    history = History()
    assert not list(log_matching(replica(1, 10, 11), history))
    assert not list(log_matching(replica(2, 10, 11), history))
    assert list(log_matching(replica(3, 10, 12), history))


def test_one_broker_leads_in_an_epoch() -> None:
    history = History()
    assert not list(one_leader(replica(1, is_leader=True), history))
    assert not list(one_leader(replica(2), history))
    assert not list(one_leader(replica(2, is_leader=True, epoch=5), history))
    assert list(one_leader(replica(2, is_leader=True), history))


def test_below_a_high_watermark_there_is_what_was_committed() -> None:
    history = History()
    assert not list(served_prefix(replica(1, 10, 11, 12, watermark=2), history))
    assert [each.crc for each in history.committed] == [10, 11]
    assert history.end == 2
    assert not list(served_prefix(replica(2, 10, 99, watermark=1), history))
    assert list(served_prefix(replica(3, 10, 99, watermark=2), history))


def test_the_leader_has_what_was_committed() -> None:
    history = History()
    list(served_prefix(replica(1, 10, 11, watermark=2), history))
    whole, short = replica(2, 10, 11, is_leader=True), replica(2, 10, is_leader=True)
    assert not list(leader_completeness([whole], RECORD, history))
    assert list(leader_completeness([short], RECORD, history))
    deposed = replica(2, 10, is_leader=True, epoch=3)
    assert not list(leader_completeness([deposed], RECORD, history))


def test_the_leader_counts_all_who_are_in_the_isr() -> None:
    def leader(*counted: int) -> list[Replica]:
        return [replica(1, is_leader=True, in_sync=InSync(counted))]

    assert not list(maximal_isr_covers(leader(1, 2), RECORD))
    assert not list(maximal_isr_covers(leader(1, 2, 3), RECORD))
    assert list(maximal_isr_covers(leader(1, 3), RECORD))
    assert list(maximal_isr_covers(leader(1, 2), replace(RECORD, elr=(3,))))
