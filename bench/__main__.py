"""`python -m bench`: kbroker beside the floor, alternating in one run; see docs/BENCHMARKS.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from bench import generator, machine, report, runner, targets
from bench.loads import LOADS, START, Load

FULL_PAIRS, FULL_SECONDS, FULL_BUDGET_SECONDS = 5, 0.7, 225.0
QUICK_PAIRS, QUICK_SECONDS, QUICK_BUDGET_SECONDS = 2, 0.35, 52.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0 when everything was measured, 1 when something could not be, 2 for bad usage.

    A reach that does not hold is a figure, not a failure.
    """
    options = parser().parse_args(arguments)
    loads, measures_start = choose(options.only)
    if not loads and not measures_start:
        say("no such row; there are: " + ", ".join([START, *(load.name for load in LOADS)]))
        return 2
    try:
        generator.build()
    except generator.GeneratorError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    root, file_system = (
        (options.data_root, machine.file_system_of(options.data_root, machine.read_mounts()))
        if options.data_root
        else machine.choose_data_root()
    )
    floor = targets.floor(loop=options.floor_loop, read=options.floor_read)
    others = [] if options.floor_only else [targets.kbroker(options.set)]
    plan = runner.Plan(
        targets=[floor, *others],
        loads=loads,
        measures_start=measures_start,
        pairs=options.pairs or (QUICK_PAIRS if options.quick else FULL_PAIRS),
        seconds=QUICK_SECONDS if options.quick else FULL_SECONDS,
        budget_seconds=QUICK_BUDGET_SECONDS if options.quick else FULL_BUDGET_SECONDS,
        cores=machine.choose_cores(),
        data_root=root,
    )
    given = sys.argv[1:] if arguments is None else arguments
    about = {
        "command": " ".join(["python -m bench", *given]),
        **machine.describe(),
        "pinning": str(plan.cores),
        "data": f"{root} ({file_system})",
        "floor": f"{options.floor_loop}, {options.floor_read}",
        "pairs": f"{plan.pairs} of {plan.seconds} s a load",
    }
    for name, value in about.items():
        say(f"{name}: {value}")
    neighbours = machine.Neighbours()
    try:
        figures = runner.run(plan, say)
    except KeyboardInterrupt:
        say("interrupted; brokers ended, data removed")
        return 130
    about["neighbours"] = str(neighbours)
    say(about["neighbours"])
    for line in report.table(figures, loads, floor.name, [target.name for target in others]):
        say(line)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report.as_json(figures, loads, about), file, indent=1)
            file.write("\n")
    return 1 if figures.failures else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    made.add_argument("--quick", action="store_true", help="within a minute, with wider spreads")
    made.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="only rows whose name contains NAME (repeatable), such as produce, 1MB or start",
    )
    made.add_argument("--json", metavar="FILE", help="also write every sample to FILE")
    made.add_argument("--pairs", type=positive, metavar="N", help="repetitions of each load")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for kbroker")
    made.add_argument("--floor-only", action="store_true", help="leave kbroker out")
    made.add_argument("--floor-loop", choices=("asyncio", "uvloop"), default="asyncio")
    made.add_argument("--floor-read", choices=("pread", "sendfile"), default="sendfile")
    made.add_argument("--data-root", type=os.path.realpath, metavar="DIR", help="temporary data")
    return made


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def choose(names: Sequence[str]) -> tuple[list[Load], bool]:
    """The loads whose name contains one of `names`, and whether the start row is among them."""
    if not names:
        return list(LOADS), True
    chosen = [load for load in LOADS if any(name in load.name for name in names)]
    return chosen, any(name in START for name in names)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
