"""Procedures of docs/OPERATIONS.md that need no processes: three brokers in one loop."""

from __future__ import annotations

from tests.kbroker.test_cluster_administration import Machines, with_machines
from tests.kbroker.test_clustering import read


def test_what_one_broker_has_gets_more_replicas_and_survives_its_loss() -> None:
    """As after a migration from one node, whose partitions have one replica each."""

    async def scenario(machines: Machines) -> None:
        target = await machines.create(1)
        for number in range(5):
            assert await machines.append(target, b"%d" % number) == 0
        await machines.move(target, 1, 2, 3)
        await machines.cluster.in_sync(target, 1, 2, 3)
        await machines.stop(1)
        leader = await machines.cluster.leader(target)
        assert await read(leader, target) == [b"0", b"1", b"2", b"3", b"4"]

    with_machines(scenario)


def test_a_broker_that_joins_takes_what_is_moved_to_it_from_one_that_leaves_for_good() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2, 3)
        assert await machines.append(target, b"a") == 0
        await machines.start(4)
        await machines.move(target, 1, 2, 4)
        await machines.stop(3)
        assert await machines.append(target, b"b") == 0
        log = machines[4].broker.replicas.partition("t", 0).log
        assert log.log_end_offset == 2

    with_machines(scenario)
