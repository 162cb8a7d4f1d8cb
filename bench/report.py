"""Figures to a table for people and to JSON: medians, spreads, ratios, and whether reaches hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal

from bench.generator import Sample
from bench.loads import BYTES, IDLE_BYTES, READY_SECONDS, Load
from bench.runner import Figures, StartSample


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and how far the samples lie apart."""

    median: float
    lowest: float
    highest: float

    @property
    def percent(self) -> float:
        """Half the distance of the extremes, as a part of the median."""
        return 100 * (self.highest - self.lowest) / 2 / self.median if self.median else 0.0


def spread_of(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def paired_ratio(
    measured: Mapping[int, Sample],
    floor: Mapping[int, Sample],
    unit: Literal["requests_per_second", "bytes_per_second"],
) -> Spread | None:
    """Of each pair's figure over the floor's of the same pair; None without a common pair."""
    ratios = [
        measured[pair][unit] / floor[pair][unit] for pair in sorted(measured.keys() & floor.keys())
    ]
    return spread_of(ratios) if ratios else None


def unit_of(load: Load) -> Literal["requests_per_second", "bytes_per_second"]:
    return "bytes_per_second" if load.unit == BYTES else "requests_per_second"


def holds(value: bool) -> str:
    return "yes" if value else "NO"


def table(figures: Figures, loads: Sequence[Load], floor: str, others: Sequence[str]) -> list[str]:
    """The summary, one line a load and target, under a heading for each durability class."""
    lines: list[str] = []
    heading = ""
    for load in loads:
        title = section(load)
        if title != heading:
            heading = title
            lines += ["", f"{title:<32}{COLUMNS}"]
        lines.append(load_line(figures, load, floor, floor))
        lines += [load_line(figures, load, other, floor) for other in others]
    for name in (floor, *others):
        if samples := figures.starts.get(name):
            lines += start_lines(name, samples, is_judged=name != floor)
    return lines + failure_lines(figures)


def failure_lines(figures: Figures) -> list[str]:
    """One line for each reason, with the rows it cost."""
    rows: dict[tuple[str, str], list[str]] = {}
    for (row, name), why in figures.failures.items():
        rows.setdefault((name, why), []).append(row)
    return ["", *(f"{name} has no {', '.join(cost)}: {why}" for (name, why), cost in rows.items())]


COLUMNS = (
    f"{'median':>15} {'spread':>7}  {'ratio to floor':<18} {'reach':>6} {'holds':<5} "
    f"{'p50':>7} {'p99':>8} {'p99.9 us':>9}  {'CPU us/req':>10} {'load/broker':>11}"
)


def section(load: Load) -> str:
    if load.kind == "fetch":
        return "Fetch, hot"
    return "Produce, flushed" if load.is_flushed else "Produce, page cache"


def load_line(figures: Figures, load: Load, name: str, floor: str) -> str:
    samples = figures.samples.get((load.name, name), {})
    label = f"  {load.title:<21} {name:<8}"
    if not samples:
        return f"{label} {'no figure':>15}"
    unit = unit_of(load)
    rate = spread_of([sample[unit] for sample in samples.values()])
    figure = f"{rate.median / 1e6:,.1f} MB/s" if load.unit == BYTES else f"{rate.median:,.0f} req/s"
    judged = f"{'':<18} {'':>6} {'':<5}"
    if name != floor:
        ratio = paired_ratio(samples, figures.samples.get((load.name, floor), {}), unit)
        if ratio:
            span = f"{ratio.median:.2f} ({ratio.lowest:.2f}-{ratio.highest:.2f})"
            reach = f">={load.reach:.2f}"
            judged = f"{span:<18} {reach:>6} {holds(ratio.median >= load.reach):<5}"
    p50, p99, p999 = (
        median(sample[key] for sample in samples.values())
        for key in ("p50_us", "p99_us", "p999_us")
    )
    every = list(samples.values())
    return (
        f"{label} {figure:>15} {f'+-{rate.percent:.0f}%':>7}  {judged} "
        f"{p50:>7,.0f} {p99:>8,.0f} {p999:>9,.0f}  {cpu_cost(every):>10} {cpu_ratio(every):>11}"
    )


def cpu_cost(samples: Sequence[Sample]) -> str:
    """The broker's CPU time per request: hardly moved by neighbours, so that it is comparable
    where the rates of a busy machine are not."""
    seconds = sum(sample["broker_cpu_seconds"] for sample in samples)
    return f"{1e6 * seconds / sum(sample['requests'] for sample in samples):,.1f}"


def cpu_ratio(samples: Sequence[Sample]) -> str:
    """What the load cost over what answering it cost; from 1 on (marked) it measures itself."""
    broker = sum(sample["broker_cpu_seconds"] for sample in samples)
    if not broker:
        return "-"
    ratio = sum(sample["cpu_seconds"] for sample in samples) / broker
    return f"{ratio:.2f}" + (" !" if ratio >= 1 else "")


def start_lines(name: str, samples: Sequence[StartSample], *, is_judged: bool) -> list[str]:
    ready = spread_of([sample.ready_seconds for sample in samples])
    record = spread_of([sample.first_record_seconds for sample in samples])
    idle = spread_of([sample.idle_bytes for sample in samples])

    def judge(value: float, limit: float, text: str) -> str:
        return f"  reach <= {text}: {holds(value <= limit)}" if is_judged else ""

    return [
        "",
        f"Start of {name}, warm cache",
        f"  ready line           {ready.median * 1000:>8,.0f} ms +-{ready.percent:.0f}%"
        + judge(ready.median, READY_SECONDS, f"{READY_SECONDS:.1f} s"),
        f"  first record acked   {record.median * 1000:>8,.0f} ms +-{record.percent:.0f}%",
        f"  idle memory (RSS)    {idle.median / 1e6:>8,.1f} MB"
        + judge(idle.median, IDLE_BYTES, f"{IDLE_BYTES / 1e6:.0f} MB"),
    ]


def as_json(
    figures: Figures, loads: Sequence[Load], about: Mapping[str, object]
) -> dict[str, object]:
    """Everything measured, sample by sample, for whoever draws or compares it later."""
    return {
        "about": dict(about),
        "rows": [
            {
                "name": load.name,
                "section": section(load),
                "title": load.title,
                "unit": load.unit,
                "reach": load.reach,
                "is_flushed": load.is_flushed,
                "samples": {
                    name: {str(pair): dict(sample) for pair, sample in samples.items()}
                    for (row, name), samples in figures.samples.items()
                    if row == load.name
                },
            }
            for load in loads
        ],
        "starts": {
            name: [asdict(sample) for sample in samples] for name, samples in figures.starts.items()
        },
        "failures": [
            {"row": row, "target": name, "why": why}
            for (row, name), why in figures.failures.items()
        ],
    }
