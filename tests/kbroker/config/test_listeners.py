"""Listeners as Kafka's keys give them (KIP-103)."""

import pytest

from kbroker.config.listeners import (
    Address,
    Listener,
    Listeners,
    for_a_cluster,
    parse_listeners,
)
from kbroker.config.table import ConfigError

MAP = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"


def parse(
    listeners: str,
    advertised: str = "",
    protocol_map: str = MAP,
    inter_broker: str | None = None,
    controllers: str = "",
) -> Listeners:
    return parse_listeners(
        listeners=[part for part in listeners.split(",") if part],
        advertised=[part for part in advertised.split(",") if part],
        protocol_map=protocol_map,
        inter_broker_name=inter_broker,
        controller_names=[part for part in controllers.split(",") if part],
    )


def test_one_listener_without_an_advertised_address():
    result = parse("PLAINTEXT://127.0.0.1:9092")
    assert result.opened == (Listener("PLAINTEXT", "127.0.0.1", 9092, "PLAINTEXT"),)
    assert result.advertised_for("PLAINTEXT") is None
    assert result.inter_broker_name == "PLAINTEXT"


def test_several_named_listeners_with_an_address_each():
    result = parse(
        "INTERNAL://:9092,external://0.0.0.0:19092",
        "EXTERNAL://localhost:19092,INTERNAL://kbroker:9092",
        "INTERNAL:PLAINTEXT,EXTERNAL:plaintext",
        "internal",
    )
    assert [listener.name for listener in result.opened] == ["INTERNAL", "EXTERNAL"]
    assert result.opened[0].host == ""
    assert result.advertised_for("EXTERNAL") == Address("localhost", 19092)
    assert result.advertised_for("INTERNAL") == Address("kbroker", 9092)
    assert result.inter_broker_name == "INTERNAL"


def test_some_listeners_may_be_left_unadvertised():
    result = parse("A://:1,B://:2", "B://b.example:2", "A:PLAINTEXT,B:PLAINTEXT")
    assert result.advertised_for("A") is None
    assert result.advertised_for("B") == Address("b.example", 2)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("PLAINTEXT://[::1]:9092", "::1", 9092),
        ("PLAINTEXT://[::]:0", "::", 0),
        ("PLAINTEXT://[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ("PLAINTEXT://my_host-1.example:65535", "my_host-1.example", 65535),
    ],
)
def test_hosts_and_ports(text, host, port):
    (listener,) = parse(text).opened
    assert (listener.host, listener.port) == (host, port)


def test_the_listener_of_a_controller_is_not_opened():
    result = parse(
        "PLAINTEXT://:9092,CONTROLLER://:9093",
        "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
        controllers="CONTROLLER",
    )
    assert [listener.name for listener in result.opened] == ["PLAINTEXT"]
    assert result.skipped == ("CONTROLLER",)


def test_any_number_of_listeners_may_take_a_free_port():
    assert len(parse("A://:0,B://:0", protocol_map="A:PLAINTEXT,B:PLAINTEXT").opened) == 2


def test_an_ipv4_and_an_ipv6_address_may_share_a_port():
    both = parse("A://127.0.0.1:9,B://[::1]:9", protocol_map="A:PLAINTEXT,B:PLAINTEXT")
    assert len(both.opened) == 2


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        (("",), "listeners", "at least one listener"),
        (("C://:1", "", MAP, None, "C"), "listeners", "controller.listener.names"),
        (("9092",), "listeners", "Unable to parse 9092"),
        (("://h:1",), "listeners", "Unable to parse"),
        (("PLAINTEXT://h:x",), "listeners", "Unable to parse"),
        (("PLAINTEXT://h:65536",), "listeners", "not between"),
        (("PLAINTEXT://h:-1",), "listeners", "not between"),
        (("PLAINTEXT://:1,plaintext://:2",), "listeners", "a different name"),
        (("A://:1,B://:1", "", "A:PLAINTEXT,B:PLAINTEXT"), "listeners", "a different port"),
        (("FOO://:1",), "listeners", "No security protocol defined for listener FOO"),
        (("SSL://:1",), "listeners", "Listener SSL uses SSL, which is not served yet"),
        (("A://:1", "", "A:SASL_PLAINTEXT"), "listeners", "uses SASL_PLAINTEXT"),
        (("A://:1", "", "A:TLS"), "listener.security.protocol.map", "Invalid security protocol"),
        (("A://:1", "", "A"), "listener.security.protocol.map", "Unable to parse A"),
        (("A://:1", "", "A:PLAINTEXT,a:SSL"), "listener.security.protocol.map", "twice"),
        (("PLAINTEXT://:1", "OTHER://h:1"), "advertised.listeners", "found OTHER"),
        (("PLAINTEXT://:1", "PLAINTEXT://0.0.0.0:1"), "advertised.listeners", "meta-address"),
        (("PLAINTEXT://:1", "PLAINTEXT://:1"), "advertised.listeners", "meta-address"),
        (("PLAINTEXT://:1", "", MAP, "X"), "inter.broker.listener.name", "X is not"),
    ],
)
def test_a_fault_names_its_key(arguments, key, words):
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")) as refusal:
        parse(*arguments)
    assert refusal.value.key == key


def test_brokers_have_a_listener_of_their_own_beside_those_of_clients():
    result = for_a_cluster(parse("PLAINTEXT://127.0.0.1:9092"))
    assert result.inter_broker_name == "REPLICATION"
    assert result.opened[1] == Listener("REPLICATION", "127.0.0.1", 0, "PLAINTEXT")
    assert result.advertised_for("REPLICATION") is None
    behind = for_a_cluster(parse("CLIENTS://:9092", "CLIENTS://b1:9092", "CLIENTS:PLAINTEXT"))
    assert behind.opened[1].host == ""
    assert behind.advertised_for("REPLICATION") == Address("b1", 0)


def test_the_listener_that_is_named_for_brokers_is_theirs():
    result = parse(
        "PLAINTEXT://127.0.0.1:9092,OWN://127.0.0.1:9093",
        protocol_map="PLAINTEXT:PLAINTEXT,OWN:PLAINTEXT",
        inter_broker="own",
    )
    assert for_a_cluster(result) == result
    assert result.inter_broker_name == "OWN"


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        ({"listeners": "PLAINTEXT://:9092"}, "advertised.listeners", "needs an advertised address"),
        (
            {"listeners": "PLAINTEXT://127.0.0.1:9092", "inter_broker": "PLAINTEXT"},
            "inter.broker.listener.name",
            "the only listener",
        ),
        (
            {
                "listeners": "PLAINTEXT://127.0.0.1:9092,REPLICATION://127.0.0.1:9093",
                "protocol_map": "PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT",
            },
            "inter.broker.listener.name",
            "needs to be named",
        ),
    ],
)
def test_a_cluster_refuses_what_would_strand_its_clients_or_open_it_to_them(arguments, key, words):
    with pytest.raises(ConfigError, match=words) as caught:
        for_a_cluster(parse(**arguments))
    assert caught.value.key == key
