"""Moves a stopped single node's metadata from its SQLite file into a store that brokers share.

Counterparts: `cluster/migration.py` (what is written, and in which order), `metadata_home.py` (what
the directory says afterwards), `cli/metadata.py` (the command).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_store import (
    Compare,
    MetadataStore,
    MetadataStoreError,
    Operation,
    OutcomeUnknownError,
)
from kbroker.cluster.migration import (
    MigrationRefusedError,
    Remaining,
    Source,
    batches,
    begin,
    compare_target,
    finish,
    read_source,
)
from kbroker.config.broker_config import BrokerConfig
from kbroker.metadata_home import SQLITE_FILE, is_members, leave_home
from log.checkpoints import CheckpointError, MetaProperties, decode_meta_properties
from log.file_system import FileSystem, OsFileSystem
from log.log_directory import CLEAN_SHUTDOWN, LOCK, META_PROPERTIES

__all__ = ["MigrationRefusedError", "MigrationReport", "migrate", "open_target", "write"]

OWN_NAME = "kbroker"
"""Of a single node's cluster in its own file."""
FRUITLESS_ROUNDS = 3
"""How often in a row the target is read anew without that anything had been written to it."""


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What is to be moved, or was. `remaining_count`: keys that are not there yet."""

    directory: str
    node_id: int
    cluster_id: str
    target: str  # the store, for a person
    counts: Mapping[str, int]
    remaining_count: int
    is_applied: bool


def migrate(
    config: BrokerConfig, *, apply: bool, wanted_node_id: int | None = None
) -> MigrationReport:
    """From `log.dirs` to `kbroker.metadata` of the configuration; without `apply` nothing is
    changed. MigrationRefusedError, in one line: something does not match, or is out of reach;
    then it can be repeated.
    """
    path = os.path.abspath(config.data_directories[0])
    file_system = OsFileSystem()
    try:
        with _stopped_node(file_system, path, wanted_node_id) as meta, asyncio.Runner() as runner:
            return runner.run(_migrate(config, file_system, path, meta, apply=apply))
    except OSError as error:
        reason = error.strerror or str(error)
        raise MigrationRefusedError(f"{error.filename or path}: {reason}") from None


@contextmanager
def _stopped_node(
    file_system: FileSystem, path: str, wanted_node_id: int | None
) -> Iterator[MetaProperties]:
    """Whose directory it is, which nobody else may use meanwhile. MigrationRefusedError."""
    if not file_system.exists(f"{path}/{META_PROPERTIES}"):
        raise MigrationRefusedError(f"{path} is no data directory: it has no {META_PROPERTIES}")
    try:
        lock = file_system.lock(f"{path}/{LOCK}")
    except BlockingIOError:
        raise MigrationRefusedError(f"{path} is in use by a broker: stop it first") from None
    try:
        yield _check_directory(file_system, path, wanted_node_id)
    finally:
        lock.close()


def _check_directory(
    file_system: FileSystem, path: str, wanted_node_id: int | None
) -> MetaProperties:
    name = f"{path}/{META_PROPERTIES}"
    try:
        meta = decode_meta_properties(file_system.read_file(name), name)
    except CheckpointError as error:
        raise MigrationRefusedError(str(error)) from None
    if wanted_node_id is not None and wanted_node_id != meta.node_id:
        raise MigrationRefusedError(
            f"{path} belongs to node {meta.node_id}, the configuration is of node {wanted_node_id}"
        )
    if not file_system.exists(f"{path}/{SQLITE_FILE}"):
        moved = "they were moved before" if is_members(file_system, path) else "there are none"
        raise MigrationRefusedError(f"{path} has no metadata of its own, no {SQLITE_FILE}: {moved}")
    if not file_system.exists(f"{path}/{CLEAN_SHUTDOWN}"):
        # It may also be the copy of a directory in use, whose parts do not match.
        raise MigrationRefusedError(
            f"{path} was not left by a clean stop: start the broker on it once more, and stop it"
        )
    return meta


async def _migrate(
    config: BrokerConfig, file_system: FileSystem, path: str, meta: MetaProperties, *, apply: bool
) -> MigrationReport:
    url = config.metadata_url()
    if url is None:
        raise MigrationRefusedError("the target is to be etcd://HOST:PORT,...[/NAME]")
    keys = Keys(url.cluster)
    try:
        async with open_target(config) as store:
            source = await _read_node(f"{path}/{SQLITE_FILE}", meta, keys)
            remaining = compare_target(source, await store.list(keys.prefix), keys)
            if apply:
                await write(store, source, keys)
                leave_home(file_system, path)
            return MigrationReport(
                directory=path,
                node_id=meta.node_id,
                cluster_id=source.cluster_id,
                target=(await store.status()).detail,
                counts=source.counts,
                remaining_count=0 if remaining.is_done else len(remaining.puts) + 1,
                is_applied=apply,
            )
    except MetadataStoreError as error:
        raise MigrationRefusedError(error.detail) from None


async def _read_node(path: str, meta: MetaProperties, keys: Keys) -> Source:
    # Imported here: nobody else who imports this module needs SQLite.
    from kbroker.cluster.sqlite import open_sqlite_store

    own = Keys(OWN_NAME)
    store = open_sqlite_store(path, random.Random(0))  # for the ids of leases, of which it has none
    try:
        listing = await store.list(own.prefix)
    finally:
        await store.close()
    source = read_source(listing, own, keys, node_id=meta.node_id)
    if source.cluster_id != meta.cluster_id:
        raise MigrationRefusedError(
            f"{path} is of cluster {source.cluster_id}, its directory of {meta.cluster_id}"
        )
    return source


@asynccontextmanager
async def open_target(config: BrokerConfig) -> AsyncIterator[MetadataStore]:
    """The etcd that `kbroker.metadata` names. MetadataStoreError."""
    from kbroker.cluster.etcd_opening import open_etcd_store

    url = config.metadata_url()
    assert url is not None
    store = await open_etcd_store(
        url,
        user=config.kbroker_metadata_etcd_user,
        password=config.kbroker_metadata_etcd_password,
        ca_file=config.kbroker_metadata_etcd_ca_file,
        allow_old=config.kbroker_metadata_etcd_allow_old,
        timeout_ms=config.kbroker_metadata_etcd_timeout_ms,
    )
    try:
        yield store
    finally:
        await store.close()


async def write(store: MetadataStore, source: Source, keys: Keys) -> None:
    """Bring the store to where the cluster is there, from wherever it is now.

    Each round reads what is there and goes on from that, so that it does not matter what became of
    a transaction, or of an earlier migration. MigrationRefusedError, MetadataStoreError.
    """
    fruitless = 0
    before: Remaining | None = None
    while True:
        remaining = compare_target(source, await store.list(keys.prefix), keys)
        if remaining.is_done:
            return
        fruitless = fruitless + 1 if remaining == before else 0
        if fruitless == FRUITLESS_ROUNDS:
            raise MigrationRefusedError("somebody else is writing there")
        before = remaining
        for compares, operations in _steps(source, remaining, keys):
            if not await _transact(store, compares, operations):
                break


def _steps(
    source: Source, remaining: Remaining, keys: Keys
) -> Iterator[tuple[Sequence[Compare], Sequence[Operation]]]:
    """What to do next. The last step is taken alone, right after everything was read back."""
    if not remaining.marker_revision:
        yield begin(source, keys)
    elif remaining.puts:
        yield from batches(remaining, keys)
    else:
        yield finish(source, remaining, keys)


async def _transact(
    store: MetadataStore, compares: Sequence[Compare], operations: Sequence[Operation]
) -> bool:
    """False: it was refused, or nobody knows; to be read anew."""
    try:
        return (await store.transact(compares, operations)).succeeded
    except OutcomeUnknownError:
        return False
