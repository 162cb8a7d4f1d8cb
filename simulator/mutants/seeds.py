"""`python -m simulator.mutants.seeds A B [cluster]`: seeds until one fails; prints it and why."""

from __future__ import annotations

import logging
import sys

from simulator.plan import Plan
from simulator.run import run


def main() -> int:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)  # the broker's own lines are judged
    for seed in range(int(sys.argv[1]), int(sys.argv[2])):
        report = run(Plan.draw(seed, is_cluster="cluster" in sys.argv[3:]))
        if report.failure is not None:
            print(seed)  # noqa: T201
            print(report.failure.splitlines()[0])  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
