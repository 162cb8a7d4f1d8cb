"""The faults of a run: drawn from its seed as rows of a plan, then made to happen one by one.

Each row has a number, so that a run can be repeated without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.options import Options, chance_of

if TYPE_CHECKING:
    from simulator.world import World


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` happens `at_s` seconds into the run. `strength` (0 to 1) is what the kind makes of it:
    how long, how many, how bad."""

    number: int
    at_s: float
    kind: str
    strength: float

    def __str__(self) -> str:
        return f"fault:{self.number} {self.kind} at {self.at_s} s, strength {self.strength}"


async def _crash(world: World, fault: Fault) -> None:
    world.machine.crash()
    await asyncio.sleep(0.1 + 5 * fault.strength)
    await world.start_broker()


async def _kill(world: World, fault: Fault) -> None:
    world.machine.kill()
    await asyncio.sleep(0.1 + 2 * fault.strength)
    await world.start_broker()


async def _restart(world: World, fault: Fault) -> None:
    await world.machine.stop()
    await asyncio.sleep(2 * fault.strength)
    await world.start_broker()


KINDS: dict[str, Callable[[World, Fault], Awaitable[None]]] = {
    "power loss": _crash,
    "kill": _kill,
    "restart": _restart,
}


def draw_faults(seed: int, options: Options) -> tuple[Fault, ...]:
    """In the order in which they happen."""
    chance = chance_of(seed, "faults")
    kinds = [kind for kind in KINDS if chance.random() < 0.6] or ["power loss"]
    count = chance.randint(1, 12)
    moments = sorted(round(chance.uniform(0, options.safety_s), 3) for _ in range(count))
    return tuple(
        Fault(number, moment, chance.choice(kinds), round(chance.random(), 3))
        for number, moment in enumerate(moments)
    )
