"""One connection: answers in the order of the requests, whatever becomes ready when."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.connection import Connection, ConnectionLimits, Slot
from kbroker.watch import Deferred
from tests.kbroker.connection_harness import (
    BytesSource,
    Client,
    Owner,
    TurnLoop,
    answer_parts,
    framed,
)
from wire.records.file_slice import FileSlice


class Script:
    """Serves frames as they say: `now`, `later`, `park` (blocks), `mute` (acks=0), `close`,
    `file`. Mutable; `waiting` are the slots to fill by name."""

    def __init__(self) -> None:
        self.started: list[bytes] = []
        self.waiting: dict[bytes, tuple[Connection, Slot]] = {}
        self.deferred: dict[bytes, Deferred] = {}
        self.abandoned: list[bytes] = []
        self.source = BytesSource(bytes(range(256)) * 16 * 1024)  # 4 MiB
        self.slice_bytes = 1 << 20

    def __call__(self, frame: memoryview, connection: Connection) -> None:
        text = bytes(frame)
        self.started.append(text)
        kind = text.split(b":")[0]
        if kind == b"now":
            connection.answer(answer_parts(text))
        elif kind == b"file":
            part = self.source.slice(0, self.slice_bytes)
            head = struct.pack(">i", len(text) + len(part)) + text
            connection.answer([head, part])
        elif kind == b"close":
            connection.close()
        elif kind in (b"later", b"park"):
            deferred: Deferred[str] = Deferred(blocks=kind == b"park")
            deferred.on_abandon = lambda: self.abandoned.append(text)
            self.deferred[text] = deferred
            slot = connection.reserve(blocks=deferred.blocks, waiting_for=deferred)
            self.waiting[text] = connection, slot
        else:
            assert kind == b"mute"

    def finish(self, text: bytes, parts: list | None = None) -> None:
        connection, slot = self.waiting.pop(text)
        connection.fill(slot, answer_parts(text) if parts is None else parts)


@pytest.fixture
def loop():
    made = TurnLoop()
    yield made
    made.close()


@pytest.fixture
def script() -> Script:
    return Script()


def client_of(loop: TurnLoop, script: Script, **options) -> Client:
    room = options.pop("room", None)
    return Client(loop, Owner(script, **options), room=room)


# --- order ---


def test_requests_start_while_earlier_ones_wait_for_their_answers(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"later:1", b"later:2", b"now:3")
    client.settle()
    assert script.started == [b"later:1", b"later:2", b"now:3"]
    assert client.answers == [], "the first answer is still to come"
    script.finish(b"later:2")
    client.settle()
    assert client.answers == []
    script.finish(b"later:1")
    client.settle()
    assert client.answers == [b"later:1", b"later:2", b"now:3"]


def test_a_request_that_waits_before_its_effect_holds_back_those_behind_it(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"later:1", b"park:2", b"now:3", b"now:4")
    client.settle()
    assert script.started == [b"later:1", b"park:2"]
    script.finish(b"later:1")
    client.settle()
    assert script.started == [b"later:1", b"park:2"]
    assert client.answers == [b"later:1"]
    script.finish(b"park:2")
    client.settle()
    assert client.answers == [b"later:1", b"park:2", b"now:3", b"now:4"]


def test_a_parked_request_behind_a_waiting_one_lets_the_next_start_once_it_took_effect(
    loop, script
) -> None:
    client = client_of(loop, script)
    client.send(b"later:1", b"park:2", b"now:3")
    client.settle()
    script.finish(b"park:2")
    client.settle()
    assert script.started == [b"later:1", b"park:2", b"now:3"]
    assert client.answers == []
    script.finish(b"later:1")
    client.settle()
    assert client.answers == [b"later:1", b"park:2", b"now:3"]


def test_a_request_without_an_answer_keeps_no_place(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"mute:1", b"later:2", b"mute:3", b"now:4")
    client.settle()
    script.finish(b"later:2")
    client.settle()
    assert client.answers == [b"later:2", b"now:4"]


def test_an_answer_that_turns_out_to_be_none_gives_its_place_to_the_next(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"park:1", b"now:2")
    client.settle()
    script.finish(b"park:1", parts=[])
    client.settle()
    assert client.answers == [b"now:2"]
    assert not client.connection.waiting


def test_what_arrives_while_a_request_is_parked_is_read_only_as_far_as_it_must(
    loop, script
) -> None:
    client = client_of(loop, script, limits=ConnectionLimits())
    client.send(b"park:1")
    client.settle()
    client.send(*[b"now:%07d" % number for number in range(200_000)])
    client.settle()
    assert not client.transport.reading
    assert client.unread_bytes > 1_000_000, "the rest stays in the client's socket"
    script.finish(b"park:1")
    client.settle()
    assert client.unread_bytes == 0
    assert len(client.answers) == 200_001
    assert client.answers[-1] == b"now:0199999"


@settings(max_examples=80, deadline=None)
@given(
    kinds=st.lists(st.sampled_from([b"now", b"later", b"park", b"mute", b"file"]), max_size=25),
    cut=st.integers(1, 60),
    chance=st.randoms(use_true_random=False),
    slots=st.integers(1, 5),
    turn_requests=st.integers(1, 3),
)
def test_every_answer_comes_once_and_in_order(kinds, cut, chance, slots, turn_requests) -> None:
    loop, script = TurnLoop(), Script()
    script.slice_bytes = 100
    limits = ConnectionLimits(slots=slots, turn_requests=turn_requests)
    client = client_of(loop, script, limits=limits)
    frames = [b"%s:%d" % (kind, number) for number, kind in enumerate(kinds)]
    stream = framed(frames)
    while stream or script.waiting or client.unread_bytes or loop.ready:
        choice = chance.random()
        if stream and choice < 0.5:
            client.send_bytes(stream[:cut])
            stream = stream[cut:]
        elif script.waiting and choice < 0.8:
            script.finish(chance.choice(sorted(script.waiting)))
        else:
            client.settle()
        waiting = [each for each in script.waiting if each.startswith(b"park")]
        assert len(waiting) <= 1, "nothing starts behind a parked request"
        assert len(script.waiting) <= slots
    client.settle()
    expected = [frame for frame in frames if not frame.startswith(b"mute")]
    assert [answer[: len(want)] for answer, want in zip(client.answers, expected, strict=True)] == (
        expected
    )
    assert script.source.holders == 0
    assert not client.connection.waiting
    loop.close()


# --- limits ---


def test_no_more_requests_start_than_there_are_slots(loop, script) -> None:
    client = client_of(loop, script, limits=ConnectionLimits(slots=4))
    client.send(*[b"later:%d" % number for number in range(10)])
    client.settle()
    assert len(script.started) == 4
    script.finish(b"later:1")
    client.settle()
    assert len(script.started) == 4, "its answer still takes a slot behind the first"
    script.finish(b"later:0")
    client.settle()
    assert len(script.started) == 6


def test_no_more_is_begun_than_one_connection_may_hold(loop, script) -> None:
    client = client_of(loop, script, limits=ConnectionLimits(held_bytes=1000))
    texts = [b"later:%d:" % number + bytes(500) for number in range(5)]
    client.send(*texts)
    client.settle()
    assert script.started == texts[:2], "the second passes the limit, and is the last"
    script.finish(texts[1], answer_parts(b"second"))
    client.settle()
    assert script.started == texts[:2], "its answer waits: it is held"
    script.finish(texts[0], answer_parts(b"first"))
    client.settle()
    assert script.started == texts[:4]
    assert client.answers == [b"first", b"second"]


def test_answers_that_wait_for_those_before_them_are_held_too(loop, script) -> None:
    client = client_of(loop, script, limits=ConnectionLimits(held_bytes=1000))
    large = [b"now:%d:" % number + bytes(495) for number in range(4)]
    client.send(b"later:0", *large)
    client.settle()
    assert script.started == [b"later:0", *large[:2]]
    script.finish(b"later:0")
    client.settle()
    assert client.answers == [b"later:0", *large]


def test_a_connection_gives_the_loop_back_after_its_answers_of_one_turn(loop, script) -> None:
    sizes: list[int] = []
    limits = ConnectionLimits(turn_bytes=10_000)

    def serve(frame: memoryview, connection: Connection) -> None:
        sizes.append(client.transport.most_buffered)
        connection.answer(answer_parts(bytes(6000)))

    client = Client(loop, Owner(serve, limits=limits))
    client.send(*[b"small"] * 6)
    assert len(sizes) == 2, "small requests, large answers"
    client.settle()
    assert len(sizes) == 6
    assert client.transport.most_buffered <= 2 * 6100


def test_a_connection_gives_the_loop_back_after_its_requests_of_one_turn(loop, script) -> None:
    client = client_of(loop, script, limits=ConnectionLimits(turn_requests=3))
    client.send(*[b"now:%d" % number for number in range(8)])
    assert len(script.started) == 3
    loop.turn()
    assert len(script.started) == 6
    client.settle()
    assert len(client.answers) == 8


def test_a_connection_gives_the_loop_back_after_its_bytes_of_one_turn(loop) -> None:
    sizes: list[int] = []

    def serve(frame: memoryview, connection: Connection) -> None:
        sizes.append(len(frame))
        connection.answer(answer_parts(b"ok"))

    client = Client(loop, Owner(serve, limits=ConnectionLimits(turn_bytes=100)))
    client.send(*[b"x" * 60] * 6)
    assert len(sizes) == 2, "large requests, small answers"
    client.settle()
    assert len(client.answers) == 6


def test_a_slow_reader_of_large_answers_costs_a_few_kilobytes(loop, script) -> None:
    client = client_of(loop, script, room=0)
    client.send(*[b"file:%03d" % number for number in range(100)])
    client.settle()
    assert client.transport.most_buffered <= 512 * 1024
    assert len(script.started) <= 64, "no new turn while the client does not read"
    while client.transport.buffered:
        client.transport.drain(400_000)
        client.settle()
        assert client.transport.most_buffered <= 512 * 1024
    assert len(client.answers) == 100
    assert script.source.holders == 0


def test_a_slow_reader_of_many_middling_answers_costs_no_more_than_one_of_large(
    loop, script
) -> None:
    script.slice_bytes = 60_000
    client = client_of(loop, script, room=0)
    client.send(*[b"file:%02d" % number for number in range(60)])
    client.settle()
    assert client.transport.most_buffered <= 1024 * 1024


def test_a_slow_reader_of_small_answers_stops_being_served(loop, script) -> None:
    client = client_of(loop, script, room=0)
    client.send(*[b"now:%d:" % number + b"x" * 1000 for number in range(3000)])
    client.settle()
    assert client.transport.most_buffered <= 512 * 1024
    assert len(script.started) < 1000
    for _ in range(100):
        client.transport.drain(100_000)
        client.settle()
    assert len(client.answers) == 3000


# --- the end ---


def test_a_lost_connection_releases_its_slices_and_abandons_what_waits(loop, script) -> None:
    client = client_of(loop, script, room=1000)
    client.send(b"file:1", b"later:2")
    client.settle()
    client.send(b"file:3", b"park:4", b"now:5")
    client.settle()
    client.transport.lose(ConnectionResetError())
    client.settle()
    assert script.source.holders == 0
    assert sorted(script.abandoned) == sorted(script.deferred)


@pytest.mark.parametrize("text", [b"later:1", b"park:1"])
def test_a_lost_connection_drops_an_answer_that_comes_too_late(loop, script, text) -> None:
    client = client_of(loop, script)
    client.send(text)
    client.settle()
    client.transport.lose()
    client.settle()
    part = script.source.slice(0, 100)
    script.finish(text, parts=[b"head", part])
    client.settle()
    assert script.source.holders == 0
    assert client.answers == []


def test_slices_that_wait_for_their_turn_are_released_with_the_connection(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"later:1", b"file:2", b"later:3")
    client.settle()
    script.finish(b"later:3", parts=[script.source.slice(0, 10)])
    assert script.source.holders == 2
    client.transport.lose()
    client.settle()
    assert script.source.holders == 0


def test_a_lost_connection_gives_its_memory_back(loop, script) -> None:
    owner = Owner(script)
    client = Client(loop, owner)
    client.send(b"now:1")
    client.send_bytes(struct.pack(">i", 900_000) + b"x" * 300_000)
    client.settle()
    assert owner.memory.used_bytes > 0
    client.transport.lose()
    client.settle()
    assert owner.memory.used_bytes == 0
    assert owner.closed_connections == [client.connection]


def test_a_connection_lost_behind_a_parked_request_gives_its_memory_back(loop, script) -> None:
    owner = Owner(script)
    client = Client(loop, owner)
    client.send(b"park:1", b"now:2")
    client.settle()
    assert owner.memory.used_bytes > 0, "the second request waits in a buffer"
    client.transport.lose()
    client.settle()
    assert script.abandoned == [b"park:1"]
    assert owner.memory.used_bytes == 0


def test_a_frame_that_a_working_request_still_reads_is_kept_until_it_is_done(loop, script) -> None:
    owner = Owner(script, max_frame_bytes=1 << 22)
    seen: dict[str, object] = {}

    def serve(frame: memoryview, connection: Connection) -> None:
        seen["frame"] = frame
        seen["slot"] = connection.reserve(blocks=True, waiting_for=None)

    owner.dispatch = serve
    client = Client(loop, owner)
    body = b"f" * 600_000
    client.send(body)
    client.settle()
    frame = seen["frame"]
    assert isinstance(frame, memoryview)
    client.transport.lose()
    client.settle()
    other = Client(loop, owner)
    other.send(b"o" * 600_000)
    other.settle()
    assert frame == body, "its buffer was given to another connection"
    client.connection.fill(seen["slot"], [])  # type: ignore[arg-type]
    assert client.connection.waiting is False


def test_hanging_up_writes_first_what_was_answered(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"now:1")
    client.send(b"close:2")
    client.settle()
    assert client.answers == [b"now:1"]
    assert client.transport.lost


def test_hanging_up_writes_first_what_was_answered_in_the_same_turn(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"now:1", b"close:2")
    client.settle()
    assert client.answers == [b"now:1"]
    assert client.transport.lost


def test_nothing_is_started_after_hanging_up(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"close:1", b"now:2")
    client.settle()
    assert script.started == [b"close:1"]


def test_a_frame_of_a_bad_length_ends_the_connection(loop, script) -> None:
    client = client_of(loop, script, max_frame_bytes=1000)
    client.send_bytes(struct.pack(">i", 1001))
    client.settle()
    assert client.transport.lost
    assert script.started == []


def test_a_bad_length_behind_a_parked_request_ends_the_connection(loop, script) -> None:
    client = client_of(loop, script, max_frame_bytes=1000)
    client.send_bytes(framed([b"park:1"]) + b"\xff\xff\xff\xff")
    client.settle()
    script.finish(b"park:1")
    client.settle()
    assert client.transport.lost


def test_a_bad_length_behind_the_requests_of_one_turn_ends_the_connection(loop, script) -> None:
    client = client_of(loop, script, limits=ConnectionLimits(turn_requests=1), max_frame_bytes=99)
    client.send_bytes(framed([b"now:1"]) + b"\xff\xff\xff\xff")
    client.settle()
    assert client.answers == [b"now:1"]
    assert client.transport.lost


def test_a_connection_that_may_not_be_served_is_hung_up_on(loop, script) -> None:
    owner = Owner(script)
    owner.refuses = True
    client = Client(loop, owner)
    client.settle()
    assert client.transport.lost
    assert script.started == []


def test_a_connection_knows_both_of_its_addresses(loop, script) -> None:
    client = client_of(loop, script)
    assert client.connection.local_address == ("127.0.0.1", 9092)
    assert client.connection.peer_address == ("127.0.0.9", 50000)


def test_a_request_is_answered_once(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"later:1")
    client.settle()
    connection, slot = script.waiting[b"later:1"]
    connection.fill(slot, answer_parts(b"later:1"))
    with pytest.raises(AssertionError):
        connection.fill(slot, answer_parts(b"later:1"))


def test_over_the_memory_budget_another_connection_finishes_first(loop, script) -> None:
    owner = Owner(script, budget_bytes=300_000)
    first, second = Client(loop, owner), Client(loop, owner)
    first.send_bytes(framed([b"now:1:" + b"x" * 500_000])[:250_000])
    second.send_bytes(framed([b"now:2:" + b"x" * 500_000])[:250_000])
    loop.run()
    assert not second.transport.reading
    rest = framed([b"now:1:" + b"x" * 500_000])[250_000:]
    first.send_bytes(rest)
    first.settle()
    assert len(first.answers) == 1
    assert second.transport.reading, "there is room again"
    second.send_bytes(framed([b"now:2:" + b"x" * 500_000])[250_000:])
    second.settle()
    assert len(second.answers) == 1
    assert owner.memory.used_bytes == 0


def test_parts_of_a_slice_are_what_the_file_holds(loop, script) -> None:
    client = client_of(loop, script, room=0)
    client.send(b"file:1")
    while not client.answers:
        client.transport.drain(100_001)
        client.settle()
    (answer,) = client.answers
    assert answer == b"file:1" + script.source.data[: script.slice_bytes]
    assert isinstance(script.source.slice(0, 1), FileSlice)


def test_over_the_budget_nobody_waits_for_a_connection_that_is_parked(loop, script) -> None:
    owner = Owner(script, budget_bytes=0)
    parked, other = Client(loop, owner), Client(loop, owner)
    parked.send(b"park:1", b"now:2")
    parked.settle()
    frame = framed([b"now:3:" + b"x" * 1000])
    other.send_bytes(frame[:500])
    other.settle()
    assert other.transport.reading, "the parked one may hold its memory for a very long time"
    other.send_bytes(frame[500:])
    other.settle()
    assert len(other.answers) == 1


# --- the end of the broker ---


def connection_of(script: Script, text: bytes) -> Connection:
    return script.waiting[text][0]


def test_a_stop_answers_what_has_taken_effect_and_then_hangs_up(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"later:1", b"later:2")
    client.settle()
    connection_of(script, b"later:1").finish()
    client.send(b"now:3")
    client.settle()
    assert script.started == [b"later:1", b"later:2"], "nothing new is started"
    assert not client.transport.lost
    script.finish(b"later:2")
    script.finish(b"later:1")
    client.settle()
    assert client.answers == [b"later:1", b"later:2"]
    assert client.transport.lost


def test_a_stop_lets_go_of_a_parked_request_at_once(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"now:1", b"park:2")
    client.settle()
    connection_of(script, b"park:2").finish()
    client.settle()
    assert script.abandoned == [b"park:2"]
    assert client.answers == [b"now:1"]
    assert client.transport.lost


def test_a_request_that_took_effect_lets_the_next_start_before_it_is_answered(loop, script) -> None:
    client = client_of(loop, script)
    client.send(b"park:1", b"now:2")
    client.settle()
    connection, slot = script.waiting[b"park:1"]
    connection.unblock(slot)
    client.settle()
    assert script.started == [b"park:1", b"now:2"]
    assert client.answers == []
    script.finish(b"park:1")
    client.settle()
    assert client.answers == [b"park:1", b"now:2"]
