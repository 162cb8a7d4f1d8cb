"""One run: three machines, real clients, faults for so many seconds, then peace and judgement.

The seed fixes the load and the faults, not the moments at which they meet: a failure may need
several runs of its command.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kbroker.cli.cluster_etcd import EtcdProgram, free_ports
from tests.chaos import faults
from tests.chaos.judging import judge, wait_for_groups
from tests.chaos.machine import Machine, MachineError, Plant
from tests.chaos.measures import fail_over_figures, quantile
from tests.chaos.network import CUTS, Loopback, Network, NetworkError, namespaces
from tests.chaos.plan import MACHINES, draw
from tests.chaos.replicas import AnomalyError, compare_replicas
from tests.chaos.scene import ClusterScene
from tests.chaos.site import HEAL_S, Site
from tests.process.raw_client import Disconnected, RawClient
from tests.soak.failing_disk import FailingDisk
from tests.soak.scene import PARTITIONS, TOPIC
from tests.soak.soak import Clients, SoakError

PEACE_S = (1.0, 4.0)
"""Between two faults, when all is healed."""
TOLD_EVENTS = 80
FAILURES = (MachineError, AnomalyError, NetworkError, SoakError, AssertionError, Disconnected)


class ChaosError(Exception):
    """Something was lost, or did not heal. The message explains it."""


@dataclass(frozen=True, slots=True)
class Options:
    """`has_network`, `has_disk`: whether machines can be cut, and a disk of one can fail.

    `overlap`: the next fault does not wait until the last one is healed. More is broken then than
    a cluster bears, and it may be unavailable; what was acknowledged must be there all the same.
    """

    seconds: float
    seed: int
    lease_ms: int
    etcd: EtcdProgram
    has_network: bool
    has_disk: bool
    overlap: bool = False


def chaos(options: Options, progress: Callable[[str], None]) -> dict[str, object]:
    """The figures. ChaosError."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kbroker-chaos-")))
        network: Network
        if options.has_network:
            network = stack.enter_context(namespaces(MACHINES))
        else:
            network = Loopback(MACHINES, free_ports(4 * MACHINES))
        chance = random.Random(f"{options.seed}/faults")
        disk_machine = chance.randint(1, MACHINES) if options.has_disk else None
        disk = None
        if disk_machine is not None:
            disk = stack.enter_context(FailingDisk(directory / "disk"))
        plant = Plant(network, directory, options.etcd.path, options.lease_ms, MACHINES)
        machines = [
            Machine(
                plant,
                each,
                disk if each == disk_machine else None,
                is_old_etcd=options.etcd.is_old,
            )
            for each in plant.machines
        ]
        site = Site(machines, ClusterScene([each.address for each in machines]), progress)
        stack.callback(site.close)
        try:
            run(site, options, chance, disk_machine)
        except FAILURES as error:
            raise ChaosError(explain(error, site, directory)) from error
        return figures(site, options)


def run(site: Site, options: Options, chance: random.Random, disk_machine: int | None) -> None:
    scene = site.scene
    site.start()
    with RawClient(site.machines[0].address) as client:
        client.create_topic(TOPIC, partitions=PARTITIONS)
    site.wait_until_whole()
    clients = Clients(scene, options.seed)
    clients.start()
    try:
        make_trouble(site, options, chance, disk_machine)
        scene.note("healed")
        clients.stop_sending(time.monotonic() + HEAL_S)
        wait_for_groups(site)
        clients.stop_reading(time.monotonic() + HEAL_S)
    finally:
        scene.stop_sending.set()
        scene.stop_reading.set()
    if scene.broken:
        raise MachineError("; ".join(scene.broken))
    judge(site)
    for each in site.machines:
        each.terminate()
    compare_replicas(site)


def make_trouble(
    site: Site, options: Options, chance: random.Random, disk_machine: int | None
) -> None:
    scene = site.scene
    steps = draw(chance, disk_machine=disk_machine, can_cut=options.has_network)
    end = time.monotonic() + options.seconds
    site.wait(PEACE_S[1])  # clients come first
    while time.monotonic() < end:
        step = next(steps)
        scene.note(step.words)
        faults.do(site, step, is_alone=not options.overlap)
        scene.note(f"over: {step.kind}")
        if not options.overlap or time.monotonic() >= end:
            site.wait_until_whole()
            scene.note("whole again")
        scene.count("faults")
        scene.count(f"fault {step.kind}")
        if step.etcd_s:
            scene.count("etcd leaders killed")
        calm_s = time.monotonic()
        if options.overlap:
            continue
        site.wait(chance.uniform(*PEACE_S))
        site.calm.append((calm_s, time.monotonic()))


def figures(site: Site, options: Options) -> dict[str, object]:
    counts = {name.replace(" ", "_"): count for name, count in sorted(site.scene.counts.items())}
    gaps = [site.scene.longest_gap(*each) for each in site.calm]
    return {
        "namespaces": int(options.has_network),
        "disk": int(options.has_disk),
        **counts,
        "records_read": site.scene.counts["polled"],
        "kills": sum(site.scene.counts[f"fault {each}"] for each in ("kill", "kill-restart")),
        "cuts": sum(site.scene.counts[f"fault {each}"] for each in CUTS),
        **fail_over_figures(site.fail_overs, options.lease_ms / 1000),
        "restart_in_place_p99_ms": milliseconds(quantile(site.restarts_in_place, 0.99)),
        "heal_p99_ms": milliseconds(quantile(site.heals, 0.99)),
        "longest_unavailability_without_fault_ms": milliseconds(max(gaps, default=None)),
    }


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def explain(error: Exception, site: Site, directory: Path) -> str:
    """The anomalies, the events, and where logs and data of all processes lie."""
    kept = Path(tempfile.mkdtemp(prefix="kbroker-chaos-failed-"))
    for each in site.machines:
        if each.disk is not None and each.disk.check_frozen():
            continue  # whoever reads it hangs
        with contextlib.suppress(OSError, shutil.Error):
            shutil.copytree(each.data, kept / f"broker-{each.number}", dirs_exist_ok=True)
    for log in directory.glob("*.log"):
        with contextlib.suppress(OSError):
            shutil.copy(log, kept)
    lines = [f"{type(error).__name__}: {error}", *site.scene.broken]
    lines += site.scene.history.events[-TOLD_EVENTS:]
    (kept / "events.txt").write_text("\n".join(site.scene.history.events))
    lines.append(f"what all processes said, and the data of brokers, are kept in {kept}")
    return "\n".join(lines)
