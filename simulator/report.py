"""What is told of runs: of one in full, of many in a table and as figures."""

from __future__ import annotations

import logging
import platform
import re
import subprocess
import textwrap
from asyncio import events
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kbroker.cli.tables import layout
from simulator.many import Outcome
from simulator.plan import Plan
from simulator.run import Report
from simulator.situations import CLUSTER, SITUATIONS

ROOT = Path(__file__).resolve().parent.parent
EVENTS_TOLD = 40
WIDTH = 100


def commit() -> str:
    """The checkout's commit, `unknown` where there is none. Documents do not change what is run: a
    night writes its own figures into them."""
    name = _git("rev-parse", "--short=12", "HEAD")
    if not name:
        return "unknown"
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return f"{name}, with changes" if changes else name


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def kind_of(failure: str) -> str:
    """What a failure is, without the offsets, names and moments of this run."""
    parts = [part for part in re.sub(r"[\d./]+", "#", failure).split(":") if part.strip()]
    return ":".join(parts[:2])


# --- one run ---


def before(plan: Plan) -> str:
    """The seed, on what it runs, every option, and the faults that are planned."""
    given = {name for name, _ in plan.settings}
    options = [
        f"{name}={text}{' (given)' if name in given else ''}"
        for name, text in plan.options_shown().items()
    ]
    lines = [
        f"seed {plan.seed}, commit {commit()}, Python {platform.python_version()}",
        *_wrapped("options", "  ".join(options)),
        f"faults    {len(plan.faults)} planned",
        *[f"  {fault}" for fault in plan.faults],
    ]
    if plan.without:
        lines += _wrapped("without", "  ".join(sorted(plan.without)))
    return "\n".join(lines)


def after(outcome: Outcome) -> str:
    """What came of it: phases, counts, situations, and if it failed all that explains it."""
    report = outcome.report
    lines = [
        *_wrapped("phases", phases(report)),
        *_wrapped("counts", "  ".join(f"{key}={value}" for key, value in report.counts.items())),
        *_wrapped("reached", "  ".join(f"{key} ({n})" for key, n in report.situations.items())),
        f"digest    {report.digest}, {speed(report.simulated_s, outcome.cpu_s)}",
    ]
    if report.failure is None:
        return "\n".join([*lines, "passed"])
    return "\n".join([*lines, *failure_lines(report)])


def phases(report: Report) -> str:
    """`safety 0 to 120.0 s, ...`"""
    names = list(report.phases)
    ends = [*list(report.phases.values())[1:], report.simulated_s]
    return ", ".join(f"{name} until {end:.1f} s" for name, end in zip(names, ends, strict=True))


def failure_lines(report: Report, events: int = EVENTS_TOLD) -> list[str]:
    """The last events, the failure, and the command that replays it."""
    told = report.events[-events:]
    head = [f"the last {len(told)} events:", *[f"  {event}" for event in told]] if told else []
    return [*head, f"FAILED    {report.failure}", f"replay    {report.plan.command()}"]


def speed(simulated_s: float, cpu_s: float) -> str:
    times = f"{simulated_s / cpu_s:,.0f}" if cpu_s else "?"
    return f"{simulated_s:,.1f} s in {cpu_s:.2f} s of a core: {times} x real time"


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text or "none",
        width=WIDTH,
        initial_indent=f"{head:<10}",
        subsequent_indent=" " * 10,
        break_long_words=False,
        break_on_hyphens=False,
    )


class VirtualTimeFormatter(logging.Formatter):
    """Lines of the broker's log, with the time of the simulation that it runs in."""

    def format(self, record: logging.LogRecord) -> str:
        loop = events._get_running_loop()
        moment = f"{loop.time():10.6f}" if loop is not None else " " * 10
        return f"{moment} {record.levelname:<7} {record.name}: {record.getMessage()}"


# --- many runs ---


class Totals:
    """What many runs came to. Mutable. `expected` are the situations that they are to reach."""

    def __init__(self, *, are_clusters: bool = False) -> None:
        self.expected = CLUSTER if are_clusters else SITUATIONS
        self.seeds = 0
        self.failures: list[Report] = []
        self.simulated_s = 0.0
        self.cpu_s = 0.0
        self.counts: Counter[str] = Counter()
        self.situations: Counter[str] = Counter()
        self.seeds_with: Counter[str] = Counter()
        """In how many runs a situation was reached."""

    def add(self, outcome: Outcome) -> None:
        report = outcome.report
        self.seeds += 1
        self.simulated_s += report.simulated_s
        self.cpu_s += outcome.cpu_s
        self.counts.update(report.counts)
        self.situations.update(report.situations)
        self.seeds_with.update(name for name, count in report.situations.items() if count)
        if report.failure is not None:
            self.failures.append(report)

    @property
    def never_reached(self) -> list[str]:
        return [name for name in self.expected if not self.situations[name]]

    def figures(self, *, seconds: float) -> dict[str, object]:
        """For a JSON file: all of it, and the `seconds` that it took."""
        return {
            "seeds": self.seeds,
            "failures": len(self.failures),
            "failed": [report.plan.command() for report in self.failures],
            "simulated_hours": round(self.simulated_s / 3600, 2),
            "cpu_seconds": round(self.cpu_s, 1),
            "seconds": round(seconds, 1),
            "times_real": round(self.simulated_s / self.cpu_s) if self.cpu_s else 0,
            "counts": dict(sorted(self.counts.items())),
            "situations": {
                name: {
                    "times": self.situations[name],
                    "seeds": self.seeds_with[name],
                    "what": what,
                }
                for name, what in self.expected.items()
            },
        }

    def table(self, *, width: int | None) -> str:
        """What was exercised."""
        rows: list[tuple[object, ...]] = [
            ("seeds", self.seeds),
            ("failures", len(self.failures)),
            ("simulated hours", f"{self.simulated_s / 3600:,.1f}"),
            ("x real time on a core", f"{self.simulated_s / max(self.cpu_s, 1e-9):,.0f}"),
            ("seconds of a core each", f"{self.cpu_s / max(self.seeds, 1):.3f}"),
            *sorted(self.counts.items()),
        ]
        reached = [
            (name, self.situations[name], self.seeds_with[name], self.expected[name])
            for name in self.expected
            if self.situations[name]
        ]
        text = layout(("EXERCISED", "COUNT"), rows, "", width=width)
        text += "\n" + layout(("SITUATION", "TIMES", "SEEDS", "WHAT"), reached, "", width=width)
        never = self.never_reached
        text += f"\n{len(reached)} of {len(self.expected)} situations reached\n"
        return text + "".join(f"never reached: {name}\n" for name in never)


def failures_told(failures: Iterable[Report]) -> str:
    """One line each, and the command."""
    return "".join(f"{each.failure}\n  {each.plan.command()}\n" for each in failures)
