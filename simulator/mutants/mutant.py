"""A known bug that is put back, and how it has to be found."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.model.rules import Rule


@dataclass(frozen=True, slots=True)
class Mutant:
    """`bug` says what the patch of that name makes the broker do. It is found by one of the first
    `seeds` seeds, of clusters if `is_cluster`, or by a directed `scenario`: tests that fail with
    it (a path and names, as pytest takes them). `rule`: of the model of replication, that it
    breaks."""

    name: str
    bug: str
    seeds: int = 0
    scenario: str = ""
    is_cluster: bool = False
    rule: Rule | None = None
