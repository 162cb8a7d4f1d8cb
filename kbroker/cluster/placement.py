"""Which brokers get the replicas of new partitions (pure).

Kafka's own way (`AdminUtils.assignReplicasToBrokers`): leaders go round the brokers from a random
start; the other replicas of a partition follow at a shift that grows by one with each round, so
that the partitions of a broker which fails spread over all the others. With racks, brokers
alternate between the racks, and a rack gets a second replica only when every rack has one.

Brokers that are away get the replicas for which there are too few others, and follow when they are
back: so topics may be created while brokers restart one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wire.errors import ErrorCode, KafkaError


@dataclass(frozen=True, slots=True)
class PlacementStart:
    """Two numbers drawn at random by the caller, so that small topics do not share a broker."""

    broker_index: int = 0
    shift: int = 0


def plan_placement(
    racks: Mapping[int, str | None],
    *,
    partition_count: int,
    replication_factor: int,
    start: PlacementStart,
    first_partition: int = 0,
    absent: Sequence[int] = (),
) -> list[tuple[int, ...]]:
    """The replicas of `partition_count` partitions, the preferred leader first.

    `racks`: every broker that may get replicas, and its rack. Racks count only if every broker
    has one. `first_partition`: where a topic that grows goes on. `absent`: who else may, where
    these are too few.
    KafkaError(INVALID_REPLICATION_FACTOR), in Kafka's words, if there are too few brokers.
    """
    assert partition_count > 0
    assert replication_factor > 0
    if replication_factor > len(racks) + len(absent) or not racks:
        count = len(racks) + len(absent)
        problem = (
            f"The target replication factor of {replication_factor} cannot be reached because "
            f"only {count} broker(s) are registered or some brokers have all their log "
            "directories cordoned."
            if racks
            else "All brokers are currently fenced, or have all their log directories cordoned."
        )
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {replication_factor} time(s): {problem}",
        )
    known_racks = {broker: rack for broker, rack in racks.items() if rack is not None}
    if len(known_racks) < len(racks):
        brokers = sorted(racks)
        known_racks = {}
    else:
        brokers = _alternate_racks(known_racks)
    shift = start.shift
    live_count = min(replication_factor, len(brokers))
    placement = []
    for partition in range(first_partition, first_partition + partition_count):
        if partition > 0 and partition % len(brokers) == 0:
            shift += 1
        leader_index = (partition + start.broker_index) % len(brokers)
        replicas = _replicas(brokers, known_racks, leader_index, shift, live_count)
        turn = partition % len(absent) if absent else 0
        others = (*absent[turn:], *absent[:turn])
        placement.append(replicas + others[: replication_factor - live_count])
    return placement


def _replicas(
    brokers: Sequence[int],
    racks: Mapping[int, str],
    leader_index: int,
    shift: int,
    replication_factor: int,
) -> tuple[int, ...]:
    """`racks` is empty when racks do not count."""
    # The leader, then everybody else once, beginning `shift` places behind the leader.
    others = len(brokers) - 1
    order = [brokers[leader_index]]
    order += [
        brokers[(leader_index + 1 + (shift + step) % others) % len(brokers)]
        for step in range(others)
    ]
    if not racks:
        return tuple(order[:replication_factor])
    chosen: list[int] = []
    rack_count = len(set(racks.values()))
    used_racks: set[str] = set()
    while len(chosen) < replication_factor:
        for broker in order:
            if broker in chosen or racks[broker] in used_racks:
                continue
            chosen.append(broker)
            used_racks.add(racks[broker])
            if len(chosen) == replication_factor or len(used_racks) == rack_count:
                break
        used_racks.clear()  # every rack that still has a broker has had its turn
    return tuple(chosen)


def _alternate_racks(racks: Mapping[int, str]) -> list[int]:
    """The brokers, one of each rack in turn."""
    by_rack: dict[str, list[int]] = {}
    for broker in sorted(racks):
        by_rack.setdefault(racks[broker], []).append(broker)
    queues = [by_rack[rack] for rack in sorted(by_rack)]
    longest = max(len(queue) for queue in queues)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def validate_assignment(assignment: Mapping[int, Sequence[int]], registered: Sequence[int]) -> None:
    """A client's own choice of replicas by partition, checked as Kafka's controller does.

    KafkaError(INVALID_REPLICA_ASSIGNMENT), in Kafka's words.
    """
    replication_factor = None
    for _, replicas in sorted(assignment.items()):
        validate_replicas(replicas, registered, replication_factor)
        replication_factor = len(replicas)
    if sorted(assignment) != list(range(len(assignment))):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "partitions should be a consecutive 0-based integer sequence",
        )


def validate_replicas(
    replicas: Sequence[int], registered: Sequence[int], replication_factor: int | None = None
) -> None:
    """The same for one partition; with a `replication_factor` it must have as many replicas."""
    problem = _assignment_problem(replicas, registered, replication_factor)
    if problem is not None:
        raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, problem)


def _assignment_problem(
    replicas: Sequence[int], registered: Sequence[int], replication_factor: int | None
) -> str | None:
    start = "The manual partition assignment includes"
    if not replicas:
        return f"{start} an empty replica list."
    in_order = sorted(replicas)
    for former, broker in zip([None, *in_order], in_order, strict=False):
        if broker not in registered:
            return f"{start} broker {broker}, but no such broker is registered."
        if broker == former:
            return f"{start} the broker {broker} more than once."
    if replication_factor is not None and len(replicas) != replication_factor:
        return (
            f"{start} a partition with {len(replicas)} replica(s), but this is not consistent "
            f"with previous partitions, which have {replication_factor} replica(s)."
        )
    return None
