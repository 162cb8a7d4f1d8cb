"""`python -m simulator.crash_states`: enumerate crash states, or make one of them again."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time

from simulator.crash_states.enumeration import StateName, Tally, check_one, enumerate_states
from simulator.crash_states.workloads import WORKLOADS

COMMAND = "python -m simulator.crash_states"


def main() -> int:
    """0 where every state recovered, 1 where one did not."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--states", type=int, default=4000, help="how many different states")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of each workload")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), action="append")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--state", type=StateName.parse, help="make this one again, and no other")
    arguments = parser.parse_args()
    if arguments.state is not None:
        wrong = check_one(arguments.state)
        _say(wrong or "recovers")
        return 1 if wrong else 0
    started = time.perf_counter()
    logging.disable(logging.CRITICAL)  # a line for each torn tail, by the thousand
    try:
        tally = enumerate_states(
            arguments.states,
            seed=arguments.seed,
            workloads=arguments.workload or list(WORKLOADS),
            progress=_progress if sys.stderr.isatty() else lambda tally: None,
            max_failures=arguments.failures,
        )
    finally:
        logging.disable(logging.NOTSET)
    seconds = time.perf_counter() - started
    for name, wrong in tally.failures:
        _say(f"{name}: {wrong}\n  {COMMAND} --state {name}")
    _say(
        f"{tally.states} different crash states of {tally.drawn} drawn, at {tally.moments} moments "
        f"of {tally.recordings} runs of {len(tally.by_workload)} workloads, in {seconds:.1f} s: "
        f"{len(tally.failures)} did not recover"
    )
    if arguments.json:
        _write_figures(arguments.json, tally, seconds)
    return 1 if tally.failures else 0


def _progress(tally: Tally) -> None:
    sys.stderr.write(f"\r{tally.states} states ")
    sys.stderr.flush()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _write_figures(path: str, tally: Tally, seconds: float) -> None:
    figures = {
        "states": tally.states,
        "drawn": tally.drawn,
        "moments": tally.moments,
        "workloads": len(tally.by_workload),
        "recordings": tally.recordings,
        "failures": len(tally.failures),
        "seconds": round(seconds, 1),
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(figures, file)


if __name__ == "__main__":
    sys.exit(main())
