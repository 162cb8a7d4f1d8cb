"""Members of consumer groups: a consumer in a thread of its own, which polls until it is told to
go, so that a rebalance never waits for the scenario.

Every client library has its `GroupConsumer`; what a driver does with it is here, once.
"""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from protocol import OPERATION_TIMEOUT_S, Received, error_name

POLL_S = 0.05
"""How long a poll waits for records."""
CHANGE_WAIT_S = 0.25
"""How long `member_state` waits for something new; then it answers what it knows."""


class GroupConsumer(Protocol):
    """A library's consumer that has subscribed to one topic. `rebalances` counts how often it was
    given partitions."""

    rebalances: int

    def poll(self) -> list[Received]:
        """What has come, after POLL_S at the latest."""

    def assignment(self) -> list[int]:
        """The partitions that it has now, sorted."""

    def commit(self) -> None:
        """Commits the positions, and returns once the broker has them."""

    def seek(self, partition: int, offset: int) -> None: ...

    def committed(self, partition: int) -> int | None: ...

    def position(self, partition: int) -> int: ...

    def close(self) -> None:
        """Leaves the group, unless it is a static member, and ends."""


class Member:
    """One member. Mutable: what it has received, and what it knows of its group."""

    def __init__(self, open_consumer: Callable[[], GroupConsumer], *, commits: bool) -> None:
        self._open_consumer = open_consumer
        self._commits = commits
        self._calls: queue.SimpleQueue[tuple[str, list[Any], Future[Any]]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._state: dict[str, Any] = {"assigned": [], "rebalances": 0, "received": 0}
        self._version = 0
        self._records: list[Received] = []
        self._error: str | None = None
        self._is_leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            consumer = self._open_consumer()
            while not self._is_leaving.is_set():
                self._serve(consumer)
                self._take_in(consumer)
            consumer.close()
        except Exception as error:  # noqa: BLE001 - a library may raise anything; the scenario judges it
            name = getattr(error, "name", None) or type(error).__name__
            self._error = f"{error_name(getattr(error, 'errno', None), name)}: {error}"
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _serve(self, consumer: GroupConsumer) -> None:
        """Does what the scenario asked for, between two polls: consumers are not for threads."""
        while not self._calls.empty():
            method, arguments, future = self._calls.get()
            try:
                future.set_result(getattr(consumer, method)(*arguments))
            except Exception as error:  # noqa: BLE001 - as above
                future.set_exception(error)

    def _take_in(self, consumer: GroupConsumer) -> None:
        records = consumer.poll()
        # It counts as received once it is committed: who waits for it may end this process then.
        if records and self._commits:
            self._commit(consumer)
        with self._changed:
            self._records += records
            state = {
                "assigned": consumer.assignment(),
                "rebalances": consumer.rebalances,
                "received": self._state["received"] + len(records),
            }
            if state != self._state:
                self._state = state
                self._version += 1
                self._changed.notify_all()

    @staticmethod
    def _commit(consumer: GroupConsumer) -> None:
        """A rebalance may be faster than a commit: then another member gets the records again."""
        try:
            consumer.commit()
        except Exception as error:  # noqa: BLE001 - each library has its own; the offsets tell
            print(f"not committed: {error!r}", flush=True)

    def state(self, known: int) -> dict[str, Any]:
        """What it knows, as soon as that is newer than version `known`, or after a while."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > known, CHANGE_WAIT_S)
            return {**self._state, "version": self._version, "error": self._error}

    def take(self) -> list[Received]:
        with self._changed:
            taken, self._records = self._records, []
            return taken

    def call(self, method: str, arguments: list[Any]) -> Any:
        future: Future[Any] = Future()
        self._calls.put((method, arguments, future))
        return future.result(OPERATION_TIMEOUT_S)

    def leave(self) -> None:
        self._is_leaving.set()
        self._thread.join(OPERATION_TIMEOUT_S)


class MemberOperations:
    """The part of a driver that has to do with members. Mutable: the members by handle."""

    def __init__(self) -> None:
        self._members: dict[int, Member] = {}

    @abstractmethod
    def group_consumer(
        self, bootstrap: str, group: str, topic: str, options: dict[str, Any]
    ) -> GroupConsumer:
        """The library's consumer, subscribed. It is called, and used, in the member's thread."""

    def open_member(self, bootstrap: str, group: str, topic: str, options: dict[str, Any]) -> int:
        handle = len(self._members)
        self._members[handle] = Member(
            lambda: self.group_consumer(bootstrap, group, topic, options),
            commits=options["commits"],
        )
        return handle

    def member_state(self, handle: int, known: int) -> dict[str, Any]:
        return self._members[handle].state(known)

    def take(self, handle: int) -> list[Received]:
        return self._members[handle].take()

    def member_call(self, handle: int, method: str, arguments: list[Any]) -> Any:
        return self._members[handle].call(method, arguments)

    def close_member(self, handle: int) -> None:
        self._members[handle].leave()
