"""Who leads a partition next (pure). The rules are numbered as in the replication design.

Nobody outside ISR and ELR is ever elected while one of them has a member: every record below the
high watermark is on each of those, and perhaps on nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord


@dataclass(frozen=True, slots=True)
class Election:
    """`possible_loss`: acknowledged records may be missing on the new leader. Say so, loudly."""

    record: PartitionRecord
    possible_loss: bool = False


def plan_restart(
    record: PartitionRecord, broker_id: int, *, lossy: bool, is_live: Callable[[int], bool]
) -> Election | None:
    """The partition once a broker has come back to life; None: it is not concerned.

    First the broker loses its leadership and its place in the ISR: its former life is over, and
    if that ended badly so does its place in the ELR (rule 6). Then the partition elects, and
    may well elect it again, with a new leader epoch, so that no offset is ever served twice in
    one epoch with different contents (rule 11).

    `lossy`: it may have lost records that were below the high watermark.
    `is_live`: may this other broker lead now? It is not asked about `broker_id`, which may.
    """
    if broker_id not in record.replicas:
        return None
    was_member = broker_id in record.isr or broker_id in record.elr
    if not was_member and record.leader != NO_LEADER:
        return None
    fenced = _fence(record, broker_id, lossy)
    if fenced.leader != NO_LEADER:
        return None if fenced == record else Election(_next_partition_epoch(fenced))

    def may_lead(broker: int) -> bool:
        return broker == broker_id or is_live(broker)

    elected = _elect(fenced, may_lead)
    if elected is not None:
        return elected
    if fenced == record:
        return None  # nobody to elect, then as now
    # Kafka counts having no leader as an epoch too; clients take news with a higher epoch only.
    leaderless = replace(fenced, leader_epoch=record.leader_epoch + 1)
    return Election(_next_partition_epoch(leaderless))


def _fence(record: PartitionRecord, broker_id: int, lossy: bool) -> PartitionRecord:
    """The record without the broker as leader and ISR member; the epochs are the caller's."""
    isr = tuple(each for each in record.isr if each != broker_id)
    elr = tuple(each for each in record.elr if each != broker_id)
    was_member = broker_id in record.isr or broker_id in record.elr
    # KIP-966: who leaves an ISR that falls below its minimum still has everything committed.
    if was_member and not lossy and len(isr) < record.effective_min_isr:
        elr = tuple(each for each in record.replicas if each in elr or each == broker_id)
    if record.leader != broker_id:
        return replace(record, isr=isr, elr=elr)
    return replace(record, isr=isr, elr=elr, leader=NO_LEADER, last_known_leader=broker_id)


def _elect(record: PartitionRecord, may_lead: Callable[[int], bool]) -> Election | None:
    """From the ISR, else the ELR, else the last known leader; in the order of the replicas."""
    in_sync = [each for each in record.replicas if each in record.isr and may_lead(each)]
    if in_sync:
        return Election(_lead(record, in_sync[0], isr=record.isr, elr=record.elr))
    if record.isr:
        return None
    eligible = [each for each in record.replicas if each in record.elr and may_lead(each)]
    if eligible:
        leader = eligible[0]
        elr = tuple(each for each in record.elr if each != leader)
        return Election(_lead(record, leader, isr=(leader,), elr=elr))
    if record.elr:
        return None
    # Rule 4: nobody is known to have everything. The last leader has the most.
    leader = record.last_known_leader
    if leader not in record.replicas or not may_lead(leader):
        return None
    return Election(_lead(record, leader, isr=(leader,), elr=()), possible_loss=True)


def _lead(
    record: PartitionRecord, leader: int, *, isr: tuple[int, ...], elr: tuple[int, ...]
) -> PartitionRecord:
    if len(isr) >= record.effective_min_isr:
        elr = ()  # the ISR alone decides what is committed from here on
    return _next_partition_epoch(
        replace(
            record,
            leader=leader,
            leader_epoch=record.leader_epoch + 1,
            isr=isr,
            elr=elr,
            last_known_leader=NO_LEADER,
        )
    )


def _next_partition_epoch(record: PartitionRecord) -> PartitionRecord:
    return replace(record, partition_epoch=record.partition_epoch + 1)
