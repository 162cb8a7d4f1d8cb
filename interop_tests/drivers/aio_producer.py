"""aiokafka as a producer, with an event loop of its own that runs all the time (see aio.py)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from protocol import OPERATION_TIMEOUT_S, ClientError, Record, Sent, error_name

T = TypeVar("T")


class AiokafkaSending:
    """Mutable: the loop's thread, and what it was given."""

    def __init__(self, bootstrap: str, topic: str, options: dict[str, Any]) -> None:
        self._topic = topic
        self._futures: list[asyncio.Future[Any]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._producer = self._wait(_start(bootstrap, options))
        except BaseException:
            self._end_loop()
            raise

    def send(self, records: list[Record]) -> None:
        self._wait(self._send(records))

    def finish(self) -> list[Sent]:
        return self._wait(self._finish())

    def close(self) -> None:
        try:
            self._wait(self._producer.stop())
        finally:
            self._end_loop()

    async def _send(self, records: list[Record]) -> None:
        for record in records:
            self._futures.append(
                await self._producer.send(
                    self._topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                )
            )

    async def _finish(self) -> list[Sent]:
        return [await _sent(future) for future in self._futures]

    def _wait(self, operation: Coroutine[Any, Any, T]) -> T:
        """What it answers, from another thread."""
        bounded = asyncio.wait_for(operation, OPERATION_TIMEOUT_S)
        try:
            return asyncio.run_coroutine_threadsafe(bounded, self._loop).result()
        except TimeoutError as error:
            raise ClientError("TIMED_OUT") from error

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _start(bootstrap: str, options: dict[str, Any]) -> AIOKafkaProducer:
    codec = options["codec"]
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks={0: 0, 1: 1, -1: "all"}[options["acks"]],
        compression_type=None if codec == "none" else codec,
        enable_idempotence=options["idempotence"],
        max_request_size=options["max_request_bytes"],
        max_batch_size=options["batch_bytes"],
        linger_ms=5,
        # How long it waits for an unknown topic's metadata, too.
        request_timeout_ms=options["metadata_wait_ms"],
    )
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def _sent(future: asyncio.Future[Any]) -> Sent:
    try:
        place = await future
    except KafkaError as error:
        return Sent(error=error_name(getattr(error, "errno", None), type(error).__name__))
    if place is None:  # with acks=0 no answer ever comes
        return Sent()
    return Sent(place.partition, place.offset if place.offset >= 0 else None)
