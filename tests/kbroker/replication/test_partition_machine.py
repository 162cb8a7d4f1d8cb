"""A leader through any order of appends, flushes, elections, crashes: the invariants of a log."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from log.log_config import LogConfig
from tests.kbroker.replication.partition_harness import Stage, elsewhere, next_epoch
from tests.log.log_harness import LogOnDisk, values_of, values_on_disk
from wire.errors import ErrorCode


class PartitionMachine(RuleBasedStateMachine):
    """`promised` is what producers were told is stored, `seen` what consumers could have read."""

    @initialize(segment_bytes=st.sampled_from([200, 100_000]))
    def start(self, segment_bytes: int) -> None:
        self.stage = Stage(LogOnDisk(LogConfig(segment_bytes=segment_bytes)))
        self.ticket = None
        self.synced = False
        self.number = 0
        self.appended: dict[int, bytes] = {}
        self.seen: dict[int, bytes] = {}
        self.highest = 0

    @property
    def leads(self) -> bool:
        return self.stage.record.leader == 1

    @precondition(lambda self: self.leads and self.stage.partition.log.failed is None)
    @rule(acks=st.sampled_from([0, 1, -1]), count=st.integers(1, 3), internal=st.booleans())
    def append(self, acks: int, count: int, internal: bool) -> None:
        values = [b"value %d" % (self.number + each) for each in range(count)]
        self.number += count
        wait = self.stage.append(*values, acks=acks, internal=internal)
        assert wait.code is None or acks == 0, "nothing is durable before a flush"
        for place, value in enumerate(values):
            self.appended[wait.result.base_offset + place] = value

    @precondition(lambda self: self.ticket is None and self.stage.armed)
    @rule()
    def begin_flush(self) -> None:
        self.ticket = self.stage.start_flush()
        self.synced = False

    @precondition(lambda self: self.ticket is not None and not self.synced)
    @rule()
    def sync(self) -> None:
        self.ticket.sync()
        self.synced = True

    @precondition(lambda self: self.synced)
    @rule()
    def end_flush(self) -> None:
        ticket, self.ticket, self.synced = self.ticket, None, False
        self.stage.partition.complete_flush(ticket)

    @precondition(lambda self: self.ticket is not None and not self.synced)
    @rule(chance=st.integers(0, 9))
    def fail_flush(self, chance: int) -> None:
        if chance:
            return  # rare: the log is offline until the next life
        self.stage.home.disk.fail("flush", count=1)
        ticket, self.ticket = self.ticket, None
        try:
            ticket.sync()
        except OSError as error:
            self.stage.partition.fail_flush(ticket, error)
        assert self.stage.partition.log.failed is not None

    @rule(clean_leader=st.booleans())
    def elect(self, clean_leader: bool) -> None:
        record = self.stage.record
        self.stage.apply(next_epoch(record) if clean_leader else elsewhere(record))

    @precondition(lambda self: self.stage.partition.log.failed is None)
    @rule()
    def checkpoint(self) -> None:
        log = self.stage.partition.log
        self.stage.home.checkpoint(log)
        # The log's harness checkpoints the recovery point; the broker its high watermark.
        self.stage.home.checkpoints.high_watermark = self.stage.partition.high_watermark

    @rule(seed=st.integers(0, 2**16))
    def power_loss(self, seed: int) -> None:
        told = [wait for wait in self.stage.waits if wait.acks and wait.code == ErrorCode.NONE]
        self.ticket, self.synced = None, False
        self.stage.power_loss(random.Random(seed))
        values = values_of(self.stage.partition.log)
        for wait in told:
            for offset in range(wait.result.base_offset, wait.result.last_offset + 1):
                assert values[offset] == self.appended[offset], "acknowledged, and lost"
        for offset, value in self.seen.items():
            assert values[offset] == value, "an offset once served never changes"
        assert values.items() <= self.appended.items()
        self.appended = values
        self.highest = self.stage.partition.high_watermark

    @invariant()
    def offsets_are_in_order(self) -> None:
        partition = self.stage.partition
        log = partition.log
        assert (
            log.log_start_offset
            <= partition.last_stable_offset
            <= partition.high_watermark
            <= log.log_end_offset
        )
        assert partition.high_watermark >= self.highest, "the high watermark fell"
        self.highest = partition.high_watermark
        if partition.high_watermark:
            values = values_of(log)
            self.seen = {
                offset: value
                for offset, value in values.items()
                if offset < partition.high_watermark
            }

    @invariant()
    def what_is_shown_is_durable(self) -> None:
        partition = self.stage.partition
        assert partition.high_watermark <= partition.log.recovery_point

    @invariant()
    def what_is_not_durable_is_on_its_way(self) -> None:
        log = self.stage.partition.log
        if self.leads and log.failed is None and log.recovery_point < log.log_end_offset:
            assert self.stage.armed or self.ticket is not None

    @invariant()
    def epochs_ascend(self) -> None:
        epochs = [(entry.epoch, entry.start_offset) for entry in self.entries()]
        assert epochs == sorted(epochs)
        assert len({epoch for epoch, _ in epochs}) == len(epochs)
        if self.leads:
            assert epochs[-1][0] == self.stage.record.leader_epoch

    def entries(self):
        return list(self.stage.partition.log.leader_epochs.entries)

    @invariant()
    def every_wait_is_answered_when_it_should_be(self) -> None:
        partition = self.stage.partition
        for wait in self.stage.waits:
            if wait.acks and wait.code is None:
                assert self.leads, "leadership is lost: nobody will answer"
                assert partition.log.failed is None
                assert not partition.is_acknowledged(wait.result.last_offset, wait.acks)

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        # A power cut at the very end: the durable bytes alone hold all that was shown.
        survivors = values_on_disk(self.stage.home.disk.crash(random.Random(0)))
        for offset, value in self.seen.items():
            assert survivors[offset] == value


TestPartitionMachine = PartitionMachine.TestCase
TestPartitionMachine.settings = settings(max_examples=70, stateful_step_count=30, deadline=None)
