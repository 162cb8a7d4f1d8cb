"""What a follower makes of the bytes that a leader sent."""

from __future__ import annotations

import pytest

from log.log_config import LogConfig
from tests.log.log_harness import NOW, LogOnDisk, batch, values_of
from wire.errors import KafkaError
from wire.records.file_slice import FileSlice


def _bytes(piece: FileSlice | None) -> bytes:
    assert piece is not None
    data = piece.source.read_at(piece.position, len(piece))
    piece.release()
    return data


def test_a_follower_appends_what_it_got_and_leaves_a_cut_tail_out() -> None:
    leader_home, home = LogOnDisk(LogConfig(segment_bytes=600)), LogOnDisk()
    leader = leader_home.open()
    for epoch in range(3):
        leader_home.leader_epoch = epoch
        for number in range(5):
            leader_home.append(leader, b"%d.%d" % (epoch, number))
    follower = home.open()
    while follower.log_end_offset < leader.log_end_offset:
        piece = leader.read(follower.log_end_offset, max_bytes=250, upper_bound_offset=15)
        follower.append_as_follower(memoryview(bytearray(_bytes(piece))), now_ms=NOW)
    assert values_of(follower) == values_of(leader)
    assert follower.leader_epochs.entries == leader.leader_epochs.entries
    assert follower.append_as_follower(memoryview(b"cut"), now_ms=NOW) is None
    with pytest.raises(KafkaError):
        follower.append_as_follower(memoryview(bytes(batch(b"offset 0"))), now_ms=NOW)
