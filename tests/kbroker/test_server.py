"""Listeners and connections: how many, for how long, and how they end."""

from __future__ import annotations

import asyncio

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


def test_connections_that_neither_send_nor_wait_are_closed_after_a_while() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        waiting = await broker.client()
        waiting.send(fetch(target, 12, min_bytes=1, max_wait_ms=3_600_000), 12)
        idle = await broker.client()
        await idle.ask(api_versions(NONE, 3), 3)
        await broker.until(lambda: any(each.waiting for each in broker.broker.server.connections))
        broker.broker.server.close_idle()
        await client.ask(api_versions(NONE, 3), 3)
        broker.broker.server.close_idle()
        assert await idle.is_closed()
        await client.ask(produce(target, 9), 9)
        assert (await waiting.receive()) is not None
        for each in (waiting, idle):
            each.close()

    with_broker(scenario)


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
