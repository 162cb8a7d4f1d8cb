"""Keeps a MetadataImage current: reads everything at one revision, then follows the watch.

Counterparts: `metadata_image.py` (what is kept current, and what counts as a change),
`metadata_store.py` (where it comes from). The caller starts `run` as a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from heapq import heappop, heappush

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_image import MetadataDelta, MetadataImage
from kbroker.cluster.metadata_store import (
    CompactedError,
    MetadataStore,
    MetadataStoreError,
    StoreUnavailableError,
)

logger = logging.getLogger(__name__)

RETRY_DELAY_S = 0.5
"""Between attempts to follow a store that cannot be reached."""

CATCH_UP_S = 1.0
"""What the watch gets to tell of a revision before everything is read instead."""

OnChange = Callable[[MetadataDelta], None]


class MetadataCache:
    """`image` is always some revision's truth, a little behind the store's newest.

    Callbacks run in the loop's thread, synchronously, in the order of their registration, when
    the image has already changed; they must neither wait nor raise.
    """

    def __init__(self, store: MetadataStore, keys: Keys) -> None:
        self.image = MetadataImage(keys)
        self._store = store
        self._keys = keys
        self._callbacks: list[OnChange] = []
        # (revision, number, future): the number keeps futures from being compared.
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waited_count = 0

    def on_change(self, callback: OnChange) -> None:
        """Call it after each change from now on; what is there already is in `image`."""
        self._callbacks.append(callback)

    async def load(self) -> None:
        """Read everything. At start, before `run`; later it repairs what a watch may have lost."""
        listing = await self._store.list(self._keys.prefix)
        # Computed only now: the image may have moved on while the reading was under way.
        self._publish(self.image.replace_with(listing))

    async def run(self) -> None:
        """Follow the store for ever; ends by cancellation, or when the store is closed.

        `load` comes first. A store out of reach is asked again, and a gap in the history is
        bridged by reading everything.
        """
        assert self.image.revision > 0, "load first"
        while True:
            try:
                await self._follow()
                return
            except CompactedError as error:
                logger.info("metadata read anew: %s", error.detail)
                await self._reload()
            except MetadataStoreError as error:
                logger.warning("cluster metadata cannot be followed: %s", error.detail)
                await asyncio.sleep(RETRY_DELAY_S)

    async def wait_until(self, revision: int) -> None:
        """Return once the image is at `revision` or later.

        Meant for the revision of a change to this cluster's keys: in a store that others use
        too, no event may ever tell that somebody else's revision has passed.
        """
        if revision <= self.image.revision:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waited_count += 1
        heappush(self._waiting, (revision, self._waited_count, reached))
        await reached

    async def catch_up(self) -> None:
        """Return once the image shows all that the store held at the call. MetadataStoreError."""
        await self.reach((await self._store.list(self._keys.controller)).revision)

    async def reach(self, revision: int) -> None:
        """As `wait_until`, for any revision that the store has reached. MetadataStoreError."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self.wait_until(revision)
        except TimeoutError:
            await self.load()  # it may be somebody else's, of which nothing is told

    async def _follow(self) -> None:
        watch = self._store.watch(self._keys.prefix, self.image.revision + 1)
        async with aclosing(watch):
            async for batch in watch:
                self._publish(self.image.apply(batch))
                # A long backlog would come without a pause: let others run in between.
                await asyncio.sleep(0)

    async def _reload(self) -> None:
        while True:
            try:
                await self.load()
                return
            except StoreUnavailableError as error:
                logger.warning("cluster metadata cannot be read: %s", error.detail)
                await asyncio.sleep(RETRY_DELAY_S)

    def _publish(self, delta: MetadataDelta) -> None:
        if not delta.is_empty:
            for callback in self._callbacks:
                callback(delta)
        while self._waiting and self._waiting[0][0] <= self.image.revision:
            _, _, reached = heappop(self._waiting)
            if not reached.done():
                reached.set_result(None)
