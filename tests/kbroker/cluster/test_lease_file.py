"""The file that a lease's id is kept in."""

import random

import pytest

from kbroker.cluster.lease_file import LEASE_FILE, NO_LEASE, LeaseFile
from log import directory_names
from simulator.disk import SimulatedDisk


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("/data")
    return disk


def test_what_was_written_last_is_read_after_a_power_cut(disk: SimulatedDisk) -> None:
    file = LeaseFile(disk, "/data/lease")
    assert file.read() == NO_LEASE
    file.write(7)
    file.write(0x7FFF_FFFF_FFFF_FFFF)
    disk = disk.crash(random.Random(1))
    assert LeaseFile(disk, "/data/lease").read() == 0x7FFF_FFFF_FFFF_FFFF


def test_a_file_that_makes_no_sense_is_no_lease(disk: SimulatedDisk) -> None:
    for content in (b"", b"lease", b"\xff\n"):
        file = disk.open("/data/lease", create=True)
        file.truncate(0)
        file.append(content)
        file.close()
        assert LeaseFile(disk, "/data/lease").read() == NO_LEASE


def test_no_partition_is_called_so() -> None:
    assert directory_names.parse(LEASE_FILE) is None
