"""Idempotent producers: what has no answer is sent again, unchanged, on the next connection.

A batch is stored once and told its first offset as often as it is sent; a producer's batches are in
the order of its sequence numbers. The last five in a partition are known after a restart as well.
Only where a power loss took records of a partition with page-cache durability may the broker have
forgotten what it knew of a producer: that one begins anew with another id, as real clients do, and
what it has no answer for stays unknown.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from simulator.client import Client, ConnectionGoneError
from simulator.history import at, shown
from simulator.invariant_error import InvariantError
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.producers import answers_by_partition
from simulator.workload.requests import PRODUCE_VERSION, Partition, produce_request
from simulator.workload.sending import Batch, Source
from wire.errors import ErrorCode
from wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from wire.messages.produce import PartitionProduceResponse, ProduceResponse

if TYPE_CHECKING:
    from simulator.world import World

REMEMBERED_BATCHES = 5
"""A broker remembers as many of a producer's batches in a partition: no more are in flight."""
SEQUENCES = 1 << 31
MAY_BE_STORED = (
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
)
"""Answers that do not say whether the batch is there."""
DEPOSED = (ErrorCode.NOT_LEADER_OR_FOLLOWER,)
"""A leader that is none any more leaves what it has appended to the next one."""
FORGOTTEN = (
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode.UNKNOWN_PRODUCER_ID,
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.DUPLICATE_SEQUENCE_NUMBER,
)


class IdempotentProducer:
    """Mutable. `_open` are the batches without an answer, in the order of their sequences."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._chance = world.chance(name)
        self._caller = Caller(world, name, self._chance)
        self._source = Source(world, name, self._chance)
        self._acks = self._chance.choice((-1, -1, 1))
        self._may_be_stored: tuple[ErrorCode, ...] = MAY_BE_STORED
        if world.is_cluster:
            self._acks = -1  # with less, a new leader may lack what is before the next sequence
            self._may_be_stored += DEPOSED
        self._identity = (-1, -1)
        self._next_sequence: dict[Partition, int] = {}
        self._losses: dict[Partition, int] = {}
        self._open: list[Batch] = []
        self._life = 0
        self._orphans: list[Batch] = []
        """Those that a life of the broker left without an answer."""
        self._stored: dict[Partition, deque[tuple[Batch, int]]] = {}

    async def prepare(self) -> None:
        self._world.ledger.producers_left += 1

    async def work(self) -> None:
        while True:
            was_finishing = self._world.finishing
            try:
                if self._identity == (-1, -1):
                    await self._begin_anew()
                done = await self._burst(await self._caller.client())
            except ConnectionGoneError:
                await self._caller.pause()
                continue
            if done and was_finishing:
                break
            if done:
                await self._source.rest()
            else:
                await self._caller.pause()
        self._caller.hang_up()
        self._world.ledger.producers_left -= 1

    async def check(self) -> None:
        pass

    async def _begin_anew(self) -> None:
        """Get a producer id, which nobody else has or had. ConnectionGoneError."""
        answer, _ = await self._caller.insist(
            lambda: InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000),
            4,
            InitProducerIdResponse,
            lambda answer: answer.error_code,
        )
        must_be(answer.error_code, who=self.name, what="InitProducerId")
        if answer.producer_id in self._world.ledger.producer_ids:
            raise InvariantError(f"producer id {answer.producer_id} was given out twice")
        self._world.ledger.producer_ids.add(answer.producer_id)
        self._identity = answer.producer_id, answer.producer_epoch
        self._open.clear()
        self._stored.clear()
        self._next_sequence.clear()
        for partition in self._source.partitions:
            self._losses[partition] = self._world.ledger.bounds(partition).losses
            # A producer that is not known may begin anywhere: some do just before the numbers end.
            begins_late = self._chance.random() < 0.1
            self._next_sequence[partition] = SEQUENCES - 4 if begins_late else 0

    async def _burst(self, client: Client) -> bool:
        """What is open, then new batches; whether all have their answers. ConnectionGoneError."""
        under_way: list[tuple[Batch, asyncio.Future[ProduceResponse]]] = []
        repeated = self._repeat(client)
        if self._life != self._world.moves:
            self._life, self._orphans = self._world.moves, list(self._open)
        for batch in [*self._open, *self._new_batches()]:
            request = produce_request([(batch.partition, batch.data)], acks=self._acks)
            under_way.append((batch, client.send(request, PRODUCE_VERSION, ProduceResponse)))
        self._open = [batch for batch, _ in under_way]
        if repeated is not None:
            await self._check_repeated(*repeated)
        failed: dict[Partition, ErrorCode] = {}
        for batch, future in under_way:
            told = answers_by_partition(await future)[batch.partition]
            if not self._take(batch, told, failed):
                return False
        return not failed

    def _new_batches(self) -> list[Batch]:
        """As many as may be in flight besides those that are open."""
        count: dict[Partition, int] = {}
        for batch in self._open:
            count[batch.partition] = count.get(batch.partition, 0) + 1
        sender = f"{self.name}/{self._identity[0]}"
        batches = []
        for _ in range(self._chance.randint(1, 8)):
            partition = self._chance.choice(self._source.partitions)
            if count.get(partition, 0) < REMEMBERED_BATCHES:
                count[partition] = count.get(partition, 0) + 1
                sequence = self._next_sequence[partition]
                batch = self._source.batch(
                    partition, sender, producer=self._identity, sequence=sequence
                )
                self._next_sequence[partition] = (sequence + len(batch.values)) % SEQUENCES
                batches.append(batch)
        return batches

    def _take(
        self, batch: Batch, told: PartitionProduceResponse, failed: dict[Partition, ErrorCode]
    ) -> bool:
        """An answer; False where the producer has to begin anew. `failed`: where a batch before
        this one has to be sent again, so that this one could not be in its turn."""
        code = ErrorCode(told.error_code)
        partition = batch.partition
        if code in FORGOTTEN:
            ledger = self._world.ledger
            lost = ledger.bounds(partition).losses != self._losses[partition]
            if lost or partition in ledger.forgetful:
                self._world.note(f"{self.name}: {code.name} after a power loss")
                self._world.situations.saw("producer begun anew")
                self._identity = (-1, -1)
                return False
            if code is not ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
                raise self._out_of_order(batch, code)
            if partition not in failed:
                raise self._out_of_order(batch, code)
            return True
        must_be(code, *RETRIABLE, who=self.name, what="a batch")
        if code is not ErrorCode.NONE:
            failed.setdefault(partition, code)
            return True
        if partition in failed and failed[partition] not in self._may_be_stored:
            raise InvariantError(
                f"{self.name}: sequence {batch.sequence} of {self._identity} was stored, "
                f"though one before it was not"
            )
        saw = self._world.situations.saw
        if batch in self._orphans:
            saw("batch confirmed after a restart")
        if batch.sequence + len(batch.values) > SEQUENCES:
            saw("sequence numbers wrapped")
        self._open.remove(batch)
        self._source.acknowledged(batch, told.base_offset)
        stored = self._stored.setdefault(partition, deque(maxlen=REMEMBERED_BATCHES))
        stored.append((batch, told.base_offset))
        return True

    def _out_of_order(self, batch: Batch, code: ErrorCode) -> InvariantError:
        return InvariantError(
            f"{self.name}: {shown(batch.values[0])}, sequence {batch.sequence} of "
            f"{self._identity}, to {at(batch.partition, None)}: {code.name}"
        )

    # A batch that was answered is sent once more: a client cannot always know.

    def _repeat(self, client: Client) -> tuple[Batch, int, asyncio.Future[ProduceResponse]] | None:
        partitions = sorted(self._stored.keys() - self._world.ledger.forgetful)
        if not partitions or self._chance.random() > 0.2:
            return None
        stored = self._stored[self._chance.choice(partitions)]
        batch, offset = self._chance.choice(stored)
        if any(each.partition == batch.partition for each in self._open):
            return None  # it may not be one of the last five any more
        request = produce_request([(batch.partition, batch.data)], acks=self._acks)
        return batch, offset, client.send(request, PRODUCE_VERSION, ProduceResponse)

    async def _check_repeated(
        self, batch: Batch, offset: int, future: asyncio.Future[ProduceResponse]
    ) -> None:
        told = answers_by_partition(await future)[batch.partition]
        code = ErrorCode(told.error_code)
        if code in RETRIABLE or self._losses[batch.partition] != (
            self._world.ledger.bounds(batch.partition).losses
        ):
            return
        if code is not ErrorCode.NONE or told.base_offset != offset:
            raise InvariantError(
                f"{self.name}: {at(batch.partition, offset)} sent again was answered "
                f"{code.name}, offset {told.base_offset}"
            )
        self._world.counts["repeated"] += 1
        self._world.situations.saw("batch found again")
