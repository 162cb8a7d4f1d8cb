"""A load over a broker that is killed under it: pipelined producers, a committer, a reader.

All of it is one thread over the sockets, which sends as answers come. What was sent and not
answered when the broker died is unknown: an idempotent producer sends it again, unchanged, to the
next process; another producer leaves it.
"""

import random
import select
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from simulator.commit_history import Commit
from simulator.history import History, shown
from tests.process.raw_client import (
    COMMIT_VERSION,
    FETCH_VERSION,
    PRODUCE_VERSION,
    TIMEOUT_S,
    Disconnected,
    RawClient,
    batch,
    commit_request,
    fetch_request,
    produce_request,
    values_in,
)
from wire.errors import ErrorCode
from wire.messages.fetch import FetchResponse
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.produce import ProduceResponse

TOPIC = "load"
GROUP = "group"
REMEMBERED_BATCHES = 5
"""A broker remembers as many of a producer's batches in a partition: more in flight is no use."""
START_MS = 4_102_444_800_000
"""The first timestamp, in 2100: a producer whose last one lies back a day would be forgotten."""
STEP_MS = 1_000
"""Between the timestamps of two batches, so that segments roll by time as well."""
LOG_SETTINGS = (
    "log.segment.bytes=1048576",
    "log.roll.ms=20000",
    "log.retention.ms=-1",
    f"log.message.timestamp.after.max.ms={2**63 - 1}",
)
LARGE_BYTES = 100_000
SMALL_BYTES = 300


class Member(Protocol):
    """Whoever takes part in the load."""

    client: RawClient

    def connect(self, client: RawClient) -> None: ...

    def send_more(self) -> None: ...

    def take(self, frame: bytes) -> int:
        """An answer came; how many acknowledgements that makes."""
        ...


@dataclass
class Batch:
    """One batch as it was sent, byte for byte."""

    partition: int
    data: bytearray
    values: list[bytes]


@dataclass
class Producer:
    """Keeps `window` batches in flight, in all partitions alike. Mutable."""

    name: str
    acks: int
    idempotent: bool
    partitions: int
    window: int
    history: History
    chance: random.Random
    identity: tuple[int, int] = (-1, -1)
    in_flight: deque[Batch] = field(default_factory=deque)
    counts: dict[int, int] = field(default_factory=dict)
    retried: int = 0
    stopped: bool = False

    def connect(self, client: RawClient) -> None:
        """To the next process: what is unknown is sent again, if the broker can tell."""
        self.client = client
        if self.idempotent and self.identity == (-1, -1):
            self.identity = client.init_producer()
        unknown, self.in_flight = self.in_flight, deque()
        if self.idempotent:
            self.retried += len(unknown)
            for each in unknown:
                self._send(each)

    def send_more(self) -> None:
        while not self.stopped and len(self.in_flight) < self.window:
            self._send(self._next_batch())

    def take(self, frame: bytes) -> int:
        response = self.client.decode(ProduceResponse, PRODUCE_VERSION, frame)
        answer = response.responses[0].partition_responses[0]
        sent = self.in_flight.popleft()
        code = ErrorCode(answer.error_code)
        assert code == ErrorCode.NONE, f"{code.name}: {[shown(value) for value in sent.values]}"
        for place, value in enumerate(sent.values):
            self.history.acknowledged(value, answer.base_offset + place)
        return 1

    def _send(self, each: Batch) -> None:
        self.in_flight.append(each)
        request = produce_request(TOPIC, each.partition, each.data, acks=self.acks)
        self.client.send(request, PRODUCE_VERSION)

    def _next_batch(self) -> Batch:
        if self.idempotent:
            # In turn, so that no partition has more in flight than a broker remembers.
            partition = sum(self.counts.values()) % self.partitions
        else:
            partition = self.chance.randrange(self.partitions)
        number = self.counts.get(partition, 0)
        size = LARGE_BYTES if self.chance.random() < 0.05 else SMALL_BYTES
        values = [
            f"{self.name}/{partition}/{number + place}".encode().ljust(size, b".")
            for place in range(1 if self.idempotent else self.chance.randint(1, 3))
        ]
        for value in values:
            self.history.sent(value, producer=self.name, partition=(TOPIC, partition))
        self.counts[partition] = number + len(values)
        data = batch(
            *values,
            producer=self.identity,
            sequence=number if self.idempotent else -1,
            timestamp_ms=START_MS + number * STEP_MS,
        )
        return Batch(partition, data, values)


@dataclass
class Committer:
    """Commits growing offsets of partition 0, several at a time, and says how far it knows."""

    history: History
    window: int = 4
    sent: int = 0
    acknowledged: int = 0
    connections: int = 0
    in_flight: deque[Commit] = field(default_factory=deque)
    stopped: bool = False

    def connect(self, client: RawClient) -> None:
        """To the next process: it must know what the last one acknowledged."""
        self.client = client
        self.connections += 1
        self.in_flight.clear()
        commits = self.history.commits
        commits.broker_ended()
        fetch = commits.fetching(GROUP, (TOPIC, 0))
        found = client.committed_offset(GROUP, TOPIC, 0)
        commits.fetched(fetch, None if found < 0 else found)

    def send_more(self) -> None:
        while not self.stopped and len(self.in_flight) < self.window:
            self.sent += 1
            session = f"connection {self.connections}"
            self.in_flight.append(
                self.history.commits.committing(GROUP, (TOPIC, 0), self.sent, session=session)
            )
            self.client.send(commit_request(GROUP, TOPIC, 0, self.sent), COMMIT_VERSION)

    def take(self, frame: bytes) -> int:
        response = self.client.decode(OffsetCommitResponse, COMMIT_VERSION, frame)
        code = ErrorCode(response.topics[0].partitions[0].error_code)
        assert code == ErrorCode.NONE, code.name
        commit = self.in_flight.popleft()
        self.history.commits.committed(commit)
        assert commit.offset is not None
        self.acknowledged = commit.offset
        return 1


@dataclass
class Reader:
    """Follows all partitions with long polls: what it was shown once must stay."""

    history: History
    partitions: int
    offsets: dict[int, int] = field(default_factory=dict)
    stopped: bool = False

    def connect(self, client: RawClient) -> None:
        self.client = client

    def send_more(self) -> None:
        if not self.stopped and not self.client.in_flight:
            offsets = {index: self.offsets.get(index, 0) for index in range(self.partitions)}
            self.client.send(fetch_request(TOPIC, offsets, wait_ms=100), FETCH_VERSION)

    def take(self, frame: bytes) -> int:
        response = self.client.decode(FetchResponse, FETCH_VERSION, frame)
        for data in response.responses[0].partitions:
            code = ErrorCode(data.error_code)
            assert code == ErrorCode.NONE, f"{data.partition_index}: {code.name}"
            next_offset = self.offsets.get(data.partition_index, 0)
            records = [each for each in values_in(data.records) if each[0] >= next_offset]
            if records:
                self.history.polled("reader", (TOPIC, data.partition_index), records)
                self.offsets[data.partition_index] = records[-1][0] + 1
        return 0


def run_until(members: Iterable[Member], acknowledgements: int) -> int:
    """Send and take answers until there were so many acknowledgements; how many there were."""
    by_descriptor = {member.client.fileno(): member for member in members}
    for member in by_descriptor.values():
        member.send_more()
    count = 0
    while count < acknowledgements:
        readable, _, _ = select.select(list(by_descriptor), [], [], TIMEOUT_S)
        assert readable, "the broker answers nothing"
        for descriptor in readable:
            member = by_descriptor[descriptor]
            count += sum(member.take(frame) for frame in member.client.read_frames())
            member.send_more()
    return count


def drain(members: Iterable[Member]) -> int:
    """After a kill: answers that were on their way are acknowledgements as well."""
    count = 0
    for member in members:
        try:
            while True:
                count += sum(member.take(frame) for frame in member.client.read_frames())
        except Disconnected:
            member.client.close()
    return count


def finish(members: Iterable[Member]) -> None:
    """Send nothing new, and wait for every answer."""
    for member in members:
        member.stopped = True  # type: ignore[attr-defined]
        while member.client.in_flight:
            for frame in member.client.read_frames():
                member.take(frame)
        member.client.close()


def producers(history: History, chance: random.Random, *, partitions: int) -> list[Producer]:
    """Idempotent and not, with acks=all and acks=1."""

    def producer(name: str, *, acks: int, idempotent: bool) -> Producer:
        return Producer(
            name,
            acks=acks,
            idempotent=idempotent,
            partitions=partitions,
            window=REMEMBERED_BATCHES * partitions if idempotent else 24,
            history=history,
            chance=random.Random(chance.random()),
        )

    return [
        producer("idempotent-all", acks=-1, idempotent=True),
        producer("idempotent-one", acks=1, idempotent=True),
        producer("plain-all", acks=-1, idempotent=False),
        producer("plain-one", acks=1, idempotent=False),
    ]
