"""The table of a cluster's faults: what each kind does when its moment comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.faults import brokers, store
from simulator.faults.drawing import Fault

if TYPE_CHECKING:
    from simulator.faults.cluster_nemesis import ClusterNemesis

CLUSTER_KINDS: dict[str, Callable[[ClusterNemesis, Fault], None]] = {
    "power loss": brokers.power_loss,
    "kill": brokers.kill,
    "restart": brokers.restart,
    "power loss at an operation": brokers.power_loss_at_operation,
    "kill at an operation": brokers.kill_at_operation,
    "power loss of all": brokers.power_loss_of_all,
    "kill of all": brokers.kill_of_all,
    "rolling restart": brokers.rolling_restart,
    "controller lost": brokers.controller_lost,
    "leader lost": brokers.leader_lost,
    "broker cut off": brokers.broker_cut_off,
    "brokers parted": brokers.brokers_parted,
    "brokers parted one way": brokers.brokers_parted_one_way,
    "clients parted": brokers.clients_parted,
    "slow link between brokers": brokers.slow_link,
    "resets": brokers.resets,
    "slow disk": brokers.slow_disk,
    "failed fsync": brokers.failed_fsync,
    "append refused": brokers.append_refused,
    "clock step": brokers.clock_step,
    "clock drift": brokers.clock_drift,
    "pause": brokers.pause,
    "store cut off": store.cut_off,
    "store cut off one way": store.cut_off_one_way,
    "store slow": store.slow,
    "store answers lost": store.answers_lost,
    "store requests late": store.requests_late,
    "store refuses": store.refuses,
    "store without quorum": store.without_quorum,
    "store compacted": store.compacted,
    "lease expires": store.lease_expires,
}
