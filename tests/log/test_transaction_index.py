"""The index of aborted transactions: Kafka's bytes, overlaps, truncation."""

from __future__ import annotations

from log.transaction_index import AbortedTransaction, TransactionIndex
from simulator.disk import SimulatedDisk

PATH = "0.txnindex"
FIRST = AbortedTransaction(1, first_offset=10, last_offset=20, last_stable_offset=15)
SECOND = AbortedTransaction(2, first_offset=15, last_offset=30, last_stable_offset=31)


def _filled(disk: SimulatedDisk) -> TransactionIndex:
    index = TransactionIndex(disk, PATH, exists=False)
    index.append(FIRST)
    index.append(SECOND)
    return index


def test_an_entry_is_kafkas_aborted_txn() -> None:
    disk = SimulatedDisk()
    _filled(disk)
    assert disk.read_file(PATH)[:34] == bytes.fromhex(
        "0000 0000000000000001 000000000000000a 0000000000000014 000000000000000f"
    )
    again = TransactionIndex(disk, PATH, exists=True)
    assert list(again.collect(0, 100)) == [FIRST, SECOND]


def test_without_an_entry_there_is_no_file() -> None:
    disk = SimulatedDisk()
    index = TransactionIndex(disk, PATH, exists=False)
    assert list(index.collect(0, 9)) == []
    index.truncate(0)
    index.clear()
    assert not disk.exists(PATH)


def test_those_that_overlap_the_range_are_collected() -> None:
    index = _filled(SimulatedDisk())
    assert list(index.collect(0, 10)) == []
    assert list(index.collect(0, 11)) == [FIRST]
    assert list(index.collect(20, 21)) == [FIRST, SECOND]
    assert list(index.collect(21, 40)) == [SECOND]
    assert list(index.collect(31, 40)) == []
    assert index.is_complete_below(31)
    assert not index.is_complete_below(32)


def test_truncation_drops_those_whose_marker_is_gone() -> None:
    disk = SimulatedDisk()
    index = _filled(disk)
    index.truncate(30)
    assert list(index.collect(0, 100)) == [FIRST]
    assert disk.status(PATH).size == 34
    index.append(SECOND)
    index.forget()
    assert list(index.collect(0, 100)) == [FIRST, SECOND]
