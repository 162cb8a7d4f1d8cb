"""The command line: `python -m simulator` runs a broker, its clients and faults from one seed.

Exit status: 0 if everything holds, 1 if a run failed, 2 when it was asked wrongly.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import click

from kbroker.cli.progress import is_wanted, progress
from kbroker.cli.tables import terminal_width
from simulator import corpus, report
from simulator.many import Outcome, Pool
from simulator.plan import HASH_SEED, Plan
from simulator.run import run
from simulator.shrink import Shrinking

LINE_EVERY_S = 10.0
"""Where no terminal shows a bar."""
INTERRUPTED = 130


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--seed", type=int, help="Run this one, and tell all of it.")
@click.option("--seeds", metavar="A..B", help="Run all from A up to B (without B).")
@click.option("--cluster", "is_cluster", is_flag=True, help="Of three to five brokers each.")
@click.option("--corpus", "with_corpus", is_flag=True, help="Run those that found something once.")
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help="Set an option.")
@click.option(
    "--without",
    metavar="fault:N|worker:NAME",
    multiple=True,
    help="Leave out one fault or one worker; may be repeated, as --set.",
)
@click.option("--shrink", is_flag=True, help="If --seed fails, look for a shorter run that does.")
@click.option("--shrink-seconds", type=float, default=300.0, show_default=True, metavar="S")
@click.option("--digest", is_flag=True, help="Print nothing but digests.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option(
    "--most-failures", type=click.IntRange(1), default=10, show_default=True, help="Then stop."
)
@click.option("--require-situations", is_flag=True, help="Fail if a situation is never reached.")
@click.option("--json", "json_file", type=click.Path(), help="Write the figures of --seeds there.")
@click.option("-v", "--verbose", count=True, help="Show the broker's log; twice: debug lines too.")
@click.pass_context
def main(
    context: click.Context,
    seed: int | None,
    seeds: str | None,
    is_cluster: bool,
    with_corpus: bool,
    settings: tuple[str, ...],
    without: tuple[str, ...],
    shrink: bool,
    shrink_seconds: float,
    digest: bool,
    jobs: int,
    most_failures: int,
    require_situations: bool,
    json_file: str | None,
    verbose: int,
) -> None:
    """Run a whole broker with clients and faults, in virtual time, from a seed.

    One run: --seed. Many: --seeds, --corpus, or both.
    """
    changes = tuple((name, text) for name, _, text in (each.partition("=") for each in settings))
    parts = frozenset(without)
    try:
        if seed is not None and not (seeds or with_corpus):
            plan = Plan.draw(seed, changes, parts, is_cluster=is_cluster)
            show_log(verbose)
            if shrink:
                context.exit(run_and_shrink(plan, jobs=jobs, most_s=shrink_seconds))
            context.exit(run_one(plan, only_digest=digest))
        if seed is not None or not (seeds or with_corpus):
            raise click.UsageError("give either --seed, or --seeds, --corpus or both")
        known = [plan for plan, _ in corpus.read_corpus(corpus.FILE.read_text())]
        numbers = parse_seeds(seeds) if seeds else range(0)
        for number in numbers[:1]:
            Plan.draw(number, changes, parts, is_cluster=is_cluster)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    drawn = (Plan.draw(each, changes, parts, is_cluster=is_cluster) for each in numbers)
    plans = chain(known if with_corpus else [], drawn)
    count = len(numbers) + (len(known) if with_corpus else 0)
    with Pool(jobs) as pool:
        if digest:
            context.exit(print_digests(pool, plans))
        context.exit(
            run_many(
                pool.outcomes(plans),
                count,
                most_failures=most_failures,
                require_situations=require_situations,
                json_file=json_file,
                are_clusters=is_cluster,
            )
        )


def run_one(plan: Plan, *, only_digest: bool) -> int:
    """Run it in this process, where a debugger and the log see it."""
    if not only_digest:
        click.echo(report.before(plan))
    began = time.process_time()
    outcome = Outcome(run(plan), time.process_time() - began)
    click.echo(outcome.report.digest if only_digest else report.after(outcome))
    return 0 if outcome.report.failure is None else 1


def run_and_shrink(plan: Plan, *, jobs: int, most_s: float) -> int:
    click.echo(report.before(plan))
    with Pool(jobs) as pool:

        def run_all(plans: Sequence[Plan]) -> Sequence[Outcome]:
            by_plan = {each.report.plan: each for each in pool.outcomes(plans)}
            return [by_plan[each] for each in plans]

        def tell(shrinking: Shrinking) -> None:
            best = shrinking.best.report
            click.echo(
                f"{shrinking.runs:4} runs: {len(best.plan.faults)} faults,"
                f" {len(best.workers)} workers, {best.simulated_s:.1f} s",
                err=True,
            )

        (failed,) = run_all([plan])
        if failed.report.failure is None:
            click.echo("passed: there is nothing to shrink")
            return 0
        click.echo(f"FAILED    {failed.report.failure}\n", err=True)
        shrinking = Shrinking(failed, run_all, most_s=most_s, tell=tell)
        shortest = shrinking.shrink()
    click.echo(report.after(shortest))
    return 1


def print_digests(pool: Pool, plans: Iterable[Plan]) -> int:
    """A line for each seed, by seed."""
    outcomes = sorted(pool.outcomes(plans), key=lambda each: each.report.plan.seed)
    for each in outcomes:
        click.echo(f"{each.report.plan.seed} {each.report.digest}")
    return 1 if any(each.report.failure for each in outcomes) else 0


def run_many(
    outcomes: Iterable[Outcome],
    count: int,
    *,
    most_failures: int,
    require_situations: bool,
    json_file: str | None,
    are_clusters: bool = False,
) -> int:
    """Failures as they come; at the end what was exercised. The exit status."""
    totals = report.Totals(are_clusters=are_clusters)
    began = time.monotonic()
    interrupted = False
    try:
        for outcome in watched(outcomes, totals, count):
            totals.add(outcome)
            if outcome.report.failure is not None:
                click.echo(report.failures_told([outcome.report]), nl=False)
            if len(totals.failures) >= most_failures:
                click.echo(f"stopped after {most_failures} failures")
                break
    except KeyboardInterrupt:
        interrupted = True
        click.echo("interrupted")
    seconds = time.monotonic() - began
    click.echo(f"commit {report.commit()}, {seconds:.0f} s")
    click.echo(totals.table(width=terminal_width()), nl=False)
    if json_file is not None:
        Path(json_file).write_text(json.dumps(totals.figures(seconds=seconds), indent=1) + "\n")
    if interrupted:
        return INTERRUPTED
    if totals.failures:
        click.echo(f"\n{len(totals.failures)} of {totals.seeds} failed:", err=True)
        click.echo(report.failures_told(totals.failures), nl=False, err=True)
    return 1 if totals.failures or (require_situations and totals.never_reached) else 0


def watched(outcomes: Iterable[Outcome], totals: report.Totals, count: int) -> Iterator[Outcome]:
    """The same, with a bar on a terminal and a line now and then elsewhere."""
    told = time.monotonic()
    with progress("seeds", total=count) as advance:
        for outcome in outcomes:
            yield outcome
            advance(1)
            if not is_wanted() and time.monotonic() - told >= LINE_EVERY_S:
                told = time.monotonic()
                click.echo(
                    f"{totals.seeds} of {count} seeds, {len(totals.failures)} failed,"
                    f" {totals.simulated_s / 3600:.1f} simulated hours",
                    err=True,
                )


def parse_seeds(text: str) -> range:
    """`0..400`: four hundred. ValueError."""
    first, dots, end = text.partition("..")
    if not (dots and first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise ValueError(f"--seeds takes A..B with A below B, not {text}")
    return range(int(first), int(end))


def show_log(verbose: int) -> None:
    """The log of the broker and of asyncio: nowhere, or on standard error in virtual time."""
    handler: logging.Handler = logging.NullHandler()
    if verbose:
        handler = logging.StreamHandler()
        handler.setFormatter(report.VirtualTimeFormatter())
        logging.getLogger().setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    logging.getLogger().addHandler(handler)


def with_fixed_hashes() -> None:
    """Begin anew with a hash seed, unless there is one: the order of a set must not be chance."""
    if "PYTHONHASHSEED" not in os.environ:
        environment = os.environ | {"PYTHONHASHSEED": HASH_SEED}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


if __name__ == "__main__":
    with_fixed_hashes()
    main(prog_name="python -m simulator")
