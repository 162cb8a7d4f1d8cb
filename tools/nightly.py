"""`python -m tools.nightly`: every harness in turn, in large counts, or with --slice in small ones.

Each is a command of its own that writes its figures to a JSON file. A failure stops none of the
others; the last lines say how each went. The figures of a whole night lie in docs/testing/, one
file a part, and `make docs` makes the tables of docs/TESTING.md of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simulator.plan import HASH_SEED
from simulator.report import commit

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "testing"


@dataclass(frozen=True)
class Part:
    """One command. `{count}` in it is `nightly`, scaled, or `slice`; a part without a slice is not
    run by CI through here. `{json}` is the file for its figures, `{first}` the first seed."""

    name: str
    words: tuple[str, ...]
    nightly: int = 0
    slice: int = 0
    slice_words: tuple[str, ...] | None = None
    """Where a slice is another command, not a smaller count."""

    def command(self, *, count: int, first: int, json_file: Path, is_slice: bool) -> list[str]:
        words = self.slice_words if is_slice and self.slice_words else self.words
        values = {"count": count, "first": first, "end": first + count, "json": json_file}
        head = [] if words[0] == "make" else [sys.executable, "-m"]
        return head + [word.format(**values) for word in words]


def _module(name: str, *words: str) -> tuple[str, ...]:
    return (name, *words, "--json", "{json}")


SEEDS = _module(
    "simulator", "--seeds", "{first}..{end}", "--corpus", "--require-situations", "--jobs", "2"
)
CLUSTERS = _module("simulator", "--cluster", "--seeds", "{first}..{end}", "--jobs", "2")
# Of different kinds, each found by one of the first seeds or by a scenario: CI sees that the search
# works, and that the runs still meet what is met often.
QUICK_MUTANTS = (
    "answers-before-the-flush",
    "only-acks-all-arms-the-flush",
    "durable-end-raised-after-a-truncation",
    "high-watermark-from-a-missing-checkpoint",
    "producer-changed-before-the-append",
    "generation-reused-after-a-restart",
    "session-timeout-during-a-load",
    "repeat-answered-before-the-first",
    "rolled-segment-not-flushed",
    "name-of-a-new-segment-not-synced",
    "follower-fetches-past-its-durable-end",
    "commits-below-min-isr",
    "admitted-while-still-in-sync",
    "truncation-to-the-leaders-end-alone",
    "answer-of-another-epoch-taken",
)
PARTS = (
    Part("check", ("make", "check")),
    Part("test", ("make", "--keep-going", "test-unit", "interop")),
    Part("simulate", SEEDS, 20_000, 400),
    Part("simulate-clusters", CLUSTERS, 20_000, 300),
    Part("crash-states", _module("simulator.crash_states", "--states", "{count}"), 100_000, 4_000),
    Part(
        "mutants",
        _module("simulator.mutants", "--jobs", "2"),
        slice_words=_module("simulator.mutants", "--jobs", "2", "--only", ",".join(QUICK_MUTANTS)),
    ),
    Part("disk-faults", _module("simulator.disk_faults"), slice_words=()),
    Part(
        "model",
        _module("simulator.model", "--each-rule", "--states", "{count}"),
        300_000,
        slice_words=_module("simulator.model", "--ci"),
    ),
    Part(
        "fuzz-decoders",
        _module("tests.fuzz", "decoders", "--inputs", "{count}"),
        5_000_000,
        slice_words=_module("tests.fuzz", "decoders", "--ci"),
    ),
    Part(
        "fuzz-broker",
        _module("tests.fuzz", "broker", "--inputs", "{count}"),
        300_000,
        slice_words=_module("tests.fuzz", "broker", "--ci"),
    ),
    Part("soak", _module("tests.soak", "clients", "--seconds", "{count}"), 900, 60),
    Part("power-cuts", _module("tests.soak", "power-cuts", "--count", "{count}"), 200, 10),
    Part(
        "interop-cluster",
        ("make", "interop", "TARGET=cluster"),
        slice_words=("make", "interop", "TARGET=cluster", "ARGS=--slice"),
    ),
    Part("chaos", _module("tests.chaos", "--seconds", "{count}"), 900, 60),
    Part("bench", ("make", "bench")),
    Part("kafka", ("make", "interop", "TARGET=kafka")),
)


@dataclass(frozen=True)
class Ended:
    """How a part went. `status` is its command's."""

    part: Part
    status: int
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.nightly", description=__doc__)
    parser.add_argument("--only", help="names of parts, with commas; fuzz is fuzz-decoders too")
    parser.add_argument("--scale", type=float, default=1.0, help="of every count, to try it out")
    parser.add_argument("--slice", action="store_true", help="what CI runs")
    parser.add_argument("--first-seed", type=int, default=0, help="of the simulation")
    parser.add_argument("--into", type=Path, help="where figures go; docs/testing for a whole run")
    given = parser.parse_args(arguments)
    parts = chosen(given.only, is_slice=given.slice)
    if not parts:
        parser.error(f"no such part; there are {', '.join(part.name for part in PARTS)}")
    into: Path = given.into or (
        FIGURES
        if given.scale == 1 and not given.slice
        else Path(tempfile.mkdtemp(prefix="kbroker-figures-"))
    )
    into.mkdir(parents=True, exist_ok=True)
    ended = []
    for part in parts:
        count = part.slice if given.slice else max(1, round(part.nightly * given.scale))
        ended.append(run_part(part, count, given.first_seed, into, is_slice=given.slice))
    if into == FIGURES:
        subprocess.run([sys.executable, "-m", "tools.generate_docs"], cwd=ROOT, check=False)
    say(f"figures are in {into}")
    for each in ended:
        say(outcome(each))
    return 1 if any(each.status for each in ended) else 0


def chosen(only: str | None, *, is_slice: bool) -> list[Part]:
    """The parts of these names, all where there are none; slices where they are wanted."""
    parts = [part for part in PARTS if not is_slice or part.slice or part.slice_words is not None]
    if only is None:
        return parts
    names = only.split(",")
    return [
        part
        for part in parts
        if any(part.name == name or part.name.startswith(f"{name}-") for name in names)
    ]


def run_part(part: Part, count: int, first: int, into: Path, *, is_slice: bool) -> Ended:
    """Run its command, and keep its figures with where and when they were made."""
    with tempfile.TemporaryDirectory() as directory:
        written = Path(directory) / "figures.json"
        command = part.command(count=count, first=first, json_file=written, is_slice=is_slice)
        shown = " ".join(word for word in command if str(written) != word)
        say(f"{part.name}: {shown.replace(sys.executable, 'python').removesuffix(' --json')}")
        began = time.monotonic()
        environment = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
        if command[0] == "make":
            environment.pop("PYTHONHASHSEED")
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        seconds = round(time.monotonic() - began, 1)
        if written.exists():
            figures = {
                "part": part.name,
                "command": shown.replace(sys.executable, "python").removesuffix(" --json"),
                "status": status,
                "commit": commit(),
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "machine": machine(),
                "figures": json.loads(written.read_text()),
            }
            text = json.dumps(figures, indent=1, ensure_ascii=False)
            (into / f"{part.name}.json").write_text(text + "\n")
    return Ended(part, status, seconds)


def machine() -> str:
    """What it ran on, in words."""
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()},"
        f" {platform.python_implementation()} {platform.python_version()}"
    )


def outcome(ended: Ended) -> str:
    how = "passed in" if ended.status == 0 else f"FAILED with {ended.status} after"
    return f"{ended.part.name} {how} {ended.seconds:.0f} s"


def say(words: str) -> None:
    print(f"nightly: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
