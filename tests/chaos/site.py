"""All machines of a run, what is known of them, and waiting: while checking that nothing else ends.

Counterparts: `machine` (one of them), `faults` (what is done to them).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.chaos.machine import Machine, MachineError
from tests.chaos.scene import ClusterScene
from tests.chaos.view import UNREACHED, View, view_of

HEAL_S = 90.0
"""After a fault: all replicas are in sync, in the eyes of each broker. Generous: processors may
have other work."""
ETCD_READY_S = 60.0
TICK_S = 0.1


@dataclass
class Site:
    """Mutable. `fail_overs`: seconds each; `calm`: times without any fault."""

    machines: Sequence[Machine]
    scene: ClusterScene
    progress: Callable[[str], None]
    fail_overs: list[float] = field(default_factory=list)
    restarts_in_place: list[float] = field(default_factory=list)
    """As fail-overs are, where the leader itself came back at once."""
    heals: list[float] = field(default_factory=list)
    calm: list[tuple[float, float]] = field(default_factory=list)
    _etcd_due: tuple[Machine, float] | None = None

    def start(self) -> None:
        for each in self.machines:
            each.start_etcd()
        self.wait_for_etcd(self.machines)
        for each in self.machines:
            each.start()

    def close(self) -> None:
        for each in self.machines:
            each.close()

    def machine(self, number: int) -> Machine:
        return self.machines[number - 1]

    # Waiting.

    def wait(self, seconds: float) -> None:
        """MachineError: something ended that was to run."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tick()

    def wait_until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """False: it did not come to that."""
        end = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > end:
                return False
            self.tick()
        return True

    def tick(self) -> None:
        self.progress(self.scene.progress())
        for each in self.machines:
            each.check()
        if self.scene.broken:
            raise MachineError("; ".join(self.scene.broken))
        if self._etcd_due is not None and time.monotonic() >= self._etcd_due[1]:
            self.revive_etcd()
        time.sleep(TICK_S)

    # etcd.

    def kill_etcd_leader(self, seconds: float) -> None:
        """It comes back after that, while something waits, or by `revive_etcd`."""
        leader: list[Machine] = []

        def find() -> bool:
            leader[:] = [each for each in self.machines if each.etcd_health().is_leader]
            return bool(leader)

        if not self.wait_until(find, ETCD_READY_S):
            raise MachineError("etcd has no leader")
        leader[0].kill_etcd()
        self._etcd_due = (leader[0], time.monotonic() + seconds)

    def revive_etcd(self) -> None:
        """At once, if one is dead."""
        if self._etcd_due is not None:
            machine, self._etcd_due = self._etcd_due[0], None
            machine.start_etcd()
            self.wait_for_etcd([machine])

    def wait_for_etcd(self, machines: Sequence[Machine]) -> None:
        def is_well() -> bool:
            found = [each.etcd_health() for each in machines]
            return all(not each.error and each.has_leader for each in found)

        if not self.wait_until(is_well, ETCD_READY_S):
            raise MachineError(f"etcd has no leader after {ETCD_READY_S} s")

    # What it looks like.

    def view(self, besides: Machine | None = None) -> View:
        """As any broker sees it but this one. MachineError."""
        found: list[View] = []

        def ask() -> bool:
            for each in self.machines:
                if each is not besides and each.broker is not None:
                    try:
                        found.append(view_of(each.address))
                    except UNREACHED:
                        continue
                    return True
            return False

        if not self.wait_until(ask, HEAL_S):
            raise MachineError("no broker answers")
        return found[0]

    def wait_until_whole(self) -> None:
        """All brokers see all replicas in sync. MachineError."""
        began = time.monotonic()
        lacking: list[str] = []

        def is_whole() -> bool:
            lacking.clear()
            for each in self.machines:
                try:
                    missing = view_of(each.address).lacks(len(self.machines))
                except UNREACHED as error:
                    missing = [repr(error)]
                lacking.extend(f"broker {each.number} sees {words}" for words in missing)
            return not lacking

        if not self.wait_until(is_whole, HEAL_S):
            words = "\n".join(lacking)
            raise MachineError(f"not healed {HEAL_S} s after the fault:\n{words}")
        self.heals.append(time.monotonic() - began)
