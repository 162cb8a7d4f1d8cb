"""`python -m simulator`: whole runs from one seed each."""

from __future__ import annotations

import sys
import time

from simulator.plan import Plan
from simulator.run import run


def main() -> int:
    failures = 0
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        started = time.perf_counter()
        report = run(Plan.draw(seed))
        took = time.perf_counter() - started
        print(
            seed,
            report.digest,
            f"{report.simulated_s:.0f}s x{report.simulated_s / took:.0f}",
            dict(report.counts),
            report.failure,
        )
        failures += report.failure is not None
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
