"""Notices situations from outside: what the broker was at when a life ended or the disk refused.

No switch in the product: the disk tells of each change, the machine of each end, and what a broker
knows is read from its objects. Counterpart: `probes_log`, which reads what it says.
"""

from __future__ import annotations

from collections import deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbroker.broker import Broker
    from simulator.network import Endpoint
    from simulator.world import World

Operation = tuple[str, str]
"""(what, path)."""

NONE: Operation = ("", "")
TRACE_OPERATIONS = 6

# (situation, the operation that did not happen, the one before it, while starting or serving or
# both): patterns of operation and path. The first place is the most telling one.
AT: tuple[tuple[str, Operation, Operation, str], ...] = (
    ("between append and flush", ("flush", "*.log"), ("append", "*.log"), "*"),
    ("between append and index write", ("append", "*index"), ("*", "*"), "serving"),
    ("between the fsyncs of a flush", ("flush", "*"), ("flush", "*"), "serving"),
    ("before a new segment's file", ("open", "*.log"), ("*", "*"), "serving"),
    ("new segment not in the directory", ("append", "*.log"), ("open", "*.log"), "serving"),
    ("new segment not in the directory", ("sync_directory", "*-[0-9]"), ("flush", "*.log"), "*"),
    ("amid a checkpoint", ("*", "*-checkpoint.tmp"), ("*", "*"), "*"),
    ("checkpoint not renamed", ("rename", "*-checkpoint.tmp"), ("*", "*"), "*"),
    ("checkpoint's name not synced", ("sync_directory", "*"), ("rename", "*-checkpoint.tmp"), "*"),
    ("amid the log start checkpoint", ("*", "*/log-start-offset-checkpoint.tmp"), ("*", "*"), "*"),
    ("amid an epoch checkpoint", ("*", "*/leader-epoch-checkpoint.tmp"), ("*", "*"), "*"),
    ("amid a snapshot", ("*", "*.snapshot.tmp"), ("*", "*"), "*"),
    ("amid the renames of retention", ("rename", "*.log"), ("*", "*"), "serving"),
    ("amid the renames of retention", ("*", "*"), ("rename", "*.log"), "serving"),
    ("amid the renames of retention", ("rename", "*index"), ("*", "*"), "serving"),
    ("amid the removal of segments", ("remove", "*.deleted"), ("*", "*"), "*"),
    ("before a topic's directory is renamed", ("rename", "/data/*-[0-9]"), ("*", "*"), "*"),
    ("amid the removal of a topic", ("remove", "*-delete*"), ("*", "*"), "*"),
    ("amid making partitions", ("*", "*/partition.metadata*"), ("*", "*"), "*"),
    ("amid making partitions", ("make_directory", "/data/*"), ("*", "*"), "*"),
    ("before a flushed end is noted", ("append", "*flushed_ends"), ("*", "*"), "*"),
    ("amid the cut of a tail", ("truncate", "*.log"), ("*", "*"), "starting"),
    ("amid the cut of a tail", ("*", "*"), ("truncate", "*.log"), "starting"),
    ("amid the rebuilding of an index", ("append", "*index"), ("*", "*"), "starting"),
    ("amid the rebuilding of an index", ("truncate", "*index"), ("*", "*"), "starting"),
    ("word of the clean stop taken", ("*", "*"), ("remove", "*cleanshutdown"), "*"),
    ("amid the word of a clean stop", ("*", "*cleanshutdown.tmp"), ("*", "*"), "*"),
)
REFUSED = {
    "room": "disk full",
    "torn append": "torn append",
    "flush": "fsync failed",
    "append": "append refused",
    "read": "read refused",
    "open": "open refused",
    "rename": "rename refused",
    "sync_directory": "directory sync refused",
}


class Probes:
    """Mutable. `at_operation` is where the life ends that is about to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.at_operation: Operation | None = None
        self.half_open: list[Endpoint] = []
        """The broker's sides of connections whose clients are gone without a word."""
        self._trace: deque[Operation] = deque(maxlen=TRACE_OPERATIONS)
        self._is_starting = False
        self._is_stopping = False
        self._was_power_lost = False
        world.machine.on_dying = self.dying

    # --- told by the nemesis ---

    def operation(self, operation: str, path: str, size: int) -> None:
        self._trace.append((operation, path))

    def starting(self) -> None:
        self._trace.clear()
        self._is_starting, self._is_stopping = True, False

    def started(self) -> None:
        self._is_starting = False

    def stopping(self) -> None:
        self._is_stopping = True
        if self.world.machine.disk.capacity_bytes is not None:
            self.world.situations.saw("full disk while stopping")

    def ended(self, *, by_itself: bool) -> None:
        """In order."""
        self.world.situations.saw("went down by itself" if by_itself else "stopped")
        self._was_power_lost = self._is_stopping = False

    # --- told by the machine ---

    def dying(self, how: str) -> None:
        saw = self.world.situations.saw
        phase = " while starting" if self._is_starting else ""
        phase = " while stopping" if self._is_stopping else phase
        saw(how + phase)
        if self._is_starting and self._was_power_lost and how == "power lost":
            saw("recovery interrupted")
        self._look_at_operations()
        if self.groups_are_loading:
            saw("groups loading")
        if self.world.machine.broker is not None:
            self._look_at_broker(self.world.machine.broker)
        self._was_power_lost = how == "power lost"
        self._is_starting = self._is_stopping = False

    def _look_at_operations(self) -> None:
        here, self.at_operation = self.at_operation, None
        if here is None:
            return
        before = self._trace[-2] if len(self._trace) > 1 else NONE
        state = "starting" if self._is_starting else "serving"
        names = {
            name: None
            for name, here_is, before_is, when in AT
            if when in ("*", state) and _is_like(here, here_is) and _is_like(before, before_is)
        }
        for name in names:
            self.world.situations.saw(name)

    @property
    def groups_are_loading(self) -> bool:
        """Also in a start that has not come to its end."""
        services = getattr(self.world.machine.newborn, "services", None)
        return services is not None and bool(services.group_coordinator._loading)

    def _look_at_broker(self, broker: Broker) -> None:
        saw = self.world.situations.saw
        machine = self.world.machine
        replicas, groups = broker.replicas, broker.services.group_coordinator
        partitions = list(replicas)
        states = {state for state, _ in groups.group_sizes()}
        seen = {
            "flush under way": machine.flusher is not None and machine.flusher.under_way > 0,
            "waiters for a flush": any(each._committed_waiters for each in partitions),
            "fetches parked": any(each._watchers for each in partitions),
            "rebalance being prepared": "PreparingRebalance" in states,
            "rebalance being completed": "CompletingRebalance" in states,
            "group stable": "Stable" in states,
            "join parked": groups.parked_count > 0,
            "commits not durable": any(
                each.is_internal and each.high_watermark < each.log.log_end_offset
                for each in partitions
            ),
            "producers known": any(each.log.producer_state.entries for each in partitions),
            "full disk at the end": machine.disk.capacity_bytes is not None,
            "metadata commit under way": machine.is_committing,
            "checkpoint under way": replicas._checkpointing._write is not None,
            "partitions being made": replicas.making_count > 0,
            "deletion not finished": bool(replicas._directory.deleted_directories),
            "half-open at the end": any(each.is_open for each in self.half_open),
            "log start advanced": any(each.log.log_start_offset for each in partitions),
            "several segments": any(len(each.log.segments) > 1 for each in partitions),
        }
        for name, is_so in seen.items():
            if is_so:
                saw(name)

    # --- the disk refuses ---

    def refused(self, operation: str, path: str) -> None:
        """An injected error is about to be raised."""
        if operation in REFUSED:
            self.world.situations.saw(REFUSED[operation])
        if operation != "flush":
            return
        if self._is_starting:
            self.world.situations.saw("fsync failed while starting")
        broker = self.world.machine.broker
        if broker is not None and any(each._committed_waiters for each in broker.replicas):
            self.world.situations.saw("fsync failed with waiters")

    # --- now and then ---

    def look(self) -> None:
        """At connections."""
        for endpoint in self.half_open:
            # Whoever writes to a client that is gone is told so by its next life.
            if endpoint._end_error is not None and not endpoint.owner.is_dead:
                self.world.situations.saw("half-open noticed")
        self.half_open = [each for each in self.half_open if each.is_open]
        for endpoint in self.world.network.connections(self.world.machine.host):
            if endpoint._paused_writer:
                self.world.situations.saw("slow reader")


def _is_like(operation: Operation, pattern: Operation) -> bool:
    return fnmatchcase(operation[0], pattern[0]) and fnmatchcase(operation[1], pattern[1])
