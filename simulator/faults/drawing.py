"""The faults of a run as rows of its plan, drawn from its seed.

Each row has a number, so that a run can be repeated without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.options import Options, chance_of

WEIGHTS = {
    "power loss": 3,
    "kill": 2,
    "restart": 2,
    "power loss at an operation": 12,
    "kill at an operation": 5,
    "power loss while starting": 4,
    "power loss while stopping": 3,
    "failed fsync": 3,
    "append refused": 2,
    "torn append": 2,
    "read refused": 2,
    "open refused": 1,
    "rename refused": 1,
    "directory sync refused": 1,
    "disk full": 3,
    "slow disk": 3,
    "rotten cache": 3,
    "rotten record": 3,
    "resets": 3,
    "half-open": 3,
    "partition": 2,
    "one-way partition": 2,
    "slow network": 2,
    "slow link": 2,
    "storm of connections": 2,
    "dying client": 2,
    "clock step": 3,
    "clock drift": 1,
    "slow processor": 3,
    "pause": 2,
    "metadata refused": 2,
    "end in a metadata commit": 3,
    "metadata unknown": 2,
}
"""Kind -> how often it comes where it is turned on. `kinds.KINDS` says what each does."""

LIKELIHOOD = 0.4
"""That a run has faults of one kind at all."""
LIKELY = {"power loss at an operation": 0.7, "kill at an operation": 0.5}
"""Except for these, which come to places that little else does."""
MOST_FAULTS = 14


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


def draw_faults(seed: int, options: Options) -> tuple[Fault, ...]:
    """In the order in which they happen."""
    chance = chance_of(seed, "faults")
    kinds = [kind for kind in WEIGHTS if chance.random() < LIKELY.get(kind, LIKELIHOOD)] or [
        "power loss"
    ]
    count = chance.randint(1, MOST_FAULTS)
    moments = sorted(round(chance.uniform(0, options.safety_s), 3) for _ in range(count))
    drawn = chance.choices(kinds, [WEIGHTS[kind] for kind in kinds], k=count)
    return tuple(
        Fault(number, moment, kind, round(chance.random(), 3))
        for number, (moment, kind) in enumerate(zip(moments, drawn, strict=True))
    )
