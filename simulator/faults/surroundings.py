"""The wall clock lies, the processor is slow, and the metadata store refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.faults.drawing import Fault

if TYPE_CHECKING:
    from simulator.faults.nemesis import Nemesis

DAY_MS = 86_400_000
MOST_OFF_MS = 3 * DAY_MS
"""Steps in both directions stay within what no retention of a week notices."""
STEPS_MS = (50, 2_000, 60_000, 3_600_000, DAY_MS, 2 * DAY_MS)


def clock_step(nemesis: Nemesis, fault: Fault) -> None:
    chance = nemesis.chance_of(fault)
    clock = nemesis.world.machine.clock
    step_ms = int(chance.choice(STEPS_MS) * (0.5 + fault.strength)) * chance.choice((-1, 1))
    clock.offset_ms = max(-MOST_OFF_MS, min(MOST_OFF_MS, clock.offset_ms + step_ms))
    nemesis.world.situations.saw("clock stepped back" if step_ms < 0 else "clock stepped forward")


def clock_drift(nemesis: Nemesis, fault: Fault) -> None:
    """It goes up to a tenth too fast or too slow from now on."""
    nemesis.world.machine.clock.set_drift(0.2 * (fault.strength - 0.5))


def slow_processor(nemesis: Nemesis, fault: Fault) -> None:
    """Each turn of everybody's loop takes long for a while."""
    nemesis.world.loop.creep_s = 0.002 + 0.1 * fault.strength
    nemesis.later(2 + 8 * fault.strength, nemesis.quicken)
    if nemesis.chance_of(fault).random() < 0.5:
        nemesis.kill()


def pause(nemesis: Nemesis, fault: Fault) -> None:
    """Nobody gets a turn for a while, and timers come late."""
    nemesis.world.loop.now += 0.1 + 20 * fault.strength**2


def metadata_refused(nemesis: Nemesis, fault: Fault) -> None:
    """The next commit is refused."""
    nemesis.world.machine.metadata.fail_next = "refuse"


def end_in_commit(nemesis: Nemesis, fault: Fault) -> None:
    """A life ends while the next change of the metadata is written."""
    nemesis.pause_s = 0.05 + fault.strength
    nemesis.ends_next_commit = nemesis.chance_of(fault).choice(("power lost", "killed"))


def metadata_unknown(nemesis: Nemesis, fault: Fault) -> None:
    """Of the next commit nobody learns whether it was made."""
    nemesis.world.machine.metadata.fail_next = "unknown"
