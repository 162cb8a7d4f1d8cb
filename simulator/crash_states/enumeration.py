"""Moments of workloads, times what a power loss leaves: counted, checked, and named.

A state's name is `workload:seed:moment:outcome`, all that it takes to make it again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from simulator.crash_states.checking import check_state
from simulator.crash_states.recorder import Moment, Recorder
from simulator.crash_states.workloads import WORKLOADS

OUTCOMES_OF_A_MOMENT = 6
"""Of a small count fewer, so that each workload has its turn."""
STATES_PER_OUTCOME = 2000


@dataclass(frozen=True, slots=True)
class StateName:
    workload: str
    seed: int
    moment: int
    bits: int

    def __str__(self) -> str:
        return f"{self.workload}:{self.seed}:{self.moment}:{self.bits:x}"

    @classmethod
    def parse(cls, text: str) -> StateName:
        """Raises ValueError."""
        workload, seed, moment, bits = text.split(":")
        if workload not in WORKLOADS:
            raise ValueError(f"there is no workload {workload}")
        return cls(workload, int(seed), int(moment), int(bits, 16))


@dataclass(slots=True)
class Tally:
    """Mutable. `drawn` outcomes, of which `states` differ and were opened."""

    drawn: int = 0
    states: int = 0
    moments: int = 0
    recordings: int = 0
    by_workload: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[StateName, str]] = field(default_factory=list)


def record(workload: str, seed: int) -> list[Moment]:
    """The moments of one run of a workload. What the workload itself raises is a finding too."""
    recorder = Recorder(random.Random(f"{workload}:{seed}"))
    WORKLOADS[workload](recorder)
    return recorder.moments


def check_one(name: StateName) -> str | None:
    """Make one state again: what is wrong with it, None where nothing is."""
    moments = record(name.workload, name.seed)
    return check_state(moments[name.moment], name.bits)


def enumerate_states(
    count: int,
    *,
    seed: int,
    workloads: list[str],
    progress: Callable[[Tally], None],
    max_failures: int,
) -> Tally:
    """Check `count` different states, one workload after the other with rising seeds."""
    tally = Tally()
    outcomes = max(2, min(OUTCOMES_OF_A_MOMENT, count // STATES_PER_OUTCOME))
    seen: set[int] = set()
    for workload, number in _recordings(workloads, seed):
        try:
            moments = record(workload, number)
        except Exception as error:  # noqa: BLE001
            finding = f"the workload itself: {type(error).__name__}: {error}"
            tally.failures.append((StateName(workload, number, 0, 0), finding))
            if len(tally.failures) >= max_failures:
                return tally
            continue
        tally.recordings += 1
        tally.moments += len(moments)
        chance = random.Random(f"outcomes of {workload}:{number}")
        for at, moment in enumerate(moments):
            promise = _promise_key(moment)
            for bits in moment.image.outcomes(outcomes, chance):
                tally.drawn += 1
                key = hash((promise, tuple(moment.image.tree(bits).items())))
                if key in seen:
                    continue
                seen.add(key)
                tally.states += 1
                tally.by_workload[workload] += 1
                wrong = check_state(moment, bits)
                if wrong is not None:
                    tally.failures.append((StateName(workload, number, at, bits), wrong))
                if tally.states >= count or len(tally.failures) >= max_failures:
                    return tally
            progress(tally)
    return tally


def _recordings(workloads: list[str], seed: int) -> Iterator[tuple[str, int]]:
    while True:
        for workload in workloads:
            yield workload, seed
        seed += 1


def _promise_key(moment: Moment) -> int:
    return hash(
        tuple(
            (key, each.topic_id, each.histories, each.durable_end, each.least_start)
            for key, each in sorted(moment.promises.items())
        )
    )
