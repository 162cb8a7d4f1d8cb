"""ElectLeaders (KIP-460): what is elected on request, and the reasons for which nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbroker.cluster.metadata_records import NO_LEADER
from kbroker.cluster.topic_creation import NewTopic
from tests.kbroker.cluster.cluster_harness import TTL_MS, Cluster, pass_time, run, until
from tests.kbroker.cluster.controller_harness import create
from wire.errors import ErrorCode, KafkaError


def code_of(answer: KafkaError | int) -> ErrorCode | None:
    return answer.code if isinstance(answer, KafkaError) else None


def test_the_first_replica_leads_again_where_it_can() -> None:
    async def scenario(cluster: Cluster) -> None:
        controller = (await cluster.start(0, 1, 2))[0].controller
        assignment = {n: [n % 3, (n + 1) % 3, (n + 2) % 3] for n in range(3)}
        topic = (await create(controller, NewTopic("t", assignment=assignment))).topic_id
        await cluster.change(topic, 1, lambda each: replace(each, leader=2, leader_epoch=1))
        await cluster.change(
            topic, 2, lambda each: replace(each, leader=0, leader_epoch=1, isr=(0, 1))
        )
        asked = [(topic, 0), (topic, 1), (topic, 2), (topic, 3), (topic, 1)]
        answers = await controller.elect_leaders(asked, unclean=False)
        assert {n: code_of(each) for (_, n), each in answers.items()} == {
            0: ErrorCode.ELECTION_NOT_NEEDED,
            1: None,
            2: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
            3: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        }
        record = (await cluster.records())[1]
        assert (record.leader, record.leader_epoch, record.isr) == (1, 2, (1, 2, 0))
        assert answers[topic, 1] == record.mod_revision

    run(scenario)


def test_who_would_rather_lose_records_than_wait_may_say_so() -> None:
    async def scenario(cluster: Cluster) -> None:
        controller = (await cluster.start(0, 1))[0].controller
        new = NewTopic("t", assignment={0: [1, 0], 1: [0, 1]})
        topic = (await create(controller, new)).topic_id
        alone = (await create(controller, NewTopic("u", assignment={0: [1]}))).topic_id
        await cluster.change(topic, 0, lambda each: replace(each, isr=(1,)))
        await cluster.nodes[1].kill()
        await cluster.nodes[1].membership.leave()
        await cluster.nodes[0].settled()

        async def is_without_leader() -> bool:
            image = await cluster.read()
            return image.topics[alone].partitions[0].leader == NO_LEADER

        await until(is_without_leader)
        asked = [(topic, 0), (topic, 1), (alone, 0)]
        answers = await controller.elect_leaders(asked, unclean=True)
        assert [code_of(answers[each]) for each in asked] == [
            None,
            ErrorCode.ELECTION_NOT_NEEDED,
            ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        ]
        image = await cluster.read()
        assert image.topics[topic].partitions[0].leader == 0

    run(scenario)


@pytest.mark.parametrize("asks", [True, False], ids=["on request", "by the topic's wish"])
def test_who_came_back_without_its_log_is_elected_uncleanly_only_if_nobody_else_is(
    asks: bool,
) -> None:
    """Whoever has some of the records would follow it, and drop them."""

    async def scenario(cluster: Cluster) -> None:
        nodes = await cluster.start(0, 1, 2)
        new = NewTopic("t", assignment={0: [2, 0, 1], 1: [2, 0, 1]})
        topic = (await create(nodes[0].controller, new)).topic_id
        for node in nodes:
            await node.settled()
        await nodes[2].kill()
        for partition in (0, 1):
            await cluster.change(
                topic,
                partition,
                lambda each: replace(each, leader=NO_LEADER, isr=(), elr=(), last_known_leader=2),
            )
        again = cluster.make(2)
        again.damaged = again.missing = {(topic, 0)}
        await again.start()
        controller = nodes[0].controller
        if asks:
            await controller.elect_leaders([(topic, 0), (topic, 1)], unclean=True)
        else:
            nodes[0].unclean = True
            await pass_time(2 * TTL_MS / 1000)
        image = await cluster.read()
        leaders = [image.topics[topic].partitions[each].leader for each in (0, 1)]
        assert leaders == [0, 2], "of the second one it still has its log"

    run(scenario)
