"""What must hold: of the broker's state at any moment, of what clients saw at the end.

`StateWatch` looks at the broker's objects after each fault, now and then, and after flushes. Two
moments of one life are compared, and for what outlives it, two lives. Counterparts: `durability`
(what is on the disk), `replays` (what the logs say).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from log.checkpoint_writer import LOG_STARTS
from log.checkpoints import CheckpointError, decode_offsets
from simulator.cluster import DATA
from simulator.durability import DurableScan
from simulator.invariant_error import InvariantError
from simulator.network import WORLD
from simulator.replays import wrong_groups, wrong_producers
from simulator.workload.worker import Worker

if TYPE_CHECKING:
    from kbroker.broker import Broker
    from kbroker.replication.partition import Partition
    from simulator.disk import SimulatedDisk
    from simulator.world import World

FLUSHES_PER_LOOK = 16
SECONDS_PER_LOOK = (0.5, 10.0)


async def check_after(world: World, workers: Sequence[Worker]) -> None:
    """The reckoning at the end of a run. InvariantError."""
    for worker in workers:
        await worker.check()


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one partition, at one moment of a life."""

    log_start: int
    durable_end: int
    high_watermark: int
    log_end: int
    leader_epoch: int


class StateWatch:
    """Mutable: what was seen of each partition, and up to where its disk was looked at."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("state watch")
        self._life = 0
        self._seen: dict[Partition, Seen] = {}
        self._scans: dict[int, DurableScan] = {}
        self._log_starts: dict[tuple[bytes, int], int] = {}
        self._epochs: dict[tuple[bytes, int], int] = {}
        self._generations: dict[str, tuple[object, int]] = {}
        self._flushes = 0
        self._last_broker: Broker | None = None
        world.machine.on_flushed = self._flushed

    def look_now_and_then(self) -> None:
        """From now on, at random moments."""
        if self._world.loop.is_ending:
            return
        self.look()
        later_s = self._chance.uniform(*SECONDS_PER_LOOK)
        WORLD.run(self._world.loop.call_later, later_s, self.look_now_and_then)

    def _flushed(self) -> None:
        self._flushes += 1
        if self._flushes % FLUSHES_PER_LOOK == 0:
            self.look()

    def look(self) -> None:
        """Fail the run where something does not hold."""
        machine = self._world.machine
        broker = machine.broker
        if broker is None or machine.disk.is_dead:
            return
        if machine.lives != self._life:
            self._life = machine.lives
            self._seen.clear()
            self._scans.clear()
            self._generations.clear()
        self._last_broker = broker
        self._world.counts["looks at the state"] += 1
        for wrong in self._all_wrong(broker):
            if wrong:
                self._world.loop.fail(InvariantError(wrong))
                return

    def look_deeply(self) -> None:
        """At the end, or rarely: what costs a replay of all logs. InvariantError."""
        self.look()
        broker = self._world.machine.broker
        if broker is None:
            return
        now_ms = self._world.machine.clock.now_ms()
        disk = self._world.machine.disk
        wrongs = [wrong_producers(each, disk, now_ms) for each in broker.replicas]
        wrongs.append(wrong_groups(broker.services.group_coordinator, disk))
        for wrong in wrongs:
            if wrong:
                raise InvariantError(wrong)

    def look_at_the_end(self) -> None:
        """The last life was stopped in order, nobody uses anything any more. InvariantError."""
        machine = self._world.machine
        still_open = sorted(path for path, count in machine.disk.open_files.items() if count)
        if still_open and not machine.disk.is_dead:
            raise InvariantError(f"the broker has stopped, and these are open: {still_open}")
        for task in machine.ended_lives:
            if not task.done():
                raise InvariantError(f"{task.get_name()} is dead, and its tasks still wait")
        broker = self._last_broker
        if broker is not None and broker.server.memory.used_bytes:
            raise InvariantError(
                f"nobody is connected, and {broker.server.memory.used_bytes} bytes are in use"
            )

    def _all_wrong(self, broker: Broker) -> Iterable[str]:
        disk = self._world.machine.disk
        for partition in broker.replicas:
            yield self._wrong_order(partition)
            yield self._wrong_since(partition)
            yield wrong_epochs(partition)
            yield self._wrong_on_disk(partition, disk)
        yield self._wrong_generation(broker)

    def _wrong_order(self, partition: Partition) -> str:
        log = partition.log
        offsets = [
            log.log_start_offset,
            partition.last_stable_offset,
            partition.high_watermark,
            log.log_end_offset,
        ]
        if offsets != sorted(offsets):
            return f"{log.name}: start, stable, high watermark and end are {offsets}"
        if partition.flushes_each_append and log.recovery_point < partition.high_watermark:
            return (
                f"{log.name}: the high watermark is {partition.high_watermark}, "
                f"durable is what lies below {log.recovery_point}"
            )
        return ""

    def _durable_log_start(self, partition: Partition) -> int:
        """By the checkpoint: a deletion under way may be seen, and undone by a crash."""
        disk, path = self._world.machine.disk, f"{DATA}/{LOG_STARTS}"
        if not disk.exists(path):
            return 0
        try:
            offsets = decode_offsets(disk.durable_content(path), path)
        except CheckpointError:  # a cache that rotted
            return 0
        return min(
            offsets.get((partition.topic, partition.index), 0), partition.log.log_start_offset
        )

    def _wrong_since(self, partition: Partition) -> str:
        """What never falls: in a life, and over lives."""
        log = partition.log
        now = Seen(
            log.log_start_offset,
            log.recovery_point,
            partition.high_watermark,
            log.log_end_offset,
            partition.leader_epoch,
        )
        before = self._seen.get(partition)
        self._seen[partition] = now
        if before is not None:
            for name in Seen.__slots__:
                if getattr(now, name) < getattr(before, name):
                    return f"{log.name}: {name} fell from {before} to {now}"
            return ""
        key = log.topic_id, partition.index
        last_start = self._log_starts.get(key, 0)
        last_epoch = self._epochs.get(key, -1)
        self._log_starts[key] = self._durable_log_start(partition)
        self._epochs[key] = now.leader_epoch
        if now.leader_epoch <= last_epoch:
            return f"{log.name}: two lives lead in epoch {now.leader_epoch}"
        if now.log_start < last_start and partition.log.config.flush_messages == 1:
            return f"{log.name}: the log start fell from {last_start} to {now.log_start}"
        return ""

    def _wrong_on_disk(self, partition: Partition, disk: SimulatedDisk) -> str:
        log = partition.log
        scan = self._scans.get(id(log))
        if scan is None:
            scan = self._scans[id(log)] = DurableScan(log)
        return scan.check(disk)

    def _wrong_generation(self, broker: Broker) -> str:
        """A group's own number, while the same group is there."""
        for hosted in broker.services.group_coordinator._shards.values():
            for name, group in hosted.shard._groups.items():
                known, generation = self._generations.get(name, (None, 0))
                if known is group and group.generation < generation:
                    return f"group {name} was in generation {generation}, is in {group.generation}"
                self._generations[name] = group, group.generation
        return ""


def wrong_epochs(partition: Partition) -> str:
    """The history of leader epochs ascends, and ends with the one led in."""
    entries = partition.log.leader_epochs.entries
    for one, other in pairwise(entries):
        if one.epoch >= other.epoch or one.start_offset >= other.start_offset:
            return f"{partition.log.name}: leader epochs do not ascend: {entries}"
    if entries and entries[-1].start_offset > partition.log.log_end_offset:
        return f"{partition.log.name}: {entries[-1]} starts past the log end"
    return ""
