"""What is done with a data directory while its storage calls are recorded, by name.

Each is short: a state's price is that of opening it. Chance comes from the recorder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simulator.crash_states.recorder import FLUSHED, PAGE_CACHE, Key, Recorder

A: Key = ("a", 0)
B: Key = ("a", 1)
COMMITS: Key = ("__consumer_offsets", 0)
COMPACTED = replace(FLUSHED, cleanup_policy=frozenset({"compact"}))
LAZY = replace(FLUSHED, flush_messages=PAGE_CACHE)
LARGE = replace(FLUSHED, segment_bytes=4000)


def flush_rounds(world: Recorder) -> None:
    """Several partitions, appends while a flush is under way; the hint of their ends grows full."""
    world.create("a", 2)
    for _ in range(4):
        world.append(A, world.chance.randrange(1, 3))
        tickets = world.begin_flush(A, B)
        world.append(B)
        world.append(A)
        world.finish(tickets)
        world.flush(A, B)
    world.append(A, 2)


def rolls(world: Recorder) -> None:
    """Segments and their indexes, of producers whose state is snapshot at each roll."""
    world.create("a")
    for _ in range(4):
        world.append(A, world.chance.randrange(1, 5), producer=1)
        if world.chance.random() < 0.6:
            world.flush(A)
        if world.chance.random() < 0.3:
            world.directory.logs[A].roll(world.now_ms)
        if world.chance.random() < 0.3:
            world.checkpoint()
    world.append(A, 3, producer=2)


def large_batches(world: Recorder) -> None:
    """Batches of several sectors, so that they are torn in every way."""
    world.text = "some larger value "
    world.create("a", 1, LARGE)
    for _ in range(3):
        world.append(A, 2, producer=1)
        world.flush(A)
    world.append(A, 3)


def checkpoints(world: Recorder) -> None:
    world.create("a", 2)
    for _ in range(3):
        world.append(A, 2, producer=1)
        world.append(B)
        world.flush(A, B)
        world.checkpoint()
    world.append(A)


def transactions(world: Recorder) -> None:
    """Some commit, some abort, one stays open."""
    world.create("a")
    for _ in range(3):
        world.append(A, 1, producer=1, transactional=True)
        world.append(A, 1, producer=2)
        world.end_transaction(A, producer=1, commit=world.chance.random() < 0.4)
        if world.chance.random() < 0.7:
            world.flush(A)
    world.append(A, 1, producer=1, transactional=True)
    world.flush(A)
    world.checkpoint()


def retention(world: Recorder) -> None:
    world.create("a")
    for _ in range(3):
        world.append(A, 4, producer=1)
        world.flush(A)
        if world.chance.random() < 0.5:
            world.append(A, 1)
        world.retain(A)
        if world.chance.random() < 0.5:
            world.checkpoint()
    world.append(A)


def deletions(world: Recorder) -> None:
    """DeleteRecords, with and without retention behind it."""
    world.create("a", 1, world.chance.choice([FLUSHED, LAZY]))
    for _ in range(3):
        world.append(A, 3, producer=1)
        if world.chance.random() < 0.7:
            world.flush(A)
        world.delete_records(A)
        if world.chance.random() < 0.4:
            world.checkpoint()
        if world.chance.random() < 0.4:
            world.retain(A)
    world.append(A)


def truncations(world: Recorder) -> None:
    world.create("a")
    for _ in range(3):
        world.append(A, 4, producer=1)
        world.flush(A)
        if world.chance.random() < 0.5:
            world.checkpoint()
        world.append(A, world.chance.randrange(3))
        world.truncate(A)
        world.lead_anew()
        world.append(A, 1, producer=2)
    world.flush(A)


def topics(world: Recorder) -> None:
    """Deleted and made anew under their names."""
    world.create("a", 2)
    for _ in range(2):
        world.append(A, 3, producer=1)
        world.append(B, 1)
        world.flush(A, B)
        if world.chance.random() < 0.6:
            world.checkpoint()
        world.append(B, 1)
        world.delete("a")
        world.create("a", 2)
    world.append(A, 1)
    world.flush(A)


def epochs(world: Recorder) -> None:
    """A leader for each few batches, some with none."""
    world.create("a")
    for _ in range(5):
        world.append(A, world.chance.randrange(3))
        if world.chance.random() < 0.5:
            world.flush(A)
        if world.chance.random() < 0.4:
            world.checkpoint()
        world.lead_anew()
    world.append(A)


def commits(world: Recorder) -> None:
    """The log of group commits beside a topic's: two policies, one directory."""
    world.create("__consumer_offsets", 1, COMPACTED)
    world.create("a")
    for _ in range(4):
        world.append(COMMITS, world.chance.randrange(1, 3))
        world.append(A)
        world.flush(COMMITS, A)
    world.checkpoint()
    world.append(COMMITS, 2)


def page_cache(world: Recorder) -> None:
    """A topic that is flushed now and then; at last each append counts only when flushed."""
    world.create("a", 1, LAZY)
    for _ in range(3):
        world.append(A, 3, producer=1)
        if world.chance.random() < 0.5:
            world.flush(A)
        world.checkpoint()
    world.configure("a", FLUSHED)
    world.append(A)
    world.flush(A)


def stops(world: Recorder) -> None:
    """Clean stops and starts, with something left to do by each."""
    world.create("a", 2)
    for _ in range(2):
        world.append(A, 3, producer=1)
        world.append(B, 1)
        if world.chance.random() < 0.5:
            world.flush(A)
        world.stop()
    world.append(A, 2)
    world.flush(A)


def recoveries(world: Recorder) -> None:
    """Crashes during the recovery from crashes."""
    world.create("a", 2)
    for _ in range(3):
        world.append(A, world.chance.randrange(1, 6), producer=1)
        world.append(B, 2)
        if world.chance.random() < 0.6:
            world.flush(A, B)
        world.append(A, 3)
        if world.chance.random() < 0.3:
            world.checkpoint()
        world.lose_power()


def kills(world: Recorder) -> None:
    """kill -9, and power that goes later."""
    world.create("a")
    for _ in range(3):
        world.append(A, 3, producer=1)
        if world.chance.random() < 0.5:
            world.flush(A)
        world.append(A, 1)
        world.kill()
    world.append(A)


def anything(world: Recorder) -> None:
    """All of it in any order."""
    world.create("a", 2)
    steps: list[Callable[[], object]] = [
        lambda: world.append(A, 2, producer=1),
        lambda: world.append(B, 1),
        lambda: world.append(A, 1),
        lambda: world.flush(A, B),
        lambda: world.flush(A),
        lambda: world.checkpoint(),
        lambda: world.lead_anew(),
        lambda: world.delete_records(A),
        lambda: world.retain(A),
        lambda: world.truncate(B),
        lambda: world.directory.logs[A].roll(world.now_ms),
        lambda: world.stop(),
        lambda: world.kill(),
        lambda: world.lose_power(),
    ]
    for _ in range(14):
        world.chance.choice(steps)()


WORKLOADS: dict[str, Callable[[Recorder], None]] = {
    each.__name__: each
    for each in (
        flush_rounds,
        rolls,
        large_batches,
        checkpoints,
        transactions,
        retention,
        deletions,
        truncations,
        topics,
        epochs,
        commits,
        page_cache,
        stops,
        recoveries,
        kills,
        anything,
    )
}
