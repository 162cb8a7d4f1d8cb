"""Entries that wait and entries that are written read as one sequence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.index_file import IndexFile
from simulator.disk import SimulatedDisk


def _file(disk: SimulatedDisk, *, exists: bool = False) -> IndexFile:
    return IndexFile(disk, "index", entry_size=2, exists=exists)


@given(
    steps=st.lists(st.sampled_from(["append", "write", "reopen", "truncate"]), max_size=30),
    data=st.data(),
)
def test_reads_see_every_entry_wherever_it_is(steps: list[str], data: st.DataObject) -> None:
    disk = SimulatedDisk()
    file, model = _file(disk), list[bytes]()
    for number, step in enumerate(steps):
        if step == "append":
            model.append(b"%02d" % number)
            file.append(model[-1])
        elif step == "write":
            file.write()
        elif step == "reopen":
            file.write()
            file.close()
            file = _file(disk, exists=disk.exists("index"))
        else:
            del model[data.draw(st.integers(0, len(model))) :]
            file.truncate(len(model))
        assert file.entry_count == len(model)
        index = data.draw(st.integers(0, len(model)))
        count = data.draw(st.integers(0, len(model) - index))
        assert file.read(index, count) == b"".join(model[index : index + count])


def test_a_failed_write_keeps_what_waits() -> None:
    disk = SimulatedDisk()
    file = _file(disk)
    file.append(b"ab")
    disk.fail("append", count=1)
    with pytest.raises(OSError, match="Input/output error"):
        file.write()
    file.write()
    assert disk.read_file("index") == b"ab"


def test_a_dropped_file_writes_nothing() -> None:
    disk = SimulatedDisk()
    file = _file(disk)
    file.append(b"ab")
    file.drop()
    assert not disk.exists("index")
