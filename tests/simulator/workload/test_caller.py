"""A caller goes on through deaths and retriable errors, and stops at what no client expects."""

import pytest

from simulator.invariant_error import InvariantError
from simulator.workload.caller import Caller, must_be
from simulator.workload.requests import CREATE_VERSION, create_request
from tests.simulator.world_harness import play
from wire.errors import ErrorCode
from wire.messages.create_topics import CreateTopicsResponse


def test_it_insists_until_a_broker_answers() -> None:
    async def scene(stage) -> None:
        caller = Caller(stage.world, "tester", stage.world.chance("tester"))
        await caller.refresh_metadata()
        stage.world.machine.kill()
        insisting = caller.insist(
            lambda: create_request("t", partitions=1, settings={}),
            CREATE_VERSION,
            CreateTopicsResponse,
            lambda answer: answer.topics[0].error_code,
        )
        await stage.serve()
        answer, tries = await insisting
        assert answer.topics[0].error_code == ErrorCode.NONE
        assert tries >= 1
        assert caller.connections == 2

    play(scene)


def test_it_finds_the_coordinator_where_the_broker_is() -> None:
    async def scene(stage) -> None:
        caller = Caller(stage.world, "tester", stage.world.chance("tester"))
        await caller.recover(ErrorCode.NOT_COORDINATOR, "group")
        await caller.find_coordinator("group")

    play(scene)


def test_what_no_client_expects() -> None:
    assert must_be(0, who="me", what="it") is ErrorCode.NONE
    assert must_be(3, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, who="me", what="it") == 3
    with pytest.raises(InvariantError, match="me: it was answered UNKNOWN_SERVER_ERROR"):
        must_be(-1, who="me", what="it")
