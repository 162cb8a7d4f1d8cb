"""A run before it begins: the seed, its options, its faults, and what is left out of them.

A plan is always "what the seed draws, then these changes": so a command line can say all of it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from simulator.faults import Fault, draw_faults
from simulator.options import Options, changed, draw_options

PARTS = ("fault:", "worker:")
"""What `--without` may begin with."""
HASH_SEED = "0"
"""Python's own, under which a run is unless PYTHONHASHSEED says otherwise."""


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
        """What this seed does, changed so. ValueError: an option or a part that cannot be."""
        options = draw_options(seed)
        for name, text in settings:
            options = changed(options, name, text)
        for name in sorted(without):
            if not name.startswith(PARTS):
                raise ValueError(f"{name} is neither fault:NUMBER nor worker:NAME")
        faults = tuple(
            fault for fault in draw_faults(seed, options) if f"fault:{fault.number}" not in without
        )
        return cls(seed, options, faults, settings, without)

    def command(self) -> str:
        """The one command that replays it."""
        hash_seed = os.environ.get("PYTHONHASHSEED", HASH_SEED)
        parts = [] if hash_seed == HASH_SEED else [f"PYTHONHASHSEED={hash_seed}"]
        parts += ["python", "-m", "simulator", "--seed", str(self.seed)]
        for name, text in self.settings:
            parts += ["--set", shlex.quote(f"{name}={text}")]
        for name in sorted(self.without):
            parts += ["--without", shlex.quote(name)]
        return " ".join(parts)
