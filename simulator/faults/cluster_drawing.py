"""The faults of a run of several brokers, drawn from its seed. Counterpart: `drawing`, of one."""

from __future__ import annotations

from simulator.faults.drawing import Fault
from simulator.options import Options, chance_of

CLUSTER_WEIGHTS = {
    "power loss": 4,
    "kill": 3,
    "restart": 3,
    "power loss at an operation": 4,
    "kill at an operation": 2,
    "power loss of all": 2,
    "kill of all": 1,
    "rolling restart": 2,
    "controller lost": 3,
    "leader lost": 4,
    "broker cut off": 4,
    "brokers parted": 3,
    "brokers parted one way": 3,
    "clients parted": 2,
    "slow link between brokers": 3,
    "store cut off": 3,
    "store cut off one way": 3,
    "store slow": 2,
    "store answers lost": 3,
    "store requests late": 4,
    "store refuses": 2,
    "store without quorum": 3,
    "store compacted": 2,
    "lease expires": 3,
    "resets": 3,
    "slow disk": 3,
    "failed fsync": 1,
    "append refused": 1,
    "clock step": 2,
    "clock drift": 1,
    "pause": 1,
}
"""Kind -> how often it comes where it is turned on. `cluster_kinds.CLUSTER_KINDS` says what each
does."""

LIKELIHOOD = 0.35
"""That a run has faults of one kind at all."""
MOST_FAULTS = 16


def draw_cluster_faults(seed: int, options: Options) -> tuple[Fault, ...]:
    """In the order in which they happen."""
    chance = chance_of(seed, "cluster/faults")
    kinds = [kind for kind in CLUSTER_WEIGHTS if chance.random() < LIKELIHOOD] or ["leader lost"]
    count = chance.randint(1, MOST_FAULTS)
    # Some come in a heap: what goes wrong together goes wrong otherwise than what comes alone.
    moments = [chance.uniform(0, options.safety_s) for _ in range(count)]
    for at in range(1, count):
        if chance.random() < 0.3:
            moments[at] = min(moments[at - 1] + chance.expovariate(0.5), options.safety_s)
    drawn = chance.choices(kinds, [CLUSTER_WEIGHTS[kind] for kind in kinds], k=count)
    rows = sorted(zip((round(each, 3) for each in moments), drawn, strict=True))
    return tuple(
        Fault(number, moment, kind, round(chance.random(), 3))
        for number, (moment, kind) in enumerate(rows)
    )
