"""The network and those at its other end: slow, cut, reset, half-open, too many, or dying."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from simulator.faults.drawing import Fault
from simulator.network import Endpoint, Route

if TYPE_CHECKING:
    from simulator.faults.nemesis import Nemesis

WELL_BEHAVED = Route()
STORM_CONNECTIONS = 60
GREEDY_REQUESTS = 1_500
FRAGMENTS = (
    b"",
    b"\x00",
    b"\x00\x00\x00\x20\x00\x12",
    b"\x00\x00\x00\x15\x00\x12\x00\x03\x00\x00\x00\x01\x00\x05storm\x00\x02x\x02y\x00",
    b"\x00\x00\x00\x09\x00\x03\x00\x00\x00\x00\x00\x01\xff\xff\xff",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x7f\xff\xff\xff",
)
"""What those send who connect by the dozen: nothing, parts of requests, a request, junk."""


def resets(nemesis: Nemesis, fault: Fault) -> None:
    """Some connections are reset, from either side."""
    chance = nemesis.chance_of(fault)
    for endpoint in _some(nemesis, chance, fault.strength):
        nemesis.world.situations.saw("connection reset")
        (endpoint if chance.random() < 0.5 else endpoint.peer).reset()


def half_open(nemesis: Nemesis, fault: Fault) -> None:
    """Clients' machines lose their power and are back at once: the broker is not told."""
    for endpoint in _some(nemesis, nemesis.chance_of(fault), fault.strength):
        client = endpoint.peer
        if client.is_open:
            client.vanish()
            nemesis.probes.half_open.append(endpoint)
            error = ConnectionAbortedError(103, "this machine was off")
            nemesis.world.network.call_soon_as(client.owner, client.protocol.connection_lost, error)


def _some(nemesis: Nemesis, chance: random.Random, share: float) -> list[Endpoint]:
    there = nemesis.world.network.connections(nemesis.world.machine.host)
    return [each for each in there if chance.random() < max(share, 0.1)]


def partition(nemesis: Nemesis, fault: Fault) -> None:
    """Some hosts and the broker do not reach each other for a while."""
    _cut(nemesis, fault, to_broker=True, from_broker=True)


def one_way_partition(nemesis: Nemesis, fault: Fault) -> None:
    """What some hosts send arrives, and the answers do not; or the other way."""
    towards = nemesis.chance_of(fault).random() < 0.5
    _cut(nemesis, fault, to_broker=towards, from_broker=not towards)


def _cut(nemesis: Nemesis, fault: Fault, *, to_broker: bool, from_broker: bool) -> None:
    world = nemesis.world
    broker = world.machine.host
    cut = Route(is_cut=True)
    for host in _hosts(nemesis, fault):
        if to_broker:
            world.network.change_route(host, broker, cut)
            nemesis.later(0.5 + 25 * fault.strength, _restore, nemesis, host, broker)
        if from_broker:
            world.network.change_route(broker, host, cut)
            nemesis.later(0.5 + 25 * fault.strength, _restore, nemesis, broker, host)


def slow_network(nemesis: Nemesis, fault: Fault) -> None:
    """Everything takes long for a while."""
    _reroute(nemesis, fault, Route(latency_s=(0.01, 0.05 + 2 * fault.strength)))


def slow_link(nemesis: Nemesis, fault: Fault) -> None:
    """Few bytes get through in a second."""
    _reroute(nemesis, fault, Route(bytes_per_s=500 + 20_000 * fault.strength))


def _reroute(nemesis: Nemesis, fault: Fault, route: Route) -> None:
    world = nemesis.world
    broker = world.machine.host
    duration_s = 1 + 10 * fault.strength
    for host in _hosts(nemesis, fault):
        for one, other in ((host, broker), (broker, host)):
            world.network.change_route(one, other, route)
            nemesis.later(duration_s, _restore, nemesis, one, other)


def _restore(nemesis: Nemesis, source: str, target: str) -> None:
    nemesis.world.network.change_route(source, target, WELL_BEHAVED)


def _hosts(nemesis: Nemesis, fault: Fault) -> list[str]:
    """Some of those who are connected; at least one."""
    chance = nemesis.chance_of(fault)
    world = nemesis.world
    there = [each.peer.owner.host for each in world.network.connections(world.machine.host)]
    hosts = list(dict.fromkeys(there))
    chosen = [host for host in hosts if chance.random() < 0.5]
    return chosen or hosts[:1]


def storm(nemesis: Nemesis, fault: Fault) -> None:
    """Many connect at once, say little that makes sense, and go, or do not."""
    chance = nemesis.chance_of(fault)
    count = 1 + int(STORM_CONNECTIONS * fault.strength)
    nemesis.world.situations.saw("storm of connections")
    nemesis.spawn(f"greedy-{fault.number}", _ask_and_not_read(nemesis))
    for number in range(count):
        nemesis.spawn(f"storm-{fault.number}-{number}", _visit(nemesis, chance))


class _Visitor(asyncio.Protocol):
    """Takes what comes and does nothing with it. Mutable."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


async def _visit(nemesis: Nemesis, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(0, 0.2))
    host, port = nemesis.world.machine.address
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(_Visitor, host, port)
    except OSError:
        return
    transport.write(chance.choice(FRAGMENTS))
    await asyncio.sleep(chance.uniform(0, 10))
    if chance.random() < 0.5:
        transport.close()
    else:
        transport.abort()


async def _ask_and_not_read(nemesis: Nemesis) -> None:
    """Answers pile up, and the broker must stop making them."""
    host, port = nemesis.world.machine.address
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(_Visitor, host, port)
    except OSError:
        return
    transport.pause_reading()
    transport.write(FRAGMENTS[3] * GREEDY_REQUESTS)
    await asyncio.sleep(3)
    nemesis.probes.look()
    transport.abort()


def dying_client(nemesis: Nemesis, fault: Fault) -> None:
    """Clients' machines are gone for good, with requests in flight, and nobody is told."""
    chance = nemesis.chance_of(fault)
    for number in range(1 + int(4 * fault.strength)):
        nemesis.spawn(f"dying-{fault.number}-{number}", _die_waiting(nemesis, chance))


async def _die_waiting(nemesis: Nemesis, chance: random.Random) -> None:
    host, port = nemesis.world.machine.address
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(_Visitor, host, port)
    except OSError:
        return
    assert isinstance(transport, Endpoint)
    for _ in range(chance.randint(1, 5)):
        transport.write(FRAGMENTS[3])
    await asyncio.sleep(chance.uniform(0, 0.002))
    if transport.is_open:
        nemesis.probes.half_open.append(transport.peer)
        transport.vanish()
        nemesis.world.situations.saw("client died with requests in flight")
