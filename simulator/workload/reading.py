"""What every answer to a Fetch must be, whoever asked and however."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.history import at
from simulator.invariant_error import InvariantError
from simulator.ledger import Bounds, Promise
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.requests import (
    EARLIEST,
    LIST_VERSION,
    Partition,
    list_request,
    values_in,
)
from wire.errors import ErrorCode
from wire.messages.fetch import PartitionData
from wire.messages.list_offsets import ListOffsetsResponse

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


def check_out_of_range(reader: str, promise: Promise, partition: Partition, position: int) -> None:
    """It can be where records were deleted before they were read, or a power loss took the end."""
    was_deleted = promise.deletable_to is None or position < promise.deletable_to
    if not was_deleted and not promise.losses:
        raise InvariantError(f"{reader}: {at(partition, position)} is out of range")


async def reset_positions(
    caller: Caller, positions: dict[Partition, int], lost: set[Partition]
) -> None:
    """Where a reader's positions were out of range: to the earliest offset, as a client does.

    What cannot be asked now stays in `lost`. ConnectionGoneError.
    """
    for partition in sorted(lost):
        since = caller.world.ledger.bounds(partition)
        answer = await caller.ask(
            list_request(partition, EARLIEST), LIST_VERSION, ListOffsetsResponse
        )
        told = answer.topics[0].partitions[0]
        code = must_be(told.error_code, *RETRIABLE, who=caller.name, what=f"{partition}")
        if code is not ErrorCode.NONE:
            await caller.recover(code)
            continue
        caller.world.ledger.saw_log_start(partition, told.offset, since)
        caller.world.ledger.history.positioned(caller.name, partition, told.offset)
        positions[partition] = told.offset
        lost.discard(partition)
