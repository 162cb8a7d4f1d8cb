"""What every answer to a Fetch must be, whoever asked and however."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.history import at
from simulator.invariant_error import InvariantError
from simulator.ledger import Bounds
from simulator.workload.requests import Partition, values_in
from wire.messages.fetch import PartitionData

if TYPE_CHECKING:
    from simulator.world import World

Records = list[tuple[int, bytes]]
READ_COMMITTED = 1


def check_answer(
    world: World,
    reader: str,
    partition: Partition,
    position: int,
    data: PartitionData,
    since: Bounds,
    *,
    isolation_level: int = 0,
) -> Records:
    """The records from `position` on, of an answer without error: without a hole, and none past
    what this isolation level may see. `since`: the bounds when it was asked for. InvariantError.
    """
    low, stable, high = data.log_start_offset, data.last_stable_offset, data.high_watermark
    if not low <= stable <= high:
        raise InvariantError(
            f"{at(partition, position)}: log start {low}, last stable offset {stable}, "
            f"high watermark {high}"
        )
    world.ledger.saw_log_start(partition, low, since)
    world.ledger.saw_high_watermark(partition, high, since)
    end = stable if isolation_level == READ_COMMITTED else high
    records = [each for each in values_in(data.records) if each[0] >= position]
    for place, (offset, _) in enumerate(records):
        if offset != position + place:
            raise InvariantError(
                f"poll-skip: {reader} asked for {at(partition, position)}, "
                f"and got {offset} after {position + place - 1}"
            )
    if records and records[-1][0] >= end:
        raise InvariantError(
            f"{reader} was shown {at(partition, records[-1][0])}, past the end {end} of what it may"
        )
    return records
