"""Topics: usable when created, gone when deleted, made on demand only where that is allowed."""

from __future__ import annotations

import pytest

from kbroker.cluster.topic_creation import CreatedTopic, NewTopic
from tests.kbroker.broker_harness import Client, Running, with_broker
from tests.kbroker.handlers.requests import Target, delete_topics, error_codes, metadata, produce
from wire.errors import ErrorCode, KafkaError

GROUP_TOPIC = "__consumer_offsets"


def test_a_created_topic_has_its_partitions_open_on_return() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        topics = broker.broker.services.topics
        (created,) = await topics.create([NewTopic("t", partition_count=3)], validate_only=False)
        assert isinstance(created, CreatedTopic)
        assert topics.partition_count("t") == 3
        for index in range(3):
            broker.broker.replicas.partition("t", index).check_leader(-1)

    with_broker(scenario)


def test_a_validated_topic_is_not_created() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        topics = broker.broker.services.topics
        (created,) = await topics.create([NewTopic("t")], validate_only=True)
        assert isinstance(created, CreatedTopic)
        assert topics.partition_count("t") == 0

    with_broker(scenario)


def test_a_bad_setting_is_refused_and_nothing_is_created() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        topics = broker.broker.services.topics
        bad = NewTopic("t", configs={"retention.ms": "soon"})
        (answer,) = await topics.create([bad], validate_only=False)
        assert isinstance(answer, KafkaError)
        assert answer.code == ErrorCode.INVALID_CONFIG
        assert topics.partition_count("t") == 0

    with_broker(scenario)


def test_who_becomes_the_controller_while_it_looks_for_it_creates_the_topic_itself() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        topics, controller = broker.broker.services.topics, broker.broker.services.controller

        async def elsewhere(topic: NewTopic) -> bool:
            return not await controller.become_controller()

        controller.step_down()
        topics.create_elsewhere = elsewhere
        await topics.create_automatically("t")
        assert topics.partition_count("t") == 1

    with_broker(scenario)


def test_a_topics_own_settings_go_before_the_brokers() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("own", retention_ms="5000")
        await client.create("broker")
        topics = broker.broker.services.topics
        image = broker.broker.services.metadata.image
        kept = {}
        for name in ("own", "broker"):
            topic = image.topic_by_name(name)
            assert topic is not None
            kept[name] = topics.log_config_of(topic).retention_ms
            assert broker.broker.replicas.partition(name, 0).log.config.retention_ms == kept[name]
        assert kept == {"own": 5000, "broker": 7000}

    with_broker(scenario, log_retention_ms="7000")


def test_the_offsets_topic_is_made_as_kafka_makes_it() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        topics = broker.broker.services.topics
        await topics.create_automatically(GROUP_TOPIC)
        await topics.create_automatically(GROUP_TOPIC)
        topic = broker.broker.services.metadata.image.topic_by_name(GROUP_TOPIC)
        assert topic is not None
        assert topics.partition_count(GROUP_TOPIC) == 3
        assert topic.configs == {
            "cleanup.policy": "compact",
            "compression.type": "producer",
            "segment.bytes": "104857600",
        }

    with_broker(scenario)


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_topic_that_a_client_asks_about_is_made_where_that_is_allowed(allowed: str) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        answer = await client.ask(metadata(Target("wanted", b""), 12), 12)
        (topic,) = answer.topics
        if allowed == "false":
            assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return
        assert (topic.error_code, len(topic.partitions)) == (0, 2)
        answer = await client.ask(produce(Target("wanted", topic.topic_id, 1), 13), 13)
        assert not any(error_codes(answer))

    with_broker(scenario, auto_create_topics_enable=allowed, num_partitions="2")


def test_many_clients_that_ask_about_a_new_topic_at_once_get_one() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        clients = [await broker.client() for _ in range(8)]
        for each in clients:
            each.send(metadata(Target("wanted", b""), 12), 12)
        ids = set()
        for each in clients:
            (topic,) = (await each.receive()).topics
            assert topic.error_code == 0
            ids.add(topic.topic_id)
            each.close()
        assert len(ids) == 1

    with_broker(scenario)


def test_a_deleted_topic_can_be_made_anew_at_once() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        first = Target("t", await client.create("t"))
        await client.ask(produce(first, 13, b"old"), 13)
        await client.ask(delete_topics(first, 6), 6)
        second = Target("t", await client.create("t"))
        assert second.topic_id != first.topic_id
        answer = await client.ask(produce(second, 13, b"new"), 13)
        assert answer.responses[0].partition_responses[0].base_offset == 0
        answer = await client.ask(produce(first, 13, b"stale"), 13)
        assert list(error_codes(answer)) == [ErrorCode.UNKNOWN_TOPIC_ID]

    with_broker(scenario)
