"""Joining, staying, losing, leaving: a broker's membership in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from kbroker.cluster.membership import MembershipState
from kbroker.cluster.metadata_store import Delete
from kbroker.cluster.store_history import StoreRestoredError
from kbroker.cluster.topic_creation import NewTopic
from tests.kbroker.cluster.cluster_harness import (
    KEYS,
    TTL_MS,
    Cluster,
    Node,
    pass_time,
    run,
    until,
)
from tests.kbroker.cluster.controller_harness import create
from wire.errors import ErrorCode, KafkaError


def test_the_first_broker_is_controller_and_admits_itself_and_the_others() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        image = await cluster.read()
        assert image.controller_id == 0
        assert [image.brokers[each].is_active for each in (0, 1, 2)] == [True] * 3
        assert [each.membership.state for each in nodes] == [MembershipState.FRESH] * 3
        assert nodes[2].membership.broker_epoch == image.brokers[2].broker_epoch
        await pass_time(60)  # ten leases later
        assert [each.events for each in nodes] == [[], [], []]

    run(scenario)


def test_a_broker_that_starts_again_ends_its_old_lease_and_does_not_wait() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        former = cluster.nodes[1].membership.broker_epoch
        await cluster.nodes[1].kill()
        before = asyncio.get_running_loop().time()
        await cluster.start(1)
        assert asyncio.get_running_loop().time() - before < 1
        assert cluster.nodes[1].membership.broker_epoch > former

    run(scenario)


def test_without_the_file_the_lease_is_waited_for() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        await cluster.nodes[1].kill()
        del cluster.disks[1]
        before = asyncio.get_running_loop().time()
        await cluster.start(1)
        assert TTL_MS / 1000 / 2 < asyncio.get_running_loop().time() - before < 3 * TTL_MS / 1000

    run(scenario)


def test_another_broker_with_the_id_is_refused_in_one_line_and_harms_nobody() -> None:
    async def scenario(cluster: Cluster) -> None:
        (first,) = await cluster.start(0)
        del cluster.disks[0]
        second = cluster.make(0)
        with pytest.raises(KafkaError, match=r"another broker runs with node\.id 0") as caught:
            await second.start()
        assert caught.value.code is ErrorCode.DUPLICATE_BROKER_REGISTRATION
        await second.kill()
        await second.membership.leave()
        assert first.events == []
        assert first.membership.state is MembershipState.FRESH
        await first.kill()

    run(scenario)


def test_a_store_out_of_reach_is_no_loss_until_it_answers() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        nodes[1].client.is_cut = True
        await pass_time(TTL_MS / 1000 * 0.9)
        assert nodes[1].membership.state is MembershipState.SUSPECT
        nodes[1].client.is_cut = False
        await pass_time(0.6)
        assert nodes[1].membership.state is MembershipState.FRESH
        assert nodes[1].events == []

    run(scenario)


def test_a_store_that_does_not_answer_is_told_in_words(caplog: pytest.LogCaptureFixture) -> None:
    async def silence(lease: int) -> int:
        await asyncio.Event().wait()
        return 0

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        nodes[1].client.lease_keep_alive = silence  # type: ignore[attr-defined]
        await pass_time(TTL_MS / 1000 * 0.9)
        assert nodes[1].membership.state is MembershipState.SUSPECT
        assert "the lease cannot be kept alive: it took too long" in caplog.messages

    run(scenario)


def test_a_store_that_is_another_one_when_it_is_there_again_ends_the_membership() -> None:
    """The lease is in the backup, too, and is kept alive."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        nodes[1].client.is_cut = True
        nodes[1].is_restored = True
        await pass_time(TTL_MS / 1000 * 0.9)
        assert nodes[1].events == []
        nodes[1].client.is_cut = False
        await pass_time(0.6)
        assert nodes[1].events == ["lost", "restored"]
        assert nodes[1].membership.state is MembershipState.LOST

    run(scenario)


def test_nobody_joins_a_store_that_is_another_one() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        nodes[1].is_restored = True
        nodes[1].membership.lost("as if")
        await pass_time(1)
        assert nodes[1].events == ["lost", "restored"]
        await pass_time(2 * TTL_MS / 1000)
        nodes[1] = cluster.make(1)
        nodes[1].is_restored = True
        with pytest.raises(StoreRestoredError):
            await nodes[1].start()
        assert 1 not in (await cluster.read()).brokers
        await nodes[1].kill()

    run(scenario)


def test_a_lease_that_ended_is_lost_and_the_broker_joins_anew() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        former = nodes[1].membership.broker_epoch
        nodes[1].client.is_cut = True
        await pass_time(2 * TTL_MS / 1000)
        nodes[1].client.is_cut = False
        await pass_time(1)
        assert nodes[1].events == ["lost", "joined"]
        image = await cluster.read()
        assert nodes[1].membership.broker_epoch == image.brokers[1].broker_epoch > former
        assert image.brokers[1].is_active

    run(scenario)


def test_a_lease_answered_without_a_time_is_lost_although_no_event_tells() -> None:
    async def scenario(cluster: Cluster) -> None:
        _, node = await cluster.start(0, 1)
        node.client.hold = asyncio.get_running_loop().create_future()
        await cluster.store.lease_revoke(node.membership.lease)
        await pass_time(TTL_MS / 1000 / 2)
        assert node.events == ["lost"]
        node.client.hold.set_result(None)

    run(scenario)


def test_the_controller_that_loses_its_lease_is_replaced() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        nodes[0].client.is_cut = True

        async def replaced() -> bool:
            return (await cluster.read()).controller_id == 1

        await until(replaced)
        nodes[0].client.is_cut = False
        await pass_time(2)
        assert nodes[0].events == ["lost", "joined"]
        assert (nodes[0].controller.epoch, nodes[1].controller.epoch > 0) == (0, True)

    run(scenario)


def test_who_is_lost_holds_no_office_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        (node,) = await cluster.start(0)
        assert node.controller.epoch
        node.membership.lost("as if")
        assert node.events == ["lost"]
        assert (node.controller.epoch, node.membership.broker_epoch) == (0, 0)
        node.membership.lost("as if once more")
        assert node.events == ["lost"]

    run(scenario)


def test_a_registration_that_somebody_deletes_is_lost_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        await cluster.store.transact([], [Delete(KEYS.broker(1))])
        await pass_time(0.5)
        assert nodes[1].events == ["lost", "joined"]

    run(scenario)


def test_a_registration_whose_answer_was_lost_is_made_anew() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0)
        node = cluster.make(1)
        node.client.lose_next = 1
        await node.start()
        image = await cluster.read()
        assert image.brokers[1].broker_epoch == node.membership.broker_epoch
        assert image.brokers[1].is_active
        assert node.events == []

    run(scenario)


def test_an_office_whose_answer_was_lost_is_taken_all_the_same() -> None:
    async def scenario(cluster: Cluster) -> None:
        node = cluster.make(0)
        task = asyncio.get_running_loop().create_task(node.start())
        while node.client.transactions < 1:
            await pass_time(0.001)
        node.client.lose_next = 1
        await task
        assert node.controller.epoch == (await cluster.read()).controller_epoch

    run(scenario)


def test_a_loss_is_told_until_an_admission_has_taken_note() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        topic = await create(nodes[0].controller, NewTopic("t"))
        await nodes[2].settled()
        await nodes[2].kill()
        node = cluster.make(2)
        node.lossy = {topic.topic_id}
        await node.start()
        image = await cluster.read()
        assert image.brokers[2].registration.lossy_topics == (topic.topic_id,)
        node.membership.lost("as if")
        await pass_time(1)
        assert node.events == ["lost", "joined"]
        assert (await cluster.read()).brokers[2].registration.lossy_topics == ()

    run(scenario)


def test_a_loss_that_nobody_has_taken_note_of_is_told_by_the_next_registration_too() -> None:
    """Rule lossy-until-admitted: of a registration that was never admitted nobody has heard."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        topic = await create(nodes[0].controller, NewTopic("t", assignment={0: [0, 1]}))
        await nodes[1].settled()
        await nodes[1].kill()
        admit = nodes[0].duties._admit
        nodes[0].duties._admit = lambda: pass_time(0)  # type: ignore[method-assign]
        node = cluster.make(1)
        node.lossy = {topic.topic_id}
        node.spawn(node.start())
        epochs = set()
        for _ in range(2):
            await pass_time(5)
            broker = (await cluster.read()).brokers[1]
            assert not broker.is_admitted
            assert broker.registration.lossy_topics == (topic.topic_id,)
            epochs.add(broker.broker_epoch)
            node.membership.lost("as if")
        nodes[0].duties._admit = admit  # type: ignore[method-assign]
        await pass_time(30)
        broker = (await cluster.read()).brokers[1]
        assert broker.is_active
        assert broker.registration.lossy_topics == (topic.topic_id,)
        assert len({broker.broker_epoch, *epochs}) == 3

    run(scenario)


def test_a_partition_that_lost_records_costs_the_others_of_its_topic_nothing() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        whole = await create(nodes[0].controller, NewTopic("whole", partition_count=2))
        partly = await create(nodes[0].controller, NewTopic("partly", partition_count=3))
        await nodes[2].settled()
        await nodes[2].kill()
        node = cluster.make(2)
        for number, topic in ((0, whole), (1, whole), (1, partly)):
            node.damaged.add((topic.topic_id, number))
        node.missing.add((partly.topic_id, 1))
        await node.start()
        registration = (await cluster.read()).brokers[2].registration
        assert registration.lossy_topics == (whole.topic_id,)
        assert registration.lossy_partitions == ((partly.topic_id, (1,)),)
        assert registration.missing_partitions == ((partly.topic_id, (1,)),)

    run(scenario)


def test_what_is_lost_is_asked_of_an_image_that_shows_all_the_earlier_life_may_have_joined() -> (
    None
):
    """A topic that is made before the start's earlier registration has gone; its watch is late."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await nodes[2].kill()
        node = cluster.make(2)
        await node.metadata.load()
        topic = await create(nodes[0].controller, NewTopic("late", replication_factor=3))
        assert topic.topic_id not in node.metadata.image.topics
        node.lossy = {topic.topic_id}
        node.spawn(joining(node))
        await pass_time(60)
        registration = (await cluster.read()).brokers[2].registration
        assert registration.lossy_topics == (topic.topic_id,)
        await node.kill()

    async def joining(node: Node) -> None:
        await node.membership.join()

    run(scenario)


def test_a_stop_while_joining_leaves_nothing_behind() -> None:
    async def scenario(cluster: Cluster) -> None:
        node = cluster.make(0)
        await node.metadata.load()
        # Nobody is there to admit it: its own duties do not run.
        joining = asyncio.get_running_loop().create_task(node.membership.join())
        await pass_time(3 * TTL_MS / 1000)
        assert (await cluster.read()).brokers[0].broker_epoch == node.membership.broker_epoch
        joining.cancel()
        await asyncio.wait([joining])
        await node.membership.leave()
        assert not (await cluster.read()).brokers
        assert node.membership.state is MembershipState.LOST

    run(scenario)


def test_a_store_out_of_reach_at_the_start_is_waited_for() -> None:
    async def scenario(cluster: Cluster) -> None:
        node = cluster.make(0)
        await node.metadata.load()
        node.client.is_cut = True
        starting = asyncio.get_running_loop().create_task(node.start())
        await pass_time(100)
        assert not starting.done()
        node.client.is_cut = False
        await starting
        assert node.membership.state is MembershipState.FRESH

    run(scenario)


def test_a_rejoin_goes_by_no_image_that_is_behind() -> None:
    """The image still shows the life before when the next one has registered."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        held = asyncio.get_running_loop().create_future()
        nodes[1].client.hold = held
        former = nodes[1].membership.broker_epoch
        nodes[1].membership.lost("as if")
        await pass_time(2)
        now = (await cluster.read()).brokers[1]
        assert now.is_active
        assert nodes[1].membership.broker_epoch == now.broker_epoch > former
        assert nodes[1].metadata.image.brokers[1].broker_epoch == former
        assert nodes[1].events == ["lost"]
        held.set_result(None)
        await pass_time(1)
        assert nodes[1].events == ["lost", "joined"]

    run(scenario)


def test_another_broker_that_has_taken_the_id_meanwhile_ends_this_one() -> None:
    async def scenario(cluster: Cluster) -> None:
        (first,) = await cluster.start(0)
        first.client.is_cut = True
        await pass_time(2 * TTL_MS / 1000)
        del cluster.disks[0]
        await cluster.start(0)
        first.client.is_cut = False
        await pass_time(5 * TTL_MS / 1000)
        assert first.events == ["lost", "another broker runs with node.id 0"]
        await first.kill()

    run(scenario)


def test_a_disk_that_takes_no_lease_file_is_no_reason_to_stay_away() -> None:
    async def scenario(cluster: Cluster) -> None:
        node = cluster.make(0)
        node.disk.remove_tree("/data")
        await node.start()
        assert node.membership.state is MembershipState.FRESH

    run(scenario)


def test_who_cannot_be_drained_in_time_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        nodes[0].client.is_cut = True  # the controller
        before = asyncio.get_running_loop().time()
        assert not await nodes[1].membership.drain(3)
        assert 3 <= asyncio.get_running_loop().time() - before < 3.1
        assert "broker 1 leaves without being drained: it took too long" in caplog.messages
        nodes[1].client.is_cut = True
        assert not await nodes[1].membership.drain(3)

    run(scenario)


def test_a_broker_alone_is_drained_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        (node,) = await cluster.start(0)
        before = node.client.transactions
        assert await node.membership.drain(3)
        assert node.client.transactions == before

    run(scenario)


def test_a_store_of_this_process_alone_has_no_leases() -> None:
    async def scenario(cluster: Cluster) -> None:
        node = cluster.make(0, is_shared=False)
        await node.metadata.load()
        assert node.membership.state is MembershipState.LOST
        broker_epoch = await node.membership.join()
        await node.membership.run()  # there is nothing to keep alive
        own = (await cluster.read()).brokers[0]
        assert (own.broker_epoch, own.is_active) == (broker_epoch, True)
        assert not node.disk.exists("/data/membership-lease")
        assert node.client.transactions == 3  # registration, office, admission
        assert await node.membership.drain(3)
        await node.membership.leave()
        assert node.client.transactions == 3
        assert (await cluster.store.get(KEYS.broker(0))).lease == 0

    run(scenario)


def test_a_drained_broker_leads_nothing_when_it_leaves() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await create(nodes[0].controller, NewTopic("t", partition_count=200))
        await nodes[0].settled()
        assert await nodes[0].membership.drain(30)
        for record in await cluster.records():
            assert record.leader in (1, 2)
            assert record.isr == tuple(each for each in record.replicas if each != 0)
        epochs = [record.leader_epoch for record in await cluster.records()]
        await nodes[0].kill()
        await nodes[0].membership.leave()
        await pass_time(1)
        image = await cluster.read()
        assert (sorted(image.brokers), image.controller_id) == ([1, 2], 1)
        assert [record.leader_epoch for record in await cluster.records()] == epochs
        await cluster.start(0)
        assert (await cluster.read()).brokers[0].is_active

    run(scenario)
