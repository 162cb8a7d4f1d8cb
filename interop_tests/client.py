"""The abstract client: one driver process, called with Python values; its counterpart is
drivers/protocol.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from interop_tests.clients import ClientSpec
from interop_tests.drivers.protocol import (
    OPERATION_TIMEOUT_S,
    ClientError,
    Deadline,
    Position,
    Received,
    Record,
    Sent,
    received_from_json,
    record_to_json,
)

DRIVERS = Path(__file__).resolve().parent / "drivers"
ANSWER_TIMEOUT_S = OPERATION_TIMEOUT_S + 30.0
"""A driver that has not even reported TIMED_OUT by then is ended."""

UNLIMITED_FETCH_BYTES = 50 << 20


PRODUCER: Mapping[str, Any] = {
    "codec": "none",
    "acks": -1,
    "idempotence": False,
    "max_request_bytes": 1_000_000,
    "batch_bytes": 16_384,
    "metadata_wait_ms": 55_000,
}
"""Options of a producer, and their defaults."""


class Answer:
    """An operation under way; `wait` gives its result or raises ClientError."""

    def __init__(self, client: Client, operation: str) -> None:
        self._client = client
        self._operation = operation

    def wait(self) -> Any:
        line = self._client.read_answer()
        if not line:
            raise ClientError("DRIVER_ENDED", f"no answer to {self._operation}")
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(answer["error"]["name"], answer["error"]["detail"])
        return answer["result"]


class Producer:
    """An open producer. Mutable: once it has finished, what became of its records."""

    def __init__(self, client: Client, handle: int) -> None:
        self._client = client
        self._handle = handle
        self._sent: list[Sent] | None = None

    def send(self, records: Sequence[Record]) -> None:
        """Gives it records, in order; it sends them meanwhile."""
        fields = [record_to_json(record) for record in records]
        self._client.start("send", handle=self._handle, records=fields).wait()

    def finish(self) -> list[Sent]:
        """Waits for all, ends it, and says what became of each."""
        if self._sent is None:
            answer = self._client.start("finish_producer", handle=self._handle)
            self._sent = self._client.finish_produce(answer)
        return self._sent


class Consumer:
    """An open consumer with its partitions assigned and its positions resolved."""

    def __init__(self, client: Client, handle: int) -> None:
        self._client = client
        self._handle = handle

    def poll(self, count: int) -> list[Received]:
        """Exactly `count` more records, in each partition's order; ClientError when they do not
        come."""
        return _received(self._client.start("poll", handle=self._handle, count=count).wait())

    def start_poll(self, count: int) -> Answer:
        """Begins a poll that the scenario ends with `finish_poll`, so that it can produce in
        between."""
        return self._client.start("poll", handle=self._handle, count=count)

    @staticmethod
    def finish_poll(answer: Answer) -> list[Received]:
        return _received(answer.wait())


class Member:
    """A member of a group, which polls by itself. Mutable: what is known of it, and `received`."""

    def __init__(self, client: Client, handle: int) -> None:
        self.received: list[Received] = []
        self.assigned: list[int] = []
        self.rebalances = 0
        self.error: str | None = None
        self.is_gone = False
        self._client = client
        self._handle = handle
        self._known = -1
        self._count = 0

    def look(self) -> None:
        """Takes in what is new; waits for a moment where nothing is."""
        state = self._ask("member_state", known=self._known)
        self._known = state["version"]
        self.assigned, self.rebalances = state["assigned"], state["rebalances"]
        self.error = state["error"]
        if state["received"] != self._count:
            self.received += _received(self._ask("take"))
            self._count = len(self.received)

    def seek(self, partition: int, offset: int) -> None:
        self._ask("member_call", method="seek", arguments=[partition, offset])

    def commit(self) -> None:
        self._ask("member_call", method="commit", arguments=[])

    def committed(self, partition: int) -> int | None:
        found = self._ask("member_call", method="committed", arguments=[partition])
        return None if found is None else int(found)

    def position(self, partition: int) -> int:
        return int(self._ask("member_call", method="position", arguments=[partition]))

    def leave(self) -> None:
        """Goes, and keeps what it received until then; once gone, it has no more to say."""
        if self.is_gone:
            return
        self._ask("close_member")
        self.received += _received(self._ask("take"))
        self.assigned = []
        self.is_gone = True

    def _ask(self, operation: str, **arguments: Any) -> Any:
        return self._client.start(operation, handle=self._handle, **arguments).wait()


class Client:
    """A driver of one client library against one broker after another. Mutable: the driver's
    process."""

    def __init__(self, spec: ClientSpec) -> None:
        self.spec = spec
        self.bootstrap = ""
        self._unanswered = 0
        self._process = subprocess.Popen(
            [spec.python(), str(DRIVERS / spec.driver)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # With the processes that it starts itself, which are to end with it.
            start_new_session=True,
        )
        self.version = self._hello()

    def _hello(self) -> str:
        """The client's version. A driver that ends here could not import its library."""
        try:
            return str(self.start("hello").wait()["version"])
        except ClientError as error:
            if error.name != "DRIVER_ENDED":
                raise
            advice = "pip install -r interop_tests/requirements.txt"
            raise ClientError("CLIENT_MISSING", f"{self.spec.name}: {advice}") from error

    @property
    def usable(self) -> bool:
        """Runs, and owes no answer: a scenario that failed half-way may leave one."""
        return self._process.poll() is None and self._unanswered == 0

    def start(self, operation: str, **arguments: Any) -> Answer:
        """Sends one operation; a driver does one at a time."""
        assert self._process.stdin is not None
        request = {"op": operation, "arguments": arguments}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self._unanswered += 1
        return Answer(self, operation)

    def read_answer(self) -> str:
        """The next answer's line; empty when the driver ended, as it does when it takes too
        long."""
        assert self._process.stdout is not None
        alarm = threading.Timer(ANSWER_TIMEOUT_S, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        self._unanswered -= 1
        return line

    def _call(self, operation: str, **arguments: Any) -> Any:
        return self.start(operation, bootstrap=self.bootstrap, **arguments).wait()

    def close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it was killed, and never read what was said last
            self._process.stdin.close()
        self._process.terminate()
        self._process.wait()
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the driver, and to what it has started: its members say no goodbye."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def start_produce(self, topic: str, records: Sequence[Record], **options: Any) -> Answer:
        """Begins to send; `finish_produce` gives what became of each record."""
        return self.start(
            "produce",
            bootstrap=self.bootstrap,
            topic=topic,
            records=[record_to_json(record) for record in records],
            options=_of_known(PRODUCER, options),
        )

    @staticmethod
    def finish_produce(answer: Answer) -> list[Sent]:
        return [Sent(*fields) for fields in answer.wait()]

    def try_produce(self, topic: str, records: Sequence[Record], **options: Any) -> list[Sent]:
        """Sends all records in order, pipelined, and says what became of each."""
        return self.finish_produce(self.start_produce(topic, records, **options))

    def produce(self, topic: str, records: Sequence[Record], **options: Any) -> list[Sent]:
        """As `try_produce`, and asserts that every record was taken."""
        sent = self.try_produce(topic, records, **options)
        errors = sorted({one.error for one in sent if one.error is not None})
        assert not errors, f"{self.spec.name} could not produce: {errors}"
        return sent

    @contextmanager
    def producer(self, topic: str, **options: Any) -> Iterator[Producer]:
        """One that goes on while the scenario does something else, to the end of the block."""
        settings = _of_known(PRODUCER, options)
        producer = Producer(self, self._call("open_producer", topic=topic, options=settings))
        try:
            yield producer
        finally:
            if self.usable:
                producer.finish()

    @contextmanager
    def consumer(
        self,
        topic: str,
        positions: Mapping[int, Position],
        *,
        isolation: str = "read_uncommitted",
        max_bytes: int = UNLIMITED_FETCH_BYTES,
        max_partition_bytes: int = 1 << 20,
    ) -> Iterator[Consumer]:
        options = {
            "isolation": isolation,
            "max_bytes": max_bytes,
            "max_partition_bytes": max_partition_bytes,
        }
        handle = self._call("open_consumer", topic=topic, positions=positions, options=options)
        try:
            yield Consumer(self, handle)
        finally:
            if self.usable:
                self.start("close_consumer", handle=handle).wait()

    def consume(
        self, topic: str, positions: Mapping[int, Position], count: int, **options: Any
    ) -> list[Received]:
        """Exactly `count` records from the positions on."""
        with self.consumer(topic, positions, **options) as consumer:
            return consumer.poll(count)

    def list_offset(self, topic: str, position: Position, partition: int = 0) -> int | None:
        answer = self._call("list_offset", topic=topic, partition=partition, position=position)
        return None if answer is None else int(answer)

    def metadata(self, topic: str | None = None) -> dict[str, Any]:
        metadata: dict[str, Any] = self._call("metadata", topic=topic)
        return metadata

    def create_topic(
        self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None
    ) -> None:
        self._call("create_topic", topic=topic, partitions=partitions, configs=configs or {})

    def create_served_topic(
        self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None
    ) -> None:
        """Creates a topic and waits until each partition's leader answers. Kafka answers a creation
        before; a librdkafka producer that is not idempotent then reorders what it has to repeat."""
        self.create_topic(topic, partitions, configs)
        self.wait_until_served(topic, partitions)

    def wait_until_served(self, topic: str, partitions: int) -> None:
        """Waits until the leader of each partition answers."""
        deadline = Deadline()
        while not self._is_served(topic, partitions):
            deadline.check(f"{topic} was created, and is still unknown")

    def _is_served(self, topic: str, partitions: int) -> bool:
        try:
            with self.consumer(topic, dict.fromkeys(range(partitions), "latest")):
                return True
        except ClientError as error:
            if error.name != "UNKNOWN_TOPIC_OR_PARTITION":
                raise
            return False

    def delete_topic(self, topic: str) -> None:
        self._call("delete_topic", topic=topic)

    def commit(self, group: str, topic: str, offsets: Mapping[int, tuple[int, str]]) -> None:
        self._call("commit", group=group, topic=topic, offsets=offsets)

    def committed(
        self, group: str, topic: str, partitions: Sequence[int]
    ) -> dict[int, tuple[int, str] | None]:
        answer = self._call("committed", group=group, topic=topic, partitions=partitions)
        return {int(at): None if found is None else tuple(found) for at, found in answer.items()}

    @contextmanager
    def member(self, group: str, topic: str, **options: Any) -> Iterator[Member]:
        """A member of a group, which leaves in the end, if it has not before. Its heartbeats are so
        frequent that a rebalance is a matter of a moment."""
        settings = {
            "client_id": "interop",
            "assignor": "range",
            "reset": "earliest",
            "instance": None,
            "session_ms": 10_000,
            "heartbeat_ms": 150,
            "commits": True,
        }
        settings = _of_known(settings, options)
        handle = self._call("open_member", group=group, topic=topic, options=settings)
        member = Member(self, handle)
        try:
            yield member
        finally:
            if self.usable:
                member.leave()
            member.is_gone = True

    def list_groups(self) -> dict[str, str | None]:
        return dict(self._call("list_groups"))

    def describe_group(self, group: str) -> dict[str, Any]:
        return dict(self._call("describe_group", group=group))

    def delete_group(self, group: str) -> None:
        self._call("delete_group", group=group)

    def group_offsets(self, group: str, topic: str) -> dict[int, int]:
        answer = self._call("group_offsets", group=group, topic=topic)
        return {int(at): offset for at, offset in answer.items()}

    def alter_group_offsets(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        self._call("alter_group_offsets", group=group, topic=topic, offsets=offsets)

    def delete_group_offsets(self, group: str, topic: str, partitions: Sequence[int]) -> None:
        self._call("delete_group_offsets", group=group, topic=topic, partitions=partitions)

    def remove_member(self, group: str, instance: str) -> None:
        self._call("remove_member", group=group, instance=instance)


class Drivers:
    """The drivers of a worker by client, started on demand. Mutable: one that is no longer usable
    is replaced."""

    def __init__(self) -> None:
        self._drivers: dict[str, Client] = {}

    def client(self, spec: ClientSpec, bootstrap: str, *, role: str = "") -> Client:
        """A client for this broker; another role is another process of the same client."""
        key = spec.name + role
        client = self._drivers.get(key)
        if client is not None and not client.usable:
            client.close()
            client = None
        if client is None:
            client = self._drivers[key] = Client(spec)
        client.bootstrap = bootstrap
        return client

    def close(self) -> None:
        for client in self._drivers.values():
            client.close()


def _of_known(defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """These options, and the defaults of the others."""
    assert options.keys() <= defaults.keys(), f"unknown: {options.keys() - defaults.keys()}"
    return {**defaults, **options}


def _received(fields: list[list[Any]]) -> list[Received]:
    return [received_from_json(one) for one in fields]
