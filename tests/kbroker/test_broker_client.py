"""Our own client to another broker: frames cut anywhere, answers in order, and every way to end."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.broker_client import (
    MAX_IN_FLIGHT,
    RECEIVE_BYTES,
    AnswerFrames,
    BrokerClient,
    ConnectionGoneError,
    connect,
)
from simulator.loop import CURRENT, Process, SimulatedLoop
from simulator.network import Network
from tests.kbroker.broker_harness import run, running
from tests.kbroker.passing_time import pass_time
from wire.errors import WireError
from wire.frame import response_frame
from wire.header import read_request_header
from wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from wire.messages.metadata import MetadataRequest, MetadataResponse

LEADER, FOLLOWER = Process("leader", "10.0.1.1"), Process("follower", "10.0.1.2")
VERSION = 4
ASK = HeartbeatRequest(group_id="g", generation_id=1, member_id="m")


def answer_frame(correlation_id: int, throttle_time_ms: int = 0) -> bytes:
    answer = HeartbeatResponse(throttle_time_ms=throttle_time_ms, error_code=0)
    return b"".join(bytes(part) for part in response_frame(answer, VERSION, correlation_id))  # type: ignore[arg-type]


class OtherEnd(asyncio.Protocol):
    """A broker that answers when the test says so. Mutable."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.lost = False
        self._buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            (size,) = struct.unpack_from(">i", self._buffer)
            if len(self._buffer) < 4 + size:
                return
            header = read_request_header(memoryview(self._buffer[4 : 4 + size]))
            self.asked.append(header[2])
            self._buffer = self._buffer[4 + size :]

    def connection_lost(self, error) -> None:
        self.lost = True


class Scene:
    """A client, the other end, and virtual time. Mutable."""

    def __init__(self, client: BrokerClient, far: OtherEnd, network: Network) -> None:
        self.client = client
        self.far = far
        self.network = network

    def ask(self, timeout_s: float | None = None) -> asyncio.Future[HeartbeatResponse]:
        return self.client.send(ASK, VERSION, HeartbeatResponse, timeout_s=timeout_s)


def play(scenario: Callable[[Scene], Awaitable[None]]) -> None:
    loop = SimulatedLoop(random.Random(1))
    network = loop.network = Network(loop, random.Random(2), lambda *each: None)
    far = OtherEnd()
    CURRENT.set(LEADER)
    network.listen(lambda: far, LEADER.host, 9092, serving=True)
    CURRENT.set(FOLLOWER)

    async def run() -> None:
        client = await connect(LEADER.host, 9092, make=make_client)
        await scenario(Scene(client, far, network))

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def make_client(loop: asyncio.AbstractEventLoop) -> BrokerClient:
    return BrokerClient(loop, client_id="1", timeout_s=30.0, max_frame_bytes=1 << 20)


# --- frames ---


@given(
    sizes=st.lists(st.sampled_from([4, 5, 100, RECEIVE_BYTES - 5, RECEIVE_BYTES, 200_000])),
    cuts=st.lists(st.integers(1, 300_000)),
)
def test_frames_come_out_whole_however_they_were_cut(sizes: list[int], cuts: list[int]) -> None:
    sent = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    stream = b"".join(struct.pack(">i", len(frame)) + frame for frame in sent)
    frames = AnswerFrames(1 << 20)
    got: list[memoryview] = []
    position = 0
    while position < len(stream):
        room = frames.buffer()
        assert len(room), "a socket is never read into nothing"
        piece = stream[position : position + min(len(room), cuts.pop() if cuts else len(room))]
        room[: len(piece)] = piece
        got += frames.received(len(piece))
        position += len(piece)
    assert [bytes(frame) for frame in got] == sent, "also those kept while others came"


@pytest.mark.parametrize("size", [-1, 0, 3, (1 << 20) + 1])
def test_a_length_that_no_answer_has_is_refused_before_memory_is_taken(size: int) -> None:
    frames = AnswerFrames(1 << 20)
    frames.buffer()[:4] = struct.pack(">i", size)
    with pytest.raises(WireError):
        frames.received(4)


# --- answers ---


def test_answers_go_to_whom_they_belong_to_in_order() -> None:
    async def scenario(scene: Scene) -> None:
        asked = [scene.ask() for _ in range(3)]
        await pass_time(1)
        assert scene.far.asked == [1, 2, 3], "none waits for the answer of another"
        for number in scene.far.asked:
            scene.far.transport.write(answer_frame(number, number * 10))
        assert [(await each).throttle_time_ms for each in asked] == [10, 20, 30]
        assert scene.client.in_flight == 0

    play(scenario)


def test_whoever_no_longer_waits_keeps_his_place_in_the_order() -> None:
    async def scenario(scene: Scene) -> None:
        first, second = scene.ask(), scene.ask()
        first.cancel()
        await pass_time(1)
        scene.far.transport.write(answer_frame(1, 10) + answer_frame(2, 20))
        assert (await second).throttle_time_ms == 20

    play(scenario)


@pytest.mark.parametrize(
    "answer",
    [
        answer_frame(7),
        answer_frame(1) + b"\0\0\0\x04\0\0\0\1",
        struct.pack(">ii", 5, 1) + b"\x80",
        struct.pack(">i", 1 << 30),
    ],
    ids=["another's", "one too many", "malformed", "too large"],
)
def test_a_broker_that_sends_nonsense_is_hung_up_on(answer: bytes) -> None:
    async def scenario(scene: Scene) -> None:
        scene.ask()
        await pass_time(1)
        scene.far.transport.write(answer)
        await pass_time(1)
        assert not scene.client.is_open
        assert scene.far.lost
        with pytest.raises(ConnectionGoneError):
            await scene.ask()

    play(scenario)


@pytest.mark.parametrize("cut", range(len(answer_frame(1))))
def test_a_connection_cut_at_any_byte_leaves_the_outcome_unknown(cut: int) -> None:
    async def scenario(scene: Scene) -> None:
        asked = [scene.ask(), scene.ask()]
        await pass_time(1)
        scene.far.transport.write(answer_frame(1)[:cut])
        scene.far.transport.close()
        for each in asked:
            with pytest.raises(ConnectionGoneError):
                await each
        assert not scene.client.is_open

    play(scenario)


def test_a_broker_that_is_silent_for_too_long_is_hung_up_on() -> None:
    async def scenario(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        patient, hasty = scene.ask(60.0), scene.ask(2.0)
        begun = loop.time()
        with pytest.raises(ConnectionGoneError, match="in time"):
            await hasty
        assert 2 <= loop.time() - begun < 2.1
        with pytest.raises(ConnectionGoneError):
            await patient
        await pass_time(1)
        assert scene.far.lost

    play(scenario)


def test_a_deadline_is_each_requests_own() -> None:
    async def scenario(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        scene.ask(5.0)
        await pass_time(1)
        scene.far.transport.write(answer_frame(1))
        await pass_time(3)
        second = scene.ask(5.0)
        await pass_time(4.5)
        assert scene.client.is_open, "the first one's deadline is over, and it was answered"
        with pytest.raises(ConnectionGoneError):
            await second
        assert 9 <= loop.time() - begun < 9.1

    play(scenario)


def test_no_more_are_in_flight_than_may_be() -> None:
    async def scenario(scene: Scene) -> None:
        for _ in range(MAX_IN_FLIGHT):
            scene.ask()
        with pytest.raises(ConnectionGoneError, match="too many"):
            await scene.ask()
        scene.client.close()

    play(scenario)


def test_closing_ends_every_wait() -> None:
    async def scenario(scene: Scene) -> None:
        asked = scene.ask()
        scene.client.close()
        scene.client.close()
        with pytest.raises(ConnectionGoneError):
            await asked

    play(scenario)


def test_nobody_listens() -> None:
    async def scenario(scene: Scene) -> None:
        with pytest.raises(ConnectionGoneError, match="9999"):
            await connect(LEADER.host, 9999, make=make_client)

    play(scenario)


def test_a_real_broker_answers_over_a_real_socket() -> None:
    async def scenario() -> None:
        async with running() as broker:
            client = await connect("127.0.0.1", broker.port, make=make_client)
            versions = client.send(ApiVersionsRequest(), 0, ApiVersionsResponse)
            metadata = client.send(MetadataRequest(topics=[]), 12, MetadataResponse)
            assert (await metadata).brokers
            assert (await versions).api_keys
            client.close()

    run(scenario)
