"""Tells a store that was restored from a backup from the one that this broker knew.

A restored store has forgotten the last changes of the metadata: who fell out of sync, which leader
epochs were given out. And it gives its revisions out a second time, so that comparisons with what
is remembered may hold by accident. No broker leads by it before somebody has accepted the loss
(`restoration.py`): that raises all epochs past whatever was forgotten, and notes an id in the
store, by which each broker then knows that going back is meant.

What a broker has seen is kept in a small file in its data directory, and written every
NOTE_INTERVAL_MS: a backup younger than that, restored under a broker that has crashed, is not
noticed. Counterparts: `opening.py` and `membership.py`, which ask.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_store import KeyValue, MetadataStore, StoreRefusedError
from log.file_system import FileSystem, write_atomically

logger = logging.getLogger(__name__)

SEEN_FILE = "metadata-seen"
"""Its name in the data directory: no partition's directory is called so."""
NOTE_INTERVAL_MS = 5_000
"""How often a broker asks whether the store is the one that it knows, and notes what it saw."""


class StoreRestoredError(StoreRefusedError):
    """The store has gone back in time, and nobody has said that it may."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`revision` and `controller_epoch`: the highest, 0 without any; `restore`: the id of the last
    restoration that was accepted, empty before the first."""

    revision: int = 0
    controller_epoch: int = 0
    restore: str = ""


def find_loss(
    seen: Seen, revision: int, controller_epoch: int, restores: tuple[str, ...]
) -> str | None:
    """What the store has forgotten, for a person; None: nothing that nobody has accepted.

    `controller_epoch` 0: there is no controller. `restores`: all that were accepted, in order.
    """
    last = restores[-1] if restores else ""
    if seen.restore != last:
        # Accepted since this broker was last here; or restored from before an acceptance.
        return None if seen.restore in ("", *restores) else f"the restoration {seen.restore}"
    if revision < seen.revision:
        return f"what came after revision {revision}; this broker has seen {seen.revision}"
    if 0 < controller_epoch < seen.controller_epoch:
        return f"the controller of epoch {seen.controller_epoch}; it knows {controller_epoch}"
    return None


def encode_restores(restores: tuple[str, ...]) -> bytes:
    return json.dumps({"restores": restores}).encode("ascii")


def decode_restores(kv: KeyValue | None) -> tuple[str, ...]:
    """The value of the key `restores`, of which there is none before the first. ValueError."""
    return () if kv is None else tuple(map(str, json.loads(kv.value)["restores"]))


class SeenFile:
    """One line of text: revision, controller epoch, id."""

    def __init__(self, file_system: FileSystem, path: str) -> None:
        self._file_system = file_system
        self._path = path

    def read(self) -> Seen:
        """Nothing seen where there is no file, or one that makes no sense. Raises OSError."""
        if not self._file_system.exists(self._path):
            return Seen()
        text = self._file_system.read_file(self._path)
        try:
            revision, controller_epoch, restore = text.decode("ascii").rstrip("\n").split(" ")
            return Seen(int(revision), int(controller_epoch), restore)
        except ValueError:
            logger.warning("%s makes no sense: %r", self._path, text[:100])
            return Seen()

    def write(self, seen: Seen) -> None:
        """Durable on return. Raises OSError."""
        line = f"{seen.revision} {seen.controller_epoch} {seen.restore}\n"
        write_atomically(self._file_system, self._path, line.encode("ascii"))


class StoreHistory:
    """Mutable: `check` the store whenever it may have become another one, `note` now and then.

    `reached` tells revision and controller epoch of the newest metadata in memory, 0 before any.
    """

    def __init__(self, store: MetadataStore, keys: Keys, file: SeenFile) -> None:
        """Raises OSError."""
        self.reached: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._store = store
        self._keys = keys
        self._file = file
        self._seen = self._noted = file.read()

    async def check(self) -> None:
        """StoreRestoredError; MetadataStoreError: it cannot be asked."""
        self._look()
        # What came after the question says nothing of the answer.
        seen = self._seen
        listing = await self._store.list(self._keys.restores)
        office = await self._store.get(self._keys.controller)
        by_key = {kv.key: kv for kv in listing.items}
        restores = decode_restores(by_key.get(self._keys.restores))
        epoch = 0 if office is None else office.create_revision
        loss = find_loss(seen, listing.revision, epoch, restores)
        if loss is not None:
            raise StoreRestoredError(
                f"the metadata store was restored from a backup, and has forgotten {loss}. To go on"
                " from what it knows, stop all brokers, and: kbroker metadata accept-restore"
            )
        last = restores[-1] if restores else ""
        if seen.restore != last and self.reached() != (0, 0):
            raise StoreRestoredError(
                "the metadata store was restored from a backup while this broker ran: start it anew"
            )
        if seen.restore != last:
            logger.info("metadata restored from a backup are accepted: %s", last)
            self._seen = Seen(listing.revision, epoch, last)

    async def note(self) -> None:
        """Keep what was seen for the next start, where that is news."""
        self._look()
        seen = self._seen
        if seen == self._noted:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._file.write, seen)
        except OSError as error:
            logger.warning("how far the metadata were seen cannot be noted: %s", error)
        else:
            self._noted = seen

    def _look(self) -> None:
        revision, controller_epoch = self.reached()
        seen = self._seen
        if revision > seen.revision or controller_epoch > seen.controller_epoch:
            self._seen = Seen(
                max(revision, seen.revision),
                max(controller_epoch, seen.controller_epoch),
                seen.restore,
            )
