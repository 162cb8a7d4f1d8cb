"""Ends of the process and of its machine: at a moment, or at a chosen storage operation."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from simulator.faults.drawing import Fault

if TYPE_CHECKING:
    from simulator.faults.nemesis import Nemesis

SLOW_TURN_S = 0.02
TRAP_S = 300.0
"""How long a trap waits for its operation."""

TARGETS = (
    ("append", "*.log"),
    ("append", "*.index"),
    ("append", "*.timeindex"),
    ("append", "*.tmp"),
    ("append", "*.snapshot*"),
    ("append", "*checkpoint*"),
    ("append", "*flushed_ends*"),
    ("append", "*partition.metadata*"),
    ("flush", "*.log"),
    ("flush", "*.log"),
    ("flush", "*index"),
    ("flush", "*.tmp"),
    ("flush", "*.snapshot*"),
    ("open", "*.log"),
    ("open", "*.snapshot*"),
    ("make_directory", "*"),
    ("rename", "*.tmp"),
    ("rename", "*recovery-point*"),
    ("rename", "*log-start*"),
    ("rename", "*leader-epoch*"),
    ("rename", "*.log"),
    ("rename", "*.log"),
    ("rename", "*.index"),
    ("rename", "/data/*-[0-9]"),
    ("rename", "/data/*-[0-9]"),
    ("append", "*__consumer_offsets*.log"),
    ("flush", "*__consumer_offsets*.log"),
    ("remove", "*"),
    ("remove", "*.deleted"),
    ("remove", "*.deleted"),
    ("remove", "*-delete*"),
    ("remove", "*-delete*"),
    ("remove", "*.snapshot"),
    ("sync_directory", "/data"),
    ("sync_directory", "/data/*"),
    ("truncate", "*"),
)
"""(operation, path) at which a life may end."""

STARTING = (
    ("remove", "*cleanshutdown*"),
    ("sync_directory", "/data"),
    ("truncate", "*"),
    ("truncate", "*.log"),
    ("append", "*.index"),
    ("append", "*.snapshot*"),
    ("flush", "*.log"),
    ("flush", "*"),
    ("sync_directory", "/data"),
    ("rename", "*"),
)
STOPPING = (
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


@dataclass(slots=True, eq=False)
class Trap:
    """Ends a life just before a storage operation. Mutable: `skip` runs down."""

    operation: str
    pattern: str
    skip: int
    how: str
    """"power lost" or "killed"."""

    def takes(self, operation: str, path: str) -> bool:
        """Whether this is the operation; each one that might be counts."""
        if self.operation not in (operation, "*") or not fnmatchcase(path, self.pattern):
            return False
        self.skip -= 1
        return self.skip < 0


def power_loss(nemesis: Nemesis, fault: Fault) -> None:
    nemesis.pause_s = 0.1 + 5 * fault.strength
    nemesis.crash()


def kill(nemesis: Nemesis, fault: Fault) -> None:
    nemesis.pause_s = 0.1 + 2 * fault.strength
    nemesis.kill()


def restart(nemesis: Nemesis, fault: Fault) -> None:
    nemesis.pause_s = 2 * fault.strength
    nemesis.request_stop()


def power_loss_at_operation(nemesis: Nemesis, fault: Fault) -> None:
    _set_trap(nemesis, fault, "power lost")


def kill_at_operation(nemesis: Nemesis, fault: Fault) -> None:
    _set_trap(nemesis, fault, "killed")


def _set_trap(nemesis: Nemesis, fault: Fault, how: str) -> None:
    chance = nemesis.chance_of(fault)
    operation, pattern = chance.choice(TARGETS)
    nemesis.pause_s = 0.05 + fault.strength
    nemesis.set_trap(Trap(operation, pattern, chance.choice((0, 0, 0, 1, 2, 5, 12)), how), TRAP_S)


def power_loss_while_starting(nemesis: Nemesis, fault: Fault) -> None:
    """A life ends, and the next one while it is made ready."""
    chance = nemesis.chance_of(fault)
    if chance.random() < 0.3:
        _end_slow_start(nemesis, fault)
        return
    how = "power lost" if chance.random() < 0.7 else "killed"
    trap = (
        Trap(*chance.choice(STARTING), chance.choice((0, 0, 1, 2)), how)
        if chance.random() < 0.5
        else Trap("*", "*", int(60 * fault.strength), how)
    )
    nemesis.pause_s = 0.05 + fault.strength
    nemesis.at_next_start(lambda: nemesis.set_trap(trap, 3.0))
    chance.choice((nemesis.crash, nemesis.crash, nemesis.kill, nemesis.request_stop))()


def _end_slow_start(nemesis: Nemesis, fault: Fault) -> None:
    """At any turn of its loop, while groups are read for example."""

    def begin() -> None:
        nemesis.world.loop.creep_s = SLOW_TURN_S
        nemesis.later(2 * fault.strength, nemesis.crash)
        nemesis.later(2.5, nemesis.quicken)

    nemesis.pause_s = 0.05
    nemesis.at_next_start(begin)
    nemesis.kill()


def power_loss_while_stopping(nemesis: Nemesis, fault: Fault) -> None:
    """It is asked to stop, and does not come to the end of that."""
    chance = nemesis.chance_of(fault)
    how = "power lost" if chance.random() < 0.7 else "killed"
    trap = (
        Trap(*chance.choice(STOPPING), chance.choice((0, 0, 1, 2)), how)
        if chance.random() < 0.5
        else Trap("*", "*", int(40 * fault.strength), how)
    )
    nemesis.pause_s = 0.05 + fault.strength
    nemesis.set_trap(trap, 3.0)
    nemesis.request_stop()
