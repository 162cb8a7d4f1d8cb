"""What a cut drops, in the words of both firewalls; and what a killed run leaves."""

import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from tests.chaos.network import (
    CUTS,
    HUB,
    Loopback,
    NetworkError,
    Ports,
    Rule,
    command,
    cut_rules,
    iptables_words,
    namespaces,
    nft_words,
    reason_against_namespaces,
    stale,
)

OTHERS = ("10.0.0.2", "10.0.0.3")


def test_an_isolated_machine_still_has_its_clients_and_an_unplugged_one_has_not():
    peers = {rule.peer for rule in cut_rules("isolated", OTHERS)}
    assert peers == {*OTHERS}
    assert {rule.peer for rule in cut_rules("unplugged", OTHERS)} == {*OTHERS, HUB}


def test_one_way_cuts_are_one_way():
    assert all(rule.is_input for rule in cut_rules("deaf", OTHERS))
    assert not any(rule.is_input for rule in cut_rules("mute", OTHERS))


def test_a_broker_without_etcd_does_not_reach_its_own_member_either():
    assert cut_rules("no-etcd", OTHERS) == [Rule(is_input=False, port=2379)]


def test_brokers_without_each_other_keep_etcd_and_clients():
    assert {rule.port for rule in cut_rules("no-brokers", OTHERS)} == {9094}


def test_every_kind_is_known_and_no_other():
    assert all(cut_rules(kind, OTHERS) for kind in CUTS)
    with pytest.raises(ValueError, match="sawn"):
        cut_rules("sawn", OTHERS)


def test_rules_in_words():
    rule = Rule(is_input=True, peer="10.0.0.2", port=9094)
    assert " ".join(nft_words(rule)) == (
        "nft add rule inet kbchaos input ip saddr 10.0.0.2 tcp dport 9094 drop"
    )
    assert " ".join(iptables_words(rule)) == (
        "iptables -w -A INPUT --source 10.0.0.2 --protocol tcp --dport 9094 -j DROP"
    )
    rule = Rule(is_input=False, port=2379)
    assert " ".join(nft_words(rule)) == "nft add rule inet kbchaos output tcp dport 2379 drop"
    rule = Rule(is_input=False, peer="10.0.0.2")
    assert " ".join(iptables_words(rule)) == "iptables -w -A OUTPUT --destination 10.0.0.2 -j DROP"


def test_what_a_killed_run_left_is_known_by_the_process_in_its_name():
    listed = "kbchaos-12-0 (id: 4)\nkbchaos-12-1\nkbchaos-13-0\nother-12-1\nkbchaos-x-1\n"
    assert stale(listed, lambda pid: pid == 13) == ["kbchaos-12-0", "kbchaos-12-1"]


def test_loopback_has_ports_of_its_own_for_each_machine_and_nothing_to_cut():
    network = Loopback(2, range(100, 108))
    assert network.ports(1) == Ports(100, 101, 102, 103)
    assert network.ports(2) == Ports(104, 105, 106, 107)
    assert network.prefix(1) == ()
    network.heal(1)
    with pytest.raises(NetworkError):
        network.cut(1, "deaf")


def test_a_refused_command_says_why():
    with pytest.raises(NetworkError, match=r"cat /no/such: .*No such file"):
        command("cat", "/no/such")
    with pytest.raises(NetworkError, match="no-such-program"):
        command("no-such-program")


SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 9092))
print("ready", flush=True)
while True:
    server.accept()[0].sendall(b"hello")
"""


def test_machines_of_their_own_are_reached_cut_off_healed_and_gone():
    reason = reason_against_namespaces()
    if reason is not None:
        pytest.skip(reason)
    before = os.readlink("/proc/thread-self/ns/net")
    with namespaces(2) as network:
        words = [*network.prefix(1), sys.executable, "-c", SERVER, network.address(1)]
        server = subprocess.Popen(words, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            assert hello(network.address(1)) == b"hello"
            network.cut(1, "isolated")
            assert hello(network.address(1)) == b"hello", "clients are no machine"
            network.cut(1, "unplugged")
            with pytest.raises(TimeoutError):
                hello(network.address(1), seconds=0.3)
            network.heal(1)
            assert hello(network.address(1)) == b"hello"
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    assert os.readlink("/proc/thread-self/ns/net") == before
    assert network.name not in command("ip", "netns", "list")


def hello(address: str, *, seconds: float = 30.0) -> bytes:
    with closing(socket.create_connection((address, 9092), timeout=seconds)) as connection:
        return connection.recv(5)
