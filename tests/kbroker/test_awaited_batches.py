"""First batches that were refused and come again: who has to wait for them, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from kbroker.awaited_batches import COME_AGAIN, KEPT_S, MOST, AwaitedBatches
from log.producer_state import ProducerState
from log.validation import only_batch
from tests.kbroker.broker_harness import MovableLoop, batch_of, run
from wire.errors import ErrorCode, KafkaError

PLACE = ("t", 0)
NOBODY = ProducerState(producer_id_expiration_ms=1000)


def batch(sequence: int, *, producer: int = 5, epoch: int = 0) -> memoryview:
    return batch_of(b"v", producer_id=producer, producer_epoch=epoch, base_sequence=sequence)


def is_taken(
    awaited: AwaitedBatches, records: memoryview, known: ProducerState = NOBODY, where: int = 0
) -> bool:
    try:
        awaited.check(("t", where), only_batch(records), known)
    except KafkaError as error:
        return error.code is not ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    return True


@pytest.mark.parametrize("code", sorted(COME_AGAIN))
def test_others_of_its_epoch_wait_for_it(code: ErrorCode) -> None:
    async def scene() -> None:
        awaited = AwaitedBatches()
        assert not awaited
        awaited.refused(PLACE, batch(0), code)
        awaited.refused(PLACE, batch(1), code)
        assert awaited
        assert not is_taken(awaited, batch(1))
        assert is_taken(awaited, batch(0))
        assert is_taken(awaited, batch(1), where=1)
        assert is_taken(awaited, batch(1, producer=6))
        assert is_taken(awaited, batch(0, epoch=1))
        awaited.stored(PLACE, only_batch(batch(0)))
        assert not awaited
        assert is_taken(awaited, batch(1))

    run(scene)


def test_what_is_known_better_or_long_ago_is_no_reason_to_wait() -> None:
    async def scene() -> None:
        awaited = AwaitedBatches()
        awaited.refused(PLACE, batch(0), ErrorCode.NOT_LEADER_OR_FOLLOWER)
        known = ProducerState(producer_id_expiration_ms=1000)
        known.replay(only_batch(batch(0)))
        assert is_taken(awaited, batch(1), known)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        loop.advance(KEPT_S)
        assert is_taken(awaited, batch(1))
        awaited.refused(PLACE, batch(3), ErrorCode.NOT_LEADER_OR_FOLLOWER)
        assert not is_taken(awaited, batch(4))

    run(scene)


def test_what_does_not_come_again_is_not_awaited() -> None:
    async def scene() -> None:
        awaited = AwaitedBatches()
        awaited.refused(PLACE, batch(0), ErrorCode.MESSAGE_TOO_LARGE)
        awaited.refused(PLACE, None, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        awaited.refused(PLACE, memoryview(b"junk"), ErrorCode.NOT_LEADER_OR_FOLLOWER)
        awaited.refused(PLACE, batch_of(b"v"), ErrorCode.NOT_LEADER_OR_FOLLOWER)
        assert not awaited
        for producer in range(MOST + 1):
            awaited.refused(PLACE, batch(0, producer=producer), ErrorCode.NOT_LEADER_OR_FOLLOWER)
        assert len(awaited._awaited) == MOST
        assert is_taken(awaited, batch(1, producer=0))
        assert not is_taken(awaited, batch(1, producer=1))

    run(scene)
