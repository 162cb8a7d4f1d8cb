"""Listeners and connections: how many, for how long, and how they end."""

from __future__ import annotations

import asyncio

from kbroker.connection_quotas import PER_IP
from kbroker.server import IDLE_LOOKS
from tests.kbroker.broker_harness import Client, Running, running, with_broker
from tests.kbroker.broker_harness import run as run_scenario
from tests.kbroker.handlers.requests import Target, api_versions, fetch, metadata, produce

NONE = Target("", b"")


def test_more_connections_than_allowed_are_hung_up_on_and_the_others_served() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        second = await broker.client()
        await second.ask(api_versions(NONE, 3), 3)
        third = await broker.client()
        assert await third.is_closed()
        assert (await client.ask(api_versions(NONE, 3), 3)).error_code == 0
        second.close()
        await broker.until(lambda: len(broker.broker.server.connections) == 1)
        fourth = await broker.client()
        assert (await fourth.ask(api_versions(NONE, 3), 3)).error_code == 0
        for each in (third, fourth):
            each.close()

    with_broker(scenario, max_connections="2")


def test_connections_that_neither_send_nor_wait_are_closed_in_time() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        server = broker.broker.server
        target = Target("t", await client.create("t"))
        waiting = await broker.client()
        waiting.send(fetch(target, 12, min_bytes=1, max_wait_ms=3_600_000), 12)
        idle = await broker.client()
        await idle.ask(api_versions(NONE, 3), 3)
        await broker.until(lambda: any(each.waiting for each in server.connections))
        # The first look finds that something was sent; from then on every look counts.
        for _ in range(IDLE_LOOKS):
            await server.look_after_connections()
            await client.ask(api_versions(NONE, 3), 3)
        assert len(server.connections) == 3, "never early"
        await server.look_after_connections()
        assert await idle.is_closed()
        assert server.hung_up_counts["idle"] == 1
        await client.ask(produce(target, 9), 9)
        assert (await waiting.receive()) is not None
        for each in (waiting, idle):
            each.close()

    with_broker(scenario)


def test_the_looks_come_in_time_by_themselves() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await client.ask(api_versions(NONE, 3), 3)
        for _ in range(IDLE_LOOKS):
            assert broker.broker.server.connections
            broker.loop.advance(1.001)
            for _ in range(50):
                await asyncio.sleep(0)
        broker.loop.advance(1.001)
        assert await client.is_closed()

    with_broker(scenario, connections_max_idle_ms="16000")


def test_more_connections_from_one_address_than_allowed_are_hung_up_on() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        server = broker.broker.server
        await client.ask(api_versions(NONE, 3), 3)
        second = await broker.client()
        assert await second.is_closed()
        assert server.quotas.rejected_counts[PER_IP] == 1
        client.close()
        await broker.until(lambda: not server.connections)
        third = await broker.client()
        assert (await third.ask(api_versions(NONE, 3), 3)).error_code == 0
        for each in (second, third):
            each.close()

    with_broker(scenario, max_connections_per_ip="1")


def test_a_stop_hangs_up_on_everyone_and_refuses_newcomers() -> None:
    async def scenario() -> None:
        async with running() as broker:
            clients = [await broker.client() for _ in range(3)]
            for each in clients:
                await each.ask(api_versions(NONE, 3), 3)
            port = broker.port
        for each in clients:
            assert await each.is_closed()
            each.close()
        try:
            await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        raise AssertionError("somebody still listens")

    run_scenario(scenario)


def test_each_listener_tells_its_own_clients_where_to_come_back() -> None:
    async def scenario() -> None:
        settings = {
            "listeners": "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0",
            "listener_security_protocol_map": "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
            "inter_broker_listener_name": "INSIDE",
            "advertised_listeners": "OUTSIDE://example.org:1234",
        }
        async with running(**settings) as broker:
            found = {}
            for listener, host, port in broker.broker.server.bound:
                reader, writer = await asyncio.open_connection(host, port)
                client = Client(reader, writer)
                answer = await client.ask(metadata(Target("none", b""), 4), 4)
                (node,) = answer.brokers
                found[listener.name] = (node.host, node.port)
                if listener.name == "INSIDE":
                    assert found["INSIDE"] == ("127.0.0.1", port), "the address it reached"
                client.close()
            assert found["OUTSIDE"] == ("example.org", 1234)

    run_scenario(scenario)
