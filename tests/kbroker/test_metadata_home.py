"""Which broker may use a data directory: one with metadata in it, or one of a cluster."""

import random

import pytest

from kbroker.cluster.lease_file import LEASE_FILE, NO_LEASE, LeaseFile
from kbroker.metadata_home import (
    MIGRATED_FILE,
    SQLITE_FILE,
    find_mismatch,
    is_members,
    leave_home,
)
from simulator.disk import SimulatedDisk


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("/data")
    return disk


def put(disk: SimulatedDisk, name: str) -> None:
    file = disk.open(f"/data/{name}", create=True)
    file.append(b"content")
    file.flush()
    file.close()
    disk.sync_directory("/data")


def test_a_new_directory_is_anybodys(disk: SimulatedDisk) -> None:
    assert find_mismatch(disk, "/data", is_shared=False) is None
    assert find_mismatch(disk, "/data", is_shared=True) is None
    assert find_mismatch(disk, "/not-there", is_shared=True) is None


def test_a_single_nodes_is_not_for_a_cluster(disk: SimulatedDisk) -> None:
    put(disk, SQLITE_FILE)
    assert find_mismatch(disk, "/data", is_shared=False) is None
    found = find_mismatch(disk, "/data", is_shared=True)
    assert found is not None
    assert "kbroker metadata migrate --data /data --to URL" in found


@pytest.mark.parametrize("name", [LEASE_FILE, MIGRATED_FILE])
def test_a_members_is_not_for_a_single_node(disk: SimulatedDisk, name: str) -> None:
    put(disk, name)
    assert find_mismatch(disk, "/data", is_shared=True) is None
    found = find_mismatch(disk, "/data", is_shared=False)
    assert found is not None
    assert "--metadata etcd://HOST:PORT" in found


def test_after_a_migration_it_is_a_members_also_after_a_power_cut(disk: SimulatedDisk) -> None:
    put(disk, SQLITE_FILE)
    put(disk, f"{SQLITE_FILE}-wal")
    leave_home(disk, "/data")
    disk = disk.crash(random.Random(1))
    assert is_members(disk, "/data")
    assert find_mismatch(disk, "/data", is_shared=True) is None
    assert not disk.exists(f"/data/{SQLITE_FILE}-wal")
    assert disk.read_file(f"/data/{MIGRATED_FILE}") == b"content"
    assert LeaseFile(disk, f"/data/{LEASE_FILE}").read() == NO_LEASE
    disk.remove(f"/data/{MIGRATED_FILE}")
    assert is_members(disk, "/data"), "the old file may be deleted"


def test_it_can_be_repeated_and_no_lease_is_lost(disk: SimulatedDisk) -> None:
    LeaseFile(disk, f"/data/{LEASE_FILE}").write(7)
    put(disk, SQLITE_FILE)
    leave_home(disk, "/data")
    leave_home(disk, "/data")
    assert LeaseFile(disk, f"/data/{LEASE_FILE}").read() == 7
