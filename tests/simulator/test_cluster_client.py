"""A client of a cluster: it finds leaders and coordinators, and goes where they are."""

import asyncio

import pytest

from simulator.client import ConnectionGoneError
from simulator.cluster_client import AWAY_S, ClusterClient
from simulator.probes_clients import ClientProbe
from simulator.routing import NO_LEADER
from simulator.workload.requests import (
    COMMIT_VERSION,
    FETCH_VERSION,
    PRODUCE_VERSION,
    commit_request,
    fetch_request,
    make_batch,
    produce_request,
)
from tests.simulator.world_harness import TOPIC, Stage, play
from wire.errors import ErrorCode
from wire.messages.fetch import FetchResponse
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.produce import ProduceResponse


def client_of(stage: Stage) -> ClusterClient:
    world = stage.world
    chance, probe = world.chance("client"), ClientProbe(world.situations)
    return ClusterClient(world, "client", chance, timeout_s=10, probe=probe)


def test_requests_go_to_the_leader_and_what_nobody_leads_is_refused() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        client = client_of(stage)
        await client.open()
        data = make_batch([b"v"], timestamp_ms=1)
        request = produce_request([((TOPIC, 0), data), (("none", 0), data)], acks=-1)
        answer = await client.send(request, PRODUCE_VERSION, ProduceResponse)
        told = {each.name: each.partition_responses[0].error_code for each in answer.responses}
        assert told == {TOPIC: 0, "none": NO_LEADER}
        fetched = await client.send(fetch_request({(TOPIC, 0): 0}), FETCH_VERSION, FetchResponse)
        assert fetched.responses[0].partitions[0].high_watermark == 1
        client.close()
        assert not client.is_open

    play(scene)


def test_a_coordinator_is_looked_for_once_somebody_wants_it() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        client = client_of(stage)
        await client.open()
        request = commit_request("group", {(TOPIC, 0): 1})
        with pytest.raises(ConnectionGoneError):
            await client.send(request, COMMIT_VERSION, OffsetCommitResponse)
        code = -1
        while code:
            await client.open()
            answer = await client.send(request, COMMIT_VERSION, OffsetCommitResponse)
            code = answer.topics[0].partitions[0].error_code
        client.close()

    play(scene)


def test_a_broker_that_is_down_is_left_alone_for_a_while_and_then_found_again() -> None:
    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        client = client_of(stage)
        await client.open()
        before = client.generation
        stage.nemesis.kill()
        await stage.wait(0.1)
        with pytest.raises(ConnectionGoneError):
            await client.open()
        await stage.serve()
        with pytest.raises(ConnectionGoneError):
            await client.open()
        await stage.wait(AWAY_S)
        await client.open()
        assert client.generation > before

    play(scene)


def test_an_answer_is_looked_at_before_anybody_has_it() -> None:
    """Not even who asks for one that is there already, and so never waits, is told first."""

    async def scene(stage: Stage) -> None:
        await stage.create_topic()
        client = client_of(stage)
        await client.open()
        request = fetch_request({(TOPIC, 0): 0})
        answer: asyncio.Future[FetchResponse] = asyncio.get_running_loop().create_future()
        heard = client._heard(answer, request)
        raw = await client.send(request, FETCH_VERSION, FetchResponse)
        raw.responses[0].partitions[0].error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        answer.set_result(raw)
        assert not heard.done()
        assert (await heard).responses[0].partitions[0].error_code == NO_LEADER
        client.close()

    play(scene)
