"""`python -m simulator.mutants`: put each known bug back and see that it is found."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import click
from rich.console import Console
from rich.table import Table

from simulator.mutants.harness import PatchError, Verdict, hunt
from simulator.mutants.mutant import Mutant
from simulator.mutants.table import MUTANTS


@click.command()
@click.option("--only", default="", help="Names, separated by commas.")
@click.option("--most-seeds", type=int, default=0, help="Leave out mutants with a larger bound.")
@click.option("--jobs", type=int, default=1, show_default=True)
@click.option("--json", "json_file", type=click.Path(), help="Write the figures there.")
def main(only: str, most_seeds: int, jobs: int, json_file: str | None) -> None:
    """Put each known bug back into a copy of the sources, and see that it is found."""
    names = set(only.split(",")) - {""}
    unknown = names - {mutant.name for mutant in MUTANTS}
    if unknown:
        raise click.ClickException(f"no such mutants: {', '.join(sorted(unknown))}")
    mutants = [
        mutant
        for mutant in MUTANTS
        if (not names or mutant.name in names) and (not most_seeds or mutant.seeds <= most_seeds)
    ]
    console = Console(stderr=True)
    started = time.monotonic()
    verdicts = []
    with ThreadPoolExecutor(jobs) as threads:  # each waits for a process of its own
        for verdict in threads.map(_hunt, mutants):
            verdicts.append(verdict)
            console.print(_line(verdict), highlight=False, soft_wrap=True)
    missed = [verdict for verdict in verdicts if not verdict.found_by]
    if json_file:
        _write(json_file, verdicts, time.monotonic() - started)
    Console().print(_table(verdicts))
    if missed:
        console.print(f"not found: {', '.join(verdict.mutant.name for verdict in missed)}")
        sys.exit(1)


def _hunt(mutant: Mutant) -> Verdict:
    try:
        return hunt(mutant)
    except PatchError as error:
        return Verdict(mutant, "", 0, str(error))


def _line(verdict: Verdict) -> str:
    if not verdict.found_by:
        return f"{verdict.mutant.name}: NOT FOUND {verdict.failure}"
    after = f" after {verdict.seeds} seeds" if verdict.seeds else ""
    return f"{verdict.mutant.name}: found{after}: {verdict.failure[:160]}"


def _table(verdicts: list[Verdict]) -> Table:
    table = Table("mutant", "found by", "seeds", "bound")
    for verdict in verdicts:
        mutant = verdict.mutant
        how = verdict.found_by or "nothing"
        table.add_row(mutant.name, how, str(verdict.seeds or ""), str(mutant.seeds or ""))
    return table


def _write(path: str, verdicts: list[Verdict], seconds: float) -> None:
    figures = {
        "mutants": len(verdicts),
        "found": sum(bool(verdict.found_by) for verdict in verdicts),
        "seconds": round(seconds, 1),
        "rows": [
            {
                "name": verdict.mutant.name,
                "bug": verdict.mutant.bug,
                "found_by": verdict.found_by,
                "seeds": verdict.seeds,
                "bound": verdict.mutant.seeds,
            }
            for verdict in verdicts
        ],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
