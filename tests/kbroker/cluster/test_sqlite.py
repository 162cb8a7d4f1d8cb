"""The file of a single node: what survives, who may open it, what is said when it cannot be."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import Put, StoreUnavailableError
from kbroker.cluster.sqlite import StoreFileError, open_sqlite_store


def open_store(path: Path) -> MemoryStore:
    return open_sqlite_store(str(path), random.Random(1))


def test_a_crash_keeps_what_was_committed(tmp_path: Path) -> None:
    """The files as they are while the store is open are what a crash of the process leaves."""
    (tmp_path / "crashed").mkdir()

    async def main() -> None:
        store = open_store(tmp_path / "m.db")
        for n in range(50):
            await store.transact([], [Put(f"k{n}", b"v" * 500)])
        for name in ("m.db", "m.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / "crashed" / name)
        before = await store.list("")
        await store.close()
        reopened = open_store(tmp_path / "crashed" / "m.db")
        assert await reopened.list("") == before
        await reopened.close()

    asyncio.run(main())


def test_a_torn_tail_loses_the_last_transaction_only(tmp_path: Path) -> None:
    (tmp_path / "crashed").mkdir()

    async def main() -> None:
        store = open_store(tmp_path / "m.db")
        await store.transact([], [Put("a", b"")])
        shutil.copy(tmp_path / "m.db", tmp_path / "crashed" / "m.db")
        await store.transact([], [Put("b", b"")])
        wal = (tmp_path / "m.db-wal").read_bytes()
        (tmp_path / "crashed" / "m.db-wal").write_bytes(wal[:-10])
        await store.close()
        reopened = open_store(tmp_path / "crashed" / "m.db")
        assert [each.key for each in (await reopened.list("")).items] == ["a"]
        await reopened.close()

    asyncio.run(main())


def test_keys_of_leases_go_with_the_process_and_a_watch_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        store = open_store(tmp_path / "m.db")
        lease = await store.lease_grant(60_000)
        await store.transact([], [Put("a", b"", lease), Put("b", b"")])
        await store.close()
        store = open_store(tmp_path / "m.db")
        assert await store.get("a") is None
        batch = await anext(store.watch("", 3))
        assert [(each.kv.key, each.is_deletion) for each in batch.events] == [("a", True)]
        await store.close()

    asyncio.run(main())


def test_a_second_process_is_refused_in_one_readable_line(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    program = (
        "import random, sys\n"
        "from kbroker.cluster.sqlite import StoreFileError, open_sqlite_store\n"
        "try:\n"
        "    open_sqlite_store(sys.argv[1], random.Random(1))\n"
        "except StoreFileError as error:\n"
        "    print(error.detail)\n"
    )
    root = Path(__file__).parents[3]

    async def main() -> None:
        store = open_store(path)
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            capture_output=True,
            text=True,
            cwd=root,
            check=True,
            timeout=60,
        )
        assert done.stdout == f"metadata file {path}: another process is using it\n"
        with pytest.raises(StoreFileError, match="another process is using it"):
            open_store(path)
        await store.transact([], [Put("still", b"works")])
        await store.close()

    asyncio.run(main())


def test_files_that_are_not_ours_are_refused_by_name(tmp_path: Path) -> None:
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"not a database, but long enough to look at" * 50)
    foreign = tmp_path / "foreign.db"
    newer = tmp_path / "newer.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for path, reason in (
        (junk, "not an SQLite database"),
        (foreign, "not one of kbroker"),
        (newer, "a newer kbroker wrote it"),
        (tmp_path / "no" / "m.db", "does its directory exist"),
    ):
        with pytest.raises(StoreFileError, match=reason) as caught:
            open_store(path)
        assert str(path) in caught.value.detail


def test_a_full_disk_refuses_writes_and_recovers_when_there_is_room(tmp_path: Path) -> None:
    """SQLite's own page limit stands for the disk: it fails with the same SQLITE_FULL."""

    async def main() -> None:
        store = open_store(tmp_path / "m.db")
        await store.transact([], [Put("a", b"x" * 100)])
        connection = store._journal._connection  # type: ignore[union-attr]
        connection.execute("PRAGMA max_page_count = 12")
        with pytest.raises(StoreUnavailableError, match="the disk is full"):
            await store.transact([], [Put("big", b"x" * 200_000)])
        assert await store.get("big") is None
        connection.execute("PRAGMA max_page_count = 100000")
        await store.transact([], [Put("big", b"x" * 200_000)])
        status = await store.status()
        assert status.revision == 3
        assert "m.db" in status.detail
        await store.close()

    asyncio.run(main())


def test_people_can_read_the_file(tmp_path: Path) -> None:
    async def main() -> None:
        store = open_store(tmp_path / "m.db")
        await store.transact([], [Put("a", b"old"), Put("b", b"")])
        await store.transact([], [Put("a", b'{"new":1}')])
        await store.compact(3)
        await store.close()

    asyncio.run(main())
    connection = sqlite3.connect(tmp_path / "m.db")
    assert connection.execute("SELECT k, v, version FROM kv ORDER BY k").fetchall() == [
        ("a", '{"new":1}', 2),
        ("b", "", 1),
    ]
    assert connection.execute("SELECT count(*) FROM ev").fetchone() == (2,)
    connection.close()
