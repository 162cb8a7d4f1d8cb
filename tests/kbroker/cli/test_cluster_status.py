"""How a cluster's status looks to people, and which etcd is asked."""

import socket

import click
import pytest

from kbroker.cli.cluster_status import MOST_TROUBLED, ask_members, check_metadata, status_text

BROKERS = [
    {
        "id": 1,
        "address": "h1:9092",
        "rack": "a",
        "leaders": 3,
        "replicas": 4,
        "in_sync": 4,
        "state": "up",
    },
    {
        "id": 2,
        "address": None,
        "rack": None,
        "leaders": 0,
        "replicas": 4,
        "in_sync": 1,
        "state": "absent",
    },
]
CLUSTER = {
    "cluster_id": "MTW1cdMuTR2XguafYnNhHA",
    "controller": 1,
    "brokers": BROKERS,
    "topics": 2,
    "partitions": 4,
    "under_replicated": 3,
    "under_min_isr": 0,
    "leaderless": 1,
    "troubled": [],
}
MEMBER = {
    "endpoint": "e1:2379",
    "version": "3.6.9",
    "size_bytes": 1_234_567,
    "revision": 42,
    "leader": True,
    "error": None,
}


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def troubled(topic, partition, trouble, leader=1):
    return {
        "topic": topic,
        "partition": partition,
        "leader": leader,
        "replicas": [1, 2],
        "isr": [1],
        "trouble": trouble,
    }


def text(*, metadata=None, etcd=(), **changes):
    found = {"cluster": {**CLUSTER, **changes}, "metadata": metadata, "etcd": list(etcd)}
    return status_text(found, width=None)


def test_brokers_and_totals():
    assert text() == (
        "Cluster MTW1cdMuTR2XguafYnNhHA, controller 1\n"
        "BROKER  ADDRESS  RACK  LEADERS  REPLICAS  IN SYNC  STATE\n"
        "     1  h1:9092  a           3         4        4  controller\n"
        "     2  -        -           0         4        1  absent\n"
        "\n"
        "TOPICS  PARTITIONS  UNDER-REPLICATED  UNDER MIN ISR  LEADERLESS\n"
        "     2           4                 3              0           1\n"
    )


def test_without_a_controller():
    assert text(controller=None).startswith("Cluster MTW1cdMuTR2XguafYnNhHA, no controller now\n")


def test_partitions_in_trouble_the_worst_first_and_not_too_many():
    many = [troubled("many", n, "under-replicated") for n in range(MOST_TROUBLED)]
    worst = [troubled("z", 7, "no leader", None), troubled("y", 0, "under min.insync.replicas")]
    shown = text(troubled=[*many, *worst]).splitlines()
    start = shown.index("TOPIC  PARTITION  LEADER  REPLICAS  IN SYNC  TROUBLE")
    assert shown[start + 1] == "z              7       -  1,2       1        no leader"
    assert shown[start + 2].split() == ["y", "0", "1", "1,2", "1", "under", "min.insync.replicas"]
    assert shown[start + 3].split()[:2] == ["many", "0"]
    assert shown[-1] == "and 2 more"


def test_etcd_with_a_member_that_does_not_answer():
    silent = {
        "endpoint": "e2:2379",
        "version": None,
        "size_bytes": None,
        "revision": None,
        "leader": False,
        "error": "Connection refused",
    }
    shown = text(metadata="etcd://e1:2379,e2:2379", etcd=[MEMBER, silent])
    assert shown.endswith(
        "\n"
        "Metadata in etcd://e1:2379,e2:2379\n"
        "ETCD     VERSION  SIZE    REVISION  STATE\n"
        "e1:2379  3.6.9    1.2 MB        42  leader\n"
        "e2:2379  -        -              -  Connection refused\n"
    )


def test_metadata_elsewhere():
    assert text(metadata="sqlite").endswith("\nMetadata in sqlite\n")


def test_members_are_those_of_the_url_and_each_answers_for_itself(free_port):
    first, second = ask_members(f"etcd://127.0.0.1:{free_port},[::1]:{free_port}/name")
    assert (first["endpoint"], first["error"]) == (f"127.0.0.1:{free_port}", "Connection refused")
    assert second["endpoint"] == f"[::1]:{free_port}"
    assert second["error"]
    assert ask_members("sqlite") == []
    assert ask_members(None) == []


@pytest.mark.parametrize("value", ["a:1", "etcd://", "etcd://a", "etcd://a:1,b", "http://a:1"])
def test_what_is_no_place_of_metadata_is_refused(value):
    parameter = click.Option(["--metadata"])
    with pytest.raises(click.BadParameter, match="expected "):
        check_metadata(None, parameter, value)
    assert check_metadata(None, parameter, "etcd://a:1/b") == "etcd://a:1/b"
