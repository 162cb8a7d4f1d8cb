"""The table of faults: what each kind does when its moment comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.faults import connections, machine, storage, surroundings
from simulator.faults.drawing import Fault

if TYPE_CHECKING:
    from simulator.faults.nemesis import Nemesis

KINDS: dict[str, Callable[[Nemesis, Fault], None]] = {
    "power loss": machine.power_loss,
    "kill": machine.kill,
    "restart": machine.restart,
    "power loss at an operation": machine.power_loss_at_operation,
    "kill at an operation": machine.kill_at_operation,
    "power loss while starting": machine.power_loss_while_starting,
    "power loss while stopping": machine.power_loss_while_stopping,
    "failed fsync": storage.failed_fsync,
    "append refused": storage.append_refused,
    "torn append": storage.torn_append,
    "read refused": storage.read_refused,
    "open refused": storage.open_refused,
    "rename refused": storage.rename_refused,
    "directory sync refused": storage.directory_sync_refused,
    "disk full": storage.disk_full,
    "slow disk": storage.slow_disk,
    "rotten cache": storage.rotten_cache,
    "rotten record": storage.rotten_record,
    "resets": connections.resets,
    "half-open": connections.half_open,
    "partition": connections.partition,
    "one-way partition": connections.one_way_partition,
    "slow network": connections.slow_network,
    "slow link": connections.slow_link,
    "storm of connections": connections.storm,
    "dying client": connections.dying_client,
    "clock step": surroundings.clock_step,
    "clock drift": surroundings.clock_drift,
    "slow processor": surroundings.slow_processor,
    "pause": surroundings.pause,
    "metadata refused": surroundings.metadata_refused,
    "end in a metadata commit": surroundings.end_in_commit,
    "metadata unknown": surroundings.metadata_unknown,
}
