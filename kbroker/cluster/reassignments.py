"""A partition's way from its replicas to others (KIP-455), as transitions of its record (pure).

The way has two steps. First the replicas are the old and the new ones: `replicas` = the target,
then who is `removing`. The new ones follow the leader and join the ISR as any follower does. Once
all of the target are in sync the second step takes the others away. A cancellation takes those who
are `adding` away instead.

Why nothing committed is lost. A committed record is, durably, on every member of the maximal ISR,
and so on everybody who may be elected (`clean-election`).
- The first step leaves ISR, ELR and leader as they are: the same brokers may be elected.
- The second takes members out of the ISR, and a record that is on all members is on those that
  stay. They are the whole target: the ISR does not fall below its minimum by it. What the former
  leader still commits, it commits over its maximal ISR, of which they are a part.
- A smaller number of replicas may lower the minimum that holds. Where the ISR reaches it, the ELR
  is emptied, as its members will lack what is committed from there on (`elr-kept`).
- Whoever is taken away may delete its log at once, and may be given the partition again before the
  leader hears of either. What it has told that leader of a log that is no more must not count: so
  a record with fewer replicas begins a leader epoch (`ends-of-this-epoch`).
- A leader's own change of the ISR compares the record: one that was made for the former replicas
  is refused.

As Kafka's PartitionChangeBuilder, with one deviation: where another target replaces the one that a
partition is on its way to, we still know where it came from, so that a cancellation goes back to
there. Who was to be added, and is not in the new target, is in `adding` and `removing` both.

Counterparts: `requested_reassignments.py` (begins and cancels), `controller_duties.py` (completes).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from kbroker.cluster.elections import Election, IsLive, is_nobody
from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord


def is_under_way(record: PartitionRecord) -> bool:
    return bool(record.adding or record.removing)


def target_of(record: PartitionRecord) -> tuple[int, ...]:
    """The replicas that the partition has, or is on its way to."""
    return tuple(each for each in record.replicas if each not in record.removing)


def origin_of(record: PartitionRecord) -> tuple[int, ...]:
    """The replicas that the partition has, or goes back to."""
    return tuple(each for each in record.replicas if each not in record.adding)


def plan_reassignment(
    record: PartitionRecord,
    target: Sequence[int],
    *,
    is_live: IsLive,
    is_leaving: IsLive = is_nobody,
) -> Election | None:
    """The partition on its way to `target`, or there where all of it is in sync; None: as it is.

    `target` is no empty list, and has nobody twice.
    """
    assert target
    origin = origin_of(record)
    dropped = tuple(sorted({*record.replicas} - {*target}))
    begun = replace(
        record,
        replicas=(*target, *dropped),
        adding=tuple(sorted(({*target} | {*dropped}) - {*origin})),
        removing=dropped,
    )
    if begun == record:
        return None
    completed = plan_completion(begun, is_live=is_live, is_leaving=is_leaving)
    return completed or Election(_next_partition_epoch(begun))


def plan_completion(
    record: PartitionRecord, *, is_live: IsLive, is_leaving: IsLive = is_nobody
) -> Election | None:
    """The partition at its target; None: it is not on its way, or not all are in sync.

    The leader goes on leading if it stays and lives; without a leader the partition elects first.
    """
    target = target_of(record)
    if not is_under_way(record) or record.leader == NO_LEADER:
        return None
    if not {*target} <= {*record.isr}:
        return None
    leader = _leader_among(record, target, is_live, is_leaving)
    return None if leader == NO_LEADER else Election(_with_replicas(record, target, leader))


def plan_cancellation(
    record: PartitionRecord,
    *,
    is_live: IsLive,
    is_leaving: IsLive = is_nobody,
    is_unclean: bool = False,
) -> Election | None:
    """The partition back where it came from; None: that would be an unclean election.

    It is one where all who are in sync are new ones. `is_unclean`: then whoever lives leads, if
    anybody does. Where nobody who is in sync lives, the partition waits for them without a leader.
    """
    assert is_under_way(record)
    origin = origin_of(record)
    if _would_lose(record, origin):
        live = _in_order(origin, is_live, is_leaving)
        if not is_unclean or not live:
            return None
        alone = replace(record, isr=(live[0],), elr=())
        return Election(_with_replicas(alone, origin, live[0]), possible_loss=True)
    if record.leader == NO_LEADER:
        return Election(_with_replicas(record, origin, NO_LEADER))
    leader = _leader_among(record, origin, is_live, is_leaving)
    return Election(_with_replicas(record, origin, leader))


def _would_lose(record: PartitionRecord, replicas: Collection[int]) -> bool:
    """Whether nobody of those who are known to have everything is among these replicas."""
    knowing = record.isr or record.elr or (record.last_known_leader,)
    return {*knowing}.isdisjoint(replicas)


def _leader_among(
    record: PartitionRecord, replicas: Sequence[int], is_live: IsLive, is_leaving: IsLive
) -> int:
    """The leader if it stays and lives, else the first in sync who does, or NO_LEADER."""
    if record.leader in replicas and is_live(record.leader):
        return record.leader
    in_sync = [each for each in replicas if each in record.isr]
    live = _in_order(in_sync, is_live, is_leaving)
    return live[0] if live else NO_LEADER


def _in_order(replicas: Sequence[int], is_live: IsLive, is_leaving: IsLive) -> list[int]:
    """Those who live: who stays before who leaves, then in the order of the replicas."""
    return sorted(filter(is_live, replicas), key=is_leaving)


def _with_replicas(
    record: PartitionRecord, replicas: tuple[int, ...], leader: int
) -> PartitionRecord:
    """The record with these replicas alone, settled; a leader epoch higher if that are fewer."""
    settled = replace(
        record,
        replicas=replicas,
        adding=(),
        removing=(),
        leader=leader,
        isr=tuple(each for each in record.isr if each in replicas),
        elr=tuple(each for each in record.elr if each in replicas),
        last_known_leader=_last_known_leader(record, replicas, leader),
    )
    if len(settled.isr) >= settled.effective_min_isr:
        settled = replace(settled, elr=())
    if leader != record.leader or len(replicas) < len(record.replicas):
        settled = replace(settled, leader_epoch=record.leader_epoch + 1)
    return _next_partition_epoch(settled)


def _last_known_leader(record: PartitionRecord, replicas: tuple[int, ...], leader: int) -> int:
    if leader != NO_LEADER:
        return NO_LEADER
    last = record.last_known_leader if record.leader == NO_LEADER else record.leader
    return last if last in replicas else NO_LEADER


def _next_partition_epoch(record: PartitionRecord) -> PartitionRecord:
    return replace(record, partition_epoch=record.partition_epoch + 1)
