"""Whose a data directory is, and how it was left, as its two small files tell."""

from __future__ import annotations

import pytest

from log.checkpoints import CheckpointError, MetaProperties, encode_meta_properties
from log.directory_owner import (
    CLEAN_SHUTDOWN,
    META_PROPERTIES,
    LogDirectoryError,
    read_meta,
    take_clean_shutdown,
)
from log.file_system import write_atomically
from log.flushed_ends import FLUSHED_ENDS
from simulator.disk import SimulatedDisk

OWN = MetaProperties("cluster", 1, bytes(16))


def _disk(**files: bytes) -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_directory("data")
    for name, data in files.items():
        write_atomically(disk, f"data/{name}", data)
    return disk


def _with_meta(meta: MetaProperties) -> SimulatedDisk:
    return _disk(**{META_PROPERTIES: encode_meta_properties(meta)})


def test_a_new_directory_is_nobodys_and_a_known_one_tells_its_owner() -> None:
    assert read_meta(_disk(), "data", OWN, cluster_id="cluster") is None
    assert read_meta(_with_meta(OWN), "data", OWN, cluster_id="cluster") == OWN
    assert read_meta(_with_meta(OWN), "data", OWN, cluster_id=None) == OWN


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        (MetaProperties("other", 1, bytes(16)), "belongs to cluster other, this broker to cluster"),
        (MetaProperties("cluster", 2, bytes(16)), "belongs to node 2, this broker is node 1"),
    ],
)
def test_that_of_another_cluster_or_node_is_refused(meta: MetaProperties, why: str) -> None:
    with pytest.raises(LogDirectoryError, match=why):
        read_meta(_with_meta(meta), "data", OWN, cluster_id="cluster")


def test_what_makes_no_sense_or_holds_partitions_without_an_owner_is_refused() -> None:
    with pytest.raises(CheckpointError):
        read_meta(_disk(**{META_PROPERTIES: b"?"}), "data", OWN, cluster_id=None)
    disk = _disk()
    disk.make_directory("data/t-0")
    with pytest.raises(LogDirectoryError, match="holds partitions"):
        read_meta(disk, "data", OWN, cluster_id=None)


def test_the_word_of_a_clean_stop_is_good_for_one_start() -> None:
    disk = _disk(**{CLEAN_SHUTDOWN: b"{}", FLUSHED_ENDS: b"of before Kafka ran here"})
    assert take_clean_shutdown(disk, "data")
    assert not take_clean_shutdown(disk, "data")
    assert disk.list_directory("data") == []
