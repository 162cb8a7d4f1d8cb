"""Readers that assign themselves partitions: full fetches and sessions (KIP-227), both isolation
levels, long polls, small limits, and now and then one that stops taking bytes.

Each follows its partitions from some offset on and is shown every record once, in order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulator.client import Client, ConnectionGoneError
from simulator.history import at
from simulator.invariant_error import InvariantError
from simulator.ledger import Bounds
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.reading import (
    READ_COMMITTED,
    check_answer,
    check_out_of_range,
    reset_positions,
)
from simulator.workload.requests import (
    FETCH_VERSION,
    MAX_BYTES,
    Partition,
    fetch_topics,
)
from simulator.workload.sending import LONGEST_PAUSE_S
from simulator.workload.topics import draw_topics
from wire.errors import ErrorCode
from wire.messages.fetch import FetchRequest, FetchResponse, PartitionData

if TYPE_CHECKING:
    from simulator.world import World

NO_SESSION = 0
FINAL_EPOCH = -1
"""A request outside of any session; in `_epoch` 0 asks for a new one."""
FIRST_EPOCH = 0
POLLS_AT_ONCE = 4


class Reader:
    """Mutable. `_known` is what the broker's session has of each partition: the offset."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = chance = world.chance(name)
        self._caller = Caller(world, name, chance)
        partitions = [each for topic in draw_topics(world.plan) for each in topic.partitions]
        self._partitions = sorted(chance.sample(partitions, chance.randint(1, len(partitions))))
        self._positions: dict[Partition, int] = dict.fromkeys(self._partitions, 0)
        self._lost: set[Partition] = set()
        self._isolation_level = chance.choice((0, READ_COMMITTED))
        # A session is one broker's; to a cluster's leaders a client has as many as there are.
        self._in_session = chance.random() < 0.6 and not world.is_cluster
        self._max_bytes = chance.choice((MAX_BYTES, 2_000, 100))
        self._wait_ms = chance.choice((0, 500, 5_000))
        self._session = (NO_SESSION, FIRST_EPOCH if self._in_session else FINAL_EPOCH)
        self._known: dict[Partition, int] = {}
        self._mean_pause_s = world.plan.options.safety_s / world.plan.options.bursts

    async def prepare(self) -> None:
        pass

    async def work(self) -> None:
        while True:
            was_finishing = self._world.finishing
            try:
                client = await self._caller.client()
                polls = self._chance.randint(1, POLLS_AT_ONCE)
                answered = [await self._poll(client) for _ in range(polls)]
                if was_finishing and all(answered):
                    break
                await self._rest(client)
            except ConnectionGoneError:
                self._leave_session()
                await self._caller.pause()
        self._caller.hang_up()

    async def check(self) -> None:
        pass

    async def _rest(self, client: Client) -> None:
        pause_s = min(self._chance.expovariate(1 / self._mean_pause_s), LONGEST_PAUSE_S)
        if self._chance.random() < 0.15:
            await self._stop_taking(client, pause_s)
        else:
            await asyncio.sleep(pause_s)

    async def _stop_taking(self, client: Client, pause_s: float) -> None:
        """Ask, and take none of the answer's bytes for a while."""
        await reset_positions(self._caller, self._positions, self._lost)
        client.pause_taking()
        answer = self._poll(client, timeout_s=pause_s + 20)
        resume = asyncio.get_running_loop().call_later(pause_s, client.resume_taking)
        try:
            await answer
        finally:
            resume.cancel()
            client.resume_taking()

    def _leave_session(self) -> None:
        """A session may go on in the next connection, but who lost an answer begins anew."""
        self._session = (NO_SESSION, FIRST_EPOCH if self._in_session else FINAL_EPOCH)
        self._known.clear()

    async def _poll(self, client: Client, timeout_s: float | None = None) -> bool:
        """One fetch; whether every partition answered well. ConnectionGoneError."""
        await reset_positions(self._caller, self._positions, self._lost)
        changed = {
            partition: offset
            for partition, offset in self._positions.items()
            if self._known.get(partition) != offset
        }
        since = {partition: self._world.ledger.bounds(partition) for partition in self._partitions}
        session_id, epoch = self._session
        request = FetchRequest(
            max_wait_ms=self._wait_ms,
            min_bytes=self._chance.choice((1, 1, 5_000)),
            max_bytes=self._max_bytes,
            isolation_level=self._isolation_level,
            session_id=session_id,
            session_epoch=epoch,
            topics=fetch_topics(changed, partition_max_bytes=self._max_bytes),
        )
        answer = await client.send(request, FETCH_VERSION, FetchResponse, timeout_s)
        code = must_be(
            answer.error_code,
            ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
            ErrorCode.INVALID_FETCH_SESSION_EPOCH,
            *RETRIABLE,
            who=self.name,
            what="a Fetch",
        )
        if code is not ErrorCode.NONE:
            self._leave_session()
            await self._caller.recover(code)
            return False
        if self._in_session:
            self._session = (answer.session_id, epoch + 1) if answer.session_id else self._session
            self._known.update(changed)
        return self._take(answer, since)

    def _take(self, answer: FetchResponse, since: dict[Partition, Bounds]) -> bool:
        all_well = True
        told = {
            (topic.topic, data.partition_index): data
            for topic in answer.responses
            for data in topic.partitions
        }
        if not self._in_session and sorted(told) != self._partitions:
            raise InvariantError(f"{self.name} asked for {self._partitions}, got {sorted(told)}")
        for partition, data in told.items():
            all_well &= self._take_partition(partition, data, since[partition])
        return all_well

    def _take_partition(self, partition: Partition, data: PartitionData, since: Bounds) -> bool:
        position = self._positions[partition]
        allowed = (ErrorCode.OFFSET_OUT_OF_RANGE, *RETRIABLE)
        code = must_be(data.error_code, *allowed, who=self.name, what=f"{at(partition, position)}")
        if code is ErrorCode.OFFSET_OUT_OF_RANGE:
            check_out_of_range(
                self.name, self._world.ledger.promises[partition], partition, position
            )
            self._lost.add(partition)
            self._known.pop(partition, None)
            return False
        if code is not ErrorCode.NONE:
            self._known.pop(partition, None)
            return False
        records = check_answer(
            self._world,
            self.name,
            partition,
            position,
            data,
            since,
            isolation_level=self._isolation_level,
        )
        self._world.counts["polled"] += len(records)
        self._world.ledger.polled(self.name, partition, records, since)
        self._positions[partition] += len(records)
        return True
