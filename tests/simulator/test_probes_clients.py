"""What clients are told is counted by name."""

from __future__ import annotations

import pytest

from simulator.client import ConnectionGoneError
from simulator.probes_clients import TOLD, TOLD_BY_ANY, ClientProbe, codes_of
from simulator.situations import SITUATIONS, Situations
from simulator.workload.caller import Caller
from simulator.workload.requests import (
    FETCH_VERSION,
    PRODUCE_VERSION,
    create_request,
    fetch_request,
    produce_request,
)
from tests.simulator.world_harness import TOPIC, play
from wire.errors import ErrorCode
from wire.messages.api_versions import ApiVersionsResponse
from wire.messages.create_topics import CreateTopicsResponse
from wire.messages.fetch import FetchResponse
from wire.messages.join_group import JoinGroupResponse, JoinGroupResponseMember
from wire.messages.metadata import MetadataRequest, MetadataResponse
from wire.messages.produce import ProduceResponse


def test_what_is_told_has_a_name() -> None:
    assert {*TOLD.values(), *TOLD_BY_ANY.values()} <= SITUATIONS.keys()


def test_answers_with_an_error_are_counted() -> None:
    async def scene(stage) -> None:
        await stage.create_topic()
        caller = Caller(stage.world, "tester", stage.world.chance("tester"))
        again = create_request(TOPIC, partitions=1, settings={})
        await caller.ask(again, 7, CreateTopicsResponse)
        await caller.ask(fetch_request({(TOPIC, 0): 9}), FETCH_VERSION, FetchResponse)
        damaged = produce_request([((TOPIC, 0), bytearray(61))], acks=-1)
        await caller.ask(damaged, PRODUCE_VERSION, ProduceResponse)
        await caller.refresh_metadata("nowhere")

    stage = play(scene)
    for name in ("topic created twice", "position out of range", "topic looked up that is gone"):
        assert stage.saw(name) == 1, name
    assert stage.saw("damaged batch refused") == 1


def test_ends_of_connections_are_counted() -> None:
    async def scene(stage) -> None:
        caller = Caller(stage.world, "tester", stage.world.chance("tester"))
        request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
        client = await caller.client()
        client.pause_taking()
        with pytest.raises(ConnectionGoneError):
            await client.send(request, 12, MetadataResponse, 3.0)
        client = await caller.client()
        client.send(request, 12, MetadataResponse)
        client.send(request, 12, MetadataResponse)
        stage.world.machine.kill()
        await stage.wait(1)
        with pytest.raises(ConnectionGoneError):
            await caller.client()

    stage = play(scene)
    for name in ("request given up", "answer lost", "several answers lost", "broker not reached"):
        assert stage.saw(name) == 1, name


def test_of_a_code_each_kind_of_answer_tells_its_own() -> None:
    situations = Situations()
    probe = ClientProbe(situations)
    member = JoinGroupResponseMember(member_id="m", metadata=b"")
    probe.answered(
        JoinGroupResponse(
            error_code=ErrorCode.NONE,
            generation_id=1,
            protocol_name="range",
            leader="m",
            member_id="m",
            members=[member, member],
        )
    )
    assert situations.counts == {
        "leader told of its generation": 1,
        "generation of several members": 1,
    }
    assert not list(codes_of(ApiVersionsResponse(error_code=35, api_keys=[])))
