"""Producers that stay open: a scenario sends, does something to the broker, sends more, and asks in
the end what became of each record.

Every client library has its `Sending`; what a driver does with it is here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import closing
from typing import Any, Protocol

from protocol import Record, Sent


class Sending(Protocol):
    """A library's producer to one topic, and the records that it was given."""

    def send(self, records: list[Record]) -> None:
        """Takes them, in order, and waits for nothing but room."""

    def finish(self) -> list[Sent]:
        """Waits for all, and says what became of each."""

    def close(self) -> None:
        """Ends it; what is not sent by then is lost."""


class ProducerOperations:
    """The part of a driver that produces. Mutable: the open producers by handle."""

    def __init__(self) -> None:
        super().__init__()
        self._sendings: dict[int, Sending] = {}

    @abstractmethod
    def sending(self, bootstrap: str, topic: str, options: dict[str, Any]) -> Sending:
        """The library's producer; options as in `protocol.Driver.produce`."""

    def produce(
        self, bootstrap: str, topic: str, records: list[Record], options: dict[str, Any]
    ) -> list[Sent]:
        with closing(self.sending(bootstrap, topic, options)) as sending:
            sending.send(records)
            return sending.finish()

    def open_producer(self, bootstrap: str, topic: str, options: dict[str, Any]) -> int:
        handle = len(self._sendings)
        self._sendings[handle] = self.sending(bootstrap, topic, options)
        return handle

    def send(self, handle: int, records: list[Record]) -> None:
        self._sendings[handle].send(records)

    def finish_producer(self, handle: int) -> list[Sent]:
        with closing(self._sendings[handle]) as sending:
            return sending.finish()
