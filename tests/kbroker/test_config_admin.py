"""Settings over the wire: described, changed as a whole or not at all, listed, and kept."""

from __future__ import annotations

import pytest

from kbroker.config_admin import ResourceType
from tests.kbroker.broker_harness import Client, Running, World, run, running, with_broker
from tests.kbroker.handlers.config_requests import (
    APPEND,
    BROKER,
    DELETE,
    GROUP,
    LOGGER,
    METRICS,
    SET,
    TOPIC,
    change,
    codes,
    describe,
    list_resources,
    replace_all,
)
from wire.errors import ErrorCode
from wire.messages.describe_configs import DescribeConfigsResponse
from wire.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from wire.messages.list_config_resources import ListConfigResourcesResponse


async def values(client: Client, kind: int, name: str, *keys: str) -> dict[str, str | None]:
    answer = await client.ask(describe(kind, name, *keys), 4)
    assert isinstance(answer, DescribeConfigsResponse)
    (result,) = answer.results
    assert result.error_code == 0, result.error_message
    return {each.name: each.value for each in result.configs}


def test_an_answered_change_is_described_at_once() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t")
        for kind, name, key, text in (
            (TOPIC, "t", "retention.ms", "5000"),
            (BROKER, "", "log.retention.bytes", "6000"),
            (BROKER, "1", "log.segment.bytes", "7000000"),
            (GROUP, "some/group é", "consumer.session.timeout.ms", "50000"),
            (METRICS, "m", "interval.ms", "8000"),
        ):
            before = await values(client, kind, name, key)
            answer = await client.ask(change(kind, name, (key, SET, text)), 1)
            assert codes(answer) == [0]
            assert await values(client, kind, name, key) == {key: text}
            answer = await client.ask(change(kind, name, (key, DELETE, None)), 1)
            assert codes(answer) == [0]
            assert await values(client, kind, name, key) == before

    with_broker(scenario)


def test_one_bad_key_undoes_its_whole_resource_and_no_other() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("good")
        await client.create("bad")
        bad = change(TOPIC, "bad", ("segment.ms", SET, "70000"), ("retention.ms", SET, "soon"))
        good = change(TOPIC, "good", ("segment.ms", SET, "70000"))
        both = IncrementalAlterConfigsRequest(
            resources=[*bad.resources, *good.resources], validate_only=False
        )
        answer = await client.ask(both, 1)
        assert codes(answer) == [ErrorCode.INVALID_CONFIG, 0]
        assert await values(client, TOPIC, "bad", "segment.ms") == {"segment.ms": "604800000"}
        assert await values(client, TOPIC, "good", "segment.ms") == {"segment.ms": "70000"}

    with_broker(scenario)


def test_validation_alone_changes_nothing() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t")
        revision = broker.broker.services.metadata.image.revision
        for kind, name, key, text in (
            (TOPIC, "t", "retention.ms", "5000"),
            (BROKER, "", "log.retention.bytes", "6000"),
            (GROUP, "g", "consumer.session.timeout.ms", "50000"),
            (METRICS, "m", "interval.ms", "8000"),
            (LOGGER, "1", "root", "FATAL"),
        ):
            dry = change(kind, name, (key, SET, text), validate_only=True)
            assert codes(await client.ask(dry, 1)) == [0]
        assert broker.broker.services.metadata.image.revision == revision

    with_broker(scenario)


def test_the_older_api_undoes_what_it_does_not_name() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t", retention_ms="5000", segment_ms="6000")
        answer = await client.ask(replace_all(TOPIC, "t", ("segment.ms", "7000")), 2)
        assert codes(answer) == [0]
        shown = await values(client, TOPIC, "t", "retention.ms", "segment.ms")
        assert shown == {"retention.ms": "604800000", "segment.ms": "7000"}
        twice = replace_all(TOPIC, "t")
        twice.resources *= 2
        assert codes(await client.ask(twice, 2)) == [ErrorCode.INVALID_REQUEST] * 2

    with_broker(scenario)


def test_an_append_takes_part_in_what_others_set() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.create("t", cleanup_policy="compact")
        await client.ask(change(TOPIC, "t", ("cleanup.policy", APPEND, "delete")), 1)
        shown = await values(client, TOPIC, "t", "cleanup.policy")
        assert shown == {"cleanup.policy": "compact,delete"}

    with_broker(scenario)


def test_resources_are_listed_while_something_is_set_on_them() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        async def listed(*types: int, version: int = 1) -> list[tuple[str, int]]:
            answer = await client.ask(list_resources(*types), version)
            assert isinstance(answer, ListConfigResourcesResponse)
            assert answer.error_code == 0
            return [(each.resource_name, each.resource_type) for each in answer.config_resources]

        await client.create("t")
        assert await listed() == [("1", LOGGER), ("1", BROKER), ("t", TOPIC)]
        for group in ("b", "a"):
            await client.ask(change(GROUP, group, ("consumer.session.timeout.ms", SET, "50000")), 1)
        await client.ask(change(METRICS, "m", ("interval.ms", SET, "1000")), 1)
        everything = [("a", GROUP), ("b", GROUP), ("m", METRICS), ("1", 8), ("1", 4), ("t", 2)]
        assert await listed() == everything
        assert await listed(TOPIC, GROUP) == [("a", GROUP), ("b", GROUP), ("t", TOPIC)]
        assert await listed(version=0) == [("m", METRICS)]
        await client.ask(change(GROUP, "a", ("consumer.session.timeout.ms", DELETE, None)), 1)
        assert await listed(GROUP) == [("b", GROUP)]

    with_broker(scenario)


def test_a_key_without_meaning_is_stored_shown_and_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        assert codes(await client.ask(change(BROKER, "1", ("num.io.threads", SET, "9")), 1)) == [0]
        assert await values(client, BROKER, "1", "num.io.threads") == {"num.io.threads": "9"}
        await client.ask(change(BROKER, "1", ("num.io.threads", DELETE, None)), 1)
        assert await values(client, BROKER, "1", "num.io.threads") == {}

    with_broker(scenario)
    assert caplog.text.count("num.io.threads was set and has no effect") == 1


def test_what_was_set_is_there_after_a_restart() -> None:
    async def scenario() -> None:
        world = World()
        async with running(world) as broker:
            client = await broker.client()
            await client.create("t")
            await client.ask(change(BROKER, "", ("log.segment.bytes", SET, "2000000")), 1)
            await client.ask(change(BROKER, "1", ("message.max.bytes", SET, "3000")), 1)
            await client.ask(change(GROUP, "g", ("consumer.session.timeout.ms", SET, "50000")), 1)
            client.close()
        async with running(world) as broker:
            client = await broker.client()
            config = broker.broker.services.config
            assert (config.log_segment_bytes, config.message_max_bytes) == (2_000_000, 3000)
            log = broker.broker.replicas.partition("t", 0).log
            assert (log.config.segment_bytes, log.config.max_message_bytes) == (2_000_000, 3000)
            shown = await values(client, GROUP, "g", "consumer.session.timeout.ms")
            assert shown == {"consumer.session.timeout.ms": "50000"}
            client.close()

    run(scenario)


@pytest.mark.parametrize("kind", [*ResourceType, 1])
def test_a_topic_deleted_meanwhile_or_a_name_missing_is_one_refusal(kind: int) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        answer = await client.ask(change(kind, "", ("no.such.key", SET, "1")), 1)
        assert isinstance(answer, IncrementalAlterConfigsResponse)
        (refused,) = answer.responses
        assert refused.error_code == ErrorCode.INVALID_REQUEST
        assert refused.error_message
        answer = await client.ask(change(TOPIC, "nowhere", ("retention.ms", SET, "1")), 1)
        assert codes(answer) == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]

    with_broker(scenario)
