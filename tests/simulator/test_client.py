"""The client of a simulation: answers in order, timeouts, and the end of a connection."""

import pytest

from simulator.client import ConnectionGoneError, connect
from tests.simulator.world_harness import play
from wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from wire.messages.metadata import MetadataRequest, MetadataResponse

REQUEST = MetadataRequest(topics=[], allow_auto_topic_creation=False)


def test_answers_come_in_order() -> None:
    async def scene(stage) -> None:
        client = await stage.client()
        first = client.send(ApiVersionsRequest(), 0, ApiVersionsResponse)
        second = client.send(REQUEST, 12, MetadataResponse)
        assert client.in_flight == 2
        assert (await second).brokers
        assert first.done()

    play(scene)


def test_what_is_in_flight_when_the_broker_dies_is_unknown() -> None:
    async def scene(stage) -> None:
        client = await stage.client()
        answer = client.send(REQUEST, 12, MetadataResponse)
        stage.world.machine.kill()
        with pytest.raises(ConnectionGoneError):
            await answer
        with pytest.raises(ConnectionGoneError):
            await client.send(REQUEST, 12, MetadataResponse)
        with pytest.raises(ConnectionGoneError):
            await connect(stage.world.machine.address, "tester")

    play(scene)


def test_who_is_not_answered_in_time_hangs_up() -> None:
    async def scene(stage) -> None:
        client = await stage.client()
        client.pause_taking()
        begun = stage.world.loop.now
        with pytest.raises(ConnectionGoneError):
            await client.send(REQUEST, 12, MetadataResponse, 3.0)
        assert 3 <= stage.world.loop.now - begun < 4
        assert not client.is_open

    play(scene)


def test_bytes_that_were_not_taken_are_taken_later() -> None:
    async def scene(stage) -> None:
        client = await stage.client()
        client.pause_taking()
        answer = client.send(REQUEST, 12, MetadataResponse)
        await stage.wait(2)
        assert not answer.done()
        client.resume_taking()
        assert (await answer).brokers

    play(scene)
