"""Anomalies, and the one that is judged when all brokers have stopped: `replica-differs`.

The others have the names of `simulator.history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulator.history import Anomaly
from tests.chaos.machine import MachineError
from tests.chaos.site import Site
from tests.soak.scene import PARTITIONS, TOPIC

TOLD_ANOMALIES = 20


class AnomalyError(Exception):
    """Something was lost, or is not as it was told. The message explains it."""


def compare_replicas(site: Site) -> None:
    """Of brokers that have stopped in order. AnomalyError."""
    if any(each.broker is not None for each in site.machines):
        raise MachineError("a broker still runs")
    found = []
    for index in range(PARTITIONS):
        logs = [log_bytes(each.data / f"{TOPIC}-{index}") for each in site.machines]
        found += differences(index, logs)
    refuse(found)


def log_bytes(directory: Path) -> bytes:
    """All segments, one after the other: where a replica rolls them is its own affair."""
    return b"".join(each.read_bytes() for each in sorted(directory.glob("*.log")))


def differences(index: int, logs: Sequence[bytes]) -> list[Anomaly]:
    """One for each replica that is not like the first."""
    first = logs[0]
    found = []
    for number, log in enumerate(logs[1:], start=2):
        if log != first:
            both = min(len(log), len(first))
            at = next((each for each in range(both) if log[each] != first[each]), both)
            words = f"{TOPIC}-{index} of brokers 1 and {number}, of {len(first)} and {len(log)}"
            found.append(Anomaly("replica-differs", f"{words} bytes, from byte {at} on"))
    return found


def refuse(anomalies: Sequence[Anomaly]) -> None:
    if anomalies:
        shown = "\n".join(str(each) for each in anomalies[:TOLD_ANOMALIES])
        raise AnomalyError(f"{len(anomalies)} anomalies\n{shown}")
