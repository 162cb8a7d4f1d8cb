"""The faults of a soak: which, drawn from the seed, and how each is done and healed.

A fault is a function of a station; it returns when the broker serves again. Those of the disk need
one of ours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.soak.station import Station, StationError

FAULT_S = 4.0
"""How long an error waits for whom it meets."""
PATTERNS = ("/soak-*/*.log", "/__consumer_offsets-*/*.log", "/metadata.sqlite*", "*")


@dataclass(frozen=True, slots=True)
class Fault:
    """`words` say what it was, for the events."""

    name: str
    words: str
    do: Callable[[Station], None]


def kill(chance: random.Random) -> Fault:
    def do(station: Station) -> None:
        station.kill()
        station.start()

    return Fault("kill", "kill -9", do)


def stop(chance: random.Random) -> Fault:
    def do(station: Station) -> None:
        station.terminate()
        station.start()

    return Fault("terminate", "SIGTERM", do)


def pause(chance: random.Random) -> Fault:
    seconds = chance.uniform(0.2, 9.0)

    def do(station: Station) -> None:
        station.pause()
        time.sleep(seconds)
        station.resume()

    return Fault("pause", f"SIGSTOP for {seconds:.1f} s", do)


def fail_fsync(chance: random.Random) -> Fault:
    """The broker trusts no more to that disk, and ends."""
    pattern = chance.choice(PATTERNS)
    skip = chance.randrange(20)

    def do(station: Station) -> None:
        _disk(station).fail("fsync", pattern, skip=skip)
        _restart_if_ended(station)

    return Fault("fsync", f"EIO on fsync of {pattern} after {skip}", do)


def fail_read(chance: random.Random) -> Fault:
    pattern = chance.choice(PATTERNS)
    skip = chance.randrange(20)

    def do(station: Station) -> None:
        _disk(station).fail("read", pattern, skip=skip, count=1)
        _restart_if_ended(station)

    return Fault("read", f"EIO on a read of {pattern} after {skip}", do)


def fail_write(chance: random.Random) -> Fault:
    pattern = chance.choice(PATTERNS)
    skip = chance.randrange(20)

    def do(station: Station) -> None:
        _disk(station).fail("write", pattern, skip=skip, count=1)
        _restart_if_ended(station)

    return Fault("write", f"EIO on a write to {pattern} after {skip}", do)


def fill(chance: random.Random) -> Fault:
    """A full disk passes: the broker lives on."""
    room, seconds = chance.choice((0, 10_000, 100_000)), chance.uniform(0.5, 5.0)

    def do(station: Station) -> None:
        _disk(station).leave_room(room)
        time.sleep(seconds)
        _disk(station).heal()

    return Fault("full", f"the disk is full after {room} bytes, for {seconds:.1f} s", do)


def fill_and_kill(chance: random.Random) -> Fault:
    """It is still full when the next broker starts, which may refuse to."""
    seconds = chance.uniform(0.5, 2.0)

    def do(station: Station) -> None:
        _disk(station).leave_room(0)
        time.sleep(seconds)
        station.kill()
        try:
            station.start()
        except StationError:
            station.broker.close()
            _disk(station).heal()
            station.start()
        _disk(station).heal()

    return Fault("full-kill", f"full for {seconds:.1f} s, kill -9, and still full", do)


def slow(chance: random.Random) -> Fault:
    fsync_s, seconds = chance.choice((0.02, 0.2, 1.0)), chance.uniform(1.0, 5.0)

    def do(station: Station) -> None:
        _disk(station).slow_fsync("*", fsync_s)
        time.sleep(seconds)
        _disk(station).heal()

    return Fault("slow", f"an fsync takes {fsync_s} s, for {seconds:.1f} s", do)


def cut_power(chance: random.Random) -> Fault:
    changes, seed = chance.randrange(400), chance.randrange(1 << 30)

    def do(station: Station) -> None:
        _disk(station).freeze_after(changes)
        _disk(station).wait_until_frozen(FAULT_S)
        station.lose_power(seed)
        station.start()

    return Fault("power", f"the power is cut after {changes} changes of the disk", do)


OF_PROCESSES = (kill, stop, pause)
OF_DISKS = (fail_fsync, fail_read, fail_write, fill, fill_and_kill, slow, cut_power)


def draw(chance: random.Random, *, with_disk: bool) -> Iterator[Fault]:
    """Without end; each kind as often as any other, in rounds of their own order."""
    kinds = [*OF_PROCESSES, *(OF_DISKS if with_disk else ())]
    while True:
        chance.shuffle(kinds)
        for kind in kinds:
            yield kind(chance)


def _disk(station: Station):  # type: ignore[no-untyped-def]
    assert station.disk is not None
    return station.disk


def _restart_if_ended(station: Station) -> None:
    """An error that is met ends the broker in order: status 1, the log directory is offline."""
    status = station.ended_within(FAULT_S)
    _disk(station).heal()
    if status is None:
        return
    if status != 1:
        raise StationError(f"an error of the disk ended it with {status}: {station.last_words()}")
    _disk(station).drop_caches()
    station.start()
