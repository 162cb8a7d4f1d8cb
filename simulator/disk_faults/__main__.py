"""`python -m simulator.disk_faults`: run the cells, and compare them with what is expected."""

from __future__ import annotations

import argparse
import sys
import time

from simulator.disk_faults.experiment import Cell, run_cell
from simulator.disk_faults.faults import FAULTS
from simulator.disk_faults.kinds import KINDS
from simulator.disk_faults.scene import When, make_scene


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cell")
    parser.add_argument("--kinds")
    args = parser.parse_args()
    started = time.perf_counter()
    scene = make_scene()
    print("scene", time.perf_counter() - started)
    n = 0
    for kind in KINDS:
        for fault in FAULTS:
            if fault.only_batches and not kind.holds_batches:
                continue
            for when in When:
                cell = Cell(kind, fault, when)
                if args.cell and not cell.name.startswith(args.cell):
                    continue
                n += 1
                result = run_cell(cell, scene[when])
                o = result.observed
                print(f"{cell.name:45} {result.outcome.name}", flush=True)
                if args.cell or result.outcome.is_defect:
                    for name in (
                        "refused",
                        "stopped",
                        "lines",
                        "tracebacks",
                        "stuck",
                        "while_broken",
                        "at_last",
                        "errors",
                        "checksum_failed",
                        "kept",
                    ):
                        value = getattr(o, name)
                        if value:
                            print("      ", name, str(value)[: 6000 if args.cell else 500])
    print(n, time.perf_counter() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
