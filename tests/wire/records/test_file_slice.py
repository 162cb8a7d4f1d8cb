"""A slice is its length to the encoder, and a hold on its file to whoever has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from log.file_system import OsFileSystem
from simulator.disk import SimulatedDisk
from wire.records.file_slice import FileSlice, SliceSource


@pytest.mark.parametrize("simulated", [False, True])
def test_a_slice_outlives_the_owner_of_its_file_until_it_is_released(
    tmp_path: Path, simulated: bool
) -> None:
    path = str(tmp_path / "file")
    disk = SimulatedDisk()
    disk.make_directory(str(tmp_path))
    file_system = disk if simulated else OsFileSystem()
    file = file_system.open(path, create=True)
    file.append(b"0123456789")
    file.retain()
    piece = FileSlice(file, 3, 4)
    file.close()
    assert len(piece) == 4
    assert piece.source.read_at(piece.position, piece.size) == b"3456"
    assert piece.source.read_at_nowait(piece.position, piece.size) == b"3456"
    piece.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        piece.source.read_at(0, 1)


def test_a_descriptor_is_there_to_send_from_or_not_at_all(tmp_path: Path) -> None:
    file = OsFileSystem().open(str(tmp_path / "file"), create=True)
    file.append(b"abc")
    piece = FileSlice(file, 1, 2)
    descriptor = piece.source.fileno()
    assert descriptor is not None
    assert os.pread(descriptor, piece.size, piece.position) == b"bc"
    file.close()
    source: SliceSource = SimulatedDisk().open("file", create=True)
    assert source.fileno() is None


def test_a_slice_shows_where_it_lies() -> None:
    source: SliceSource = SimulatedDisk().open("file", create=True)
    assert repr(FileSlice(source, 5, 7)) == "FileSlice(position=5, size=7)"
