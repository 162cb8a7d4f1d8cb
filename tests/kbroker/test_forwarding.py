"""What only the controller does is done by it, whichever broker was asked."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from kbroker.broker_client import ConnectionGoneError
from kbroker.cluster.controller import Controller
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_store import Delete
from kbroker.cluster.topic_creation import CreatedTopic, NewTopic
from kbroker.forwarding import Forwarder, mentions
from kbroker.handlers import HANDLERS
from tests.kbroker.cluster.controller_harness import controller_of, start
from wire.api_key import ApiKey
from wire.errors import ErrorCode, KafkaError
from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.messages.incremental_alter_configs import (
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

THIS = 2
Answer = Callable[[CreateTopicsRequest], Awaitable[CreateTopicsResponse]]


@dataclass
class Brokers:
    """The other brokers as connections to them: `answers` are given one after the other."""

    answers: Sequence[Answer]
    asked: list[int] = field(default_factory=list)

    async def ask(
        self, broker_id: int, request: Any, version: int, response: Any, *, timeout_s: float
    ) -> Any:
        self.asked.append(broker_id)
        return await self.answers[len(self.asked) - 1](request)


def result(name: str, code: int) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=code, error_message=None)


def created_by(controller: Controller) -> Answer:
    async def answer(request: CreateTopicsRequest) -> CreateTopicsResponse:
        results = []
        for topic in request.topics:
            configs = {each.name: each.value or "" for each in topic.configs}
            new = NewTopic(
                topic.name, topic.num_partitions, topic.replication_factor, None, configs
            )
            (created,) = await controller.create_topics([new])
            code = 0 if isinstance(created, CreatedTopic) else created.code
            results.append(result(topic.name, code))
        return CreateTopicsResponse(topics=results)

    return answer


async def no_controller(request: CreateTopicsRequest) -> CreateTopicsResponse:
    code = ErrorCode.NOT_CONTROLLER
    results = [result(each.name, code) for each in request.topics]
    return CreateTopicsResponse(topics=results)


async def gone(request: CreateTopicsRequest) -> CreateTopicsResponse:
    raise ConnectionGoneError("cut")


@dataclass
class Cluster:
    store: MemoryStore
    controller: Controller
    cache: MetadataCache

    def forwarder(self, brokers: Brokers, *, timeout_s: float = 30.0) -> Forwarder:
        return Forwarder(
            node_id=THIS,
            internal_listener="REPLICATION",
            metadata=self.cache,
            clients=brokers,
            holds_office=lambda: self.controller.epoch > 0 and self.controller.node_id == THIS,
            timeout_s=lambda: timeout_s,
            loop_time=asyncio.get_running_loop().time,
        )


def run(scenario: Callable[[Cluster], Awaitable[None]], *, controller_id: int = 1) -> None:
    async def main() -> None:
        store = MemoryStore(random.Random(1))
        controller = controller_of(store, controller_id)
        await controller.create_cluster()
        await start(controller)
        cache = MetadataCache(store, controller.keys)
        await cache.load()
        following = asyncio.ensure_future(cache.run())
        await scenario(Cluster(store, controller, cache))
        following.cancel()
        await store.close()

    asyncio.run(main())


def test_a_topic_that_the_controller_has_made_shows_here_on_return() -> None:
    async def scenario(cluster: Cluster) -> None:
        brokers = Brokers([created_by(cluster.controller)])
        new = NewTopic("t", partition_count=3, configs={"retention.ms": "5"})
        await cluster.forwarder(brokers).create_topic(new)
        topic = cluster.cache.image.topic_by_name("t")
        assert topic is not None
        assert (len(topic.partitions), topic.configs) == (3, {"retention.ms": "5"})
        assert brokers.asked == [1]

    run(scenario)


def test_who_was_the_controller_and_is_not_any_more_is_asked_no_longer() -> None:
    async def scenario(cluster: Cluster) -> None:
        successor = controller_of(cluster.store, 3)

        async def succeeded(request: CreateTopicsRequest) -> CreateTopicsResponse:
            answer = await no_controller(request)
            await cluster.store.transact([], [Delete(cluster.controller.keys.controller)])
            assert await successor.become_controller()
            await start(successor)
            return answer

        brokers = Brokers([gone, succeeded, created_by(successor)])
        await cluster.forwarder(brokers).create_topic(NewTopic("t"))
        assert brokers.asked == [1, 1, 3]
        assert cluster.cache.image.topic_by_name("t") is not None

    run(scenario)


def test_a_refusal_is_the_answer() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.controller.create_topics([NewTopic("t")])
        brokers = Brokers([created_by(cluster.controller)])
        with pytest.raises(KafkaError) as caught:
            await cluster.forwarder(brokers).create_topic(NewTopic("t"))
        assert caught.value.code == ErrorCode.TOPIC_ALREADY_EXISTS

    run(scenario)


def test_without_a_controller_the_client_is_told_so_in_the_end() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.store.transact([], [Delete(cluster.controller.keys.controller)])
        await cluster.cache.catch_up()
        with pytest.raises(KafkaError) as caught:
            await cluster.forwarder(Brokers([]), timeout_s=0.001).create_topic(NewTopic("t"))
        assert caught.value.code == ErrorCode.NOT_CONTROLLER

    run(scenario)


def context_on(listener: str) -> Any:
    connection = SimpleNamespace(listener=SimpleNamespace(name=listener))
    return SimpleNamespace(connection=connection, api_version=7)


def test_who_becomes_the_controller_itself_does_what_it_was_asked_for() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.store.transact([], [Delete(cluster.controller.keys.controller)])
        await cluster.cache.catch_up()
        brokers = Brokers([])
        forwarder = cluster.forwarder(brokers)
        done = CreateTopicsResponse(topics=[result("t", 0)])

        async def answer(context: object, request: object) -> CreateTopicsResponse:
            return done

        row = dataclasses.replace(HANDLERS[ApiKey.CREATE_TOPICS], handle=answer)
        wrapped = forwarder.wrap({**HANDLERS, ApiKey.CREATE_TOPICS: row})
        request = CreateTopicsRequest(topics=[])
        waiting = asyncio.create_task(
            wrapped[ApiKey.CREATE_TOPICS].handle(context_on("PLAINTEXT"), request)
        )
        creating = asyncio.create_task(forwarder.create_topic(NewTopic("t")))
        await asyncio.sleep(0)
        successor = controller_of(cluster.store, THIS)
        assert await successor.become_controller()
        await cluster.cache.catch_up()
        # No news tells when it has finished what its predecessor left, and begins.
        cluster.controller = successor
        async with asyncio.timeout(5):
            assert await waiting is done
            assert not await creating
        assert brokers.asked == []

    run(scenario)


@pytest.mark.parametrize("is_raised", [True, False])
def test_who_finds_out_that_it_is_not_the_controller_any_more_asks_who_is(is_raised: bool) -> None:
    async def scenario(cluster: Cluster) -> None:
        successor = controller_of(cluster.store, 3)

        async def deposed(context: object, request: CreateTopicsRequest) -> CreateTopicsResponse:
            await cluster.store.transact([], [Delete(cluster.controller.keys.controller)])
            cluster.controller.step_down()
            assert await successor.become_controller()
            await start(successor)
            await cluster.cache.catch_up()
            if is_raised:
                raise KafkaError(ErrorCode.NOT_CONTROLLER)
            return await no_controller(request)

        row = dataclasses.replace(HANDLERS[ApiKey.CREATE_TOPICS], handle=deposed)
        brokers = Brokers([created_by(successor)])
        wrapped = cluster.forwarder(brokers).wrap({**HANDLERS, ApiKey.CREATE_TOPICS: row})
        topic = CreatableTopic(
            name="t", num_partitions=1, replication_factor=1, assignments=[], configs=[]
        )
        request = CreateTopicsRequest(topics=[topic])
        answer: Any = wrapped[ApiKey.CREATE_TOPICS].handle(context_on("PLAINTEXT"), request)
        assert [each.error_code for each in (await answer).topics] == [0]
        assert brokers.asked == [3]

    run(scenario, controller_id=THIS)


def test_what_was_sent_on_once_is_not_sent_on_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        rows = cluster.forwarder(Brokers([])).wrap(HANDLERS)
        with pytest.raises(KafkaError) as caught:
            rows[ApiKey.CREATE_TOPICS].handle(
                context_on("REPLICATION"), CreateTopicsRequest(topics=[])
            )
        assert caught.value.code == ErrorCode.NOT_CONTROLLER
        assert rows[ApiKey.PRODUCE] is HANDLERS[ApiKey.PRODUCE]

    run(scenario)


@pytest.mark.parametrize(
    ("kind", "name", "controller_id", "asked"),
    [(4, "2", 1, []), (8, "2", 1, []), (4, "", 1, [1]), (2, "t", 1, [1]), (2, "t", THIS, [])],
    ids=["a broker", "its loggers", "every broker", "a topic", "a topic, as the controller"],
)
def test_settings_go_to_whom_they_concern(kind, name, controller_id, asked) -> None:
    async def scenario(cluster: Cluster) -> None:
        brokers = Brokers([created_by(cluster.controller)])
        here: list[object] = []
        row = SimpleNamespace(handle=lambda context, request: here.append(request))
        forwarder = cluster.forwarder(brokers)
        wrapped = forwarder.wrap({**HANDLERS, ApiKey.INCREMENTAL_ALTER_CONFIGS: _as_row(row)})
        request = IncrementalAlterConfigsRequest(
            resources=[AlterConfigsResource(resource_type=kind, resource_name=name, configs=[])],
            validate_only=False,
        )
        result = wrapped[ApiKey.INCREMENTAL_ALTER_CONFIGS].handle(context_on("PLAINTEXT"), request)
        assert bool(here) == (not asked)
        if asked:
            result.close()  # type: ignore[union-attr]  # a coroutine: it would be sent on

    run(scenario, controller_id=controller_id)


def _as_row(row: SimpleNamespace) -> Any:
    return dataclasses.replace(HANDLERS[ApiKey.INCREMENTAL_ALTER_CONFIGS], handle=row.handle)


def test_a_code_is_found_wherever_it_stands() -> None:
    inner = CreateTopicsResponse(topics=[result("t", 41)])
    assert mentions(inner, ErrorCode.NOT_CONTROLLER)
    assert not mentions(inner, ErrorCode.NONE)
