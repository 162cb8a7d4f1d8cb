"""First batches of producers that were refused for the moment, and come again.

A partition takes a producer that it does not know with any sequence: it may have forgotten it. So
where the first of several batches in flight was refused, because this broker does not lead the
partition yet or too few are in sync, and the next one meets a broker that takes it, the producer's
order would be lost, and with it the producer: the first one is out of order for good. Counterparts:
`log.producer_state` (batches that the disk refused), `handlers.produce`.
"""

from __future__ import annotations

import asyncio

from log.producer_state import ProducerState
from log.validation import only_batch
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import BatchHeader

Place = tuple[str | bytes, int]
"""Topic, by name or id as the client says it, and partition."""

COME_AGAIN = frozenset(
    [
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.KAFKA_STORAGE_ERROR,
    ]
)
"""Refusals after which a client sends the same batch once more."""
KEPT_S = 120.0
"""What was in flight behind a batch has come by then; a client gives a batch up at that age."""
MOST = 10_000
"""Of more, the oldest are forgotten."""


class AwaitedBatches:
    """Mutable; empty, and so falsy, nearly always."""

    def __init__(self) -> None:
        # (producer id, place) -> (epoch, sequence, when it was refused), the oldest first.
        self._awaited: dict[tuple[int, Place], tuple[int, int, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._awaited)

    def refused(self, place: Place, records: memoryview | None, code: ErrorCode) -> None:
        """A Produce was answered `code` for these records."""
        if code not in COME_AGAIN or records is None:
            return
        try:
            header = only_batch(records)
        except KafkaError:
            return
        if not header.has_producer_id:
            return
        now = asyncio.get_running_loop().time()
        key = header.producer_id, place
        epoch, _, since = self._awaited.get(key, (-1, 0, 0.0))
        if epoch == header.producer_epoch and now - since < KEPT_S:
            return  # it came behind one that is awaited already
        self._awaited.pop(key, None)
        if len(self._awaited) >= MOST:
            del self._awaited[next(iter(self._awaited))]
        self._awaited[key] = header.producer_epoch, header.base_sequence, now

    def check(self, place: Place, header: BatchHeader, known: ProducerState) -> None:
        """KafkaError(OUT_OF_ORDER_SEQUENCE_NUMBER): another batch of this producer comes first.
        Who is known in the partition has a next sequence there, and needs no such rule."""
        key = header.producer_id, place
        found = self._awaited.get(key)
        if found is None:
            return
        epoch, sequence, since = found
        is_awaited = (
            epoch == header.producer_epoch
            and sequence != header.base_sequence
            and known.entry(header.producer_id) is None
            and asyncio.get_running_loop().time() - since < KEPT_S
        )
        if is_awaited:
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {header.producer_id} with epoch {epoch} sent sequence "
                f"{header.base_sequence}, but {sequence} was refused and has not come again",
            )

    def stored(self, place: Place, header: BatchHeader) -> None:
        """A batch is in its partition."""
        self._awaited.pop((header.producer_id, place), None)
