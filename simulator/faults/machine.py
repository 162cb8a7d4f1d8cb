"""Ends of the process and of its machine: at a moment, or at a chosen storage operation."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from simulator.faults.drawing import Fault

if TYPE_CHECKING:
    from simulator.faults.nemesis import Nemesis

SLOW_TURN_S = 0.02
LOOKS = 250
"""At a slow start, until it reads groups."""
TRAP_S = 300.0
"""How long a trap waits for its operation."""

Place = tuple[str, str]
"""(operation, path) at which a life may end."""

TARGETS: tuple[Place, ...] = (
    ("append", "*.log"),
    ("append", "*.index"),
    ("append", "*.timeindex"),
    ("append", "*.tmp"),
    ("append", "*.snapshot*"),
    ("append", "*checkpoint*"),
    ("append", "*flushed_ends*"),
    ("append", "*flushed_ends*"),
    ("flush", "*.log"),
    ("flush", "*.log"),
    ("flush", "*.log"),
    ("flush", "*index"),
    ("flush", "*.tmp"),
    ("flush", "*.snapshot*"),
    ("open", "*.log"),
    ("open", "*.log"),
    ("open", "*.snapshot*"),
    ("rename", "*.tmp"),
    ("rename", "*recovery-point*"),
    ("rename", "*leader-epoch*"),
    ("remove", "*"),
    ("remove", "*.snapshot"),
    ("sync_directory", "/data"),
    ("sync_directory", "/data/*"),
    ("truncate", "*"),
)
TOPIC_TARGETS: tuple[Place, ...] = (
    ("make_directory", "*"),
    ("make_directory", "*"),
    ("append", "*partition.metadata*"),
    ("rename", "*partition.metadata*"),
    ("rename", "/data/*-[0-9]"),
    ("rename", "/data/*-[0-9]"),
    ("rename", "/data/*-[0-9]"),
    ("remove", "*-delete*"),
    ("remove", "*-delete*"),
    ("remove", "*-delete*"),
)
"""Where topics come and go."""
START_TARGETS: tuple[Place, ...] = (
    ("append", "*log-start*"),
    ("rename", "*log-start*"),
    ("sync_directory", "*"),
    ("rename", "*.log"),
    ("rename", "*.log"),
    ("rename", "*.index"),
    ("remove", "*.deleted"),
    ("remove", "*.deleted"),
)
"""Where records are deleted."""
GROUP_TARGETS: tuple[Place, ...] = (
    ("append", "*__consumer_offsets*.log"),
    ("flush", "*__consumer_offsets*.log"),
    ("flush", "*__consumer_offsets*.log"),
)
OF_WORKERS = {"topics": TOPIC_TARGETS, "record-deleter": START_TARGETS, "group": GROUP_TARGETS}
"""How the name of a worker begins -> the places that only its work comes to."""
AWAITED = (
    "leader told of its generation",
    "leader told of its generation",
    "member told to join again",
    "session of a member ended",
)
"""What a member is told when the life of the broker ends."""

STARTING: tuple[Place, ...] = (
    ("sync_directory", "/data"),
    ("append", "*.index"),
    ("append", "*.snapshot*"),
    ("flush", "*.log"),
    ("flush", "*"),
    ("sync_directory", "/data"),
    ("rename", "*"),
)
STOPPING: tuple[Place, ...] = (
    ("flush", "*.log"),
    ("flush", "*index"),
    ("append", "*.index"),
    ("append", "*.snapshot*"),
    ("rename", "*.snapshot*"),
    ("append", "*checkpoint*"),
    ("append", "*cleanshutdown*"),
    ("rename", "*cleanshutdown*"),
    ("sync_directory", "/data"),
    ("remove", "*"),
)
CLEAN = "*cleanshutdown*"


@dataclass(slots=True, eq=False)
class Trap:
    """Ends a life just before a storage operation. Mutable: `skip` and `later` run down."""

    operation: str
    pattern: str
    skip: int
    how: str
    """"power lost" or "killed"."""
    later: int = 0
    """So many operations after that one, whatever they are."""
    others: tuple[Place, ...] = ()
    """Where it may as well."""

    def takes(self, operation: str, path: str) -> bool:
        """Whether this is the operation; each one that might be counts."""
        if self.skip < 0:
            self.later -= 1
        elif any(
            each in (operation, "*") and fnmatchcase(path, pattern)
            for each, pattern in ((self.operation, self.pattern), *self.others)
        ):
            self.skip -= 1
        return self.skip < 0 and self.later <= 0


def power_loss(nemesis: Nemesis, fault: Fault) -> None:
    """At once, or as soon as somebody was told something."""
    nemesis.pause_s = 0.1 + 5 * fault.strength
    if not _after_answer(nemesis, fault, 0.5):
        nemesis.crash()


def _after_answer(nemesis: Nemesis, fault: Fault, likelihood: float) -> bool:
    """A moment after the broker has spoken: what it said must outlive it."""
    chance = nemesis.world.chance(f"answer:{fault.number}")
    if chance.random() >= likelihood:
        return False
    nemesis.crash_after_answer(chance.choice((0, 0, 1, 2, 5, 12)))
    return True


def kill(nemesis: Nemesis, fault: Fault) -> None:
    nemesis.pause_s = 0.1 + 2 * fault.strength
    nemesis.kill()


def restart(nemesis: Nemesis, fault: Fault) -> None:
    nemesis.pause_s = 2 * fault.strength
    nemesis.request_stop()


def power_loss_at_operation(nemesis: Nemesis, fault: Fault) -> None:
    """Just before a storage operation; some of them after an answer instead."""
    if _after_answer(nemesis, fault, 0.25):
        nemesis.pause_s = 0.05 + fault.strength
        return
    _set_trap(nemesis, fault, "power lost")


def kill_at_operation(nemesis: Nemesis, fault: Fault) -> None:
    _set_trap(nemesis, fault, "killed")


def _set_trap(nemesis: Nemesis, fault: Fault, how: str) -> None:
    chance = nemesis.chance_of(fault)
    theirs = [
        place
        for name, places in OF_WORKERS.items()
        if any(worker.startswith(name) for worker in nemesis.world.workers)
        for place in places
    ]
    nemesis.pause_s = 0.05 + fault.strength
    if any(worker.startswith("group") for worker in nemesis.world.workers) and (
        chance.random() < 0.15
    ):
        nemesis.end_when_told(chance.choice(AWAITED), how)
        return
    is_theirs = bool(theirs) and chance.random() < 0.7
    place = chance.choice(theirs if is_theirs else TARGETS)
    # What few operations of a run are is taken when it comes.
    skip = 0 if is_theirs else chance.choice((0, 0, 0, 1, 2, 5, 12))
    others = tuple(chance.sample(theirs, 2)) if is_theirs else ()
    later = chance.choice((0, 0, 1))
    nemesis.set_trap(Trap(*place, skip, how, later=later, others=others), TRAP_S)


def power_loss_while_starting(nemesis: Nemesis, fault: Fault) -> None:
    """A life ends, and the next one while it is made ready."""
    chance = nemesis.chance_of(fault)
    aimed = (_end_slow_start, _end_in_cut, _end_in_cut, _end_after_word)
    way = chance.choice(aimed) if chance.random() < 0.6 else _end_start
    nemesis.pause_s = 0.05 + fault.strength
    way(nemesis, fault, chance)


def _end_start(nemesis: Nemesis, fault: Fault, chance: random.Random) -> None:
    how = "power lost" if chance.random() < 0.7 else "killed"
    trap = (
        Trap(*chance.choice(STARTING), chance.choice((0, 0, 1, 2)), how)
        if chance.random() < 0.5
        else Trap("*", "*", int(60 * fault.strength), how)
    )
    nemesis.at_next_start(lambda: nemesis.set_trap(trap, 3.0))
    chance.choice((nemesis.crash, nemesis.crash, nemesis.kill, nemesis.request_stop))()


def _end_in_cut(nemesis: Nemesis, fault: Fault, chance: random.Random) -> None:
    """Of a tail that a power loss has torn before its flush."""
    cut = Trap("truncate", "*.log", 0, "power lost", later=chance.choice((0, 0, 1)))
    nemesis.set_trap(Trap("flush", "*.log", chance.choice((0, 1, 2)), "power lost"), TRAP_S)
    nemesis.at_next_start(lambda: nemesis.set_trap(cut, TRAP_S))


def _end_after_word(nemesis: Nemesis, fault: Fault, chance: random.Random) -> None:
    """Of a clean stop: what the next start took, or is about to."""
    how = chance.choice(("power lost", "killed"))
    trap = Trap("remove", CLEAN, 0, how, later=chance.choice((0, 1, 1, 1)))
    nemesis.at_next_start(lambda: nemesis.set_trap(trap, 3.0))
    nemesis.request_stop()


def _end_slow_start(nemesis: Nemesis, fault: Fault, chance: random.Random) -> None:
    """At any turn of its loop, or while it reads the groups."""
    ends_loading = chance.random() < 0.85
    looks_on = LOOKS

    def begin() -> None:
        nemesis.world.loop.creep_s = SLOW_TURN_S
        if ends_loading:
            look()
        else:
            nemesis.later(2 * fault.strength, nemesis.crash)
        nemesis.later(2.5, nemesis.quicken)

    def look() -> None:
        nonlocal looks_on
        looks_on -= 1
        if nemesis.probes.groups_are_loading:
            nemesis.crash()
        elif looks_on:
            nemesis.later(SLOW_TURN_S / 2, look)

    nemesis.pause_s = 0.05
    nemesis.at_next_start(begin)
    nemesis.kill()


def power_loss_while_stopping(nemesis: Nemesis, fault: Fault) -> None:
    """It is asked to stop, and does not come to the end of that."""
    chance = nemesis.chance_of(fault)
    place = chance.choice(STOPPING)
    how = "power lost" if chance.random() < 0.7 else "killed"
    trap = (
        Trap(*place, 0 if place[1] == CLEAN else chance.choice((0, 0, 1, 2)), how)
        if chance.random() < 0.5
        else Trap("*", "*", int(40 * fault.strength), how)
    )
    nemesis.pause_s = 0.05 + fault.strength
    nemesis.set_trap(trap, 3.0)
    nemesis.request_stop()
