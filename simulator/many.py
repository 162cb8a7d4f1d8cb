"""Runs in processes of their own: a seed that hangs or kills its process has failed like any other.

Counterpart: `report`, which adds up what came of them. All have the hash seed of this process.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection
from types import TracebackType

from simulator.plan import Plan
from simulator.run import Report, run

HANG_S = 60.0
"""Real seconds after which a run is said to hang. A run takes less than one."""
LIVES = 1_000
"""Runs of a process before another takes its place: none inherits much."""

Serve = Callable[["connection.Connection[Outcome, Plan | None]", float], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run in another process, and what it took of a core."""

    report: Report
    cpu_s: float


def serve(calls: connection.Connection[Outcome, Plan | None], hang_s: float) -> None:
    """The other process: run what is sent, until that is None. Only failures send their events."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger().addHandler(logging.NullHandler())
    gc.collect()
    gc.freeze()
    while (plan := calls.recv()) is not None:
        faulthandler.dump_traceback_later(hang_s)
        began = time.process_time()
        report = run(plan)
        took = time.process_time() - began
        faulthandler.cancel_dump_traceback_later()
        calls.send(Outcome(report if report.failure else replace(report, events=()), took))


class Pool:
    """Processes that run plans. Mutable; they end with the `with`."""

    def __init__(self, jobs: int, *, hang_s: float = HANG_S, target: Serve = serve) -> None:
        self._jobs = jobs
        self._hang_s = hang_s
        self._target = target
        self._runners: list[_Runner] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for runner in self._runners:
            runner.end()
        self._runners.clear()

    def outcomes(self, plans: Iterable[Plan]) -> Iterator[Outcome]:
        """What comes of each, in the order in which they end. Plans are taken as needed."""
        waiting = iter(plans)
        busy: list[_Runner] = []
        while True:
            while len(busy) < self._jobs and (plan := next(waiting, None)) is not None:
                runner = self._idle(busy)
                runner.begin(plan)
                busy.append(runner)
            if not busy:
                return
            patience = min(runner.deadline for runner in busy) - time.monotonic()
            ready = connection.wait([runner.calls for runner in busy], max(0.0, patience))
            for runner in list(busy):
                if runner.calls in ready or time.monotonic() >= runner.deadline:
                    busy.remove(runner)
                    outcome = runner.take(in_time=runner.calls in ready)
                    if runner.is_spent:
                        runner.end()
                        self._runners.remove(runner)
                    yield outcome

    def _idle(self, busy: list[_Runner]) -> _Runner:
        for runner in self._runners:
            if runner not in busy:
                return runner
        self._runners.append(_Runner(self._target, self._hang_s))
        return self._runners[-1]


class _Runner:
    """One process. Mutable: `plan` is what it runs; `is_spent` once it is to be replaced."""

    def __init__(self, target: Serve, hang_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self.calls, theirs = context.Pipe()
        self.process = context.Process(target=target, args=(theirs, hang_s), daemon=True)
        self.process.start()
        theirs.close()
        self.deadline = 0.0
        self.is_spent = False
        self._hang_s = hang_s
        self._lives = 0
        self._plan: Plan | None = None

    def begin(self, plan: Plan) -> None:
        self._plan = plan
        self._lives += 1
        # It tells where it hangs a second before it is killed; a new one has to start first.
        self.deadline = time.monotonic() + self._hang_s + (1 if self._lives > 1 else 10)
        try:
            self.calls.send(plan)
        except OSError:
            self.is_spent = True  # it is dead: `take` finds that out

    def take(self, *, in_time: bool) -> Outcome:
        """What it sent; or a report that it died or hangs."""
        assert self._plan is not None
        plan, self._plan = self._plan, None
        if in_time:
            try:
                outcome = self.calls.recv()
            except (EOFError, OSError):
                self.process.join()
                failure = f"the process died with exit status {self.process.exitcode}"
            else:
                assert isinstance(outcome, Outcome)
                self.is_spent = self.is_spent or self._lives >= LIVES
                return outcome
        else:
            failure = f"the run hangs: no end in {self._hang_s:.0f} real seconds"
        self.is_spent = True
        return Outcome(Report(plan, "", 0.0, {}, {}, failure, ()), 0.0)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.calls.close()
