"""A `PartitionLog` against a plain list, with crashes, restarts, faults and every cut."""

from __future__ import annotations

import errno
import os
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from log.flushing import FlushTicket
from log.log_config import LogConfig
from log.partition_log import PartitionLog
from simulator.disk import SimulatedDisk
from tests.log.log_harness import LogOnDisk, values_of

SEGMENT_BYTES = 800


class LogMachine(RuleBasedStateMachine):
    """`model` is offset -> (value, timestamp) of what was appended and neither cut nor lost."""

    @initialize(interval=st.sampled_from([1, 100, 4096]), pages=st.booleans())
    def start(self, interval: int, pages: bool) -> None:
        self.home = LogOnDisk(
            LogConfig(
                segment_bytes=SEGMENT_BYTES,
                index_interval_bytes=interval,
                segment_ms=60_000,
                retention_ms=600_000,
                flush_messages=1 << 62 if pages else 1,
            )
        )
        self.log: PartitionLog = self.home.open()
        self.model: dict[int, tuple[bytes, int]] = {}
        self.start_offset = 0
        self.end_offset = 0
        self.ticket: FlushTicket | None = None
        self.count = 0

    # --- growing ---

    @rule(count=st.integers(1, 5), size=st.integers(0, 100), age_ms=st.integers(-5000, 5000))
    def append(self, count: int, size: int, age_ms: int) -> None:
        values = [self._value(size) for _ in range(count)]
        timestamp = self.home.now_ms - age_ms
        base = self.home.append(self.log, *values, timestamp_ms=timestamp)
        assert base == self.end_offset
        for value in values:
            self.model[self.end_offset] = value, timestamp
            self.end_offset += 1

    def _value(self, size: int) -> bytes:
        self.count += 1
        return b"%d:" % self.count + b"v" * size

    @rule(error_number=st.sampled_from([errno.ENOSPC, errno.EIO]), torn=st.booleans())
    def append_fails(self, error_number: int, torn: bool) -> None:
        self.home.disk.fail("append", "*.log", error_number=error_number, count=1, torn=torn)
        with pytest.raises(OSError, match=os.strerror(error_number)):
            self.home.append(self.log, self._value(50))
        self.home.disk.heal()

    @rule()
    def roll(self) -> None:
        self.log.roll(self.home.now_ms)

    @rule(ms=st.integers(1, 300_000))
    def time_passes(self, ms: int) -> None:
        self.home.now_ms += ms
        self.home.disk.now_ms = self.home.now_ms

    @rule()
    def new_leader(self) -> None:
        self.home.leader_epoch += 1
        self.log.assign_epoch_start(self.home.leader_epoch, self.log.log_end_offset)

    # --- flushing ---

    @precondition(lambda self: self.ticket is None)
    @rule()
    def flush_begins(self) -> None:
        self.ticket = self.log.prepare_flush()
        assert (self.ticket is None) == (self.log.recovery_point == self.log.log_end_offset)

    @precondition(lambda self: self.ticket is not None)
    @rule()
    def flush_ends(self) -> None:
        assert self.ticket is not None
        self.ticket.sync()
        self.log.complete_flush(self.ticket)
        self.ticket = None

    @rule()
    def checkpoint(self) -> None:
        self.home.checkpoint(self.log)

    # --- cutting ---

    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self.start_offset, self.end_offset))
        self.log.truncate_to(offset)
        # The batch across the offset goes as a whole.
        end = self.log.log_end_offset
        assert end <= offset
        assert offset - end < 5
        if end < self.start_offset:
            # A log start that moved is checkpointed before the log goes on.
            self.home.checkpoint(self.log)
        self._cut_model(end)
        assert self.home.checkpoints.recovery_point <= end

    @rule(gap=st.integers(-50, 50))
    def truncate_fully(self, gap: int) -> None:
        offset = max(0, self.end_offset + gap)
        self.log.truncate_fully_and_start_at(offset)
        self.model.clear()
        self.start_offset = self.end_offset = offset
        # A log start that moved is checkpointed before the log goes on.
        self.home.checkpoint(self.log)

    def _cut_model(self, end: int) -> None:
        for offset in range(end, self.end_offset):
            self.model.pop(offset, None)
        self.end_offset = end
        self.start_offset = min(self.start_offset, end)

    @rule(data=st.data())
    def delete_records(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self.start_offset, self.end_offset))
        self.log.advance_log_start(offset)
        self.start_offset = offset
        self.home.checkpoint(self.log)

    @rule()
    def retention(self) -> None:
        self.log.apply_retention(self.home.now_ms, self.log.recovery_point)
        assert self.log.log_start_offset <= max(self.log.recovery_point, self.start_offset)
        for offset in range(self.start_offset, self.log.log_start_offset):
            assert self.model[offset][1] < self.home.now_ms - 600_000
        self.start_offset = self.log.log_start_offset
        self.log.remove_deleted_files(self.home.now_ms)

    # --- restarting ---

    @rule()
    def restart_cleanly(self) -> None:
        self._finish_ticket()
        self.log.close()
        self.home.checkpoint(self.log)
        self.home.disk = self.home.disk.kill()
        self.log = self.home.open(clean=True)
        assert self.log.recovery_point == self.end_offset

    @rule()
    def process_dies(self) -> None:
        """kill -9: the page cache keeps everything, flushed or not."""
        self.ticket = None
        self.home.disk = self.home.disk.kill()
        self.log = self.home.open(clean=False)
        assert self.log.log_end_offset == self.end_offset
        self._start_may_return()

    @rule(seed=st.integers(0, 1 << 32))
    def power_is_lost(self, seed: int) -> None:
        self.ticket = None
        durable = self.log.recovery_point
        disk: SimulatedDisk = self.home.disk.crash(random.Random(seed))
        self.home.disk = disk
        self.home.checkpoints.flushed_end = durable
        self.log = self.home.open(clean=False)
        assert durable <= self.log.log_end_offset <= self.end_offset
        if self.log.log_start_offset > self.start_offset:
            # The first segments were never flushed, and only later ones have survived.
            assert durable <= self.start_offset
            self.start_offset = self.log.log_start_offset
        self._cut_model(self.log.log_end_offset)
        self._start_may_return()

    def _start_may_return(self) -> None:
        """Segments whose renaming to `.deleted` was not durable are there again."""
        assert self.home.checkpoints.log_start_offset <= self.log.log_start_offset
        assert self.log.log_start_offset <= self.start_offset
        self.start_offset = self.log.log_start_offset

    def _finish_ticket(self) -> None:
        if self.ticket is not None:
            self.flush_ends()

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self._finish_ticket()
            self.log.close()

    # --- what always holds ---

    @invariant()
    def offsets_agree(self) -> None:
        if not hasattr(self, "log"):
            return
        assert self.log.log_start_offset == self.start_offset
        assert self.log.log_end_offset == self.end_offset
        assert self.log.recovery_point <= self.end_offset
        assert self.log.failed is None

    @rule(max_bytes=st.integers(1, 2000))
    def read_everything(self, max_bytes: int) -> None:
        expected = {
            offset: value
            for offset, (value, _) in self.model.items()
            if offset >= self.start_offset
        }
        assert values_of(self.log, max_bytes=max_bytes) == expected

    @rule(data=st.data())
    def find_by_time(self, data: st.DataObject) -> None:
        offsets = [offset for offset in self.model if offset >= self.start_offset]
        stamps = [self.model[offset][1] for offset in offsets]
        timestamp = data.draw(st.sampled_from([0, *stamps, self.home.now_ms + 10_000]))
        found = self.log.offset_for_timestamp(timestamp)
        expected = next((at for at in sorted(offsets) if self.model[at][1] >= timestamp), None)
        assert (found.offset if found else None) == expected

    @rule()
    def epochs_cover_the_log(self) -> None:
        entries = self.log.leader_epochs.entries
        assert entries == sorted(set(entries))
        if self.end_offset > self.start_offset:
            assert entries[0].start_offset <= self.start_offset


LogMachine.TestCase.settings = settings(
    max_examples=250, stateful_step_count=50, deadline=None, print_blob=True
)
TestPartitionLog = LogMachine.TestCase
