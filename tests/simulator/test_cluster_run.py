"""Runs of clusters: what they are made of."""

import random

from simulator.cluster_run import cluster_settings, make_cluster
from simulator.loop import SimulatedLoop
from simulator.network import Network
from simulator.plan import Plan


def test_a_cluster_is_as_many_machines_on_one_store() -> None:
    plan = Plan.draw(1, (("brokers", "4"),), is_cluster=True)
    loop = SimulatedLoop(random.Random(1))
    try:
        network = Network(loop, random.Random(2), lambda *each: None)
        world = make_cluster(plan, loop, network, {})
        assert sorted(world.machines) == [1, 2, 3, 4]
        assert len({machine.host for machine in world.machines.values()}) == 4
        assert world.is_cluster
        assert world.ledger.is_replicated
        assert cluster_settings(plan)["default.replication.factor"] == "3"
    finally:
        loop.close()
