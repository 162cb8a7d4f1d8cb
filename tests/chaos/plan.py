"""Which faults come, drawn from the seed (pure). Counterpart: `faults`, which does them.

At no time more is broken than replicas of three with two in sync and three etcd members bear: one
broker and one etcd member. A cut of a machine takes away both of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.network import CUTS

MACHINES = 3
PAUSE_S = (1.0, 15.0)
"""Shorter and longer than the lease of a broker."""
CUT_S = (2.0, 15.0)
ETCD_S = (1.0, 8.0)
ETCD_TOO = 0.25
"""How often an etcd member dies meanwhile, where that is borne."""
MOST_CHANGES = 400
"""Of the disk, before its power is cut."""

OF_PROCESSES = ("kill", "kill", "kill", "kill-restart", "pause", "restart", "rolling", "etcd")
"""A kind that stands here more than once comes as often."""
OF_DISKS = ("power", "fsync")
WITH_BOTH_OF_A_MACHINE = frozenset({"isolated", "deaf", "mute", "unplugged"})
WITHOUT_ANOTHER = WITH_BOTH_OF_A_MACHINE | {"etcd", "rolling", "kill"}
"""With `kill`, how long a fail-over takes is measured."""
PATTERNS = ("/soak-*/*.log", "/__consumer_offsets-*/*.log", "*")


@dataclass(frozen=True, slots=True)
class Step:
    """One fault. `etcd_s`: an etcd member, the leader, is dead for so long from its beginning on;
    0: none. `partition`: whose leader it is that is killed. `seed`: what survives a cut."""

    kind: str
    machine: int
    seconds: float = 0.0
    etcd_s: float = 0.0
    partition: int = 0
    changes: int = 0
    pattern: str = "*"
    seed: int = 0

    @property
    def words(self) -> str:
        """For the events."""
        match self.kind:
            case "kill" | "kill-restart":
                words = f"kill -9 of the leader of partition {self.partition}"
            case "etcd":
                words = f"etcd's leader is dead for {self.etcd_s:.1f} s"
            case "rolling":
                words = "all brokers are restarted, one after the other"
            case "power":
                words = f"power of machine {self.machine} is cut after {self.changes} changes"
            case "fsync":
                words = f"EIO on fsync of {self.pattern} of machine {self.machine}"
            case "restart":
                words = f"broker {self.machine} is restarted"
            case "pause":
                words = f"SIGSTOP of broker {self.machine} for {self.seconds:.1f} s"
            case _:
                words = f"machine {self.machine} is {self.kind} for {self.seconds:.1f} s"
        if self.etcd_s and self.kind != "etcd":
            words += f", etcd's leader is dead for {self.etcd_s:.1f} s"
        return words


def draw(chance: random.Random, *, disk_machine: int | None, can_cut: bool) -> Iterator[Step]:
    """Without end, in rounds of all kinds; the first is a kill. `disk_machine`: whose disk is one
    of ours."""
    kinds = [
        *OF_PROCESSES,
        *(OF_DISKS if disk_machine is not None else ()),
        *(CUTS if can_cut else ()),
    ]
    yield _step(chance, "kill", disk_machine)
    while True:
        chance.shuffle(kinds)
        for kind in kinds:
            yield _step(chance, kind, disk_machine)


def _step(chance: random.Random, kind: str, disk_machine: int | None) -> Step:
    machine = chance.randint(1, MACHINES)
    if kind in OF_DISKS:
        assert disk_machine is not None
        machine = disk_machine
    has_etcd = kind == "etcd" or (kind not in WITHOUT_ANOTHER and chance.random() < ETCD_TOO)
    return Step(
        kind,
        machine,
        seconds=chance.uniform(*(PAUSE_S if kind == "pause" else CUT_S)),
        etcd_s=chance.uniform(*ETCD_S) if has_etcd else 0.0,
        partition=chance.randrange(4),
        changes=chance.randrange(MOST_CHANGES),
        pattern=chance.choice(PATTERNS),
        seed=chance.randrange(1 << 30),
    )
