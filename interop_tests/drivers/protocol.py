"""The driver protocol: how a scenario speaks to a client library that lives in another process.

A driver is a program that reads one JSON object a line from stdin, `{"op": name, "arguments":
{...}}`, and answers each with one line on its original stdout: `{"result": ...}` or `{"error":
{"name": ..., "detail": ...}}`. Whatever the library itself prints goes to stderr. Bytes travel as
base64. The operations are `Driver`'s methods, and, as `admin.<name>`, those of its `admin`: what
these take and answer is JSON's already, and `interop_tests/admin.py` declares it. A driver knows
nothing of scenarios, pytest or the broker under test; its counterpart is `interop_tests/client.py`.

This module needs only the standard library: it also runs in the environments that hold nothing but
one old client.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

OPERATION_TIMEOUT_S = 60.0
"""How long an operation may take before its driver answers TIMED_OUT; the caller waits a little
longer."""

KAFKA_ERROR_NAMES = {
    -1: "UNKNOWN_SERVER_ERROR",
    1: "OFFSET_OUT_OF_RANGE",
    2: "CORRUPT_MESSAGE",
    3: "UNKNOWN_TOPIC_OR_PARTITION",
    5: "LEADER_NOT_AVAILABLE",
    6: "NOT_LEADER_OR_FOLLOWER",
    7: "REQUEST_TIMED_OUT",
    10: "MESSAGE_TOO_LARGE",
    12: "OFFSET_METADATA_TOO_LARGE",
    14: "COORDINATOR_LOAD_IN_PROGRESS",
    15: "COORDINATOR_NOT_AVAILABLE",
    16: "NOT_COORDINATOR",
    17: "INVALID_TOPIC_EXCEPTION",
    22: "ILLEGAL_GENERATION",
    25: "UNKNOWN_MEMBER_ID",
    27: "REBALANCE_IN_PROGRESS",
    32: "INVALID_TIMESTAMP",
    35: "UNSUPPORTED_VERSION",
    36: "TOPIC_ALREADY_EXISTS",
    37: "INVALID_PARTITIONS",
    38: "INVALID_REPLICATION_FACTOR",
    39: "INVALID_REPLICA_ASSIGNMENT",
    40: "INVALID_CONFIG",
    42: "INVALID_REQUEST",
    44: "POLICY_VIOLATION",
    45: "OUT_OF_ORDER_SEQUENCE_NUMBER",
    54: "SECURITY_DISABLED",
    56: "KAFKA_STORAGE_ERROR",
    68: "NON_EMPTY_GROUP",
    69: "GROUP_ID_NOT_FOUND",
    76: "UNSUPPORTED_COMPRESSION_TYPE",
    82: "FENCED_INSTANCE_ID",
    84: "ELECTION_NOT_NEEDED",
    85: "NO_REASSIGNMENT_IN_PROGRESS",
    86: "GROUP_SUBSCRIBED_TO_TOPIC",
    87: "INVALID_RECORD",
    100: "UNKNOWN_TOPIC_ID",
}
"""Kafka's own names of the error codes that a scenario may meet; any other is CODE_<n>."""

Headers = tuple[tuple[str, "bytes | None"], ...]


class ClientError(Exception):
    """A client reported a failure: `name` is Kafka's for the broker's errors, else TIMED_OUT or the
    library's own."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


@dataclass(frozen=True)
class Record:
    """One record to send; without a partition the client's partitioner chooses."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = 0
    timestamp_ms: int | None = None


@dataclass(frozen=True)
class Sent:
    """What the client says of one record sent: its place, or its error's name. No offset: the
    client does not tell."""

    partition: int | None = None
    offset: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Received:
    """One record received, as the client shows it."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


Position = int | str | list[Any]
"""Where to read from: an offset, "earliest", "latest", or ["time", milliseconds]."""


class Driver(Protocol):
    """The operations. Every one makes its own client object and closes it, except between
    `open_consumer` and `close_consumer`."""

    admin: Any
    """The client's admin calls; missing where it has none."""

    def hello(self) -> dict[str, str]:
        """Answers {"version": ...}: the client's, with its core library's where it has one."""

    def produce(
        self, bootstrap: str, topic: str, records: list[Record], options: dict[str, Any]
    ) -> list[Sent]:
        """Sends all records in order without waiting in between, then waits for all. Options:
        codec, acks (0, 1, -1), idempotence, batch_bytes, max_request_bytes."""

    def open_producer(self, bootstrap: str, topic: str, options: dict[str, Any]) -> int:
        """Makes a producer that stays, and answers a handle. Options as for `produce`."""

    def send(self, handle: int, records: list[Record]) -> None:
        """Gives it records; it sends them while other things are done."""

    def finish_producer(self, handle: int) -> list[Sent]:
        """Waits for all that it was given, and ends it."""

    def open_consumer(
        self, bootstrap: str, topic: str, positions: dict[int, Position], options: dict[str, Any]
    ) -> int:
        """Assigns the partitions of `positions` and answers a handle once they are resolved.
        Options: isolation, max_bytes (a fetch's), max_partition_bytes."""

    def poll(self, handle: int, count: int) -> list[Received]:
        """Waits for exactly `count` more records, in the order of each partition."""

    def close_consumer(self, handle: int) -> None:
        """Ends the consumer."""

    def list_offset(
        self, bootstrap: str, topic: str, partition: int, position: Position
    ) -> int | None:
        """The offset that "earliest", "latest" or a time stands for; None where no record is that
        young."""

    def metadata(self, bootstrap: str, topic: str | None) -> dict[str, Any]:
        """{"brokers": ["host:port"], "topics": {name: {"partitions": n, "error": name or None}}},
        of one topic or all, creating none."""

    def create_topic(
        self, bootstrap: str, topic: str, partitions: int, configs: dict[str, str]
    ) -> None: ...

    def delete_topic(self, bootstrap: str, topic: str) -> None: ...

    def commit(
        self, bootstrap: str, group: str, topic: str, offsets: dict[int, tuple[int, str]]
    ) -> None:
        """Commits (offset, metadata) of each partition through a consumer with `assign`."""

    def committed(
        self, bootstrap: str, group: str, topic: str, partitions: list[int]
    ) -> dict[int, tuple[int, str | None] | None]:
        """What is committed: (offset, metadata) of each partition, None where nothing is."""

    def open_member(self, bootstrap: str, group: str, topic: str, options: dict[str, Any]) -> int:
        """Makes a consumer that subscribes to the topic and polls from now on, and answers a handle
        at once. Options: client_id, assignor, reset (earliest, latest, none), instance (a static
        member's id, or None), session_ms, heartbeat_ms, commits (after every poll)."""

    def member_state(self, handle: int, known: int) -> dict[str, Any]:
        """What the member knows: partitions assigned, how often, the number of records received,
        and the error that ended it, if any; at the latest after a moment, at once where it is newer
        than version `known`."""

    def take(self, handle: int) -> list[Received]:
        """What the member received since the last call."""

    def member_call(self, handle: int, method: str, arguments: list[Any]) -> Any:
        """seek(partition, offset), commit(), committed(partition), position(partition): between two
        polls of the member's."""

    def close_member(self, handle: int) -> None:
        """Leaves the group, unless it is a static member, and ends."""

    def list_groups(self, bootstrap: str) -> dict[str, str | None]:
        """Every group and its state; None where the client does not tell it."""

    def describe_group(self, bootstrap: str, group: str) -> dict[str, Any]:
        """{"state": ..., "protocol": ..., "members": [[client id, [partition]]]}."""

    def delete_group(self, bootstrap: str, group: str) -> None: ...

    def group_offsets(self, bootstrap: str, group: str, topic: str) -> dict[int, int]:
        """The offsets that a group has committed, by the administration."""

    def alter_group_offsets(
        self, bootstrap: str, group: str, topic: str, offsets: dict[int, int]
    ) -> None: ...

    def delete_group_offsets(
        self, bootstrap: str, group: str, topic: str, partitions: list[int]
    ) -> None: ...

    def remove_member(self, bootstrap: str, group: str, instance: str) -> None:
        """Makes a static member leave."""


class Deadline:
    """Bounded polling: `remaining_s` falls to zero, `check` raises once it has."""

    def __init__(self, timeout_s: float = OPERATION_TIMEOUT_S) -> None:
        self._end = time.monotonic() + timeout_s

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def check(self, what: str) -> None:
        if self.remaining_s <= 0:
            raise ClientError("TIMED_OUT", what)


def error_name(code: int | None, fallback: str) -> str:
    """Kafka's name of an error code; `fallback` (the library's word) for an error of the client's
    own."""
    if code is None:
        return fallback
    return KAFKA_ERROR_NAMES.get(code, f"CODE_{code}")


def bytes_to_json(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def bytes_from_json(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def headers_to_json(headers: Headers) -> list[list[str | None]]:
    return [[key, bytes_to_json(value)] for key, value in headers]


def headers_from_json(pairs: Iterable[list[str]]) -> Headers:
    return tuple((key, bytes_from_json(value)) for key, value in pairs)


def plain_headers(pairs: Iterable[tuple[str, bytes | None]] | None) -> Headers:
    """A library's headers as the protocol has them."""
    return tuple((key, None if value is None else bytes(value)) for key, value in pairs or ())


def received_of(record: Any) -> Received:
    """A record of kafka-python's or of aiokafka's, whose fields have the same names."""
    return Received(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=plain_headers(record.headers),
    )


def record_to_json(record: Record) -> list[Any]:
    return [
        bytes_to_json(record.value),
        bytes_to_json(record.key),
        headers_to_json(record.headers),
        record.partition,
        record.timestamp_ms,
    ]


def record_from_json(fields: list[Any]) -> Record:
    value, key, headers, partition, timestamp_ms = fields
    return Record(
        value=bytes_from_json(value),
        key=bytes_from_json(key),
        headers=headers_from_json(headers),
        partition=partition,
        timestamp_ms=timestamp_ms,
    )


def received_to_json(record: Received) -> list[Any]:
    return [
        record.partition,
        record.offset,
        record.timestamp_ms,
        bytes_to_json(record.key),
        bytes_to_json(record.value),
        headers_to_json(record.headers),
    ]


def received_from_json(fields: list[Any]) -> Received:
    partition, offset, timestamp_ms, key, value, headers = fields
    return Received(
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        key=bytes_from_json(key),
        value=bytes_from_json(value),
        headers=headers_from_json(headers),
    )


def _by_partition(values: Mapping[str, Any]) -> dict[int, Any]:
    """JSON's keys are strings, partitions are numbers."""
    return {int(partition): value for partition, value in values.items()}


def _perform(driver: Driver, operation: str, arguments: dict[str, Any]) -> Any:
    """One operation, its arguments and result brought to and from JSON's types."""
    if operation.startswith("admin."):
        return getattr(driver.admin, operation.removeprefix("admin."))(**arguments)
    if operation in ("produce", "send"):
        arguments["records"] = [record_from_json(fields) for fields in arguments["records"]]
    if operation == "open_consumer":
        arguments["positions"] = _by_partition(arguments["positions"])
    if operation in ("commit", "alter_group_offsets"):
        arguments["offsets"] = _by_partition(arguments["offsets"])
    result = getattr(driver, operation)(**arguments)
    if operation in ("produce", "finish_producer"):
        return [[sent.partition, sent.offset, sent.error] for sent in result]
    if operation in ("poll", "take"):
        return [received_to_json(record) for record in result]
    return result


def _answer(driver: Driver, line: str) -> dict[str, Any]:
    request = json.loads(line)
    try:
        return {"result": _perform(driver, request["op"], request["arguments"])}
    except ClientError as error:
        return {"error": {"name": error.name, "detail": error.detail}}
    except Exception as error:  # noqa: BLE001 - a library may raise anything; the scenario judges it
        name = error_name(getattr(error, "errno", None), type(error).__name__)
        return {"error": {"name": name, "detail": f"{error}\n{traceback.format_exc()}"}}


def serve(driver: Driver) -> None:
    """Answers until stdin ends. Descriptor 1 becomes stderr, so that nothing a library prints can
    break a line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(driver, line)) + "\n")
        answers.flush()
