"""The journal of a single node's metadata: one SQLite file, and the only importer of sqlite3.

Table `ev` holds every version of every key since the last compaction, in order; view `kv` shows
a person the newest. The running store reads neither: it holds both in memory (`memory_store.py`).

Why it is set up as it is:
- `synchronous=FULL`: NORMAL may lose an acknowledged transaction at power loss.
- WAL: a commit is one append and one fsync (the rollback journal needs three), and the statements
  before COMMIT touch memory only, so they may run on the event loop's thread. COMMIT, which
  waits for the disk and releases the GIL, runs in a thread of its own.
- `locking_mode=EXCLUSIVE` from the first access: one connection, one process, no shared-memory
  file; SQLite 3.7.0 to 3.51.2 can corrupt a WAL that several connections use.

Leases are not kept: they end with the process that granted them, and so do their keys.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_store import (
    KeyValue,
    MetadataStoreError,
    OutcomeUnknownError,
    StoreFullError,
)
from kbroker.cluster.revisioned_map import FIRST_REVISION, Change, RevisionedMap
from kbroker.cluster.topic_ids import RandomBits

SCHEMA_VERSION = 1
_PRIMARY_CODE = 0xFF  # SQLite's extended result codes keep the primary one in the low byte

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE store (revision INTEGER NOT NULL, compact_revision INTEGER NOT NULL);
INSERT INTO store VALUES ({FIRST_REVISION}, 0);
CREATE TABLE ev (
    seq INTEGER PRIMARY KEY,
    rev INTEGER NOT NULL,
    k TEXT NOT NULL,
    v BLOB NOT NULL,
    create_rev INTEGER NOT NULL,
    version INTEGER NOT NULL, -- 0: deleted
    lease INTEGER NOT NULL
);
CREATE INDEX ev_by_key ON ev (k, seq);
CREATE VIEW kv AS
    SELECT k, CAST(v AS TEXT) AS v, create_rev, rev AS mod_rev, version, lease FROM ev
    WHERE version > 0 AND NOT EXISTS
        (SELECT 1 FROM ev AS newer WHERE newer.k = ev.k AND newer.seq > ev.seq);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

_COMPACT = (
    # Superseded by a version that the compaction keeps ...
    "DELETE FROM ev WHERE rev < :compact AND EXISTS (SELECT 1 FROM ev AS newer"
    " WHERE newer.k = ev.k AND newer.seq > ev.seq AND newer.rev <= :compact)",
    # ... and only then the deletions that superseded.
    "DELETE FROM ev WHERE rev < :compact AND version = 0",
    "UPDATE store SET compact_revision = :compact",
)


class StoreFileError(MetadataStoreError):
    """The file cannot be used. The message is one line that names it and says why."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"metadata file {path}: {problem}")


def open_sqlite_store(path: str, random: RandomBits) -> MemoryStore:
    """The store kept in that file, which is made if absent; its directory must exist.

    StoreFileError: another process has it, it is no such file, or it cannot be read.
    """
    try:
        return _open(path, random)
    except sqlite3.Error as error:
        raise StoreFileError(path, _explain(error)) from error


def _open(path: str, random: RandomBits) -> MemoryStore:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_spill=OFF")  # nothing is written before COMMIT
        _check_schema(path, connection)
        journal = SqliteJournal(path, connection)
        contents = _load(connection)
        # The holders of all leases are gone: so are their keys.
        leased = [kv.key for kv in contents.list_prefix("").items if kv.lease]
        plan = contents.plan_deletion(leased)
        if plan.changes:
            journal.stage(plan.changes, 0)
            journal.commit()
            contents.apply(plan)
    except BaseException:
        connection.close()
        raise
    return MemoryStore(random, contents=contents, journal=journal)


def _check_schema(path: str, connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
            raise StoreFileError(path, "it is an SQLite database, but not one of kbroker")
        connection.executescript(_SCHEMA)
    elif version > SCHEMA_VERSION:
        raise StoreFileError(path, f"a newer kbroker wrote it (schema version {version})")
    # Even reading takes the exclusive lock, so from here on no other process gets in.


def _load(connection: sqlite3.Connection) -> RevisionedMap:
    revision, compact_revision = connection.execute("SELECT * FROM store").fetchone()
    newest: dict[str, KeyValue] = {}
    changes = []
    rows = connection.execute("SELECT k, v, create_rev, rev, version, lease FROM ev ORDER BY seq")
    for row in rows:
        kv = KeyValue(*row)
        changes.append(Change(newest.get(kv.key), kv))
        if kv.version > 0:
            newest[kv.key] = kv
        else:
            newest.pop(kv.key, None)
    contents = RevisionedMap()
    contents.restore(changes, revision, compact_revision)
    return contents


class SqliteJournal:
    """A Journal. Mutable: a transaction lies open between `stage` and `commit`."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.executor: Executor | None = ThreadPoolExecutor(1, thread_name_prefix="metadata")
        self._path = path
        self._connection = connection
        self._compact_revision = 0
        self._size_bytes = 0
        self._note_size()

    def stage(self, changes: Sequence[Change], compact_revision: int) -> None:
        rows = [
            (kv.mod_revision, kv.key, kv.value, kv.create_revision, kv.version, kv.lease)
            for kv in (change.after for change in changes)
        ]
        self._compact_revision = compact_revision
        self._note_size()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT INTO ev (rev, k, v, create_rev, version, lease) VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            if rows:
                self._connection.execute("UPDATE store SET revision = ?", (rows[0][0],))
        except sqlite3.Error as error:
            self._roll_back(error)

    def commit(self) -> None:
        try:
            if self._compact_revision:
                for statement in _COMPACT:
                    self._connection.execute(statement, {"compact": self._compact_revision})
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(error)

    def _roll_back(self, error: sqlite3.Error) -> None:
        """Raises what the failure means.

        A full disk refuses the write, and nothing of it counts. After anything else, a failed
        fsync above all, nobody knows what the disk holds, and asking again would not tell.
        """
        detail = f"metadata file {self._path}: {_explain(error)}"
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                raise OutcomeUnknownError(detail) from error
        if error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_FULL:
            raise StoreFullError(detail) from error
        raise OutcomeUnknownError(detail) from error

    def size_bytes(self) -> int:
        """As of the last transaction: asking now could wait for a commit."""
        return self._size_bytes

    def _note_size(self) -> None:
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (page_size,) = self._connection.execute("PRAGMA page_size").fetchone()
        self._size_bytes = pages * page_size

    def detail(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}, {self._path}"

    def close(self) -> None:
        if self.executor is not None:
            self.executor.shutdown()
        self._connection.close()


def _explain(error: sqlite3.Error) -> str:
    """SQLite's reason, where its own words would leave a user guessing."""
    match getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "another process is using it"
        case sqlite3.SQLITE_CANTOPEN:
            return "it cannot be opened; does its directory exist, and may you write there?"
        case sqlite3.SQLITE_READONLY:
            return "it is not writable"
        case sqlite3.SQLITE_NOTADB:
            return "it is not an SQLite database"
        case sqlite3.SQLITE_FULL:
            return "the disk is full"
    return str(error)
