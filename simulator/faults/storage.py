"""The disk refuses, tears, fills up, gets slow, and forgets.

What the broker is not told of (bytes that change at rest) happens only while it is stopped, to
files of which it is promised what comes of it.
"""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

from simulator.cluster import DATA
from simulator.disk import SimulatedDisk
from simulator.faults.drawing import Fault

if TYPE_CHECKING:
    from simulator.faults.nemesis import Nemesis

REFUSED_S = 20.0
"""How long an injected error waits for its operation."""
CACHES = {
    ".index": "index rotted",
    ".timeindex": "index rotted",
    ".snapshot": "snapshot rotted",
    "leader-epoch-checkpoint": "checkpoint rotted",
    "recovery-point-offset-checkpoint": "checkpoint rotted",
    "replication-offset-checkpoint": "checkpoint rotted",
}
"""How a path ends -> the situation."""


def failed_fsync(nemesis: Nemesis, fault: Fault) -> None:
    """One fsync fails, and what it was to write is forgotten."""
    chance = nemesis.chance_of(fault)
    pattern = chance.choice(("*", "*.log", "*.log", "*.tmp", "*index"))
    if chance.random() < 0.3:
        nemesis.at_next_start(lambda: _fail(nemesis, fault, "flush", pattern))
        nemesis.kill()
    else:
        _fail(nemesis, fault, "flush", pattern)


def append_refused(nemesis: Nemesis, fault: Fault) -> None:
    pattern = nemesis.chance_of(fault).choice(("*", "*.log", "*index", "*.tmp", "*__consumer*"))
    _fail(nemesis, fault, "append", pattern)


def torn_append(nemesis: Nemesis, fault: Fault) -> None:
    """Half of an append is there, and could not be taken back."""
    pattern = nemesis.chance_of(fault).choice(("*", "*.log", "*.log", "*__consumer*"))
    error_number = nemesis.chance_of(fault).choice((errno.ENOSPC, errno.EIO))
    _fail(nemesis, fault, "append", pattern, torn=True, error_number=error_number)


def read_refused(nemesis: Nemesis, fault: Fault) -> None:
    _fail(nemesis, fault, "read", nemesis.chance_of(fault).choice(("*", "*.log", "*index")))


def open_refused(nemesis: Nemesis, fault: Fault) -> None:
    error_number = nemesis.chance_of(fault).choice((errno.EIO, errno.EMFILE))
    _fail(nemesis, fault, "open", "*", error_number=error_number)


def rename_refused(nemesis: Nemesis, fault: Fault) -> None:
    _fail(nemesis, fault, "rename", "*")


def directory_sync_refused(nemesis: Nemesis, fault: Fault) -> None:
    _fail(nemesis, fault, "sync_directory", "*")


def _fail(
    nemesis: Nemesis,
    fault: Fault,
    operation: str,
    pattern: str,
    *,
    torn: bool = False,
    error_number: int = errno.EIO,
) -> None:
    skip = int(8 * fault.strength**2)
    disk = nemesis.world.machine.disk
    nemesis.pause_s = 0.05 + fault.strength
    disk.fail(operation, pattern, error_number=error_number, skip=skip, count=1, torn=torn)
    nemesis.later(REFUSED_S, disk.heal)


def disk_full(nemesis: Nemesis, fault: Fault) -> None:
    """Almost no room is left for a while; then there is."""
    disk = nemesis.world.machine.disk
    room = nemesis.chance_of(fault).choice((0, 100, 3_000))
    disk.capacity_bytes = disk.used_bytes + room
    if nemesis.chance_of(fault).random() < 0.3:
        nemesis.pause_s = 0.5
        nemesis.request_stop()
    nemesis.later(0.5 + 10 * fault.strength, _make_room, nemesis)


def _make_room(nemesis: Nemesis) -> None:
    nemesis.world.machine.disk.capacity_bytes = None


def slow_disk(nemesis: Nemesis, fault: Fault) -> None:
    """Each flush and each call of a thread takes long."""
    world = nemesis.world
    slowness = (0.01, 0.02 + 2 * fault.strength**2)
    world.loop.executor_delay_s = slowness
    if world.machine.flusher is not None:
        world.machine.flusher.delay_s = slowness
    nemesis.later(1 + 10 * fault.strength, nemesis.quicken)


def rotten_cache(nemesis: Nemesis, fault: Fault) -> None:
    """Files that can be made anew from the log lose their contents, while nobody runs."""
    chance = nemesis.chance_of(fault)
    nemesis.pause_s = 0.05 + fault.strength
    if chance.random() < 0.3:  # a clean log is not read: only its index says where it ends
        nemesis.at_next_start(lambda: _misguide(nemesis, chance))
        nemesis.request_stop()
        return
    nemesis.at_next_start(lambda: _rot(nemesis, chance, fault.strength))
    chance.choice((nemesis.kill, nemesis.request_stop))()


def _misguide(nemesis: Nemesis, chance: random.Random) -> None:
    """Every index points anywhere."""
    disk = nemesis.world.machine.disk
    for path in files_below(disk, DATA):
        size = disk.status(path).size if path.endswith(".index") else 0
        if size:
            nemesis.world.situations.saw("index rotted")
            disk.corrupt(path, 0, chance.randbytes(size))


def _rot(nemesis: Nemesis, chance: random.Random, share: float) -> None:
    disk = nemesis.world.machine.disk
    paths = files_below(disk, DATA)
    for path in paths:
        situation = next((CACHES[end] for end in CACHES if path.endswith(end)), "")
        if _is_no_cache(path, paths):
            continue
        if situation and chance.random() < max(share, 0.2):
            size = disk.status(path).size
            if size:
                nemesis.world.situations.saw(situation)
                with disk.undisturbed():
                    _spoil(disk, chance, path, size)


def _is_no_cache(path: str, paths: list[str]) -> bool:
    """A snapshot at the first segment is all that is left of producers whose records are gone."""
    directory, _, name = path.rpartition("/")
    if not name.endswith(".snapshot"):
        return False
    logs = [each for each in paths if each.startswith(f"{directory}/") and each.endswith(".log")]
    return not logs or name[:20] <= logs[0].rpartition("/")[2][:20]


def _spoil(disk: SimulatedDisk, chance: random.Random, path: str, size: int) -> None:
    how = chance.choice(("zeros", "junk", "cut", "missing"))
    if how == "zeros":
        disk.corrupt(path, 0, bytes(size))
    elif how == "junk":
        disk.corrupt(path, 0, chance.randbytes(size))
    elif how == "cut":
        file = disk.open(path)
        file.truncate(chance.randrange(size))
        file.flush()
        file.close()
    else:
        disk.remove(path)
        disk.sync_directory(path.rpartition("/")[0])


def rotten_record(nemesis: Nemesis, fault: Fault) -> None:
    """A bit of a record that was acknowledged is another one: this must not go unnoticed."""
    chance = nemesis.chance_of(fault)
    nemesis.pause_s = 0.05 + fault.strength
    nemesis.rot_record(chance)


def files_below(disk: SimulatedDisk, path: str) -> list[str]:
    """All files, in the order of their paths."""
    found: list[str] = []
    for name in disk.list_directory(path) if disk.exists(path) else []:
        below = f"{path}/{name}"
        found += files_below(disk, below) if disk.is_directory(below) else [below]
    return found
