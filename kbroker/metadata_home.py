"""Where the metadata of a data directory's partitions are: in it, or in a store that is shared.

A broker that looked for them in the wrong place would find no topics there, and take every
partition in the directory for a stray. Counterparts: `opening`, which asks before it opens
anything, `metadata_migration`, which moves them.
"""

from __future__ import annotations

from kbroker.cluster.lease_file import LEASE_FILE, NO_LEASE, LeaseFile
from log.file_system import FileSystem

SQLITE_FILE = "metadata.sqlite"
MIGRATED_FILE = f"{SQLITE_FILE}.migrated"
WRITE_AHEAD = "-wal"
"""What SQLite adds to the name of a file whose last changes are beside it."""


def find_mismatch(file_system: FileSystem, path: str, *, is_shared: bool) -> str | None:
    """Why the directory's metadata are not where this broker looks, in one line; None: they are,
    or there are none yet. Raises OSError."""
    has_own = file_system.exists(f"{path}/{SQLITE_FILE}")
    if is_shared and has_own:
        return (
            f"{path} has metadata of its own, {SQLITE_FILE}; to move them:"
            f" kbroker metadata migrate --data {path} --to URL"
        )
    if not is_shared and is_members(file_system, path):
        return (
            f"{path} belongs to a broker of a cluster, whose metadata are in etcd:"
            " name it with --metadata etcd://HOST:PORT"
        )
    return None


def is_members(file_system: FileSystem, path: str) -> bool:
    """Whether a broker of a cluster has run there, or is to. Raises OSError."""
    return any(file_system.exists(f"{path}/{name}") for name in (MIGRATED_FILE, LEASE_FILE))


def leave_home(file_system: FileSystem, path: str) -> None:
    """Nobody takes the metadata in the directory for its own any more. Durable on return; to be
    repeated if it fails. Raises OSError."""
    lease_file = f"{path}/{LEASE_FILE}"
    if not file_system.exists(lease_file):
        LeaseFile(file_system, lease_file).write(NO_LEASE)
    for end in ("", WRITE_AHEAD):
        if file_system.exists(f"{path}/{SQLITE_FILE}{end}"):
            file_system.rename(f"{path}/{SQLITE_FILE}{end}", f"{path}/{MIGRATED_FILE}{end}")
    file_system.sync_directory(path)
