"""Connections in memory: order, latency, slow readers, cut routes, resets and dead machines."""

import asyncio
import random
from dataclasses import replace

import pytest

from simulator.loop import CURRENT, Process, SimulatedLoop
from simulator.network import Network, Route

SERVER, CLIENT = Process("server", "10.0.1.1"), Process("client", "10.0.2.1")


class Side(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.ends: list[object] = []
        self.is_paused = False

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error) -> None:
        self.ends.append(error)

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False


class Link:
    """A server, a client and a connection between them."""

    def __init__(self) -> None:
        self.loop = SimulatedLoop(random.Random(1))
        self.seen: list[tuple[str, str, bytes]] = []
        self.network = Network(self.loop, random.Random(2), lambda *each: self.seen.append(each))
        self.near, self.far = Side(), Side()
        token = CURRENT.set(SERVER)
        self.listener = self.network.listen(lambda: self.far, SERVER.host, 9092, serving=True)
        CURRENT.set(CLIENT)
        self.loop.run_until_complete(self.loop.create_connection(lambda: self.near, *ADDRESS))
        CURRENT.reset(token)

    def pass_time(self, seconds: float) -> None:
        done = self.loop.create_future()
        self.loop.call_later(seconds, done.set_result, None)
        self.loop.run_until_complete(done)


ADDRESS = (SERVER.host, 9092)


@pytest.fixture
def link():
    SERVER.is_dead = CLIENT.is_dead = False
    made = Link()
    asyncio.set_event_loop(made.loop)
    yield made
    asyncio.set_event_loop(None)
    made.loop.close()


def test_bytes_arrive_in_order_and_are_seen(link) -> None:
    for number in range(100):
        link.near.transport.write(b"%d," % number)
    link.pass_time(1)
    assert link.far.data == b"".join(b"%d," % number for number in range(100))
    assert {(sender, receiver) for sender, receiver, _ in link.seen} == {("client", "server")}


def test_what_was_written_before_the_end_arrives(link) -> None:
    link.near.transport.write(b"last words")
    link.near.transport.close()
    link.pass_time(1)
    assert (link.far.data, link.far.ends, link.near.ends) == (b"last words", [None], [None])


def test_a_slow_reader_pauses_the_writer(link) -> None:
    link.far.transport.pause_reading()
    link.near.transport.write(bytes(1 << 20))
    link.pass_time(1)
    assert link.near.is_paused
    link.far.transport.resume_reading()
    link.pass_time(1)
    assert not link.near.is_paused
    assert len(link.far.data) == 1 << 20


def test_a_route_that_is_cut_one_way_holds_bytes_back_until_it_heals(link) -> None:
    link.network.change_route(CLIENT.host, SERVER.host, Route(is_cut=True))
    link.near.transport.write(b"there")
    link.far.transport.write(b"back")
    link.pass_time(10)
    assert (link.far.data, link.near.data) == (b"", b"back")
    link.network.heal()
    link.pass_time(1)
    assert link.far.data == b"there"


def test_a_slow_link_takes_its_time(link) -> None:
    slow = replace(Route(), bytes_per_s=1000)
    link.network.change_route(CLIENT.host, SERVER.host, slow)
    link.near.transport.write(bytes(5000))
    link.pass_time(4)
    assert not link.far.data
    link.pass_time(2)
    assert len(link.far.data) == 5000


def test_a_killed_process_resets_its_peers(link) -> None:
    link.network.kill(SERVER)
    link.pass_time(1)
    assert [type(error) for error in link.near.ends] == [ConnectionResetError]
    with pytest.raises(ConnectionRefusedError):
        link.loop.run_until_complete(link.loop.create_connection(Side, *ADDRESS))


def test_a_machine_without_power_tells_nobody_until_it_is_on_again(link) -> None:
    SERVER.is_dead = True
    link.network.cut_power(SERVER)
    link.near.transport.write(b"hello?")
    link.pass_time(60)
    assert not link.near.ends
    link.network.power_on(SERVER.host)
    link.pass_time(1)
    assert [type(error) for error in link.near.ends] == [ConnectionResetError]


def test_a_host_that_is_down_is_given_up_on(link) -> None:
    link.network.cut_power(SERVER)
    with pytest.raises(TimeoutError):
        link.loop.run_until_complete(link.loop.create_connection(Side, *ADDRESS))
    assert link.loop.now > 20


def test_an_address_is_taken_once(link) -> None:
    with pytest.raises(OSError, match="in use"):
        link.network.listen(Side, *ADDRESS, serving=True)
