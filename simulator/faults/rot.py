"""A bit of an acknowledged record changes while nobody runs: the start has to refuse.

Then either the file comes back from a copy, or the loss is accepted, which the ledger has to know.
Only where the promise is defined: at the end of a log, which a start reads (docs/GUARANTEES.md).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from log.flushed_ends import FLUSHED_ENDS, decode_entries
from log.segment import LOG_SUFFIX
from simulator.cluster import DATA
from simulator.invariant_error import InvariantError
from wire.records.batch import iterate_batches

if TYPE_CHECKING:
    from kbroker.replication.partition import Partition
    from simulator.world import World

CHECKED_FROM = 21
"""Behind the CRC of a batch: what it covers begins here."""
REFUSALS = ("is not valid, which lies below", "records are missing from")


@dataclass(frozen=True, slots=True)
class Rot:
    """One byte that is another now. `offset` is the first of its batch."""

    topic: str
    partition: int
    offset: int
    path: str
    position: int
    original: int

    def explains(self, failure: str) -> bool:
        """Whether a start was refused for this."""
        return f"{self.topic}-{self.partition}" in failure and any(
            text in failure for text in REFUSALS
        )


def choose(world: World, chance: random.Random) -> Rot | None:
    """A byte of a durable batch in the last segment of a log; None if there is none."""
    broker = world.machine.broker
    if broker is None:
        return None
    found = [rot for each in broker.replicas for rot in _of(world, each, chance)]
    return chance.choice(found) if found else None


def _of(world: World, partition: Partition, chance: random.Random) -> list[Rot]:
    log = partition.log
    if log.config.flush_messages != 1 or partition.is_internal:
        return []
    if _hinted_end(world, log.flushing.flushed_end.key) < log.recovery_point:
        return []  # the hint could not be written: recovery knows less, as is stated
    path = log.segments.active.path(LOG_SUFFIX)
    data = memoryview(world.machine.disk.content(path))
    least = max(log.log_start_offset, log.segments.active.base_offset)
    found = []
    for start, header in iterate_batches(data):
        if least <= header.base_offset and header.next_offset <= log.recovery_point:
            position = start + chance.randrange(CHECKED_FROM, header.size_bytes)
            place = partition.topic, partition.index, header.base_offset
            found.append(Rot(*place, path, position, data[position]))
    return found


def _hinted_end(world: World, key: bytes) -> int:
    path = f"{DATA}/{FLUSHED_ENDS}"
    disk = world.machine.disk
    return decode_entries(disk.content(path)).get(key, 0) if disk.exists(path) else 0


def apply(world: World, rot: Rot, chance: random.Random) -> None:
    """Change one bit of it."""
    world.note(f"a bit rots in {rot.topic}-{rot.partition} at offset {rot.offset}")
    changed = rot.original ^ (1 << chance.randrange(8))
    world.machine.disk.corrupt(rot.path, rot.position, bytes([changed]))
    world.situations.saw("record rotted")


def restore(world: World, rot: Rot) -> None:
    """From a copy."""
    world.machine.disk.corrupt(rot.path, rot.position, bytes([rot.original]))


def accept_loss(world: World, rot: Rot) -> None:
    """The next start is told to go on without; what was promised from there on is gone."""
    partition = rot.topic, rot.partition
    world.ledger.accepted_losses.add(partition)
    if partition in world.ledger.promises:
        world.ledger.forget_from(partition, rot.offset)
    world.machine.settings["kbroker.accept.damaged.logs"] = "true"


def unnoticed(rot: Rot) -> InvariantError:
    return InvariantError(
        f"{rot.topic}-{rot.partition} has a changed bit at offset {rot.offset}, "
        "and the broker has started on it"
    )
