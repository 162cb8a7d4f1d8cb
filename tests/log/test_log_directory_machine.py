"""A data directory whose topics come, go and come again under their names, with every kind of end.

Whatever happens in whatever order, a topic that exists has what was acknowledged of it, and nothing
of an earlier topic of the same name.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from log.checkpoint_writer import CheckpointFile
from log.flushing import FlushTicket
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from log.partition_log import PartitionLog
from simulator.disk import SimulatedDisk
from tests.log.log_harness import NOW, batch, values_of

CONFIG = LogConfig(segment_bytes=400, index_interval_bytes=100)
PARTITIONS = (0, 1)
NAME = "a"
KEYS = st.sampled_from([(NAME, each) for each in PARTITIONS])


@dataclass(slots=True)
class Kept:
    """What one partition must hold: its record at an offset is `<topic id>:<offset>`. Mutable."""

    topic_id: bytes
    start: int = 0
    end: int = 0
    durable_end: int = 0

    def value(self, offset: int) -> bytes:
        return self.topic_id[:4].hex().encode() + b":%d" % offset + b"." * 40


@dataclass(slots=True)
class Flight:
    log: PartitionLog
    ticket: FlushTicket
    kept: Kept = field(kw_only=True)


class DirectoryMachine(RuleBasedStateMachine):
    """`ids` is the cluster's metadata; `checkpoint` and `flights` are what threads are at."""

    @initialize()
    def start(self) -> None:
        self.disk = SimulatedDisk()
        self.ids: dict[str, bytes] = {}
        self.kept: dict[tuple[str, int], Kept] = {}
        self.deleted: set[bytes] = set()
        self.id_count = 0
        self._open()

    def _open(self) -> None:
        self.checkpoint: list[CheckpointFile] = []
        self.flights: list[Flight] = []
        self.directory = LogDirectory.open(
            self.disk,
            "data",
            node_id=1,
            cluster_id="c",
            new_cluster_id="c",
            new_directory_id=bytes(16),
        )
        self.directory.open_logs(
            config_of=lambda _: CONFIG,
            topic_ids=self.ids,
            now_ms=NOW,
        )
        for key in sorted(self.directory.strays):
            assert self.directory.strays[key].topic_id in self.deleted
            self.directory.delete_stray(*key, unique_id=self._new_id())
        missing = [each for each in PARTITIONS if (NAME, each) not in self.directory.logs]
        if missing and self.ids:
            self._create_logs(missing)

    def _new_id(self) -> bytes:
        self.id_count += 1
        return random.Random(self.id_count).randbytes(16)  # as far apart as ids are

    # --- topics ---

    def _announce(self) -> None:
        """The metadata knows the topic before any broker makes its partitions."""
        self.ids[NAME] = self._new_id()
        self.kept = {(NAME, each): Kept(self.ids[NAME]) for each in PARTITIONS}

    def _create_logs(self, partitions: list[int]) -> None:
        self.directory.create_logs(
            NAME, partitions, topic_id=self.ids[NAME], config=CONFIG, now_ms=NOW
        )

    @precondition(lambda self: self.ids)
    @rule()
    def delete(self) -> None:
        self.deleted.add(self.ids.pop(NAME))
        self.kept = {}
        self.directory.delete_logs(NAME, PARTITIONS, unique_id=self._new_id())

    @rule(key=KEYS, count=st.integers(0, 3))
    def make_anew(self, key: tuple[str, int], count: int) -> None:
        if self.ids:
            self.delete()
        self._announce()
        self._create_logs(list(PARTITIONS))
        self.append(key, count, flushed=False)

    @rule()
    def space_is_freed(self) -> None:
        self.directory.remove_deleted()

    # --- records ---

    @rule(key=KEYS, count=st.integers(1, 12), flushed=st.booleans())
    def append(self, key: tuple[str, int], count: int, flushed: bool) -> None:
        if key not in self.kept:
            return
        kept, log = self.kept[key], self.directory.logs[key]
        for _ in range(count):
            data = batch(kept.value(kept.end), producer_id=7, sequence=kept.end)
            result = log.append_as_leader(data, leader_epoch=0, now_ms=NOW)
            assert (result.base_offset, result.duplicate) == (kept.end, False)
            kept.end += 1
        if flushed:
            log.flush_now()
            kept.durable_end = log.recovery_point

    @rule(key=KEYS)
    def flush_begins(self, key: tuple[str, int]) -> None:
        if key in self.kept and not any(each.kept is self.kept[key] for each in self.flights):
            ticket = self.directory.logs[key].prepare_flush()
            if ticket is not None:
                self.flights.append(Flight(self.directory.logs[key], ticket, kept=self.kept[key]))

    @precondition(lambda self: self.flights)
    @rule()
    def flushes_end(self) -> None:
        """Also of logs that were deleted, and made anew, meanwhile."""
        for flight in self.flights:
            flight.ticket.sync()
            self.directory.flushed_ends.note([flight.ticket])
            flight.log.complete_flush(flight.ticket)
            flight.kept.durable_end = flight.log.recovery_point
        self.flights = []

    @rule(key=KEYS, data=st.data())
    def records_are_retired(self, key: tuple[str, int], data: st.DataObject) -> None:
        if key not in self.kept:
            return
        kept, log = self.kept[key], self.directory.logs[key]
        kept.start = data.draw(st.integers(kept.start, max(kept.start, kept.durable_end)))
        log.advance_log_start(kept.start)
        log.apply_retention(NOW, kept.durable_end)
        log.remove_deleted_files(NOW)
        assert log.log_start_offset == kept.start

    @rule(key=KEYS, retired=st.integers(0, 12))
    def have_a_past(self, key: tuple[str, int], retired: int) -> None:
        """What is only worth the trouble together: checkpoints that speak of much."""
        if key in self.kept and not self.checkpoint:
            self.append(key, 12, flushed=True)
            self.kept[key].start = max(self.kept[key].start, retired)
            self.directory.logs[key].advance_log_start(retired)
            self.directory.write_checkpoints(self._high_watermarks())

    # --- checkpoints, in a thread ---

    def _high_watermarks(self) -> dict[tuple[str, int], int]:
        return {key: kept.durable_end for key, kept in self.kept.items()}

    @precondition(lambda self: not self.checkpoint)
    @rule()
    def checkpoints_are_gathered(self) -> None:
        self.checkpoint = self.directory.gather_checkpoints(self._high_watermarks())

    @precondition(lambda self: self.checkpoint)
    @rule(count=st.sampled_from([1, 2, 9, 9]))
    def checkpoints_are_written(self, count: int) -> None:
        self.directory.checkpoints.write(self.checkpoint[:count])
        self.checkpoint = self.checkpoint[count:]

    # --- ends ---

    @rule()
    def clean_restart(self) -> None:
        self.flushes_end()
        for key, log in self.directory.logs.items():
            log.flush_now()
            self.kept[key].durable_end = self.kept[key].end
        self.checkpoint = []
        assert self.directory.close(clean=True, high_watermarks=self._high_watermarks())
        self.disk = self.disk.kill()
        self._open()
        assert self.directory.was_clean

    @rule()
    def process_dies(self) -> None:
        self.disk = self.disk.kill()
        self._open()
        self._compare(lambda kept: kept.end)

    @rule(seed=st.integers(0, 1 << 32))
    def power_is_lost(self, seed: int) -> None:
        self.disk = self.disk.crash(random.Random(seed))
        self._open()
        self._compare(lambda kept: kept.durable_end)

    @rule(changes=st.integers(0, 25), seed=st.none() | st.integers(0, 1 << 32))
    def it_ends_while_the_topic_is_made_anew(self, changes: int, seed: int | None) -> None:
        old_id = self.ids.get(NAME)
        self.disk.power_off_after = self.disk.operation_count + changes
        with contextlib.suppress(OSError):
            self.make_anew((NAME, 0), 1)
        if self.ids.get(NAME) in (None, old_id):
            self._announce()
        self.disk = self.disk.kill() if seed is None else self.disk.crash(random.Random(seed))
        self._open()
        self._compare(lambda kept: kept.end if seed is None else kept.durable_end)

    def _compare(self, least_end: Callable[[Kept], int]) -> None:
        """What an unclean end may take is taken from the model, if it may."""
        assert self.directory.logs.keys() == self.kept.keys()
        for key, log in self.directory.logs.items():
            kept = self.kept[key]
            assert least_end(kept) <= log.log_end_offset <= kept.end
            # What was retired since the last checkpoint may be back. Of segments that were never
            # flushed only later ones may have survived.
            assert log.log_start_offset <= kept.start or least_end(kept) <= kept.start
            if log.log_start_offset < kept.start <= log.log_end_offset:
                log.advance_log_start(kept.start)  # with holes: what is left of it goes again
            kept.start, kept.end = log.log_start_offset, log.log_end_offset
            kept.durable_end = log.recovery_point

    # --- what always holds ---

    @invariant()
    def what_is_kept_is_there(self) -> None:
        for key, kept in getattr(self, "kept", {}).items():
            log = self.directory.logs[key]
            assert log.topic_id == kept.topic_id
            assert values_of(log) == {
                offset: kept.value(offset) for offset in range(kept.start, kept.end)
            }


DirectoryMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, print_blob=True
)
TestLogDirectory = DirectoryMachine.TestCase
