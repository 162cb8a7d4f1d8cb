"""What a person types: the soak of real clients, and power cuts. Status 0: nothing was lost."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tests.soak.failing_disk import reason_against_fuse
from tests.soak.power_cuts import CutError, Figures, cut_power

PROGRESS_S = 2.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("clients", "power-cuts"), default="clients")
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults, for the clients")
    parser.add_argument("--count", type=int, default=10, help="of power cuts")
    parser.add_argument("--seed", type=int, help="default: a new one")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kbroker-soak-") as directory:
        run = run_power_cuts if options.what == "power-cuts" else run_clients
        figures = run(options, Path(directory))
    if figures is None:
        return 1
    figures = {**figures, "seed": options.seed, "seconds": round(time.monotonic() - started, 1)}
    if options.json is not None:
        options.json.write_text(json.dumps(figures) + "\n")
    say(", ".join(f"{key} {value}" for key, value in figures.items()))
    return 0


def run_power_cuts(options: argparse.Namespace, directory: Path) -> Mapping[str, float] | None:
    """The figures; None where something was lost. Without FUSE there is nothing to cut."""
    reason = reason_against_fuse()
    if reason is not None:
        say(f"power cuts are skipped: {reason}")
        return {"cuts": 0, "skipped": 1}
    say(f"power cuts: {options.count}, seed {options.seed}")
    progress = Progress()

    def show(figures: Figures) -> None:
        progress.show(
            f"cut {figures.cuts} of {options.count}, {figures.acknowledged:,} acknowledged,"
            f" {figures.records_read:,} read again"
        )

    try:
        found = cut_power(
            count=options.count, seed=options.seed, progress=show, directory=directory
        )
    except CutError as error:
        progress.end()
        say(str(error))
        return None
    progress.end()
    return {"skipped": 0, **asdict(found)}


def run_clients(options: argparse.Namespace, directory: Path) -> Mapping[str, float] | None:
    """The figures; None where something was lost. Without FUSE the disk is the machine's."""
    from tests.soak.soak import SoakError, soak  # needs the clients, which power cuts do not

    reason = reason_against_fuse()
    if reason is not None:
        say(f"faults of the disk are skipped: {reason}")
    say(f"soak: {options.seconds:g} s of faults, seed {options.seed}")
    progress = Progress()
    try:
        counts = soak(
            seconds=options.seconds,
            seed=options.seed,
            directory=directory,
            with_disk=reason is None,
            progress=progress.show,
        )
    except SoakError as error:
        progress.end()
        say(str(error))
        say(f"again: python -m tests.soak --seconds {options.seconds:g} --seed {options.seed}")
        return None
    progress.end()
    figures = {name.replace(" ", "_"): count for name, count in sorted(counts.items())}
    return {"disk_was_skipped": int(reason is not None), **figures, **sums(counts)}


def sums(counts: Mapping[str, int]) -> dict[str, int]:
    """What a table of nights has room for."""
    by_process = {"kill": "kills", "terminate": "stops", "pause": "pauses", "power": "power cuts"}
    faults = {name: counts.get(f"fault {name}", 0) for name in by_process}
    return {
        "records_read": counts.get("polled", 0),
        **{key.replace(" ", "_"): faults[name] for name, key in by_process.items()},
        "disk_faults": counts.get("faults", 0) - sum(faults.values()),
    }


class Progress:
    """A line that is written over, on a terminal only. Mutable."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next_s = 0.0

    def show(self, text: str) -> None:
        now_s = time.monotonic()
        if self._is_terminal and now_s >= self._next_s:
            self._next_s = now_s + PROGRESS_S
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def end(self) -> None:
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
