"""Connections by broker: one for each, to whom the metadata names, tried again in good time."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import pytest

from kbroker.broker_client import ConnectionGoneError
from kbroker.broker_clients import MOST_BACKOFF_S, BrokerClients, Endpoint, endpoint_in
from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_image import BrokerImage, MetadataImage
from kbroker.cluster.metadata_records import BrokerRegistration, ListenerRecord
from simulator.loop import CURRENT, Process, SimulatedLoop
from simulator.network import Network, Route
from tests.kbroker.passing_time import pass_time
from tests.kbroker.test_broker_client import ASK, VERSION, OtherEnd, answer_frame
from wire.messages.heartbeat import HeartbeatResponse

THERE, HERE = Process("there", "10.0.1.1"), Process("here", "10.0.1.2")


class Scene:
    """A broker that may listen, and the clients of another. Mutable."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.network = Network(loop, random.Random(2), lambda *each: None)
        loop.network = self.network
        self.endpoints: dict[int, Endpoint] = {7: Endpoint(THERE.host, 9092, 100)}
        self.far: list[OtherEnd] = []
        self.clients = BrokerClients(
            self.endpoints.get, client_id="1", timeout_ms=lambda: 5000, max_frame_bytes=1 << 20
        )

    def listen(self, port: int = 9092) -> None:
        def accept() -> OtherEnd:
            self.far.append(OtherEnd())
            return self.far[-1]

        token = CURRENT.set(THERE)
        self.network.listen(accept, THERE.host, port, serving=True)
        CURRENT.reset(token)


def play(scenario: Callable[[Scene], Awaitable[None]]) -> None:
    loop = SimulatedLoop(random.Random(1))
    CURRENT.set(HERE)

    async def run() -> None:
        await scenario(Scene(loop))

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


def test_the_image_says_where_a_broker_listens_for_brokers() -> None:
    image = MetadataImage(Keys("kbroker"))
    listeners = (ListenerRecord("CLIENTS", "h", 1), ListenerRecord("REPLICATION", "h", 2))
    registration = BrokerRegistration(7, b"i" * 16, listeners=listeners)
    image.brokers[7] = BrokerImage(registration, 44, None, 45)
    assert endpoint_in(image, 7, "REPLICATION") == Endpoint("h", 2, 44)
    assert endpoint_in(image, 7, "OTHER") is None
    assert endpoint_in(image, 8, "REPLICATION") is None


def test_all_who_ask_share_one_connection() -> None:
    async def scenario(scene: Scene) -> None:
        scene.listen()
        found = await asyncio.gather(*(scene.clients.client(7) for _ in range(5)))
        assert len({id(client) for client in found}) == 1
        assert len(scene.far) == 1

    play(scenario)


def test_a_broker_is_asked() -> None:
    async def scenario(scene: Scene) -> None:
        scene.listen()
        await scene.clients.client(7)
        scene.loop.call_later(1.0, lambda: scene.far[0].transport.write(answer_frame(1, 70)))
        answer = await scene.clients.ask(7, ASK, VERSION, HeartbeatResponse)
        assert answer.throttle_time_ms == 70

    play(scenario)


def test_nobody_is_asked_whom_the_metadata_does_not_know() -> None:
    async def scenario(scene: Scene) -> None:
        with pytest.raises(ConnectionGoneError, match="nobody knows"):
            await scene.clients.client(8)

    play(scenario)


def test_attempts_are_further_and_further_apart() -> None:
    async def scenario(scene: Scene) -> None:
        times = []
        for _ in range(8):
            with pytest.raises(ConnectionGoneError):
                await scene.clients.client(7)
            times.append(scene.loop.time())
        gaps = [round(after - before, 1) for before, after in itertools.pairwise(times)]
        assert gaps == [0.1, 0.1, 0.2, 0.4, 0.8, MOST_BACKOFF_S, MOST_BACKOFF_S]
        scene.listen()
        assert (await scene.clients.client(7)).is_open

    play(scenario)


def test_those_who_wait_for_one_attempt_fail_with_it() -> None:
    async def scenario(scene: Scene) -> None:
        for _ in range(6):
            with pytest.raises(ConnectionGoneError):
                await scene.clients.client(7)
        begun = scene.loop.time()
        found = await asyncio.gather(
            *(scene.clients.client(7) for _ in range(5)), return_exceptions=True
        )
        assert all(isinstance(each, ConnectionGoneError) for each in found)
        assert scene.loop.time() - begun < MOST_BACKOFF_S + 0.1

    play(scenario)


def test_whoever_gives_up_leaves_the_attempt_to_the_next() -> None:
    async def scenario(scene: Scene) -> None:
        scene.listen()
        scene.network.change_route(HERE.host, THERE.host, Route(is_cut=True))
        first = asyncio.ensure_future(scene.clients.client(7))
        second = asyncio.ensure_future(scene.clients.client(7))
        await pass_time(1)
        first.cancel()
        scene.network.heal()
        assert (await second).is_open

    play(scenario)


def test_a_broker_that_cannot_be_reached_is_given_up_in_time() -> None:
    async def scenario(scene: Scene) -> None:
        scene.listen()
        scene.network.change_route(HERE.host, THERE.host, Route(is_cut=True))
        begun = scene.loop.time()
        with pytest.raises(ConnectionGoneError):
            await scene.clients.client(7)
        assert 5 <= scene.loop.time() - begun < 5.1

    play(scenario)


@pytest.mark.parametrize(
    "endpoint", [Endpoint(THERE.host, 9093, 100), Endpoint(THERE.host, 9092, 200)]
)
@pytest.mark.parametrize("told", [True, False])
def test_another_address_or_life_is_another_connection(endpoint: Endpoint, told: bool) -> None:
    async def scenario(scene: Scene) -> None:
        scene.listen()
        scene.listen(9093)
        old = await scene.clients.client(7)
        asked = old.send(ASK, VERSION, HeartbeatResponse)
        scene.endpoints[7] = endpoint
        if told:
            scene.clients.endpoints_changed()
            with pytest.raises(ConnectionGoneError):
                await asked
        new = await scene.clients.client(7)
        assert new is not old
        assert not old.is_open
        assert new.is_open

    play(scenario)


def test_another_address_need_not_wait_for_the_backoff_of_the_old_one() -> None:
    async def scenario(scene: Scene) -> None:
        for _ in range(6):
            with pytest.raises(ConnectionGoneError):
                await scene.clients.client(7)
        scene.listen(9093)
        scene.endpoints[7] = Endpoint(THERE.host, 9093, 200)
        begun = scene.loop.time()
        assert (await scene.clients.client(7)).is_open
        assert scene.loop.time() - begun < 0.1

    play(scenario)


def test_a_broker_that_is_gone_is_hung_up_on() -> None:
    async def scenario(scene: Scene) -> None:
        scene.listen()
        client = await scene.clients.client(7)
        del scene.endpoints[7]
        scene.clients.endpoints_changed()
        assert not client.is_open
        with pytest.raises(ConnectionGoneError):
            await scene.clients.client(7)

    play(scenario)


def test_closing_hangs_up_and_ends_attempts() -> None:
    async def scenario(scene: Scene) -> None:
        scene.listen()
        client = await scene.clients.client(7)
        scene.clients.close()
        assert not client.is_open
        with pytest.raises(ConnectionGoneError):
            await scene.clients.client(7)

    play(scenario)
