"""Runs of clusters: what they are made of, that they pass, and that they are the same again."""

import random

import pytest

from simulator.cluster_invariants import ClusterWatch
from simulator.cluster_run import cluster_settings, make_cluster, possible_loss
from simulator.invariant_error import InvariantError
from simulator.loop import SimulatedLoop
from simulator.network import Network
from simulator.plan import Plan
from simulator.run import run

SHORT = (("safety_s", "12"), ("bursts", "12"))


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


@pytest.mark.parametrize("seed", range(2))
def test_a_run_of_a_cluster_passes_and_is_the_same_again(seed: int) -> None:
    plan = Plan.draw(seed, SHORT, is_cluster=True)
    report = run(plan)
    assert report.failure is None, report.failure
    assert report.counts["looks at the state"] > 0
    assert report.counts["read at the end"] > 0
    if seed == 0:
        assert run(plan).digest == report.digest


def test_a_loss_that_nobody_has_told_before_fails_the_run() -> None:
    plan = Plan.draw(1, (("flush_messages", "1000"),), is_cluster=True)
    loop = SimulatedLoop(random.Random(1))
    try:
        network = Network(loop, random.Random(2), lambda *each: None)
        world = make_cluster(plan, loop, network, {})
        watch = ClusterWatch(world)
        world.losses_told.add(("t", 0, 7))
        possible_loss(world, watch, "t", 0, 7)
        assert world.situations.counts["possible loss logged"] == 1
        loop.raise_failure()
        possible_loss(world, watch, "t", 0, 8)
        with pytest.raises(InvariantError, match="nobody told before"):
            loop.raise_failure()
    finally:
        loop.close()
