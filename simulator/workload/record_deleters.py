"""DeleteRecords and ListOffsets: the start of a log only advances, and stays where it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.client import ConnectionGoneError
from simulator.history import at
from simulator.invariant_error import InvariantError
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.requests import (
    EARLIEST,
    LATEST,
    LIST_VERSION,
    Partition,
    list_request,
)
from simulator.workload.sending import Source
from wire.errors import ErrorCode
from wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from wire.messages.list_offsets import ListOffsetsResponse

if TYPE_CHECKING:
    from simulator.world import World


class RecordDeleter:
    """Deletes some of the oldest records, and looks where logs begin and end. Mutable."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._caller = Caller(world, name, self._chance)
        self._source = Source(world, name, self._chance)

    async def prepare(self) -> None:
        pass

    async def work(self) -> None:
        while True:
            was_finishing = self._world.finishing
            partition = self._chance.choice(self._source.partitions)
            try:
                done = await self._look(partition)
                if done and self._chance.random() < 0.4:
                    done = await self._delete(partition)
            except ConnectionGoneError:
                await self._caller.pause()
                continue
            if done and was_finishing:
                break
            await self._source.rest()
        self._caller.hang_up()

    async def check(self) -> None:
        pass

    async def _delete(self, partition: Partition) -> bool:
        """Whether it was done. ConnectionGoneError."""
        ledger = self._world.ledger
        since = ledger.bounds(partition)
        # Seldom all, so that others have something left to read.
        part = self._chance.choice((4, 4, 4, 1))
        offset = since.log_start + (since.high_watermark - since.log_start) // part
        ledger.deleting(partition, offset)
        asked = DeleteRecordsPartition(partition_index=partition[1], offset=offset)
        topic = DeleteRecordsTopic(name=partition[0], partitions=[asked])
        request = DeleteRecordsRequest(topics=[topic], timeout_ms=10_000)
        answer = await self._caller.ask(request, 2, DeleteRecordsResponse)
        told = answer.topics[0].partitions[0]
        allowed = (*RETRIABLE, *((ErrorCode.OFFSET_OUT_OF_RANGE,) if self._lost(partition) else ()))
        code = must_be(told.error_code, *allowed, who=self.name, what=f"deleting {partition}")
        if code is not ErrorCode.NONE:
            return False
        if told.low_watermark < offset:
            raise InvariantError(
                f"{self.name}: {at(partition, offset)} was deleted up to {told.low_watermark}"
            )
        ledger.deleted(partition, told.low_watermark, since)
        self._world.counts["records deleted"] += offset - since.log_start
        return True

    def _lost(self, partition: Partition) -> bool:
        return self._world.ledger.promises[partition].losses > 0

    async def _look(self, partition: Partition) -> bool:
        """Earliest, latest and two times between: in this order. ConnectionGoneError."""
        ledger = self._world.ledger
        now_ms = self._world.machine.clock.now_ms()
        since = ledger.bounds(partition)
        earliest = await self._offset(partition, EARLIEST)
        if earliest is None:
            return False
        ledger.saw_log_start(partition, earliest, since)
        times = [await self._offset(partition, now_ms - back_ms) for back_ms in (90_000, 30_000)]
        since = ledger.bounds(partition)
        latest = await self._offset(partition, LATEST)
        if latest is None or None in times:
            return False
        ledger.saw_high_watermark(partition, latest, since)
        found = [each for each in times if each is not None and each >= 0]
        if not self._lost(partition):
            if found != sorted(found):
                raise InvariantError(f"{self.name}: {partition}: later times are at {found}")
            if not all(earliest <= each < latest for each in found):
                raise InvariantError(f"{self.name}: {partition}: {found} of {earliest}..{latest}")
        self._world.counts["looked at offsets"] += 1
        return True

    async def _offset(self, partition: Partition, timestamp: int) -> int | None:
        """-1: no record is so late. ConnectionGoneError."""
        answer = await self._caller.ask(
            list_request(partition, timestamp), LIST_VERSION, ListOffsetsResponse
        )
        told = answer.topics[0].partitions[0]
        code = must_be(told.error_code, *RETRIABLE, who=self.name, what=f"offsets of {partition}")
        if code is not ErrorCode.NONE:
            await self._caller.recover(code)
            return None
        return told.offset
