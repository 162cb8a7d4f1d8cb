"""The tables of docs/TESTING.md, from the figures in docs/testing/ that `make nightly` writes.

The document is written by hand around them: what stands between two marks is generated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "TESTING.md"
FIGURES = ROOT / "docs" / "testing"
BEGIN = "<!-- Generated from docs/testing/ by `make docs`: {} -->"
END = "<!-- End of what is generated -->"

Figures = Mapping[str, Any]
"""Of one part: part, command, commit, date, machine, status, figures."""


def testing() -> str:
    """The text of docs/TESTING.md, with the tables as the figures make them."""
    parts = read_figures(FIGURES)
    text = DOCUMENT.read_text()
    for name, make in TABLES.items():
        begin = BEGIN.format(name)
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(END)
        if not (found and closed):
            raise ValueError(f"{DOCUMENT.name} has no place for the table of {name}")
        text = f"{head}{begin}\n\n{make(parts)}\n{END}{tail}"
    return text


def read_figures(directory: Path) -> dict[str, Figures]:
    """By part; none where no night has run."""
    found = (json.loads(path.read_text()) for path in sorted(directory.glob("*.json")))
    return {each["part"]: each for each in found}


def counts(parts: Mapping[str, Figures]) -> str:
    """What each part of the last night came to."""
    rows = [
        (
            words,
            tell(parts[name]["figures"]),
            "passed" if parts[name]["status"] == 0 else "**failed**",
            f"{parts[name]['figures'].get('seconds', 0):,.0f} s",
            f"`{parts[name]['commit']}`, {parts[name]['date']}",
        )
        for name, (words, tell) in ROWS.items()
        if name in parts
    ]
    if not rows:
        return "No night has run.\n"
    machines = sorted({each["machine"] for each in parts.values()})
    head = ("What", "How much", "Result", "Time", "Of")
    return _table(head, rows) + f"\nOn {'; '.join(machines)}.\n"


def situations(parts: Mapping[str, Figures]) -> str:
    """Each situation of the simulation, and how often its seeds were in it."""
    if "simulate" not in parts:
        return "No night has run.\n"
    rows = [
        (name, f"{row['times']:,}", f"{row['seeds']:,}", row["what"])
        for name, row in parts["simulate"]["figures"]["situations"].items()
    ]
    return _table(("Situation", "Times", "Seeds", "What has happened"), rows)


def faults(parts: Mapping[str, Figures]) -> str:
    """The faults by kind."""
    if "simulate" not in parts:
        return "No night has run.\n"
    found = parts["simulate"]["figures"]["counts"].items()
    rows = [(key.removeprefix("fault: "), f"{n:,}") for key, n in found if key.startswith("fault:")]
    return ", ".join(f"{kind} ({count})" for kind, count in rows) + ".\n"


def mutants(parts: Mapping[str, Figures]) -> str:
    """Each known bug, and what found it."""
    if "mutants" not in parts:
        return "No night has run.\n"
    rows = [
        (
            row["name"],
            row["bug"],
            f"`{row['found_by']}`" if row["found_by"] else "**nothing**",
            f"{row['seeds']} of at most {row['bound']}" if row["seeds"] else "a scenario",
        )
        for row in parts["mutants"]["figures"]["rows"]
    ]
    return _table(("Mutant", "The bug put back", "Found by", "Seeds"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n"
        for line in lines
    )


def _simulated(figures: Figures) -> str:
    return (
        f"{figures['seeds']:,} seeds, {figures['simulated_hours']:,.0f} simulated hours"
        f" ({figures['times_real']:,} x real time on a core),"
        f" {figures['counts'].get('acknowledged', 0):,} acknowledged records,"
        f" {sum(n for key, n in figures['counts'].items() if key.startswith('fault:')):,} faults,"
        f" {figures['failures']} failures"
    )


def _listed(*keys: str) -> Callable[[Figures], str]:
    """`keys` with their figures, in that order; what a part did not write is left out."""

    def tell(figures: Figures) -> str:
        named = [(key, figures[key]) for key in keys if key in figures]
        return ", ".join(
            f"{value:,} {key.replace('_', ' ')}" if isinstance(value, int) else f"{key} {value}"
            for key, value in named
        )

    return tell


ROWS: Mapping[str, tuple[str, Callable[[Figures], str]]] = {
    "simulate": ("Simulation", _simulated),
    "simulate-clusters": ("Simulation of clusters", _simulated),
    "crash-states": ("Crash states", _listed("states", "moments", "recordings", "failures")),
    "mutants": ("Mutants", _listed("mutants", "found")),
    "disk-faults": ("Cells of the disk-fault matrix", _listed("cells", "different")),
    "model": (
        "Model of the rules",
        _listed("states", "walks", "steps", "rules", "rules_found"),
    ),
    "fuzz-decoders": ("Fuzzed decoders", _listed("inputs", "targets", "accepted", "failures")),
    "fuzz-broker": (
        "A fuzzed broker",
        _listed("inputs", "http_inputs", "connections", "answers", "failures"),
    ),
    "soak": (
        "Soak of real clients",
        _listed("faults", "acknowledged", "records_read", "commits", "kills", "power_cuts"),
    ),
    "power-cuts": (
        "Power cuts of a real process",
        _listed("cuts", "acknowledged", "records_read", "commits"),
    ),
    "chaos": (
        "Chaos in a cluster of real processes",
        _listed("faults", "acknowledged", "records_read", "commits", "kills", "cuts", "fail_overs"),
    ),
}
TABLES: Mapping[str, Callable[[Mapping[str, Figures]], str]] = {
    "the last night": counts,
    "faults of the simulation": faults,
    "situations of the simulation": situations,
    "mutants": mutants,
}
