"""A run before it begins: the seed, its options, its faults, and what is left out of them.

A plan is always "what the seed draws, then these changes": so a command line can say all of it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from simulator.cluster_options import ClusterOptions, draw_cluster_options
from simulator.faults import Fault, draw_cluster_faults, draw_faults
from simulator.options import Options, changed, draw_options, shown

PARTS = ("fault:", "worker:")
"""What `--without` may begin with."""
HASH_SEED = "0"
"""Python's own, under which a run is unless PYTHONHASHSEED says otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`settings` are (option, text) as given with --set; `without` names faults (`fault:3`) and
    workers (`worker:reader-1`). `cluster`: of the brokers of a run that has several; None: one."""

    seed: int
    options: Options
    faults: tuple[Fault, ...]
    settings: tuple[tuple[str, str], ...] = ()
    without: frozenset[str] = frozenset()
    cluster: ClusterOptions | None = None

    @classmethod
    def draw(
        cls,
        seed: int,
        settings: tuple[tuple[str, str], ...] = (),
        without: frozenset[str] = frozenset(),
        *,
        is_cluster: bool = False,
    ) -> Plan:
        """What this seed does, changed so. ValueError: an option or a part that cannot be."""
        cluster: ClusterOptions | None = None
        if is_cluster:
            options, cluster = draw_cluster_options(seed)
        else:
            options = draw_options(seed)
        for name, text in settings:
            if cluster is not None and name in shown(cluster):
                cluster = changed(cluster, name, text)
            else:
                options = changed(options, name, text)
        for name in sorted(without):
            if not name.startswith(PARTS):
                raise ValueError(f"{name} is neither fault:NUMBER nor worker:NAME")
        drawn = draw_cluster_faults(seed, options) if is_cluster else draw_faults(seed, options)
        faults = tuple(fault for fault in drawn if f"fault:{fault.number}" not in without)
        return cls(seed, options, faults, settings, without, cluster)

    def changed(self, settings: tuple[tuple[str, str], ...], without: frozenset[str]) -> Plan:
        """The same seed with these changes instead. ValueError."""
        return Plan.draw(self.seed, settings, without, is_cluster=self.cluster is not None)

    def options_shown(self) -> dict[str, str]:
        """Each option and its value, as `--set` takes it."""
        return shown(self.options) | (shown(self.cluster) if self.cluster is not None else {})

    def command(self) -> str:
        """The one command that replays it."""
        hash_seed = os.environ.get("PYTHONHASHSEED", HASH_SEED)
        parts = [] if hash_seed == HASH_SEED else [f"PYTHONHASHSEED={hash_seed}"]
        parts += ["python", "-m", "simulator"]
        parts += ["--cluster"] if self.cluster is not None else []
        parts += ["--seed", str(self.seed)]
        for name, text in self.settings:
            parts += ["--set", shlex.quote(f"{name}={text}")]
        for name in sorted(self.without):
            parts += ["--without", shlex.quote(name)]
        return " ".join(parts)
