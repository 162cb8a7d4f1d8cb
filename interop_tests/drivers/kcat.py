"""Drives kcat, librdkafka's command line (see protocol.py): each operation runs the command that a
user would type.

kcat tells no offsets of what it sent and cannot commit, create or delete; interop_tests/clients.py
says so in the table. Groups are in kcat_groups.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from typing import IO, Any

from kcat_groups import KcatMember
from members import MemberOperations
from producers import ProducerOperations
from protocol import (
    OPERATION_TIMEOUT_S,
    ClientError,
    Headers,
    Position,
    Received,
    Record,
    Sent,
    serve,
)

RECORD_END = b"<record>"
KEY_END = b"<key>"
"""Delimiters that no scenario's record holds; kcat splits its input by them."""

OUTPUT_FORMAT = "%p %o %T %K %S\\n%h\\n%k%s\\n"
"""Lengths first (-1 is null), then the headers on a line, then key and value as they are."""

PROBLEMS = {
    "Message size too large": "MESSAGE_TOO_LARGE",
    "Input is too large": "MESSAGE_TOO_LARGE",
    "Unknown topic or partition": "UNKNOWN_TOPIC_OR_PARTITION",
    "Unknown topic": "UNKNOWN_TOPIC_OR_PARTITION",
    "Message timed out": "TIMED_OUT",
    "sequence desynchronization": "OUT_OF_ORDER_SEQUENCE_NUMBER",
}
"""librdkafka's sentences, which are all that kcat prints, and Kafka's names."""


class KcatDriver(ProducerOperations, MemberOperations):
    """Mutable: the running consumers by handle, each one process a partition."""

    def __init__(self) -> None:
        super().__init__()
        self._consumers: dict[int, list[KcatConsumer]] = {}

    def hello(self) -> dict[str, str]:
        if shutil.which("kcat") is None:
            raise ClientError("KCAT_MISSING", "install it: apt-get install kcat")
        text = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"Version (\S+)", text)
        library = re.search(r"librdkafka (\S+)", text)
        assert version is not None
        assert library is not None
        return {"version": f"{version[1]} (librdkafka {library[1]})"}

    def produce(
        self, bootstrap: str, topic: str, records: list[Record], options: dict[str, Any]
    ) -> list[Sent]:
        """Headers and partition are the command's, not the record's: one command for all that share
        them. Order holds within a partition, as for any producer."""
        batches: dict[tuple[int | None, Headers], list[int]] = {}
        for index, record in enumerate(records):
            batches.setdefault((record.partition, record.headers), []).append(index)
        sent: dict[int, Sent] = {}
        for (partition, headers), indexes in batches.items():
            command = _produce_command(bootstrap, topic, partition, headers, options)
            outcome = _produce(command, partition, [records[index] for index in indexes])
            sent.update(zip(indexes, outcome, strict=True))
        return [sent[index] for index in range(len(records))]

    def sending(self, bootstrap: str, topic: str, options: dict[str, Any]) -> KcatSending:
        return KcatSending(bootstrap, topic, options)

    def open_consumer(
        self, bootstrap: str, topic: str, positions: dict[int, Position], options: dict[str, Any]
    ) -> int:
        alone = len(positions) == 1
        handle = len(self._consumers)
        self._consumers[handle] = [
            KcatConsumer(
                _consume_command(bootstrap, topic, partition, position, options)
                # Without -E kcat ends when its only broker restarts.
                + (["-E"] if alone else ["-e"]),
                wait_for_end=position == "latest",
            )
            for partition, position in positions.items()
        ]
        return handle

    def poll(self, handle: int, count: int) -> list[Received]:
        """A lone consumer waits for what is still to come, several read each to its end, one after
        the other."""
        received: list[Received] = []
        for consumer in self._consumers[handle]:
            received.extend(consumer.take(count - len(received)))
        if len(received) < count:
            said = " | ".join(consumer.close() for consumer in self._consumers[handle])
            raise ClientError("TIMED_OUT", f"{len(received)} of {count} records came; {said}")
        return received

    def close_consumer(self, handle: int) -> None:
        for consumer in self._consumers[handle]:
            consumer.close()

    def list_offset(
        self, bootstrap: str, topic: str, partition: int, position: Position
    ) -> int | None:
        time_ms = {"earliest": -2, "latest": -1}[position] if isinstance(position, str) else None
        if time_ms is None:
            time_ms = position[1]
        output = _run(["kcat", "-Q", "-b", bootstrap, "-t", f"{topic}:{partition}:{time_ms}"])
        offset = int(output.decode().rsplit(maxsplit=1)[1])
        return offset if offset >= 0 else None

    def metadata(self, bootstrap: str, topic: str | None) -> dict[str, Any]:
        one = [] if topic is None else ["-t", topic]
        listing = json.loads(_run(["kcat", "-L", "-J", "-b", bootstrap, *one]))
        return {
            "brokers": [broker["name"] for broker in listing["brokers"]],
            "topics": {
                entry["topic"]: {
                    "partitions": len(entry["partitions"]),
                    "error": _problem(entry["error"]) if "error" in entry else None,
                }
                for entry in listing["topics"]
            },
        }

    def group_consumer(
        self, bootstrap: str, group: str, topic: str, options: dict[str, Any]
    ) -> KcatMember:
        return KcatMember(bootstrap, group, topic, options)


class KcatSending:
    """One kcat for each partition, which reads what it is to send, up to the last KiB. Mutable:
    the processes, and where each record went."""

    def __init__(self, bootstrap: str, topic: str, options: dict[str, Any]) -> None:
        self._command = lambda partition: _produce_command(bootstrap, topic, partition, (), options)
        self._processes: dict[int | None, subprocess.Popen[bytes]] = {}
        self._partitions: list[int | None] = []

    def send(self, records: list[Record]) -> None:
        for record in records:
            assert not record.headers, "headers are the command's, not the record's"
            process = self._processes.get(record.partition)
            if process is None:
                process = self._processes[record.partition] = subprocess.Popen(
                    self._command(record.partition), stdin=subprocess.PIPE, stderr=subprocess.PIPE
                )
            assert process.stdin is not None
            process.stdin.write(_line(record))
            self._partitions.append(record.partition)
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.flush()

    def finish(self) -> list[Sent]:
        errors: dict[int | None, str] = {}
        for partition, process in self._processes.items():
            try:
                _, said = process.communicate(timeout=OPERATION_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                raise ClientError("TIMED_OUT", " ".join(self._command(partition))) from error
            if process.returncode != 0:
                errors[partition] = _problem(said.decode(errors="replace"))
        return [Sent(each, error=errors.get(each)) for each in self._partitions]

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


class KcatConsumer:
    """One kcat on one partition. Mutable: the process, whose output is read as records are
    wanted."""

    def __init__(self, command: list[str], *, wait_for_end: bool) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._reached_end = threading.Event()
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        if wait_for_end and not self._reached_end.wait(OPERATION_TIMEOUT_S):
            self.close()
            raise ClientError("TIMED_OUT", f"kcat never reached the end: {self._said}")

    def _listen(self) -> None:
        """Reads stderr: "Reached end" tells that kcat knows its position."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.decode(errors="replace").strip())
            if b"Reached end of topic" in line:
                self._reached_end.set()
        self._reached_end.set()

    def take(self, count: int) -> list[Received]:
        """The next `count` records, or fewer when kcat ends before (at the end of the partition
        with -e)."""
        output = self._process.stdout
        assert output is not None
        alarm = threading.Timer(OPERATION_TIMEOUT_S, self._process.kill)
        alarm.start()
        try:
            received: list[Received] = []
            while len(received) < count and (record := _read_record(output)) is not None:
                received.append(record)
            return received
        finally:
            alarm.cancel()

    def close(self) -> str:
        """Ends kcat; answers what it said on stderr."""
        self._process.terminate()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()
        self._listener.join()
        return " ".join(self._said)


def _consume_command(
    bootstrap: str, topic: str, partition: int, position: Position, options: dict[str, Any]
) -> list[str]:
    if isinstance(position, int):
        offset = str(position)
    elif isinstance(position, str):
        offset = {"earliest": "beginning", "latest": "end"}[position]
    else:
        offset = f"s@{position[1]}"
    settings = {
        "isolation.level": options["isolation"],
        "auto.offset.reset": "earliest",
        "fetch.max.bytes": options["max_bytes"],
        "max.partition.fetch.bytes": options["max_partition_bytes"],
        # librdkafka wants room for a message in a fetch, and for a fetch in an answer.
        "message.max.bytes": min(1_000_000, options["max_bytes"]),
        # By default it waits up to 10 s before it tries a broker that restarts again.
        "reconnect.backoff.max.ms": 500,
        "receive.message.max.bytes": max(100_000_000, options["max_bytes"] + 512),
    }
    command = ["kcat", "-C", "-u", "-b", bootstrap, "-t", topic, "-p", str(partition)]
    command += ["-o", offset, "-f", OUTPUT_FORMAT]
    return command + _settings(settings)


def _settings(settings: dict[str, Any]) -> list[str]:
    return [part for key, value in settings.items() for part in ("-X", f"{key}={value}")]


def _read_record(output: IO[bytes]) -> Received | None:
    """One record in OUTPUT_FORMAT; None at the end of the output."""
    numbers = output.readline().split()
    if len(numbers) < 5:
        return None
    partition, offset, timestamp_ms, key_size, value_size = map(int, numbers)
    headers = output.readline().decode().rstrip("\n")
    key = None if key_size < 0 else output.read(key_size)
    value = None if value_size < 0 else output.read(value_size)
    output.read(1)
    return Received(partition, offset, timestamp_ms, key, value, _parse_headers(headers))


def _parse_headers(text: str) -> Headers:
    """kcat prints `a=1,b=NULL`; no scenario's header holds a comma or an equals sign."""
    pairs = [pair.split("=", 1) for pair in text.split(",") if pair]
    return tuple((name, None if value == "NULL" else value.encode()) for name, value in pairs)


def _produce_command(
    bootstrap: str, topic: str, partition: int | None, headers: Headers, options: dict[str, Any]
) -> list[str]:
    settings = {
        "acks": options["acks"],
        "enable.idempotence": str(options["idempotence"]).lower(),
        "message.max.bytes": options["max_request_bytes"],
        "batch.size": options["batch_bytes"],
        "linger.ms": 5,
        "message.timeout.ms": options["metadata_wait_ms"],
        "topic.metadata.propagation.max.ms": options["metadata_wait_ms"] // 2,
    }
    # Without -E kcat ends when its only broker restarts.
    command = ["kcat", "-P", "-E", "-Z", "-b", bootstrap, "-t", topic, "-z", options["codec"]]
    command += ["-D", RECORD_END.decode(), "-K", KEY_END.decode()]
    if partition is not None:
        command += ["-p", str(partition)]
    for name, value in headers:
        command += ["-H", name if value is None else f"{name}={value.decode()}"]
    return command + _settings(settings)


def _produce(command: list[str], partition: int | None, records: list[Record]) -> list[Sent]:
    """kcat tells only that all went well, or what went wrong with one of them: then the whole
    command failed."""
    try:
        _run(command, b"".join(_line(record) for record in records))
    except ClientError as error:
        return [Sent(error=error.name)] * len(records)
    return [Sent(partition)] * len(records)


def _line(record: Record) -> bytes:
    """As kcat reads it."""
    assert record.timestamp_ms is None, "kcat cannot set a timestamp"
    assert record.value != b"", "with -Z kcat cannot tell empty from null"
    key = b"" if record.key is None else record.key + KEY_END
    return key + (record.value or b"") + RECORD_END


def _run(command: list[str], data: bytes | None = None) -> bytes:
    """A command to its end; ClientError with what it printed when it failed."""
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=OPERATION_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise ClientError("TIMED_OUT", " ".join(command)) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        raise ClientError(_problem(said), f"{' '.join(command)}: {said}")
    return done.stdout


def _problem(text: str) -> str:
    """Kafka's name of what kcat tells; kcat's own last line where it is something else."""
    last_line = text.strip().rsplit("\n", 1)[-1]
    return next((name for sentence, name in PROBLEMS.items() if sentence in text), last_line)


if __name__ == "__main__":
    serve(KcatDriver())
