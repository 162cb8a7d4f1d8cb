"""Who leads a partition next (pure). The rules are numbered as in the replication design.

Nobody outside ISR and ELR is ever elected while one of them has a member (`clean-election`): every
record below the high watermark is on each of those, and perhaps on nobody else. The one exception
is a topic's own wish, `unclean.leader.election.enable`.

Each function is one transition of one partition: the record that follows, a partition epoch
higher, or None where there is nothing to do. What they may yield is what the controller of
`simulator/model/controller.py` does (take_out, admit, elect, move_leadership); of several
candidates these take the first in the order of the replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord

IsLive = Callable[[int], bool]
"""May this broker lead: is it registered, and admitted as that?"""


def is_nobody(broker_id: int) -> bool:
    """The IsLive of a cluster that has no such brokers."""
    return False


@dataclass(frozen=True, slots=True)
class Election:
    """`possible_loss`: acknowledged records may be missing on the new leader. Say so, loudly."""

    record: PartitionRecord
    possible_loss: bool = False


def plan_restart(
    record: PartitionRecord,
    broker_id: int,
    *,
    lossy: bool,
    missing: bool = False,
    is_live: IsLive,
    is_leaving: IsLive = is_nobody,
) -> Election | None:
    """The partition once a broker has come back to life; None: it is not concerned.

    First the broker loses its leadership and its place in the ISR: its former life is over, and
    if that ended badly so does its place in the ELR (rule 6). Then the partition elects, and
    may well elect it again, with a new leader epoch, so that no offset is ever served twice in
    one epoch with different contents (rule 11).

    `lossy`: it may have lost records that were below the high watermark. `missing`: all of them,
    with its log; then it is not even the last known leader any more, where others are replicas:
    with it they would lose what they have, and that is for a person to decide.
    `is_live`: may this other broker lead now? It is not asked about `broker_id`, which may.
    `is_leaving`: who of those is elected only if nobody else can be.
    """
    if broker_id not in record.replicas:
        return None
    was_member = broker_id in record.isr or broker_id in record.elr
    if not was_member and record.leader != NO_LEADER:
        return None

    def may_lead(broker: int) -> bool:
        return broker == broker_id or is_live(broker)

    fenced = _fence(record, broker_id, lossy)
    if missing and fenced.last_known_leader == broker_id and len(record.replicas) > 1:
        fenced = replace(fenced, last_known_leader=NO_LEADER)
    return _settle(record, fenced, may_lead, is_leaving)


def plan_departure(
    record: PartitionRecord, broker_id: int, *, is_live: IsLive, is_leaving: IsLive = is_nobody
) -> Election | None:
    """The partition once a broker's registration is gone; None: it is not concerned.

    It leaves leadership and ISR, and stays eligible where KIP-966 says so (`elr-kept`): whether
    it has lost anything, only its next registration can tell. `is_live` is False of it.
    """
    assert not is_live(broker_id)
    if record.leader != broker_id and broker_id not in record.isr:
        return None
    return _settle(record, _fence(record, broker_id, lossy=False), is_live, is_leaving)


def plan_election(
    record: PartitionRecord,
    *,
    is_live: IsLive,
    is_leaving: IsLive = is_nobody,
    is_unclean: bool = False,
    lacks_log: IsLive = is_nobody,
) -> Election | None:
    """A leader for a partition without one; None: it has one, or nobody can be.

    `is_unclean`: its topic would rather lose records than wait for who has them. `lacks_log`: who
    of those that may have only some has said that it has none; it comes last.
    """
    if record.leader != NO_LEADER:
        return None
    elected = _elect(record, is_live, is_leaving)
    if elected is not None or not is_unclean:
        return elected
    live = _in_order(record, record.replicas, is_live, is_leaving)
    if not live:
        return None
    leader = min(live, key=lacks_log)
    return Election(_lead(record, leader, isr=(leader,)), possible_loss=True)


def plan_drain(
    record: PartitionRecord, broker_id: int, *, is_staying: IsLive
) -> PartitionRecord | None:
    """The partition without a broker that is about to leave in order; None: nothing to do.

    Another member of the ISR leads, as after a preferred election, and the broker leaves the ISR
    in the same step, so that nobody waits for it; it stays eligible if that leaves too few. Where
    it is the only member that could lead, it goes on until it is gone.
    `is_staying`: is the broker live, and not on its way out?
    """
    if broker_id not in record.isr:
        return None
    others = _in_order(record, record.isr, lambda each: each != broker_id and is_staying(each))
    if not others:
        return None
    led = record.leader == broker_id
    fenced = _fence(record, broker_id, lossy=False)
    if led:
        return _lead(fenced, others[0], isr=fenced.isr)
    return _next_partition_epoch(fenced) if record.leader != NO_LEADER else None


def plan_preferred(record: PartitionRecord, *, is_staying: IsLive) -> PartitionRecord | None:
    """Led by its first replica again; None: it is, or that replica is not ready to."""
    preferred = record.replicas[0]
    if record.leader in (NO_LEADER, preferred) or preferred not in record.isr:
        return None
    return _lead(record, preferred, isr=record.isr) if is_staying(preferred) else None


def _settle(
    record: PartitionRecord, fenced: PartitionRecord, may_lead: IsLive, is_leaving: IsLive
) -> Election | None:
    """What can be stored once a broker was taken out: with an election if one is due."""
    if fenced.leader != NO_LEADER:
        return None if fenced == record else Election(_next_partition_epoch(fenced))
    elected = _elect(fenced, may_lead, is_leaving)
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


def _elect(record: PartitionRecord, may_lead: IsLive, is_leaving: IsLive) -> Election | None:
    """From the ISR, else the ELR, else the last known leader; in the order of the replicas."""
    in_sync = _in_order(record, record.isr, may_lead, is_leaving)
    if in_sync:
        return Election(_lead(record, in_sync[0], isr=record.isr))
    if record.isr:
        return None
    eligible = _in_order(record, record.elr, may_lead, is_leaving)
    if eligible:
        return Election(_lead(record, eligible[0], isr=(eligible[0],)))
    if record.elr:
        return None
    # Rule 4: nobody is known to have everything. The last leader has the most.
    leader = record.last_known_leader
    if leader not in record.replicas or not may_lead(leader):
        return None
    return Election(_lead(record, leader, isr=(leader,)), possible_loss=True)


def _in_order(
    record: PartitionRecord,
    pool: tuple[int, ...],
    may_lead: IsLive,
    is_leaving: IsLive = is_nobody,
) -> list[int]:
    """Who of the pool may lead: who stays first, then in the order of the replicas."""
    able = [each for each in record.replicas if each in pool and may_lead(each)]
    return sorted(able, key=is_leaving)


def _lead(record: PartitionRecord, leader: int, *, isr: tuple[int, ...]) -> PartitionRecord:
    elr = tuple(each for each in record.elr if each not in isr)
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
