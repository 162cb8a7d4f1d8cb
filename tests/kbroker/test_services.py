"""What handlers are told of the cluster: addresses by listener, and who leads."""

from __future__ import annotations

from tests.kbroker.broker_harness import Client, Running, with_broker
from tests.kbroker.handlers.requests import Target, describe_cluster, find_coordinator, metadata


def test_every_api_tells_the_same_address_of_the_broker() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("none", b"")
        expected = (1, "127.0.0.1", broker.port)
        described = await client.ask(describe_cluster(target, 0), 0)
        (node,) = described.brokers
        assert (node.broker_id, node.host, node.port) == expected
        (node,) = (await client.ask(metadata(target, 9), 9)).brokers
        assert (node.node_id, node.host, node.port) == expected
        (node,) = (await client.ask(find_coordinator(target, 4), 4)).coordinators
        assert (node.node_id, node.host, node.port) == expected

    with_broker(scenario, node_id="1")


def test_an_advertised_port_of_zero_is_the_one_that_was_bound() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        (node,) = (await client.ask(metadata(Target("none", b""), 9), 9)).brokers
        assert (node.host, node.port) == ("kafka.example", broker.port)

    with_broker(scenario, advertised_listeners="PLAINTEXT://kafka.example:0")


def test_the_only_broker_is_the_controller_and_tells_its_rack() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        answer = await client.ask(metadata(Target("none", b""), 9), 9)
        assert answer.controller_id == 7
        assert answer.cluster_id == broker.broker.cluster_id
        assert answer.brokers[0].rack == "r1"

    with_broker(scenario, node_id="7", broker_rack="r1")
