"""A run before it begins: the seed, its options, its faults, and what is left out of them.

A plan is always "what the seed draws, then these changes": so a command line can say all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.faults import Fault, draw_faults
from simulator.options import Options, changed, draw_options


@dataclass(frozen=True, slots=True)
class Plan:
    """`settings` are (option, text) as given with --set; `without` names faults (`fault:3`) and
    workers (`worker:reader-1`)."""

    seed: int
    options: Options
    faults: tuple[Fault, ...]
    settings: tuple[tuple[str, str], ...] = ()
    without: frozenset[str] = frozenset()

    @classmethod
    def draw(
        cls,
        seed: int,
        settings: tuple[tuple[str, str], ...] = (),
        without: frozenset[str] = frozenset(),
    ) -> Plan:
        """What this seed does, changed so. Raises ValueError for an option that does not exist."""
        options = draw_options(seed)
        for name, text in settings:
            options = changed(options, name, text)
        faults = tuple(
            fault for fault in draw_faults(seed, options) if f"fault:{fault.number}" not in without
        )
        return cls(seed, options, faults, settings, without)

    def command(self) -> str:
        """The one command that replays it."""
        parts = ["python -m simulator", f"--seed {self.seed}"]
        parts += [f"--set {name}={text}" for name, text in self.settings]
        parts += [f"--without {name}" for name in sorted(self.without)]
        return " ".join(parts)
