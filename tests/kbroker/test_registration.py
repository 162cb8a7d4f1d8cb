"""What others are told of a broker is where it really is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from kbroker.cluster.metadata_records import ListenerRecord
from kbroker.config.listeners import Listener
from kbroker.registration import advertised_listeners, registration_of
from tests.kbroker.broker_harness import config_of

INCARNATION = b"i" * 16
OWN = "PLAINTEXT://:9092,OWN://127.0.0.1:0"
MAP = "PLAINTEXT:PLAINTEXT,OWN:PLAINTEXT"


def bound(*places: tuple[str, str, int, str, int]) -> Any:
    """A server whose listeners (name, host, port) got a host and a port."""
    return SimpleNamespace(
        bound=[
            (Listener(name, host, port, "PLAINTEXT"), got_host, got_port)
            for name, host, port, got_host, got_port in places
        ]
    )


def test_a_free_port_is_told_as_the_one_that_it_became() -> None:
    config = config_of({"listeners": "PLAINTEXT://127.0.0.1:0"})
    server = bound(("PLAINTEXT", "127.0.0.1", 0, "127.0.0.1", 40_001))
    assert advertised_listeners(config.parsed_listeners(), server) == (
        ListenerRecord("PLAINTEXT", "127.0.0.1", 40_001),
    )


def test_what_is_advertised_counts_more_than_what_is_bound() -> None:
    config = config_of(
        {
            "listeners": OWN,
            "listener.security.protocol.map": MAP,
            "advertised.listeners": "PLAINTEXT://kafka.example:29092",
            "node.id": "7",
            "broker.rack": "east",
        }
    )
    server = bound(
        ("PLAINTEXT", "", 9092, "0.0.0.0", 9092), ("OWN", "127.0.0.1", 0, "127.0.0.1", 40_002)
    )
    directory: Any = SimpleNamespace(directory_id=b"d" * 16, was_clean=False)
    registration = registration_of(config, server, directory, INCARNATION)
    assert registration.listeners == (
        ListenerRecord("PLAINTEXT", "kafka.example", 29_092),
        ListenerRecord("OWN", "127.0.0.1", 40_002),
    )
    assert (registration.broker_id, registration.rack) == (7, "east")
    assert (registration.incarnation, registration.clean) == (INCARNATION, False)


def test_the_listener_of_brokers_is_told_where_clients_are_told_to_look() -> None:
    config = config_of(
        {
            "kbroker.metadata": "etcd://127.0.0.1:2379",
            "listeners": "PLAINTEXT://:9092",
            "advertised.listeners": "PLAINTEXT://b1:9092",
        }
    )
    server = bound(
        ("PLAINTEXT", "", 9092, "0.0.0.0", 9092), ("REPLICATION", "", 0, "0.0.0.0", 40_003)
    )
    assert advertised_listeners(config.parsed_listeners(), server)[1] == ListenerRecord(
        "REPLICATION", "b1", 40_003
    )
