"""Runs in processes: in any order, and a process that dies or hangs is a failure of its seed."""

import os
import threading

from simulator.many import Pool
from simulator.plan import Plan

SHORT = (("safety_s", "3"),)


def serve_badly(calls, hang_s: float) -> None:
    """Dies of seed 1, hangs at seed 2."""
    while (plan := calls.recv()) is not None:
        if plan.seed == 1:
            os._exit(7)
        threading.Event().wait(0 if plan.seed != 2 else 1000)
        calls.send(plan)


def test_any_number_of_processes_give_the_same() -> None:
    plans = [Plan.draw(seed, SHORT) for seed in range(4)]
    with Pool(2) as pool:
        found = {each.report.plan.seed: each.report for each in pool.outcomes(plans)}
    assert sorted(found) == [0, 1, 2, 3]
    with Pool(1) as pool:
        alone = {each.report.plan.seed: each.report for each in pool.outcomes(plans[3:])}
    assert found[3].digest == alone[3].digest


def test_a_process_that_dies_or_hangs_is_a_failure_of_its_seed() -> None:
    plans = [Plan.draw(seed, SHORT) for seed in (1, 2)]
    with Pool(2, hang_s=-9, target=serve_badly) as pool:
        failures = {each.report.plan.seed: each.report.failure for each in pool.outcomes(plans[1:])}
    with Pool(1, target=serve_badly) as pool:
        failures |= {
            each.report.plan.seed: each.report.failure for each in pool.outcomes(plans[:1])
        }
    assert "exit status 7" in str(failures[1])
    assert "hangs" in str(failures[2])
