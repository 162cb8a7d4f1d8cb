"""How the processes of a machine are started, and that one which ends by itself is noticed."""

import sys
from pathlib import Path

import pytest

from tests.chaos.machine import Machine, MachineError, Plant, broker_arguments, etcd_arguments
from tests.chaos.network import Loopback


@pytest.fixture
def plant(tmp_path) -> Plant:
    return Plant(Loopback(2, range(100, 108)), tmp_path, sys.executable, 6000, 2, ("a.b=c",))


def test_each_member_of_etcd_knows_all(plant, tmp_path):
    words = etcd_arguments(plant, 2)
    assert words[words.index("--initial-cluster") + 1] == (
        "m1=http://127.0.0.1:103,m2=http://127.0.0.1:107"
    )
    assert words[words.index("--listen-client-urls") + 1] == "http://127.0.0.1:106"
    assert words[words.index("--data-dir") + 1] == str(tmp_path / "etcd-2")


def test_a_broker_knows_all_of_etcd_and_what_is_set_last_wins(plant):
    words = broker_arguments(plant, 1, Path("/data"), is_old_etcd=True)
    assert words[:2] == ["--metadata", "etcd://127.0.0.1:102,127.0.0.1:106"]
    assert "listeners=PLAINTEXT://127.0.0.1:100,REPLICATION://127.0.0.1:101" in words
    assert "kbroker.metadata.etcd.allow.old=true" in words
    assert words[-1] == "a.b=c"


def test_a_process_that_ends_by_itself_fails_the_run_at_once(plant):
    machine = Machine(plant, 1, None, is_old_etcd=False)
    machine.check()
    machine.start_etcd()  # a Python that knows no such option: it ends
    assert machine.etcd is not None
    machine.etcd.wait(60)
    with pytest.raises(MachineError, match="etcd 1 ended, status 2"):
        machine.check()
    machine.close()
    machine.check()
