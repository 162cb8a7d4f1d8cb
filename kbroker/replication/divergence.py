"""Where the logs of a leader and a follower part, by leader epochs alone (KIP-101, 279, 595).

Rule truncation-by-epoch: a follower never cuts at its high watermark, which may lag behind what was
committed (KAFKA-1211, 6361, 7164). Pure: `partition` does what is found here.
"""

from __future__ import annotations

from log.leader_epochs import UNDEFINED_EPOCH
from log.partition_log import PartitionLog
from log.reading import out_of_range


def diverging_epoch(
    log: PartitionLog, last_fetched_epoch: int, fetch_offset: int
) -> tuple[int, int] | None:
    """As the leader: None if it has what the follower has below `fetch_offset`, whose last record
    is of `last_fetched_epoch` (-1: it has none, or does not say).

    Else (epoch, end offset): its own largest epoch up to that one, and where that ends.
    KafkaError(OFFSET_OUT_OF_RANGE) where nothing parts, and the offset is outside of the log.
    """
    log_end_offset = log.log_end_offset
    if last_fetched_epoch != UNDEFINED_EPOCH:
        epoch, end_offset = log.end_offset_for_epoch(last_fetched_epoch)
        if epoch == UNDEFINED_EPOCH:
            raise out_of_range(fetch_offset, log.log_start_offset, log_end_offset)
        if epoch < last_fetched_epoch or end_offset < fetch_offset:
            return epoch, end_offset
    if not log.log_start_offset <= fetch_offset <= log_end_offset:
        raise out_of_range(fetch_offset, log.log_start_offset, log_end_offset)
    return None


def truncation_offset(log: PartitionLog, epoch: int, end_offset: int) -> int:
    """As the follower: where to cut after the leader's answer (epoch, end offset).

    A follower that has nothing of that epoch keeps what it has of older ones, and asks again about
    their last (KIP-279).
    """
    own_epoch, own_end_offset = log.end_offset_for_epoch(epoch)
    if own_epoch == UNDEFINED_EPOCH:
        # No epoch of its own is later: what the leader has of this one is all that can be right.
        return min(end_offset, log.log_end_offset)
    return min(end_offset, own_end_offset)
