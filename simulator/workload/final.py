"""The last reader: every partition whole, at the end, and once more after one more death.

What it finds is judged against all that clients were told: see `history`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.client import ConnectionGoneError
from simulator.history import at
from simulator.invariant_error import InvariantError
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.reading import check_answer
from simulator.workload.requests import (
    CREATE_VERSION,
    EARLIEST,
    FETCH_VERSION,
    LIST_VERSION,
    Partition,
    create_request,
    fetch_request,
    list_request,
    times_in,
)
from simulator.workload.topics import TopicPlan, draw_topics
from wire.errors import ErrorCode
from wire.messages.create_topics import CreateTopicsResponse
from wire.messages.fetch import FetchResponse
from wire.messages.list_offsets import ListOffsetsResponse

if TYPE_CHECKING:
    from simulator.world import World


async def end_all(world: World, how: str) -> None:
    """Of a cluster: what was acknowledged is on every disk. Whoever keeps them starts them again;
    where the page cache counts as durable, nothing is promised then."""
    machines = list(world.machines.values())
    if how == "stop":
        for machine in machines:
            await machine.stop()
        return
    if not all(promise.is_flushed for promise in world.ledger.promises.values()):
        return
    for machine in machines:
        if how == "power loss":
            machine.crash()
        else:
            machine.kill()


class FinalReader:
    """Creates the shared topics first of all, and reads them when all is over. Mutable."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._caller = Caller(world, name, self._chance)
        self._times: dict[int, int] = {}
        """Offset -> timestamp in ms, of the partition that was read last."""

    async def prepare(self) -> None:
        self._world.ledger.groups_flushed = self._world.plan.options.flush_messages == 1
        for topic in draw_topics(self._world.plan):
            await self._create(topic)
        self._caller.hang_up()

    async def work(self) -> None:
        pass

    async def check(self) -> None:
        await self._read_all()
        if self._chance.random() < 0.5:
            await self._one_more_death()
            await self._read_all()
        self._caller.hang_up()
        anomalies = self._world.ledger.history.check()
        if anomalies:
            more = f" (and {len(anomalies) - 1} more)" if len(anomalies) > 1 else ""
            raise InvariantError(f"{anomalies[0]}{more}")

    async def _create(self, topic: TopicPlan) -> None:
        request = create_request(
            topic.name, partitions=topic.partition_count, settings=dict(topic.settings)
        )
        answer = await self._caller.ask(request, CREATE_VERSION, CreateTopicsResponse)
        must_be(answer.topics[0].error_code, who=self.name, what="creating a topic")
        for partition in topic.partitions:
            self._world.ledger.promise(partition, is_flushed=topic.is_flushed)

    async def _one_more_death(self) -> None:
        self._caller.hang_up()
        how = self._chance.choice(("power loss", "kill", "stop"))
        self._world.note(f"after everything: {how}")
        if self._world.is_cluster:
            await end_all(self._world, how)
            return
        if how == "power loss":
            self._world.machine.crash()
        elif how == "kill":
            self._world.machine.kill()
        else:
            await self._world.machine.stop()
        await self._world.start_broker()

    async def _read_all(self) -> None:
        ledger = self._world.ledger
        for partition in sorted(ledger.promises):
            start = await self._start_of(partition)
            records = await self._read(partition, start)
            ledger.history.polled(self.name, partition, records)
            ledger.history.positioned(self.name, partition)
            ledger.history.read_whole(partition, records, start=start)
            await self._check_times(partition)
            self._world.counts["read at the end"] += len(records)

    async def _check_times(self, partition: Partition) -> None:
        """A time leads to the first record that is not earlier, whatever segment it is in."""
        times = self._times
        if not times:
            return
        asked = self._chance.choice([*times.values()]) + self._chance.choice((0, 0, 1))
        answer, _ = await self._caller.insist(
            lambda: list_request(partition, asked),
            LIST_VERSION,
            ListOffsetsResponse,
            lambda answer: answer.topics[0].partitions[0].error_code,
        )
        told = answer.topics[0].partitions[0]
        must_be(told.error_code, who=self.name, what=f"a time in {partition}")
        first = next((offset for offset, time_ms in times.items() if time_ms >= asked), -1)
        if told.offset != first:
            raise InvariantError(
                f"{at(partition, None)}: time {asked} is said to be at {told.offset}, "
                f"and is at {first}"
            )

    async def _start_of(self, partition: Partition) -> int:
        since = self._world.ledger.bounds(partition)
        answer, _ = await self._caller.insist(
            lambda: list_request(partition, EARLIEST),
            LIST_VERSION,
            ListOffsetsResponse,
            lambda answer: answer.topics[0].partitions[0].error_code,
        )
        told = answer.topics[0].partitions[0]
        must_be(told.error_code, who=self.name, what=f"the start of {partition}")
        self._world.ledger.saw_log_start(partition, told.offset, since)
        return told.offset

    async def _read(self, partition: Partition, start: int) -> list[tuple[int, bytes]]:
        """Up to the high watermark of the first answer, which moves no more."""
        found: list[tuple[int, bytes]] = []
        self._times = {}
        position = start
        while True:
            since = self._world.ledger.bounds(partition)
            try:
                answer = await self._caller.ask(
                    fetch_request({partition: position}), FETCH_VERSION, FetchResponse
                )
            except ConnectionGoneError:
                await self._caller.pause()
                continue
            data = answer.responses[0].partitions[0]
            code = must_be(data.error_code, *RETRIABLE, who=self.name, what=f"{partition}")
            if code is not ErrorCode.NONE:
                await self._caller.recover(code)
                continue
            records = check_answer(self._world, self.name, partition, position, data, since)
            found += records
            times = times_in(data.records)
            self._times |= {offset: times[offset] for offset, _ in records}
            position += len(records)
            if position >= data.high_watermark:
                return found
            if not records:
                raise InvariantError(
                    f"nothing at {partition} {position} below {data.high_watermark}"
                )
