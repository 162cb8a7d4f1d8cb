"""AlterPartitionReassignments (KIP-455): what begins on request, what ends by itself, what is
refused."""

from __future__ import annotations

from dataclasses import replace

from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord
from kbroker.cluster.requested_reassignments import Reassignment
from kbroker.cluster.topic_creation import NewTopic
from kbroker.replication.isr import with_isr
from tests.kbroker.cluster.cluster_harness import Cluster, run, until
from tests.kbroker.cluster.controller_harness import create
from wire.errors import ErrorCode, KafkaError


def code_of(answer: KafkaError | int) -> ErrorCode | None:
    return answer.code if isinstance(answer, KafkaError) else None


async def ask(
    cluster: Cluster, *asked: tuple[int, tuple[int, ...] | None], **options: bool
) -> list[KafkaError | int]:
    """Of the topic t."""
    unclean = options.pop("unclean", False)
    return await cluster.nodes[0].controller.reassign_partitions(
        [Reassignment("t", index, replicas) for index, replicas in asked],
        is_unclean_enabled=lambda topic: unclean,
        **options,
    )


async def first(cluster: Cluster) -> PartitionRecord:
    return (await cluster.records())[0]


async def topic_on(cluster: Cluster, *replicas: int, partitions: int = 1) -> bytes:
    assignment = {index: list(replicas) for index in range(partitions)}
    return (
        await create(cluster.nodes[0].controller, NewTopic("t", assignment=assignment))
    ).topic_id


def test_the_controller_completes_what_was_begun_once_all_are_in_sync() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2, 3)
        topic = await topic_on(cluster, 0, 1)
        (revision,) = await ask(cluster, (0, (2, 3)))
        begun = await first(cluster)
        assert revision == begun.mod_revision
        assert (begun.replicas, begun.adding, begun.removing) == ((2, 3, 0, 1), (2, 3), (0, 1))
        await cluster.change(topic, 0, lambda each: with_isr(each, (0, 1, 2)))
        await cluster.nodes[0].settled()
        assert (await first(cluster)).adding == (2, 3)
        await cluster.change(topic, 0, lambda each: with_isr(each, (0, 1, 2, 3)))

        async def is_done() -> bool:
            return not (await first(cluster)).adding

        await until(is_done)
        done = await first(cluster)
        assert (done.replicas, done.isr, done.leader) == ((2, 3), (2, 3), 2)
        assert await ask(cluster, (0, (2, 3))) == [0]

    run(scenario)


def test_a_controller_that_takes_over_completes_what_another_has_begun() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2)
        topic = await topic_on(cluster, 1, 0)
        await ask(cluster, (0, (1, 2)))
        await cluster.nodes[0].kill()
        await cluster.change(topic, 0, lambda each: with_isr(each, (1, 2)))

        async def is_done() -> bool:
            return (await first(cluster)).replicas == (1, 2)

        await until(is_done)

    run(scenario)


def test_what_is_refused_is_told_in_kafkas_words() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2)
        await topic_on(cluster, 0, 1, partitions=2)
        asked = [(0, None), (0, (7,)), (0, (1, 1)), (0, ()), (7, (0,)), (1, (0, 2))]
        answers = await ask(cluster, *asked)
        assert [code_of(each) for each in answers] == [
            ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
            *[ErrorCode.INVALID_REPLICA_ASSIGNMENT] * 3,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            None,
        ]
        assert [each.detail for each in answers if isinstance(each, KafkaError)][1:] == [
            "The manual partition assignment includes broker 7, but no such broker is registered.",
            "The manual partition assignment includes the broker 1 more than once.",
            "The manual partition assignment includes an empty replica list.",
            "Unable to find partition t:7.",
        ]
        (unknown,) = await cluster.nodes[0].controller.reassign_partitions(
            [Reassignment("no", 0, None)], is_unclean_enabled=lambda topic: False
        )
        assert isinstance(unknown, KafkaError)
        assert unknown.detail == "Unable to find a topic named no."

    run(scenario)


def test_the_number_of_replicas_stays_where_the_tool_says_so() -> None:
    """KIP-860, and on the way it is the target that counts."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2, 3)
        await topic_on(cluster, 0, 1)
        (refused,) = await ask(cluster, (0, (0, 1, 2)), may_change_factor=False)
        assert isinstance(refused, KafkaError)
        assert refused.code == ErrorCode.INVALID_REPLICATION_FACTOR
        assert refused.detail == "The replication factor is changed from 2 to 3"
        (begun,) = await ask(cluster, (0, (2, 3)), may_change_factor=False)
        (other,) = await ask(cluster, (0, (2, 0)), may_change_factor=False)
        assert code_of(begun) is code_of(other) is None

    run(scenario)


def test_a_partition_named_twice_takes_one_step_after_the_other() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2)
        await topic_on(cluster, 0, 1)
        answers = await ask(cluster, (0, (0, 2)), (0, None), (0, None))
        assert [code_of(each) for each in answers] == [
            None,
            None,
            ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
        ]
        assert (await first(cluster)).replicas == (0, 1)

    run(scenario)


def test_a_cancellation_that_would_lose_records_is_refused_unless_the_topic_would_rather() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2, 3)
        topic = await topic_on(cluster, 0, 1)
        await ask(cluster, (0, (2, 3)))
        moved = {"isr": (2,), "leader": 2, "leader_epoch": 1}
        await cluster.change(topic, 0, lambda each: replace(each, **moved))
        (refused,) = await ask(cluster, (0, None))
        assert code_of(refused) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
        (revision,) = await ask(cluster, (0, None), unclean=True)
        assert isinstance(revision, int)
        record = await first(cluster)
        assert (record.leader, record.isr, record.replicas) == (0, (0,), (0, 1))

    run(scenario)


def test_a_broker_that_is_away_may_be_given_replicas_and_taken_from() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2)
        topic = await topic_on(cluster, 0, 1)
        await cluster.nodes[2].stop()
        (away,) = await ask(cluster, (0, (0, 2)))
        assert code_of(away) is None
        await cluster.start(2)
        await cluster.change(topic, 0, lambda each: with_isr(each, (0, 1, 2)))

        async def is_done() -> bool:
            return (await first(cluster)).replicas == (0, 2)

        await until(is_done)
        await cluster.nodes[2].kill()

        async def is_out() -> bool:
            return (await first(cluster)).isr == (0,)

        await until(is_out)
        await ask(cluster, (0, (0,)))
        record = await first(cluster)
        assert (record.replicas, record.elr, record.leader) == ((0,), (), 0)

    run(scenario)


def test_leaders_change_their_isr_meanwhile_and_nobodys_change_is_lost() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2)
        topic = await topic_on(cluster, 0, 1)
        read_image = cluster.nodes[0].controller.term.read_image

        async def meddled():
            image = await read_image()
            cluster.nodes[0].controller.term.read_image = read_image
            await cluster.change(topic, 0, lambda each: with_isr(each, (0,)))
            return image

        cluster.nodes[0].controller.term.read_image = meddled
        (answer,) = await ask(cluster, (0, (0, 2)))
        record = await first(cluster)
        assert answer == record.mod_revision
        assert (record.isr, record.elr, record.replicas) == ((0,), (1,), (0, 2, 1))

    run(scenario)


def test_without_a_leader_it_begins_and_waits() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2)
        await topic_on(cluster, 1)
        await cluster.nodes[1].kill()

        async def is_leaderless() -> bool:
            return (await first(cluster)).leader == NO_LEADER

        await until(is_leaderless)
        await ask(cluster, (0, (0, 2)))
        record = await first(cluster)
        assert (record.leader, record.adding) == (NO_LEADER, (0, 2))

    run(scenario)
