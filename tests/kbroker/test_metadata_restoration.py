"""A cluster goes on from a backup of its metadata once that was accepted, and not before."""

from __future__ import annotations

import copy

import pytest

from kbroker.cluster.keys import Keys
from kbroker.cluster.membership import MembershipState
from kbroker.cluster.metadata_store import Delete, Put
from kbroker.cluster.restoration import (
    EPOCHS_BEYOND,
    Restoration,
    RestorationRefusedError,
    plan_restoration,
)
from kbroker.metadata_restoration import accept, accept_restore
from kbroker.opening import StartError
from tests.kbroker.broker_harness import config_of
from tests.kbroker.test_cluster_administration import Machines, with_machines
from tests.kbroker.test_clustering import read

KEYS = Keys("kbroker")


async def plan(machines: Machines, restore_id: str = "first") -> Restoration:
    return plan_restoration(await machines.store.list(KEYS.prefix), KEYS, restore_id)


async def leases_end(machines: Machines) -> None:
    """What the backup holds of brokers, as etcd takes it away some seconds later."""
    registrations = await machines.store.list(KEYS.brokers)
    keys = [KEYS.controller, *(kv.key for kv in registrations.items)]
    await machines.store.transact([], [Delete(key) for key in keys])


async def refused(machines: Machines, node_id: int) -> str:
    with pytest.RaisesGroup(pytest.RaisesExc(StartError)) as caught:
        await machines.start(node_id)
    return str(caught.value.exceptions[0])


def test_a_restored_store_is_refused_until_that_is_accepted_and_no_record_is_lost() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2, 3)
        assert await machines.append(target, b"a") == 0
        backup = copy.deepcopy(machines.store._map)
        await machines.stop(1)
        assert await machines.append(target, b"b") == 0
        await machines.start(1)
        await machines.cluster.in_sync(target, 1, 2, 3)
        assert await machines.append(target, b"c") == 0
        await machines.stop(1, 2, 3)

        machines.store._map = backup
        for node_id in (1, 2, 3):
            line = await refused(machines, node_id)
            assert line.startswith("the metadata store was restored from a backup, and has forgot")
            assert line.endswith("stop all brokers, and: kbroker metadata accept-restore")
        with pytest.raises(RestorationRefusedError, match="brokers are registered: 1, 2, 3"):
            await plan(machines)
        await leases_end(machines)
        await accept(machines.store, await plan(machines))

        await machines.start(1, 2, 3)
        await machines.cluster.in_sync(target, 1, 2, 3)
        assert machines.record(target).leader_epoch > EPOCHS_BEYOND
        assert await machines.append(target, b"d") == 0
        leader = await machines.cluster.leader(target)
        assert await read(leader, target) == [b"a", b"b", b"c", b"d"]
        for node_id in (1, 2, 3):
            log = machines[node_id].broker.replicas.partition("t", 0).log
            assert log.log_end_offset == 4

    with_machines(scenario)


def test_a_broker_that_runs_while_its_store_is_replaced_ends() -> None:
    async def scenario(machines: Machines) -> None:
        target = await machines.create(1, 2, 3)
        backup = copy.deepcopy(machines.store._map)
        assert await machines.append(target, b"a") == 0
        await machines.stop(3)
        broker = machines[2].broker
        assert broker.clustering is not None
        machines.store._map = backup
        broker.clustering.membership.lost("as if")
        await machines[2].until(broker.stopped.is_set)
        assert broker.failure.startswith("the metadata store was restored from a backup")

        other = machines[1].broker
        assert other.clustering is not None

        def noticed() -> bool:
            machines[1].loop.advance(0.01)
            return other.stopped.is_set()

        await machines[1].until(noticed)
        assert other.clustering.membership.state is MembershipState.LOST

    with_machines(scenario)


def test_somebody_who_writes_there_meanwhile_is_noticed() -> None:
    async def scenario(machines: Machines) -> None:
        await machines.create(1, 2, 3)
        await machines.stop(1, 2, 3)
        planned = await plan(machines)
        again = await plan(machines, "second")
        await accept(machines.store, planned)
        with pytest.raises(RestorationRefusedError, match="somebody else is writing"):
            await accept(machines.store, again)
        third = await plan(machines, "third")
        await machines.store.transact([], [Put(KEYS.restores, b'{"restores":["x"]}')])
        with pytest.raises(RestorationRefusedError, match="somebody else has accepted"):
            await accept(machines.store, third)

    with_machines(scenario)


def test_a_single_broker_has_nothing_to_accept() -> None:
    with pytest.raises(RestorationRefusedError, match="nothing to accept"):
        accept_restore(config_of({}), apply=False)
