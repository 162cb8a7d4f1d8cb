"""As much of aiokafka as the workers use, said in types; it is imported where a run wants it.

The library is as it was installed: nothing of it is replaced but the time (`virtual_time`).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Place(Protocol):
    """A TopicPartition, which is a tuple as well."""

    topic: str
    partition: int


class Metadata(Protocol):
    """What a producer is told of a record. -1: not where."""

    offset: int


class Record(Protocol):
    offset: int
    value: bytes


class Client(Protocol):
    """What producers and consumers have in common."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Producer(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def send(
        self, topic: str, value: bytes, *, partition: int, timestamp_ms: int
    ) -> Awaitable[asyncio.Future[Metadata]]: ...


class Consumer(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def subscribe(self, topics: Sequence[str], *, listener: object) -> None: ...

    def assignment(self) -> frozenset[Place]: ...

    async def getmany(self, *, timeout_ms: int) -> Mapping[Place, Sequence[Record]]: ...

    async def commit(self, offsets: Mapping[Place, int]) -> None: ...

    async def committed(self, place: Place) -> int | None: ...

    async def position(self, place: Place) -> int: ...


@dataclass(frozen=True, slots=True)
class Library:
    """`errors` is what its calls raise: of its own, of the network, of time.

    `forgotten`: the broker does not know a producer's sequence numbers. `not_assigned`: a call for
    a partition that the member does not own any more, which was sent to nobody.
    """

    producer: Callable[..., Producer]
    consumer: Callable[..., Consumer]
    place: Callable[[str, int], Place]
    register_listener: Callable[[type], object]
    errors: tuple[type[Exception], ...]
    forgotten: tuple[type[Exception], ...]
    not_assigned: type[Exception]


STOP_S = 30.0
"""After which a client that does not come to its end is left."""


def is_installed() -> bool:
    return importlib.util.find_spec("aiokafka") is not None


def load() -> Library:
    """ImportError where it is not installed. Its log is left out: a broker that is gone is no news
    in a run."""
    aiokafka = importlib.import_module("aiokafka")
    errors = importlib.import_module("aiokafka.errors")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    return Library(
        producer=aiokafka.AIOKafkaProducer,
        consumer=aiokafka.AIOKafkaConsumer,
        place=aiokafka.TopicPartition,
        register_listener=aiokafka.ConsumerRebalanceListener.register,
        errors=(errors.KafkaError, OSError, TimeoutError),
        forgotten=(
            errors.OutOfOrderSequenceNumber,
            errors.UnknownProducerId,
            errors.InvalidProducerEpoch,
            errors.DuplicateSequenceNumber,
            errors.ProducerFenced,
        ),
        not_assigned=errors.IllegalStateError,
    )


async def start(client: Client, library: Library) -> bool:
    """It connects at its start and gives up where there is no broker; False then."""
    try:
        await client.start()
    except library.errors:
        await stop(client, library)
        return False
    return True


async def stop(client: Client, library: Library) -> None:
    """A stop that waits for a broker which is gone is given up.

    The library may let out the cancellation of a task of its own, which is none of ours.
    """
    try:
        with contextlib.suppress(*library.errors):
            await asyncio.wait_for(client.stop(), STOP_S)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
