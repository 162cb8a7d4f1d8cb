"""What `kbroker cluster status` counts, of a cluster that lacks something."""

import pytest

from kbroker.cli.cluster_facts import count_up, find_trouble


def partition(number, *, leader, isr, replicas=(1, 2, 3)):
    return {
        "partition": number,
        "leader": leader,
        "leader_epoch": 0,
        "replicas": list(replicas),
        "isr": list(isr),
        "offline": [],
    }


def topic(name, *partitions):
    return {"name": name, "id": None, "internal": False, "partitions": list(partitions)}


def broker(broker_id, **more):
    return {"broker_id": broker_id, "host": "h", "port": 9000 + broker_id, "rack": None, **more}


TOPICS = [
    topic("a", partition(0, leader=1, isr=(1, 2, 3)), partition(1, leader=2, isr=(2, 1))),
    topic("b", partition(0, leader=1, isr=(1,)), partition(1, leader=-1, isr=(3,))),
]


def test_a_broker_that_is_gone_is_known_by_its_replicas():
    facts = count_up(
        {
            "cluster_id": "c",
            "controller_id": 2,
            "brokers": [broker(1, rack="r1"), broker(2, is_fenced=True)],
        },
        TOPICS,
        {"a": 2, "b": 2},
    )
    assert facts["controller"] == 2
    assert [(each["id"], each["state"]) for each in facts["brokers"]] == [
        (1, "up"),
        (2, "fenced"),
        (3, "absent"),
    ]
    first, second, third = facts["brokers"]
    assert (first["address"], first["rack"]) == ("h:9001", "r1")
    assert (first["leaders"], first["replicas"], first["in_sync"]) == (2, 4, 3)
    assert (second["leaders"], second["replicas"], second["in_sync"]) == (1, 4, 2)
    assert (third["address"], third["leaders"], third["in_sync"]) == (None, 0, 2)


def test_totals_and_what_is_wrong():
    facts = count_up(
        {"cluster_id": "c", "controller_id": -1, "brokers": []}, TOPICS, {"a": 2, "b": 2}
    )
    assert facts["controller"] is None
    assert (facts["topics"], facts["partitions"]) == (2, 4)
    assert (facts["under_replicated"], facts["under_min_isr"], facts["leaderless"]) == (3, 2, 1)
    assert [(each["topic"], each["partition"], each["trouble"]) for each in facts["troubled"]] == [
        ("a", 1, "under-replicated"),
        ("b", 0, "under min.insync.replicas"),
        ("b", 1, "no leader"),
    ]


@pytest.mark.parametrize(("min_isr", "trouble"), [(1, None), (2, None), (9, None)])
def test_no_more_in_sync_replicas_are_asked_for_than_there_are(min_isr, trouble):
    assert find_trouble(partition(0, leader=1, isr=(1, 2), replicas=(1, 2)), min_isr) == trouble


def test_an_empty_cluster():
    facts = count_up({"cluster_id": "c", "controller_id": 1, "brokers": [broker(1)]}, [], {})
    assert (facts["partitions"], facts["troubled"]) == (0, [])
    assert facts["brokers"][0]["state"] == "up"
