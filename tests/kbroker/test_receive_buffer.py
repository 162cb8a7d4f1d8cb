"""Frames out of a byte stream: whole, in order, and with bounded memory."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.receive_buffer import (
    GROWTH_FACTOR,
    LEAST_OWN_BYTES,
    SHARED_BUFFER_BYTES,
    FrameReader,
    FrameTooLarge,
    ReceiveMemory,
)

MAX_FRAME_BYTES = 100 * 1024 * 1024
FRAME_SIZES = st.one_of(
    st.integers(0, 40),
    st.sampled_from([65_531, 65_532, 262_139, 262_140, 262_141, 700_000, 1_500_000]),
)


def framed(*frames: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(frame)) + frame for frame in frames)


def memory(*, budget_bytes: int = -1, max_frame_bytes: int = MAX_FRAME_BYTES) -> ReceiveMemory:
    return ReceiveMemory(budget_bytes=budget_bytes, max_frame_bytes=max_frame_bytes)


def receive(reader: FrameReader, data: bytes, *, most: int = 1 << 30) -> int:
    """What a socket does: write as much as fits where the reader says; how many bytes."""
    target = reader.buffer()
    count = min(len(target), len(data), most)
    assert count > 0, "a socket must never be given an empty buffer"
    target[:count] = data[:count]
    reader.received(count)
    return count


def frames_of(reader: FrameReader) -> list[bytes]:
    found = []
    while (frame := reader.next_frame()) is not None:
        found.append(bytes(frame))
    reader.keep_rest()
    return found


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(FRAME_SIZES, max_size=8),
    cuts=st.lists(st.one_of(st.integers(1, 9), st.integers(1, 400_000)), min_size=1, max_size=8),
)
def test_frames_come_out_as_they_went_in_wherever_the_stream_is_cut(
    sizes: list[int], cuts: list[int]
) -> None:
    frames = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    stream = framed(*frames)
    shared = memory()
    reader = FrameReader(shared)
    found: list[bytes] = []
    turn = position = 0
    while position < len(stream):
        # Tiny cuts only near the start: a megabyte byte by byte proves nothing more.
        cut = cuts[turn % len(cuts)] if turn < 60 else 1 << 20
        position += receive(reader, stream[position : position + cut])
        found += frames_of(reader)
        turn += 1
    assert found == frames
    assert reader.partial_bytes == 0
    assert shared.used_bytes == 0, "everything taken was given back"


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    taken_each_turn=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    cut=st.integers(1, 90),
)
def test_frames_that_are_not_taken_in_their_turn_are_there_in_the_next(
    sizes: list[int], taken_each_turn: list[int], cut: int
) -> None:
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]
    stream = framed(*frames)
    shared = memory()
    reader, other = FrameReader(shared), FrameReader(shared)
    found: list[bytes] = []
    position = turn = 0
    while position < len(stream):
        position += receive(reader, stream[position : position + cut])
        for _ in range(taken_each_turn[turn % len(taken_each_turn)]):
            frame = reader.next_frame()
            if frame is not None:
                found.append(bytes(frame))
        reader.keep_rest()
        # Another connection writes over the shared buffer between any two turns.
        receive(other, b"\0\0\0\1" + b"\xff" + b"\xee" * 400)
        assert other.next_frame() == b"\xff"
        other.drop()
        # A connection with frames left over does not read before it has taken them.
        found += frames_of(reader)
        turn += 1
    found += frames_of(reader)
    assert found == frames


@pytest.mark.parametrize("size", [-1, -(2**31), 1001, 2**31 - 1])
def test_a_length_that_is_negative_or_too_large_is_refused(size: int) -> None:
    reader = FrameReader(memory(max_frame_bytes=1000))
    receive(reader, struct.pack(">i", size))
    with pytest.raises(FrameTooLarge):
        reader.next_frame()


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_the_largest_frame_allowed_and_the_empty_one_are_frames(size: int) -> None:
    reader = FrameReader(memory(max_frame_bytes=1000))
    receive(reader, framed(b"x" * size))
    assert frames_of(reader) == [b"x" * size]


def test_a_bad_length_behind_whole_frames_is_refused_after_them() -> None:
    reader = FrameReader(memory(max_frame_bytes=1000))
    receive(reader, framed(b"good") + b"\xff\xff\xff\xff")
    first = reader.next_frame()
    assert first == b"good"
    with pytest.raises(FrameTooLarge):
        reader.next_frame()


def test_a_bad_length_that_arrives_byte_by_byte_is_refused() -> None:
    reader = FrameReader(memory(max_frame_bytes=1000))
    for byte in (0x7F, 0xFF, 0xFF):
        receive(reader, bytes([byte]))
        assert frames_of(reader) == []
    receive(reader, b"\xff")
    with pytest.raises(FrameTooLarge):
        reader.next_frame()


def test_an_announcement_of_100_mb_costs_a_fraction_of_that() -> None:
    shared = memory()
    reader = FrameReader(shared)
    receive(reader, struct.pack(">i", 100 * 1000 * 1000))
    assert frames_of(reader) == []
    assert shared.used_bytes <= SHARED_BUFFER_BYTES


def test_a_thousand_announcements_of_100_mb_cost_little() -> None:
    shared = memory()
    for _ in range(1000):
        reader = FrameReader(shared)
        receive(reader, struct.pack(">i", 100 * 1000 * 1000))
        reader.keep_rest()
    assert shared.used_bytes <= 16 * 1024 * 1024


def test_an_own_buffer_grows_with_what_arrives() -> None:
    shared = memory()
    reader = FrameReader(shared)
    body = b"x" * (3 * 1024 * 1024)
    stream = framed(body)
    position = 0
    while position < len(stream) - 1:
        position += receive(reader, stream[position : len(stream) - 1], most=50_000)
        assert frames_of(reader) == []
        room = max(GROWTH_FACTOR * position, SHARED_BUFFER_BYTES)
        assert shared.used_bytes <= room, f"{shared.used_bytes} for {position}"
    receive(reader, stream[position:])
    assert frames_of(reader) == [body]
    assert shared.used_bytes == 0


def test_a_large_frame_leaves_its_own_buffer_to_the_next() -> None:
    shared = memory()
    for _ in range(3):
        reader = FrameReader(shared)
        stream = framed(b"y" * 1_000_000)
        position = 0
        while position < len(stream):
            position += receive(reader, stream[position:])
            frames_of(reader)
        assert shared.used_bytes == 0


class Reading:
    """A connection of which only the receiving part is there. Mutable."""

    def __init__(self, shared: ReceiveMemory, stream: bytes) -> None:
        self.shared = shared
        self.reader = FrameReader(shared)
        self.stream = stream
        self.position = 0
        self.frame_count = 0
        self.waits = False

    def resume(self) -> None:
        self.waits = self.shared.must_wait(self.resume, self.reader.growth_bytes)

    @property
    def done(self) -> bool:
        return self.position == len(self.stream)

    def turn(self, most: int) -> None:
        self.position += receive(self.reader, self.stream[self.position :], most=most)
        self.frame_count += len(frames_of(self.reader))
        if self.reader.owns_frames:
            self.resume()

    def hang_up(self) -> None:
        self.shared.forget(self.resume)
        self.reader.drop()
        self.position = len(self.stream)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=12),
    budget=st.integers(0, 600_000),
    chance=st.randoms(use_true_random=False),
)
def test_past_the_budget_connections_wait_and_yet_all_get_through(
    sizes: list[int], budget: int, chance
) -> None:
    shared = memory(budget_bytes=budget)
    connections = [Reading(shared, framed(b"z" * size, b"last")) for size in sizes]
    turns = 0
    while open_ones := [each for each in connections if not each.done]:
        readers = [each for each in open_ones if not each.waits]
        assert readers, f"{len(open_ones)} connections wait for each other"
        chosen = chance.choice(readers)
        if chance.random() < 0.02:
            chosen.hang_up()
        else:
            chosen.turn(chance.choice([1, 100, 3000]))
        turns += 1
        assert turns < 200_000
    assert shared.used_bytes == 0


def test_over_the_budget_one_connection_reads_on_and_the_others_wait_for_it() -> None:
    shared = memory(budget_bytes=0)
    first, second = Reading(shared, framed(b"a" * 50)), Reading(shared, framed(b"b" * 50))
    first.turn(10)
    second.turn(10)
    assert second.waits
    assert not first.waits, "somebody has to finish"
    first.turn(1)
    assert not first.waits
    first.turn(100)
    assert first.frame_count == 1
    assert not second.waits, "there is room again"


class CountingMemory(ReceiveMemory):
    """Counts what it gives out, each of which something is copied to."""

    taken_bytes = 0

    def take(self, size: int) -> bytearray:
        self.taken_bytes += size
        return super().take(size)


@pytest.mark.parametrize("budget", [2_000_000, 5_000_000, 9_000_000])
def test_large_frames_that_share_the_budget_are_not_copied_again_and_again(budget: int) -> None:
    shared = CountingMemory(budget_bytes=budget, max_frame_bytes=MAX_FRAME_BYTES)
    stream = framed(bytes(2_000_000))
    connections = [Reading(shared, stream) for _ in range(6)]
    while open_ones := [each for each in connections if not each.done]:
        for each in open_ones:
            if not each.waits:
                each.turn(50_000)
    assert shared.taken_bytes < 6 * len(connections) * len(stream)
    assert shared.used_bytes == 0


def test_a_connection_that_closed_is_not_resumed() -> None:
    shared = memory(budget_bytes=0)
    first, second = Reading(shared, framed(b"a" * 50)), Reading(shared, framed(b"b" * 50))
    first.turn(10)
    second.turn(10)
    assert second.waits
    second.hang_up()
    first.turn(100)
    assert second.waits, "resume was called for a connection that is gone"
    assert shared.used_bytes == 0


def test_a_connection_that_closed_makes_room_for_those_that_wait() -> None:
    shared = memory(budget_bytes=0)
    first, second = Reading(shared, framed(b"a" * 50)), Reading(shared, framed(b"b" * 50))
    first.turn(10)
    second.turn(10)
    first.hang_up()
    assert not second.waits


def test_past_the_budget_a_buffer_grows_no_further_than_it_has_to() -> None:
    memory = ReceiveMemory(budget_bytes=10_000, max_frame_bytes=1 << 20)
    assert memory.granted(held=2000, wanted=8000, whole=50_000) == 8000
    two = [memory.take(1500) for _ in range(2)]
    assert memory.granted(held=1000, wanted=8000, whole=50_000) == 7000, "what is left"
    for each in two:
        memory.give_back(each)
    others = [memory.take(9000) for _ in range(2)]
    assert memory.exhausted
    assert memory.granted(held=2000, wanted=8000, whole=50_000) == 2000 + LEAST_OWN_BYTES
    assert memory.granted(held=2000, wanted=2100, whole=2100) == 2100
    memory.park(1)
    whole = memory.granted(held=2000, wanted=8000, whole=50_000)
    assert whole == 50_000, "the last one that reads has its frame at once"
    memory.park(-1)
    for each in others:
        memory.give_back(each)


def test_past_the_budget_newcomers_are_read_in_small_pieces() -> None:
    memory = ReceiveMemory(budget_bytes=10_000, max_frame_bytes=1 << 20)
    reader = FrameReader(memory)
    assert len(reader.buffer()) == len(memory.shared)
    other = memory.take(20_000)
    assert len(reader.buffer()) == LEAST_OWN_BYTES
    memory.give_back(other)
    assert len(reader.buffer()) == len(memory.shared)
