"""Runs the loads: every target in turn within each pair, each on a fresh broker.

Alternating within one run is what makes a ratio worth something on a machine that is never quite
the same twice: both figures of a pair come from the same second or two, and the order changes
from pair to pair.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import generator, machine, targets
from bench.generator import GeneratorError, Sample
from bench.loads import BYTES, FETCH_FILL, FETCH_FILL_BYTES, START, Load
from bench.targets import BrokerError, RunningBroker, Target

TOPIC = "bench"


@dataclass(frozen=True, slots=True)
class StartSample:
    """One start on a warm cache; memory is taken after the first acknowledged record."""

    ready_seconds: float
    first_record_seconds: float
    idle_bytes: int


@dataclass(slots=True)
class Figures:
    """All samples, by row and target; a target that failed keeps its reason instead."""

    samples: dict[tuple[str, str], dict[int, Sample]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """Row and target to the sample of each pair."""
    starts: dict[str, list[StartSample]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    pairs_done: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    targets: Sequence[Target]
    loads: Sequence[Load]
    measures_start: bool
    pairs: int
    seconds: float
    """Of measuring, per load and target."""
    budget_seconds: float
    cores: machine.Cores
    data_root: str


def run(plan: Plan, say: Callable[[str], None]) -> Figures:
    """Measures until the pairs are done or another would not fit into the budget."""
    figures = Figures()
    began = time.monotonic()
    deadline = began + plan.budget_seconds
    if plan.cores.load is not None:
        os.sched_setaffinity(0, {plan.cores.load})
    for pair in range(plan.pairs):
        pair_began = time.monotonic()
        order = list(plan.targets) if pair % 2 == 0 else list(reversed(plan.targets))
        if plan.measures_start and not run_start_row(plan, figures, order, pair, deadline, say):
            break
        done = all(run_row(plan, figures, load, order, pair, deadline, say) for load in plan.loads)
        if not done:
            say(f"the time is used up in pair {pair + 1}")
            break
        figures.pairs_done = pair + 1
        took = time.monotonic() - pair_began
        if pair + 1 < plan.pairs and time.monotonic() + took > deadline:
            say(f"stopping after {pair + 1} of {plan.pairs} pairs: another takes {took:.0f} s")
            break
    say(f"measured for {time.monotonic() - began:.0f} s")
    return figures


def run_start_row(
    plan: Plan,
    figures: Figures,
    order: Sequence[Target],
    pair: int,
    deadline: float,
    say: Callable[[str], None],
) -> bool:
    said = []
    for target in order:
        if (START, target.name) in figures.failures:
            continue
        if time.monotonic() > deadline:
            return False
        try:
            if pair == 0:  # once unmeasured: the cache shall be warm
                measure_start(plan, target)
            sample = measure_start(plan, target)
        except (BrokerError, GeneratorError) as error:
            figures.failures[START, target.name] = str(error)
            said.append(f"{target.name}: {error}")
            continue
        figures.starts[target.name].append(sample)
        said.append(f"{target.name} ready in {sample.ready_seconds * 1000:.0f} ms")
    say(f"[{pair + 1}/{plan.pairs}] {START:<18} " + ", ".join(said))
    return True


def run_row(
    plan: Plan,
    figures: Figures,
    load: Load,
    order: Sequence[Target],
    pair: int,
    deadline: float,
    say: Callable[[str], None],
) -> bool:
    """One load on every target that has not failed it; False once the time is used up."""
    said = []
    for target in order:
        if (load.name, target.name) in figures.failures:
            continue
        if time.monotonic() > deadline:
            return False
        try:
            sample = measure(plan, load, target)
        except (BrokerError, GeneratorError) as error:
            figures.failures[load.name, target.name] = str(error)
            said.append(f"{target.name}: {error}")
            continue
        figures.samples[load.name, target.name][pair] = sample
        said.append(f"{target.name} {rate_text(load.unit, sample)} p50 {sample['p50_us']:,.0f} us")
    say(f"[{pair + 1}/{plan.pairs}] {load.name:<18} " + ", ".join(said))
    return True


def rate_text(unit: str, sample: Sample) -> str:
    if unit == BYTES:
        return f"{sample['bytes_per_second'] / 1e6:,.1f} MB/s"
    return f"{sample['requests_per_second']:,.0f} req/s"


def measure_start(plan: Plan, target: Target) -> StartSample:
    with targets.running(
        target, plan.data_root, is_flushed=False, core=plan.cores.broker
    ) as broker:
        generator.create_topic(broker.address, TOPIC)
        generator.run("produce", broker.address, TOPIC, "--max-requests=1")
        first_record_seconds = time.perf_counter() - broker.started_at
        return StartSample(broker.ready_seconds, first_record_seconds, broker.resident_bytes())


def measure(plan: Plan, load: Load, target: Target) -> Sample:
    machine.prime_page_cache(plan.data_root, load.prime_bytes)
    with targets.running(
        target, plan.data_root, is_flushed=load.is_flushed, core=plan.cores.broker
    ) as broker:
        generator.create_topic(broker.address, TOPIC)
        if load.kind == "fetch":
            fill(broker)
        return generator.measure(
            load.kind,
            broker.address,
            TOPIC,
            *load.arguments,
            f"--max-total-bytes={load.max_total_bytes}",
            seconds=plan.seconds,
            warmup_seconds=load.warmup_seconds,
            broker_pid=broker.pid,
        )


def fill(broker: RunningBroker) -> None:
    generator.run(
        "produce",
        broker.address,
        TOPIC,
        *FETCH_FILL,
        f"--max-total-bytes={FETCH_FILL_BYTES}",
        "--seconds=15",
        seconds=15,
    )
