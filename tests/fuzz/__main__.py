"""`python -m tests.fuzz decoders|broker|atheris`: bad inputs by the million.

Exit status 0 if nothing was found, 1 if something was, 2 if there was nothing to do.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import corpus, engine
from tests.fuzz.targets import matching


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    decoders = commands.add_parser("decoders", help="every decoder")
    decoders.add_argument("--inputs", type=int, default=100_000)
    decoders.add_argument("--seed", type=int, default=1)
    decoders.add_argument("--only", help="names of targets, with wildcards")
    decoders.add_argument("--index", type=int, help="only the input of this index, of one target")
    decoders.add_argument("--json", type=Path, metavar="FILE")
    decoders.add_argument("--ci", action="store_true", help="the slice of continuous integration")
    decoders.set_defaults(run=run_decoders)
    live = commands.add_parser("broker", help="a live broker")
    live.add_argument("--inputs", type=int, default=20_000)
    live.add_argument("--seed", type=int, default=1)
    live.add_argument("--replay", type=Path, metavar="FILE", help="what a failure has kept")
    live.add_argument("--json", type=Path, metavar="FILE")
    live.add_argument("--ci", action="store_true", help="the slice of continuous integration")
    live.set_defaults(run=run_broker)
    guided = commands.add_parser("atheris", help="grow the corpus, guided by coverage")
    guided.add_argument("--seconds", type=int, default=600)
    guided.add_argument("--only", help="names of targets, with wildcards")
    guided.set_defaults(run=run_atheris)
    given = parser.parse_args(arguments)
    return given.run(given)


def run_decoders(given: argparse.Namespace) -> int:
    targets = matching(given.only)
    if not targets:
        say(f"fuzz: no target matches {given.only}")
        return 2
    if given.index is not None:
        return replay(targets[0], given.seed, given.index)
    inputs = 150_000 if given.ci else given.inputs
    engine.limit_memory()
    tally = engine.Tally()
    started = time.process_time()
    for target, share in zip(targets, engine.shares(targets, inputs), strict=True):
        failures = len(tally.failures)
        engine.run_target(target, seed=given.seed, inputs=share, tally=tally)
        for failure in tally.failures[failures:]:
            tell(failure)
        progress(tally, inputs, target.name)
    seconds = time.process_time() - started
    rate = tally.inputs / seconds if seconds else 0.0
    say(
        f"fuzz: {tally.inputs} inputs and {tally.replayed} of the corpus in {tally.targets}"
        f" targets, {tally.accepted} accepted, {len(tally.failures)} failures,"
        f" {seconds:.1f} s of one core, {rate:.0f} inputs/s (seed {given.seed})"
    )
    if given.json:
        figures = {
            "inputs": tally.inputs,
            "corpus": tally.replayed,
            "targets": tally.targets,
            "accepted": tally.accepted,
            "failures": len(tally.failures),
            "seed": given.seed,
            "seconds": round(seconds, 1),
            "inputs_per_second": round(rate),
        }
        given.json.write_text(json.dumps(figures) + "\n")
    return 1 if tally.failures else 0


def run_broker(given: argparse.Namespace) -> int:
    from tests.fuzz import broker_run

    if given.replay:
        problem = broker_run.replay(given.replay)
        say(f"fuzz: {problem or 'nothing was found'}")
        return 1 if problem else 0

    def report(done: int, counts: Counter[str]) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done:>10} of {inputs} inputs, {counts['answered']} answers ")
            sys.stderr.flush()

    inputs = 10_000 if given.ci else given.inputs
    figures, problem, kept = broker_run.fuzz(seed=given.seed, inputs=inputs, report=report)
    figures["seed"] = given.seed
    say("fuzz: " + ", ".join(f"{value} {name}" for name, value in figures.items()))
    if problem:
        say(f"fuzz: {problem}\n  replay: python -m tests.fuzz broker --replay {kept}")
        say(f"  or: python -m tests.fuzz broker --seed {given.seed} --inputs {figures['inputs']}")
    if given.json:
        given.json.write_text(json.dumps(figures) + "\n")
    return 1 if problem else 0


def run_atheris(given: argparse.Namespace) -> int:
    from tests.fuzz import coverage_guided

    if not coverage_guided.is_installed():
        say(f"fuzz: {coverage_guided.HOW_TO_INSTALL}")
        return 2
    names = [target.name for target in matching(given.only)]
    return 1 if coverage_guided.grow(names, seconds=given.seconds, say=say) else 0


def replay(target, seed: int, index: int) -> int:
    """One input, with its traceback."""
    data = engine.one_input(target, seed, index)
    say(f"{target.name} seed {seed} index {index}: {len(data)} bytes {data[:200].hex()}")
    try:
        target.check(data)
    except target.allowed as error:
        say(f"refused: {type(error).__name__}: {error}")
    else:
        say("accepted")
    return 0


def tell(failure: engine.Failure) -> None:
    """What failed, where it is kept, and how to see it again."""
    path = corpus.keep(failure.target, failure.data)
    shown = failure.data[:120].hex() + ("..." if len(failure.data) > 120 else "")
    say(
        f"fuzz: {failure.target} failed: {failure.error}\n"
        f"  {len(failure.data)} bytes {shown}\n"
        f"  kept as tests/fuzz/corpus/{path.parent.name}/{path.name}\n"
        f"  replay: {failure.command()}"
    )


def progress(tally: engine.Tally, inputs: int, name: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{tally.inputs:>10} of {inputs} inputs  {name:<50.50}")
        sys.stderr.flush()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
