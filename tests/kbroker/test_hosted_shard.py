"""One timer for each shard: never late, not re-armed by what only moves deadlines back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordinator.outcome import CoordinatorRecord
from kbroker.hosted_shard import HostedShard
from kbroker.watch import DEADLINE_RESOLUTION_MS, Deadlines
from log.partition_log import AppendResult
from tests.kbroker.connection_harness import TurnLoop
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import iterate_batches
from wire.records.record import iterate_records


class Shard:
    """A shard as far as its host's timer and appends see it. Mutable."""

    def __init__(self) -> None:
        self.due_ms: int | None = None
        self.replayed: list[tuple[bytes, bytes | None]] = []

    def next_deadline_ms(self) -> int | None:
        return self.due_ms

    def replay(self, key: bytes, value: bytes | None) -> None:
        self.replayed.append((key, value))


class Partition:
    """A partition that appends into a list. Mutable."""

    index = 3
    leader_epoch = 5

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.error: KafkaError | None = None
        self.next_offset = 10

    def append_as_leader(
        self, records: memoryview, *, now_ms: int, required_acks: int, internal: bool
    ) -> AppendResult:
        if self.error is not None:
            raise self.error
        assert (required_acks, internal) == (-1, True)
        (found,) = iterate_batches(records)
        self.batches.append(bytes(records))
        base, self.next_offset = self.next_offset, self.next_offset + found[1].last_offset_delta + 1
        return AppendResult(base, self.next_offset - 1, -1, 0, False)

    def is_acknowledged(self, last_offset: int, required_acks: int) -> bool:
        return last_offset < 12


class World:
    """A hosted shard on virtual time; `rang` are the moments at which a deadline came. Mutable."""

    def __init__(self, loop: TurnLoop) -> None:
        self.loop = loop
        self.shard = Shard()
        self.partition = Partition()
        self.rang: list[float] = []
        self.early_count = 0
        self.hosted = HostedShard(
            self.shard,  # type: ignore[arg-type]
            self.partition,  # type: ignore[arg-type]
            deadlines=Deadlines(loop),
            loop_time=loop.time,
            on_deadline=self._on_deadline,
        )

    def _on_deadline(self, hosted: HostedShard) -> None:
        if self.shard.due_ms is not None and hosted.steady_ms() >= self.shard.due_ms:
            self.rang.append(self.loop.time())
            self.shard.due_ms = None
        else:
            self.early_count += 1
        hosted.arm()

    def due_in(self, delay_ms: int) -> None:
        self.shard.due_ms = self.hosted.steady_ms() + delay_ms
        self.hosted.arm()


@pytest.fixture
def world() -> Iterator[World]:
    loop = TurnLoop()
    yield World(loop)
    loop.close()


def test_nothing_rings_where_nothing_is_due(world: World) -> None:
    world.hosted.arm()
    world.loop.advance(3600)
    assert world.rang == []


def test_a_deadline_rings_no_earlier_than_it_is_due_and_little_later(world: World) -> None:
    start = world.loop.time()
    world.due_in(500)
    world.loop.advance(0.499)
    assert world.rang == []
    world.loop.advance(0.001 + DEADLINE_RESOLUTION_MS / 1000)
    assert start + 0.5 <= world.rang[0] <= start + 0.5 + DEADLINE_RESOLUTION_MS / 1000


def test_an_earlier_deadline_takes_the_timer_over(world: World) -> None:
    world.due_in(500)
    world.due_in(100)
    world.loop.advance(0.2)
    assert len(world.rang) == 1
    world.loop.advance(1)
    assert (len(world.rang), world.early_count) == (1, 0), "the first is forgotten"


def test_heartbeats_do_not_touch_the_timer(world: World) -> None:
    world.due_in(500)
    before = world.loop.timer_count
    for _ in range(100):
        world.loop.advance(0.001)
        world.due_in(500)  # each moves the session's end back
    assert world.loop.timer_count == before
    last_beat = world.loop.time()
    world.loop.advance(0.45)
    assert (world.rang, world.early_count) == ([], 1)
    world.loop.advance(0.1)
    assert len(world.rang) == 1
    assert world.rang[0] >= last_beat + 0.5


def test_a_dropped_shard_does_not_ring(world: World) -> None:
    world.due_in(100)
    world.hosted.drop()
    world.due_in(50)
    world.loop.advance(1)
    assert world.rang == []


def test_records_are_appended_as_one_batch_and_replayed(world: World) -> None:
    records = [CoordinatorRecord(b"a", b"1"), CoordinatorRecord(b"b", None)]
    assert world.hosted.append(records, 77) == 11
    assert world.shard.replayed == [(b"a", b"1"), (b"b", None)]
    (batch,) = world.partition.batches
    found = list(iterate_records(memoryview(batch), 0, max_decompressed_bytes=1000))
    assert [(each.key, each.value, each.timestamp_ms) for each in found] == [
        (b"a", b"1", 77),
        (b"b", None, 77),
    ]
    assert world.hosted.is_committed(11)
    assert not world.hosted.is_committed(12)


def test_what_is_not_appended_is_not_replayed(world: World) -> None:
    world.partition.error = KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    with pytest.raises(KafkaError):
        world.hosted.append([CoordinatorRecord(b"a", b"1")], 77)
    assert world.shard.replayed == []
