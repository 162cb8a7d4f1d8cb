"""A watch on etcd that outlives its connection: it goes on from the last revision it has told.

A stream on which nothing comes for a tick is replaced by a new one, of the same member, from the
same revision. That shows a member that is gone, stuck or without a leader, a connection that was
dropped on the way in silence, and what etcd itself may have lost of the old stream; a member that
does not give a new stream in time is left for the next one. The reader never learns of any of it.

Progress notices are not asked for: before 3.5.8 they run ahead of events.

Counterparts: `etcd_store.py`, `etcd_gateway.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from kbroker.cluster.etcd_errors import EtcdError, Refusal
from kbroker.cluster.etcd_gateway import Gateway, Stream
from kbroker.cluster.etcd_messages import Message, all_keys, event_of
from kbroker.cluster.metadata_store import (
    CompactedError,
    MetadataStoreError,
    StoreUnavailableError,
    WatchBatch,
)

logger = logging.getLogger(__name__)

TICK_S = 2.0
PAUSE_S = 0.2
"""Between attempts, where a member does not give a stream."""


class EtcdWatch:
    """Mutable; one reader at a time. `ended` is told once, when it is closed."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        namespace: str,
        prefix: str,
        from_revision: int,
        ended: Callable[[EtcdWatch], None],
        tick_s: float = TICK_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._gateway = gateway
        self._namespace = namespace
        self._range = all_keys(namespace + prefix)
        self._next_revision = from_revision
        self._ended = ended
        self._tick_s = tick_s
        self._pause_s = pause_s
        self._stream: Stream | None = None
        self._reading: asyncio.Timeout | None = None
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[WatchBatch]:
        return self

    async def __anext__(self) -> WatchBatch:
        assert self._reading is None, "one reader at a time"
        try:
            # Without a deadline: `aclose` sets one, and so ends a wait without a task of its own.
            async with asyncio.timeout(None) as self._reading:
                while not self._is_closed:
                    batch = await self._proceed()
                    if batch is not None:
                        return batch
        except TimeoutError:
            assert self._is_closed
        finally:
            self._reading = None
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._drop_stream()
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())
        self._ended(self)

    async def _proceed(self) -> WatchBatch | None:
        try:
            if self._stream is None:
                self._stream = await self._open()
            try:
                async with asyncio.timeout(self._tick_s):
                    return self._taken(await self._stream.next())
            except TimeoutError:
                fresh = await self._open()
                self._drop_stream()
                self._stream = fresh
                return None
        except CompactedError:
            self._drop_stream()
            raise
        except MetadataStoreError as error:
            if self._stream is not None:
                self._failed(self._stream, error)
        self._drop_stream()
        await asyncio.sleep(self._pause_s)
        return None

    def _failed(self, stream: Stream, error: MetadataStoreError) -> None:
        if isinstance(error, EtcdError) and error.refusal is Refusal.TOKEN:
            self._gateway.forget_token()
        else:
            self._gateway.leave(stream.endpoint, error.detail)

    async def _open(self) -> Stream:
        """A stream that etcd has said to have begun."""
        request = {**self._range, "start_revision": str(self._next_revision)}
        stream = await self._gateway.stream("/v3/watch", {"create_request": request})
        has_begun = False
        try:
            async with asyncio.timeout(self._gateway.options.timeout_s):
                message = await stream.next()
            self._check(message)
            if not message.flag("created"):
                raise StoreUnavailableError(f"etcd at {stream.endpoint}: not a watch")
            has_begun = True
            return stream
        except TimeoutError:
            self._gateway.leave(stream.endpoint, "no answer in time")
            raise StoreUnavailableError(f"etcd at {stream.endpoint}: no answer in time") from None
        except CompactedError:
            raise
        except MetadataStoreError as error:
            self._failed(stream, error)
            raise
        finally:
            if not has_begun:
                stream.close()

    def _taken(self, message: Message) -> WatchBatch | None:
        self._check(message)
        events = tuple(event_of(each, self._namespace) for each in message.messages("events"))
        events = tuple(each for each in events if each.kv.mod_revision >= self._next_revision)
        if not events:
            return None
        revision = events[-1].kv.mod_revision
        self._next_revision = revision + 1
        return WatchBatch(revision, events)

    def _check(self, message: Message) -> None:
        if message.integer("compact_revision"):
            raise CompactedError(message.integer("compact_revision"))
        if message.flag("canceled"):
            reason = message.text("cancel_reason").rpartition("desc = ")[2]
            raise EtcdError(message.integer("code"), reason or "the watch was cancelled")

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
