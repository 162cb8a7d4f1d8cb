"""`python -m simulator.disk_faults`: try every cell, and compare it with what is expected."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator

from simulator.disk_faults.expected import expected_of, is_tried
from simulator.disk_faults.experiment import Cell, Result, run_cell
from simulator.disk_faults.faults import FAULTS
from simulator.disk_faults.kinds import KINDS
from simulator.disk_faults.scene import When, make_scene

PROGRESS_EVERY = 100


def cells(beginning: str = "") -> Iterator[Cell]:
    """All of them whose name begins so."""
    for kind in KINDS:
        for fault in FAULTS:
            if not is_tried(kind, fault):
                continue
            for when in When:
                cell = Cell(kind, fault, when)
                if cell.name.startswith(beginning):
                    yield cell


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulator.disk_faults", description=__doc__)
    parser.add_argument("--cell", default="", metavar="FILE/FAULT/WHEN", help="or how it begins")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--all", action="store_true", help="print every cell")
    options = parser.parse_args(arguments)
    started = time.process_time()
    scene = make_scene()
    count = 0
    different = []
    for cell in cells(options.cell):
        result = run_cell(cell, scene[cell.when])
        count += 1
        expected = expected_of(cell.kind, cell.fault, cell.when)
        if options.all or options.cell:
            print(f"{cell.name:42} {result.outcome.name}", flush=True)
        if result.outcome is not expected:
            different.append(cell.name)
            print(f"{cell.name}: {result.outcome.name}, expected {expected.name}")
            explain(result)
        if count % PROGRESS_EVERY == 0 and sys.stderr.isatty():
            print(f"\r{count} cells", end="", file=sys.stderr, flush=True)
    seconds = round(time.process_time() - started, 1)
    print(f"{count} cells in {seconds} s of the processor, {len(different)} not as expected")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"cells": count, "different": len(different), "seconds": seconds}, file)
    return 1 if different or not count else 0


def explain(result: Result) -> None:
    """What was observed, one line for each kind of thing."""
    observed = result.observed
    for name in observed.__dataclass_fields__:
        value = getattr(observed, name)
        if value and value is not True:
            print(f"    {name}: {str(value)[:1000]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
