"""How each fault of the plan is done. It is over when its function returns, but for the healing.

Counterpart: `plan`, which draws them.
"""

from __future__ import annotations

import time

from tests.chaos.machine import Machine, MachineError
from tests.chaos.network import CUTS
from tests.chaos.plan import Step
from tests.chaos.site import Site
from tests.soak.scene import TOPIC

FAIL_OVER_S = 60.0
"""A fail-over that takes longer never ends. Whether it was quick is a figure, not a verdict."""
DISK_S = 4.0
"""How long an error of the disk waits for whom it meets."""
END_S = 20.0
"""How long whom it has met may take to end."""

ORDERLY = ("restart", "rolling")
"""Nobody's send fails by these."""


def do(site: Site, step: Step, *, is_alone: bool = True) -> None:
    """MachineError: something did what it must not. `is_alone`: what was before is healed."""
    failed = site.scene.counts["unknown"]
    if step.etcd_s:
        site.kill_etcd_leader(step.etcd_s)
    if step.kind in CUTS:
        cut(site, step)
    else:
        DOERS[step.kind](site, step)
    if step.kind == "etcd":
        site.wait(step.etcd_s)
    site.revive_etcd()
    failed = site.scene.counts["unknown"] - failed
    if failed and is_alone and step.kind in ORDERLY:
        raise MachineError(f"{failed} sends failed while brokers were restarted in order")


def cut(site: Site, step: Step) -> None:
    network = site.machine(step.machine).plant.network
    network.cut(step.machine, step.kind)
    try:
        site.wait(step.seconds)
    finally:
        network.heal(step.machine)


def kill(site: Site, step: Step) -> None:
    """It stays dead until others have taken over all that it led."""
    victim, led = leader_of(site, step)
    killed_s = time.monotonic()
    victim.kill()
    site.fail_overs += wait_for_records(site, led, killed_s)
    victim.start()


def kill_and_restart(site: Site, step: Step) -> None:
    victim, led = leader_of(site, step)
    killed_s = time.monotonic()
    victim.kill()
    victim.start()
    site.restarts_in_place += wait_for_records(site, led, killed_s)


def leader_of(site: Site, step: Step) -> tuple[Machine, list[int]]:
    """The machine whose broker leads the partition, and all partitions that it leads."""
    view = site.view()
    leader = view.leaders[TOPIC, step.partition]
    victim = site.machine(leader if leader > 0 else step.machine)  # none: where faults overlap
    led = view.led_by(victim.number)
    site.scene.note(f"broker {victim.number} leads {led}")
    return victim, led


def wait_for_records(site: Site, partitions: list[int], since_s: float) -> list[float]:
    """How long it took in each until a record was acknowledged. MachineError: for ever."""
    taken = {}

    def all_taken() -> bool:
        for each in partitions:
            moment = site.scene.first_after(each, since_s)
            if moment is not None:
                taken[each] = moment - since_s
        return len(taken) == len(partitions)

    if not site.wait_until(all_taken, FAIL_OVER_S):
        missing = sorted({*partitions} - {*taken})
        raise MachineError(f"no record of partitions {missing} {FAIL_OVER_S} s after the kill")
    words = ", ".join(f"{each}: {seconds:.2f} s" for each, seconds in sorted(taken.items()))
    site.scene.note(f"records again, by partition {words}")
    return list(taken.values())


def pause(site: Site, step: Step) -> None:
    machine = site.machine(step.machine)
    machine.pause()
    try:
        site.wait(step.seconds)
    finally:
        machine.resume()


def restart(site: Site, step: Step) -> None:
    machine = site.machine(step.machine)
    machine.terminate()
    machine.start()


def rolling(site: Site, step: Step) -> None:
    for machine in site.machines:
        machine.terminate()
        machine.start()
        site.wait_until_whole()


def etcd(site: Site, step: Step) -> None:
    """Nothing but what `do` has done."""


def power(site: Site, step: Step) -> None:
    machine = site.machine(step.machine)
    assert machine.disk is not None
    machine.disk.freeze_after(step.changes)
    machine.disk.wait_until_frozen(DISK_S)
    machine.lose_power(step.seed)
    machine.start()


def fsync(site: Site, step: Step) -> None:
    """An error that is met ends the broker in order: status 1, the log directory is offline."""
    machine = site.machine(step.machine)
    disk = machine.disk
    assert disk is not None
    before = disk.counts()["errors"]
    disk.fail("fsync", step.pattern, skip=step.changes % 20)
    status = wait_for_end(machine, DISK_S)
    if status is None and disk.counts()["errors"] > before:
        status = wait_for_end(machine, END_S)
    disk.heal()
    if status is None:
        return  # nobody met it, or it met what can be done without
    if status != 1:
        words = f"an error of the disk ended broker {machine.number} with {status}"
        raise MachineError(f"{words}: {machine.last_words()}")
    disk.drop_caches()
    machine.start()


def wait_for_end(machine: Machine, seconds: float) -> int | None:
    end = time.monotonic() + seconds
    status = machine.status_if_ended()
    while status is None and time.monotonic() < end:
        time.sleep(0.1)
        status = machine.status_if_ended()
    return status


DOERS = {
    "kill": kill,
    "kill-restart": kill_and_restart,
    "pause": pause,
    "restart": restart,
    "rolling": rolling,
    "etcd": etcd,
    "power": power,
    "fsync": fsync,
}
