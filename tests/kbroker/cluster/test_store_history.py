"""A store that was restored from a backup is told from the one that a broker knew."""

from __future__ import annotations

import asyncio
import copy
import random

import pytest

from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import Put
from kbroker.cluster.store_history import (
    Seen,
    SeenFile,
    StoreHistory,
    StoreRestoredError,
    decode_restores,
    encode_restores,
    find_loss,
)
from log.file_system import write_atomically
from simulator.disk import SimulatedDisk

KEYS = Keys("main")
PATH = "/data/metadata-seen"


@pytest.mark.parametrize(
    ("seen", "revision", "epoch", "restores", "lost"),
    [
        (Seen(), 1, 0, (), None),
        (Seen(7, 5), 7, 5, (), None),
        (Seen(7, 5), 9, 8, (), None),
        (Seen(7, 5), 7, 0, (), None),
        (Seen(7, 5), 6, 5, (), "what came after revision 6; this broker has seen 7"),
        (Seen(7, 5), 1000, 4, (), "the controller of epoch 5; it knows 4"),
        (Seen(7, 5), 3, 0, ("a",), None),
        (Seen(7, 5, "a"), 3, 0, ("a",), "what came after revision 3; this broker has seen 7"),
        (Seen(7, 5, "a"), 3, 0, ("a", "b"), None),
        (Seen(7, 5, "a"), 900, 0, (), "the restoration a"),
        (Seen(7, 5, "a"), 900, 0, ("b",), "the restoration a"),
    ],
)
def test_what_a_store_has_forgotten(
    seen: Seen, revision: int, epoch: int, restores: tuple[str, ...], lost: str | None
) -> None:
    assert find_loss(seen, revision, epoch, restores) == lost


def seen_file() -> SeenFile:
    disk = SimulatedDisk()
    disk.make_directory("/data")
    return SeenFile(disk, PATH)


def test_what_was_seen_is_there_after_a_restart() -> None:
    file = seen_file()
    assert file.read() == Seen()
    for seen in (Seen(3), Seen(12, 4), Seen(12, 4, "PoH9zvkWSv2hJj4Gw8gAYA")):
        file.write(seen)
        assert file.read() == seen


@pytest.mark.parametrize("text", [b"", b"12", b"a b c\n", b"1 2 \xff\n"])
def test_a_file_that_makes_no_sense_says_nothing(text: bytes, caplog) -> None:
    disk = SimulatedDisk()
    disk.make_directory("/data")
    write_atomically(disk, PATH, text)
    assert SeenFile(disk, PATH).read() == Seen()
    assert "makes no sense" in caplog.text


def test_a_store_that_went_back_is_refused_until_that_is_accepted() -> None:
    async def scenario() -> None:
        store, file = MemoryStore(random.Random(1)), seen_file()
        await store.transact([], [Put(KEYS.cluster, b"1")])
        backup = copy.deepcopy(store._map)
        history = StoreHistory(store, KEYS, file)
        await history.check()
        await store.transact([], [Put(KEYS.cluster, b"2")])
        history.reached = lambda: (3, 0)
        await history.note()

        store._map = backup
        with pytest.raises(StoreRestoredError, match="has seen 3"):
            await history.check()
        later = StoreHistory(store, KEYS, file)
        with pytest.raises(StoreRestoredError, match="kbroker metadata accept-restore"):
            await later.check()
        accepted = encode_restores(("first",))
        await store.transact([], [Put(KEYS.restores, accepted)])
        assert decode_restores(await store.get(KEYS.restores)) == ("first",)
        with pytest.raises(StoreRestoredError, match="start it anew"):
            await history.check()
        await later.check()
        await later.note()
        assert file.read() == Seen(3, 0, "first")

    asyncio.run(scenario())


def test_nothing_is_written_where_nothing_is_new() -> None:
    async def scenario() -> None:
        file = seen_file()
        history = StoreHistory(MemoryStore(random.Random(1)), KEYS, file)
        history.reached = lambda: (5, 2)
        await history.note()
        file.write(Seen(1))
        await history.note()
        assert file.read() == Seen(1)
        history.reached = lambda: (4, 3)
        await history.note()
        assert file.read() == Seen(5, 3)

    asyncio.run(scenario())
