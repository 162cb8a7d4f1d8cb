"""A shorter run that fails in the same way: fewer faults and workers, less time, lower counts.

Leaving a part out moves no other part's chance, so that most of what remains stays as it was (delta
debugging, Zeller and Hildebrandt 2002). What is found is told as it is found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from simulator.many import Outcome
from simulator.plan import Plan
from simulator.report import kind_of

RUNS_AT_ONCE = 2
SHORTER = (0.1, 0.25, 0.5, 0.75, 0.9)

RunAll = Callable[[Sequence[Plan]], Sequence[Outcome]]
"""Runs plans, and gives what came of them in the same order."""


class Shrinking:
    """Mutable: `best` is the shortest yet; `runs` counts what was tried."""

    def __init__(
        self,
        failed: Outcome,
        run_all: RunAll,
        *,
        most_s: float,
        tell: Callable[[Shrinking], None],
    ) -> None:
        assert failed.report.failure is not None
        self.best = failed
        self.runs = 0
        self.kind = kind_of(failed.report.failure)
        self._run_all = run_all
        self._tell = tell
        self._deadline = time.monotonic() + most_s
        self._tried: set[tuple[object, ...]] = set()

    def shrink(self) -> Outcome:
        """Make it shorter until nothing helps, or the time is over."""
        while True:
            before = self.best
            self._leave_out()
            self._shorten()
            if self.best is before:
                return self.best

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._deadline

    def parts(self) -> list[str]:
        """What could be left out of the best."""
        report = self.best.report
        faults = [f"fault:{fault.number}" for fault in report.plan.faults]
        return [*faults, *[f"worker:{name}" for name in report.workers]]

    def _leave_out(self) -> None:
        pieces = 2
        while (parts := self.parts()) and not self.is_over:
            size = -(-len(parts) // pieces)
            plan = self.best.report.plan
            candidates = [
                plan.changed(plan.settings, plan.without | set(parts[at : at + size]))
                for at in range(0, len(parts), size)
            ]
            if self._take_first(candidates):
                pieces = max(2, pieces - 1)
            elif size == 1:
                return
            else:
                pieces = min(2 * pieces, len(parts))

    def _shorten(self) -> None:
        for name in self.best.report.plan.options_shown():
            while not self.is_over:
                plan = self.best.report.plan
                texts = list(_less(name, plan.options_shown()[name]))
                others = tuple(pair for pair in plan.settings if pair[0] != name)
                candidates = [plan.changed((*others, (name, text)), plan.without) for text in texts]
                if not self._take_first(candidates):
                    break

    def _take_first(self, candidates: Sequence[Plan]) -> bool:
        """Take the first that fails in the same way; whether there is one."""
        fresh = [plan for plan in candidates if _key(plan) not in self._tried]
        for at in range(0, len(fresh), RUNS_AT_ONCE):
            if self.is_over:
                return False
            some = fresh[at : at + RUNS_AT_ONCE]
            self._tried.update(map(_key, some))
            self.runs += len(some)
            for outcome in self._run_all(some):
                failure = outcome.report.failure
                if failure is not None and kind_of(failure) == self.kind:
                    self.best = outcome
                    self._tell(self)
                    return True
        return False


def _key(plan: Plan) -> tuple[object, ...]:
    return plan.options, plan.cluster, plan.without


def _less(name: str, text: str) -> Iterator[str]:
    """Smaller values of an option, the smallest first."""
    if name in ("liveness_s", "brokers", "replication_factor", "min_isr"):
        return  # less of it is another failure
    if text == "true":
        yield "false"
    elif text.isdigit():
        yield from sorted(
            {str(less) for less in (0, 1, int(text) // 2) if less < int(text)}, key=int
        )
    else:
        try:
            value = float(text)
        except ValueError:
            return
        yield from (str(round(value * factor, 1)) for factor in SHORTER if value >= 1)
