"""Group commit: every append is flushed by a flush that began after it, and by no other."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kbroker.flusher import FlushResults, FlushScheduler, Syncable, ThreadFlusher

BROKEN = OSError(errno.EIO, "the disk is gone")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a `FakePartition` wants flushed."""

    end_offset: int

    def sync(self) -> None:
        pass

    def release(self) -> None:
        pass


@dataclass(eq=False, slots=True)
class FakePartition:
    """A partition whose log is a number. Mutable."""

    log_end: int = 0
    durable_end: int = 0
    failed: bool = False
    in_flight: bool = False
    is_stopped: bool = False
    outcomes: list[str] = field(default_factory=list)

    def prepare_flush(self) -> Ticket | None:
        assert not self.in_flight, "one flush of a partition at a time"
        if self.failed or self.durable_end == self.log_end:
            return None
        self.in_flight = True
        return Ticket(self.log_end)

    def complete_flush(self, ticket: Ticket) -> None:
        assert not self.failed
        self.in_flight = False
        self.durable_end = ticket.end_offset
        self.outcomes.append(f"durable {ticket.end_offset}")

    def fail_flush(self, ticket: Ticket, error: OSError) -> None:
        assert error is BROKEN
        self.in_flight = False
        self.failed = True
        self.outcomes.append(f"failed {ticket.end_offset}")


class ManualFlusher:
    """Flushes end when the test says so. Mutable."""

    def __init__(self) -> None:
        self.under_way: deque[tuple[Sequence[Syncable], Callable[[FlushResults], None]]] = deque()
        self.submitted: list[list[int]] = []

    def submit(self, tickets: Sequence[Syncable], done: Callable[[FlushResults], None]) -> None:
        assert not self.under_way, "flushes of one log directory do not overlap"
        assert tickets, "nothing is flushed for nothing"
        self.under_way.append((tickets, done))
        self.submitted.append([ticket.end_offset for ticket in tickets])  # type: ignore[attr-defined]

    def finish(self, results: FlushResults | None = None) -> None:
        tickets, done = self.under_way.popleft()
        done([None] * len(tickets) if results is None else results)

    def close(self) -> None:
        pass


class Setting:
    """A scheduler, its flusher and the turns of a loop. Mutable."""

    def __init__(self, **options) -> None:
        self.flusher = ManualFlusher()
        self.soon: deque[Callable[[], None]] = deque()
        self.later: list[Callable[[], None]] = []
        self.errors: list[OSError] = []
        self.scheduler = FlushScheduler(
            self.flusher,
            call_soon=self.soon.append,
            on_error=self.errors.append,
            call_later=lambda delay, callback: self.later.append(callback),
            **options,
        )

    def append(self, partition: FakePartition, count: int = 1) -> None:
        partition.log_end += count
        self.scheduler.arm(partition)  # type: ignore[arg-type]

    def turn(self) -> None:
        while self.soon:
            self.soon.popleft()()


def test_one_flush_serves_all_appends_of_a_turn_over_all_partitions() -> None:
    setting = Setting()
    one, two = FakePartition(), FakePartition()
    setting.append(one)
    setting.append(two)
    setting.append(one)
    assert setting.flusher.submitted == [], "the turn is not over"
    setting.turn()
    assert setting.flusher.submitted == [[2, 1]]
    setting.flusher.finish()
    assert (one.durable_end, two.durable_end) == (2, 1)
    assert setting.scheduler.idle


def test_what_was_synced_is_noted_before_anybody_is_answered_for_it() -> None:
    noted: list[list[int]] = []
    partitions = [FakePartition(log_end=end) for end in (1, 2, 3)]

    def note(tickets: Sequence[Ticket]) -> None:
        assert all(partition.outcomes == [] for partition in partitions)
        noted.append([ticket.end_offset for ticket in tickets])

    setting = Setting(note_flushed=note)
    for partition in partitions:
        setting.append(partition, 0)
    setting.turn()
    partitions[1].is_stopped = True
    setting.flusher.finish([None, None, BROKEN])
    assert noted == [[1]], "neither what was deleted nor what failed"
    assert partitions[0].outcomes == ["durable 1"]


def test_appends_during_a_flush_wait_for_the_next() -> None:
    setting = Setting()
    one, two = FakePartition(), FakePartition()
    setting.append(one)
    setting.turn()
    setting.append(one)
    setting.append(two)
    setting.turn()
    assert setting.flusher.submitted == [[1]]
    setting.flusher.finish()
    assert one.durable_end == 1, "the second append is not covered by the first flush"
    setting.turn()
    assert setting.flusher.submitted == [[1], [2, 1]]
    assert not setting.scheduler.idle
    setting.flusher.finish()
    assert (one.durable_end, two.durable_end) == (2, 1)
    assert setting.scheduler.idle


def test_a_partition_with_nothing_to_flush_keeps_nobody_waiting() -> None:
    setting = Setting()
    idle, busy = FakePartition(), FakePartition()
    setting.scheduler.arm(idle)  # type: ignore[arg-type]
    setting.turn()
    assert setting.scheduler.idle
    setting.append(busy)
    setting.turn()
    assert setting.flusher.submitted == [[1]]


def test_a_failed_flush_is_reported_once_and_never_retried() -> None:
    setting = Setting()
    good, bad = FakePartition(), FakePartition()
    setting.append(good)
    setting.append(bad)
    setting.turn()
    setting.flusher.finish([None, BROKEN])
    setting.turn()
    assert good.outcomes == ["durable 1"]
    assert bad.outcomes == ["failed 1"]
    assert setting.errors == [BROKEN]
    assert setting.flusher.submitted == [[1, 1]]
    assert setting.scheduler.idle
    setting.append(bad)
    setting.append(good)
    setting.turn()
    assert setting.flusher.submitted == [[1, 1], [2]], "only what has not failed"


def test_an_append_made_while_a_flush_completes_is_flushed_next() -> None:
    setting = Setting()

    class Eager(FakePartition):
        def complete_flush(self, ticket: Ticket) -> None:
            FakePartition.complete_flush(self, ticket)
            if self.log_end < 3:
                setting.append(self)

    partition = Eager()
    setting.append(partition)
    for _ in range(3):
        setting.turn()
        setting.flusher.finish()
    setting.turn()
    assert partition.durable_end == 3
    assert setting.scheduler.idle


def test_a_flush_that_could_not_be_begun_is_tried_again_without_another_append() -> None:
    setting = Setting()

    class Full(FakePartition):
        is_full = True

        def prepare_flush(self) -> Ticket | None:
            if self.is_full:
                raise OSError(errno.EMFILE, "too many open files")
            return super().prepare_flush()

    partition = Full()
    setting.append(partition)
    setting.turn()
    assert [each.errno for each in setting.errors] == [errno.EMFILE]
    partition.is_full = False
    (retry,) = setting.later
    retry()
    setting.turn()
    setting.flusher.finish()
    assert partition.durable_end == 1


def test_what_is_armed_while_nothing_can_be_prepared_is_flushed_all_the_same() -> None:
    setting = Setting()
    waiting = FakePartition()

    class Empty(FakePartition):
        def prepare_flush(self) -> Ticket | None:
            setting.append(waiting)
            return None

    setting.append(Empty())
    setting.turn()
    setting.flusher.finish()
    assert waiting.durable_end == 1


def test_running_out_of_descriptors_in_a_flush_is_no_failed_fsync() -> None:
    setting = Setting()
    partition = FakePartition()
    setting.append(partition)
    setting.turn()
    setting.flusher.finish([OSError(errno.ENFILE, "too many open files")])
    partition.in_flight = False  # the ticket was given back
    assert not partition.failed
    (retry,) = setting.later
    retry()
    setting.turn()
    setting.flusher.finish()
    assert partition.durable_end == 1


def test_a_partition_that_cannot_be_prepared_is_reported_and_the_others_are_flushed() -> None:
    setting = Setting()

    class Unopened(FakePartition):
        def prepare_flush(self) -> Ticket | None:
            raise BROKEN

    good = FakePartition()
    setting.append(Unopened())
    setting.append(good)
    setting.turn()
    setting.flusher.finish()
    assert setting.errors == [BROKEN]
    assert good.durable_end == 1
    setting.append(good)
    setting.turn()
    setting.flusher.finish()
    assert good.durable_end == 2


class SchedulerMachine(RuleBasedStateMachine):
    """Any order of appends, turns and ends of flushes, well or ill."""

    def __init__(self) -> None:
        super().__init__()
        self.setting = Setting()
        self.partitions = [FakePartition() for _ in range(3)]
        self.claimed_before_flush: list[int] = []

    @rule(number=st.integers(0, 2), count=st.integers(1, 3))
    def append(self, number: int, count: int) -> None:
        self.setting.append(self.partitions[number], count)

    @rule()
    def turn(self) -> None:
        self.setting.turn()

    @precondition(lambda self: self.setting.flusher.under_way)
    @rule(failing=st.sets(st.integers(0, 2), max_size=1))
    def finish(self, failing: set[int]) -> None:
        tickets, _ = self.setting.flusher.under_way[0]
        self.setting.flusher.finish(
            [BROKEN if place in failing else None for place in range(len(tickets))]
        )

    @invariant()
    def what_is_not_durable_is_on_its_way(self) -> None:
        for partition in self.partitions:
            assert partition.durable_end <= partition.log_end
            if partition.durable_end < partition.log_end and not partition.failed:
                assert not self.setting.scheduler.idle
                assert self.setting.soon or self.setting.flusher.under_way

    def teardown(self) -> None:
        for _ in range(5):
            self.setting.turn()
            if self.setting.flusher.under_way:
                self.setting.flusher.finish()
        assert self.setting.scheduler.idle
        for partition in self.partitions:
            assert partition.failed or partition.durable_end == partition.log_end


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# --- the thread ---


class RecordingTicket:
    """Notes in which thread it was synced, and fails if told to. Mutable."""

    def __init__(self, error: OSError | None = None) -> None:
        self.thread: threading.Thread | None = None
        self.error = error

    def sync(self) -> None:
        self.thread = threading.current_thread()
        if self.error is not None:
            raise self.error


def test_tickets_are_synced_in_a_thread_and_their_results_come_on_the_loop() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        flusher = ThreadFlusher(loop, "test")
        tickets = [RecordingTicket(), RecordingTicket(BROKEN), RecordingTicket()]
        finished: asyncio.Future[FlushResults] = loop.create_future()

        def done(results: FlushResults) -> None:
            assert threading.current_thread() is threading.main_thread()
            finished.set_result(results)

        flusher.submit(tickets, done)
        assert await finished == [None, BROKEN, None]
        threads = {ticket.thread for ticket in tickets}
        assert len(threads) == 1
        assert threading.main_thread() not in threads
        flusher.close()

    asyncio.run(scenario())


def test_results_come_in_the_order_of_the_submissions() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        flusher = ThreadFlusher(loop, "test")
        order: list[int] = []
        last: asyncio.Future[None] = loop.create_future()
        for number in range(200):
            flusher.submit([RecordingTicket()], lambda _, number=number: order.append(number))
        flusher.submit([RecordingTicket()], lambda _: last.set_result(None))
        await last
        assert order == list(range(200))
        flusher.close()

    asyncio.run(scenario())


def test_closing_finishes_what_was_submitted() -> None:
    async def scenario() -> None:
        flusher = ThreadFlusher(asyncio.get_running_loop(), "test")
        done: list[FlushResults] = []
        for _ in range(20):
            flusher.submit([RecordingTicket()], done.append)
        flusher.close()
        assert done == [[None]] * 20

    asyncio.run(scenario())


def test_a_thread_behind_the_scheduler_makes_everything_durable() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        flusher = ThreadFlusher(loop, "test")
        errors: list[OSError] = []
        scheduler = FlushScheduler(flusher, call_soon=loop.call_soon, on_error=errors.append)
        partitions = [FakePartition() for _ in range(5)]
        for number in range(300):
            partition = partitions[number % 5]
            partition.log_end += 1
            scheduler.arm(partition)  # type: ignore[arg-type]
            if number % 7 == 0:
                await asyncio.sleep(0)
        while not scheduler.idle:
            await asyncio.sleep(0)
        assert [partition.durable_end for partition in partitions] == [60] * 5
        assert errors == []
        flusher.close()

    asyncio.run(scenario())
