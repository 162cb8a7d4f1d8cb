"""What a controller does unasked: taking out, electing, admitting, draining, tidying."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kbroker.cluster.broker_admission import unregister_broker
from kbroker.cluster.metadata_records import NO_LEADER
from kbroker.cluster.topic_creation import NewTopic
from tests.kbroker.cluster.cluster_harness import TTL_MS, Cluster, pass_time, run, until
from tests.kbroker.cluster.controller_harness import create
from wire.errors import ErrorCode, KafkaError

LEASE_S = TTL_MS / 1000


def test_a_broker_that_is_gone_leads_nothing_and_is_in_no_isr() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await create(nodes[0].controller, NewTopic("t", partition_count=300))
        await nodes[1].kill()
        await pass_time(2 * LEASE_S)
        for record in await cluster.records():
            assert record.leader in (0, 2)
            assert sorted(record.isr) == [0, 2]
            assert record.leader_epoch == (record.replicas[0] == 1)
            assert record.elr == ()

    run(scenario)


def test_the_controller_is_gone_and_the_next_one_takes_it_out() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await create(nodes[0].controller, NewTopic("t", partition_count=9))
        await nodes[0].kill()
        await pass_time(2 * LEASE_S)
        assert (await cluster.read()).controller_id in (1, 2)
        assert all(sorted(each.isr) == [1, 2] for each in await cluster.records())

    run(scenario)


def test_all_are_gone_and_come_back() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await create(nodes[0].controller, NewTopic("t", partition_count=9))
        await cluster.kill_all()
        await pass_time(2 * LEASE_S)
        await cluster.start(1)
        await pass_time(1)
        # Below the minimum the others stay eligible, and nobody leads who is not there.
        for record in await cluster.records():
            assert record.leader in (1, NO_LEADER)
        await cluster.start(0, 2)
        await pass_time(1)
        assert all(each.leader != NO_LEADER for each in await cluster.records())

    run(scenario)


def test_a_lone_replica_leads_again_when_it_is_back() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        cluster.defaults = replace(cluster.defaults, min_isr=1)
        await create(nodes[0].controller, NewTopic("t", assignment={0: [1]}))
        await nodes[1].kill()
        await pass_time(2 * LEASE_S)
        (record,) = await cluster.records()
        assert (record.leader, record.isr, record.elr) == (NO_LEADER, (), (1,))
        await cluster.start(1)
        (record,) = await cluster.records()
        assert (record.leader, record.isr, record.leader_epoch) == (1, (1,), 2)

    run(scenario)


def test_who_is_registered_leads_nothing_before_it_is_admitted() -> None:
    """Rule admission: what it led and where it was in sync is not yet told of its former life."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        await create(nodes[0].controller, NewTopic("t", assignment={0: [1]}))
        await nodes[1].settled()
        await nodes[1].kill()
        await pass_time(3 * LEASE_S)
        (record,) = await cluster.records()
        assert (record.leader, record.elr) == (NO_LEADER, (1,))
        admit = nodes[0].duties._admit
        nodes[0].duties._admit = lambda: pass_time(0)  # type: ignore[method-assign]
        again = cluster.make(1)
        again.spawn(again.start())
        await pass_time(LEASE_S)
        assert 1 in (await cluster.read()).brokers
        assert await cluster.records() == [record]
        nodes[0].duties._admit = admit  # type: ignore[method-assign]
        await pass_time(30)
        assert [each.leader for each in await cluster.records()] == [1]

    run(scenario)


def test_an_unclean_election_is_a_topics_own_wish() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        topic = await create(nodes[0].controller, NewTopic("t", assignment={0: [1, 0]}))
        await cluster.change(topic.topic_id, 0, lambda record: replace(record, isr=(1,)))
        await nodes[1].kill()
        await pass_time(3 * LEASE_S)
        assert [each.leader for each in await cluster.records()] == [NO_LEADER]
        nodes[0].unclean = True
        await pass_time(LEASE_S * 2)
        (record,) = await cluster.records()
        assert (record.leader, record.isr) == (0, (0,))

    run(scenario)


def test_preferred_replicas_get_their_partitions_back() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.rebalance_interval_s = 300.0
        nodes = await cluster.start(0, 1, 2)
        topic = await create(nodes[0].controller, NewTopic("t", partition_count=3))
        await nodes[2].kill()
        await pass_time(2 * LEASE_S)
        await cluster.start(2)
        assert 2 not in [each.leader for each in await cluster.records()]
        for n in range(3):
            await cluster.change(
                topic.topic_id, n, lambda each: replace(each, isr=each.replicas, elr=())
            )
        await pass_time(310)
        assert all(each.leader == each.replicas[0] for each in await cluster.records())

    run(scenario)


def test_a_new_controller_waits_for_an_image_of_its_own_term() -> None:
    """Behind it, who seems to be gone may long be back: here broker 2."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await create(nodes[0].controller, NewTopic("t", partition_count=6))
        await nodes[1].settled()
        nodes[0].duties._admit = lambda: pass_time(0)  # type: ignore[method-assign]
        await nodes[2].kill()
        await nodes[2].membership.leave()
        await nodes[0].kill()
        await nodes[1].settled()
        held = nodes[1].client.hold = asyncio.get_running_loop().create_future()
        again = cluster.make(2)
        again.spawn(again.start())
        await nodes[0].membership.leave()
        assert nodes[1].metadata.image.controller_id == 0
        await nodes[1].controller.become_controller(lease=nodes[1].membership.lease)
        written = nodes[1].client.transactions
        await pass_time(30)
        assert nodes[1].controller.epoch > nodes[1].metadata.image.revision
        assert nodes[1].client.transactions == written
        held.set_result(None)
        await pass_time(1)
        assert (await cluster.read()).brokers[2].is_active

    run(scenario)


def test_who_is_registered_again_is_not_taken_out_for_having_been_gone() -> None:
    """Rule 12: a take-out rests on the absence of the registration, which is compared."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        await create(nodes[0].controller, NewTopic("t", assignment={0: [0, 1]}))
        await nodes[1].settled()
        duties = nodes[0].duties
        repair, duties._repair = duties._repair, lambda: pass_time(0)  # type: ignore[method-assign]
        before = await cluster.records()
        await nodes[1].kill()
        await nodes[1].membership.leave()
        await nodes[0].settled()
        assert 1 not in nodes[0].metadata.image.brokers
        held = nodes[0].client.hold = asyncio.get_running_loop().create_future()
        again = cluster.make(1)
        again.spawn(again.start())
        await pass_time(1)
        duties._repair = repair  # type: ignore[method-assign]
        await pass_time(30)
        assert 1 in (await cluster.read()).brokers
        assert await cluster.records() == before, "its image is behind"
        held.set_result(None)
        await pass_time(1)
        assert (await cluster.read()).brokers[1].is_active
        assert [each.isr for each in await cluster.records()] == [(0,)]

    run(scenario)


def test_a_partition_that_only_its_leaving_broker_can_lead_stays_with_it() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        await create(nodes[0].controller, NewTopic("t", assignment={0: [1], 1: [0]}))
        await nodes[1].settled()
        assert await nodes[1].membership.drain(5)
        assert [each.leader for each in await cluster.records()] == [1, 0]
        await nodes[1].kill()
        await nodes[1].membership.leave()
        await pass_time(1)
        assert [each.leader for each in await cluster.records()] == [NO_LEADER, 0]

    run(scenario)


def test_no_new_partition_is_placed_on_a_broker_that_leaves() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        assert await nodes[2].membership.drain(5)
        new = NewTopic("t", partition_count=12, replication_factor=2)
        await create(nodes[0].controller, new)
        assert all(2 not in each.replicas for each in await cluster.records())

    run(scenario)


def test_a_broker_that_runs_and_is_unregistered_joins_anew() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        await nodes[0].controller.unregister_broker(1)
        await pass_time(1)
        assert nodes[1].events == ["lost", "joined"]
        with pytest.raises(KafkaError) as caught:
            await nodes[0].controller.unregister_broker(7)
        assert caught.value.code is ErrorCode.BROKER_ID_NOT_REGISTERED

    run(scenario)


def test_a_minimum_that_another_default_asks_for_reaches_the_partitions() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await create(nodes[0].controller, NewTopic("t", partition_count=3))
        nodes[0].controller.defaults = replace(cluster.defaults, min_isr=1)
        await pass_time(20)
        assert {each.min_isr for each in await cluster.records()} == {1}

    run(scenario)


def test_a_deletion_does_not_wait_for_who_was_unregistered() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        topic = await create(nodes[0].controller, NewTopic("t", assignment={0: [0, 1]}))
        await nodes[1].kill()
        await pass_time(2 * LEASE_S)
        await nodes[0].controller.delete_topic(topic.topic_id)
        await nodes[0].controller.confirm_deletion(topic.topic_id)
        await pass_time(30)
        assert (await cluster.read()).deleted_topics[topic.topic_id].replicas == (1,)
        await unregister_broker(nodes[0].controller.term, 1)
        await pass_time(30)
        assert not (await cluster.read()).deleted_topics

    run(scenario)


def test_a_store_that_cannot_be_reached_is_tried_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        await create(nodes[0].controller, NewTopic("t", partition_count=3))
        nodes[0].client.is_cut = True
        await nodes[2].membership.leave()
        await pass_time(1)
        nodes[0].client.is_cut = False

        async def taken_out() -> bool:
            return all(2 not in each.isr for each in await cluster.records())

        await until(taken_out, 3)

    run(scenario)


def test_history_is_compacted_but_for_the_last_of_it(monkeypatch) -> None:
    monkeypatch.setattr("kbroker.cluster.controller_duties.KEPT_REVISIONS", 5)

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1)
        await create(nodes[0].controller, NewTopic("t", replication_factor=2))
        await pass_time(400)
        status = await cluster.store.status()
        assert status.compact_revision == status.revision - 5

    run(scenario)
