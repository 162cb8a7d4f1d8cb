"""What `kbroker cluster up` starts, as command lines."""

import itertools
import sys

import pytest

from kbroker.cli.cluster_plan import (
    ClusterPlan,
    broker_address,
    broker_command,
    etcd_command,
    ready_text,
    replication_settings,
)

READY = """kbroker is ready on 127.0.0.1:9092 (PLAINTEXT), 127.0.0.1:40001 (REPLICATION)
  cluster     MTW1cdMuTR2XguafYnNhHA, node 1
  data        /data/broker-1
  durability  an acknowledged record is on the disk (fsync before every answer)
"""


def settings_of(command):
    return [value for key, value in itertools.pairwise(command) if key == "--set"]


@pytest.mark.parametrize(
    ("brokers", "replicas", "acknowledging"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (7, 3, 2)]
)
def test_settings_let_as_many_brokers_fail_as_so_many_can_spare(brokers, replicas, acknowledging):
    assert replication_settings(brokers) == [
        f"default.replication.factor={replicas}",
        f"min.insync.replicas={acknowledging}",
        f"offsets.topic.replication.factor={replicas}",
    ]


def test_brokers_that_are_not_started_count_for_what_is_acknowledged():
    """Asking for fewer would take leaders from partitions that had to shrink (KIP-966)."""
    assert replication_settings(2, known_count=3) == [
        "default.replication.factor=2",
        "min.insync.replicas=2",
        "offsets.topic.replication.factor=2",
    ]


def test_a_broker_has_its_own_number_directory_and_port():
    plan = ClusterPlan("/data", 3, host="[::1]", port=9500)
    command = broker_command(plan, 2, "etcd://127.0.0.1:2379", allow_old_etcd=False)
    assert command[:4] == [sys.executable, "-P", "-m", "kbroker"]
    options = dict(zip(command[4::2], command[5::2], strict=False))
    assert options["--metadata"] == "etcd://127.0.0.1:2379"
    assert options["--node-id"] == "2"
    assert options["--data"] == "/data/broker-2"
    assert options["--listen"] == "[::1]:9501"
    assert "--dev" not in command


def test_port_0_is_a_free_one_for_each():
    plan = ClusterPlan("/data", 3, port=0)
    assert [plan.address(each) for each in plan.broker_ids] == ["127.0.0.1:0"] * 3


def test_what_the_user_sets_comes_last_and_wins():
    plan = ClusterPlan("/data", 3, dev=True, settings=("min.insync.replicas=3",))
    command = broker_command(plan, 1, "etcd://127.0.0.1:2379", allow_old_etcd=True)
    assert settings_of(command) == [
        *replication_settings(3),
        "kbroker.metadata.etcd.allow.old=true",
        "min.insync.replicas=3",
    ]
    assert "--dev" in command


def test_etcd_is_on_loopback_alone():
    command = etcd_command("/bin/etcd", "/data/etcd", client_port=1, peer_port=2)
    assert command[0] == "/bin/etcd"
    addresses = [each for each in command if "://" in each]
    assert addresses
    assert all("http://127.0.0.1:" in each for each in addresses)


def test_the_first_line_is_a_bootstrap_string_and_the_rest_what_a_broker_told():
    text = ready_text(
        ClusterPlan("/data", 2),
        ["127.0.0.1:9092", "127.0.0.1:9093"],
        metadata="etcd://127.0.0.1:2379",
        etcd="etcd 3.6.9",
        told_by_broker=READY,
    )
    lines = text.splitlines()
    assert lines[0] == "kbroker cluster is ready on 127.0.0.1:9092,127.0.0.1:9093"
    assert "  cluster     MTW1cdMuTR2XguafYnNhHA, 2 brokers" in lines
    assert "  metadata    etcd://127.0.0.1:2379 (etcd 3.6.9)" in lines
    assert any("on the disk" in line for line in lines)


def test_the_address_of_a_broker_is_that_of_its_first_listener():
    assert broker_address(READY) == "127.0.0.1:9092"
    assert broker_address("something else\n") == ""
