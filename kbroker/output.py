"""The outgoing bytes of one connection: small answers together, file slices straight from the file.

A slow reader costs a few references, not a copy of what it has yet to read: file slices are written
only as fast as the socket takes them.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

from wire.records.file_slice import FileSlice

Part = bytes | bytearray | memoryview | FileSlice

HIGH_WATER_BYTES = 64 * 1024
"""Above this the transport tells us to stop writing."""

JOINED_BYTES = 64 * 1024
"""Small parts are joined up to about this much before they are written."""

INLINE_SLICE_BYTES = 64 * 1024
"""Slices up to this are read and joined with their neighbours: one system call beats sendfile."""

CHUNK_BYTES = 128 * 1024
"""Read size where sendfile cannot go on; above the high water mark, so that we are paused."""

COLD_READ_BYTES = 1024 * 1024
"""How much a thread reads at once from a file that is not in the page cache."""

PROBE_STRIDE_BYTES = 128 * 1024
"""The kernel reads ahead in such steps: one byte of each tells whether a range is cached."""


class OutputQueue:
    """The parts still to be written, in order. `congested` means: produce no more for now."""

    __slots__ = (
        "_closed",
        "_closing",
        "_loop",
        "_on_drained",
        "_only_bytes",
        "_paused",
        "_queue",
        "_reading_cold",
        "_sendfile_to",
        "_transport",
        "queued_bytes",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        on_drained: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._on_drained = on_drained
        self._queue: deque[Part] = deque()
        self.queued_bytes = 0  # in memory: file slices count nothing
        self._only_bytes = True  # no file slice is queued
        self._paused = False
        self._reading_cold = False
        self._closed = False
        self._closing = False
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=0)
        self._sendfile_to = _plain_socket(transport)

    @property
    def congested(self) -> bool:
        """Whether earlier answers have to leave before new ones are made."""
        return self._paused or self._reading_cold

    def put(self, parts: list[Part]) -> None:
        """Queue the parts of one answer; `drain` writes them."""
        if len(parts) == 1 and type(parts[0]) is not FileSlice:
            self.queued_bytes += len(parts[0])
        else:
            self._only_bytes = False
            self.queued_bytes += sum(len(part) for part in parts if type(part) is not FileSlice)
        self._queue.extend(parts)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self.drain()
        if not self.congested:
            self._on_drained()

    def close(self) -> None:
        """Hang up once everything queued has been written."""
        self._closing = True
        self.drain()

    def abandon(self) -> None:
        """The connection is gone."""
        self._closed = True
        queue, self._queue = self._queue, deque()
        for part in queue:
            if isinstance(part, FileSlice):
                part.release()

    def drain(self) -> None:
        """Write as much as the socket takes."""
        queue = self._queue
        if self._only_bytes and queue and not (self._paused or self._reading_cold):
            small_answers = list(queue)
            queue.clear()
            self._write(small_answers)  # type: ignore[arg-type]
        elif queue:
            self._drain_parts()
        if not queue:
            self._only_bytes = True
            self.queued_bytes = 0
            if self._closing and not self._closed:
                self._closed = True
                self._transport.close()

    def _drain_parts(self) -> None:
        queue = self._queue
        small: list[bytes | bytearray | memoryview] = []
        small_bytes = 0
        while queue and not (self._paused or self._reading_cold or self._closed):
            part = queue.popleft()
            if type(part) is not FileSlice:
                data: bytes | bytearray | memoryview | None = part  # type: ignore[assignment]
                self.queued_bytes -= len(part)
            else:
                data = self._read_small(part)
            if data is not None:
                small.append(data)
                small_bytes += len(data)
                if small_bytes < JOINED_BYTES:
                    continue
            self._write(small)
            small, small_bytes = [], 0
            if data is None and not self._closed:
                assert type(part) is FileSlice
                queue.appendleft(part)
                self._send_slice(part)
        self._write(small)

    def _read_small(self, part: FileSlice) -> bytes | None:
        """A slice that is small and in the page cache, consumed; else None."""
        if part.size > INLINE_SLICE_BYTES:
            return None
        data = _read_nowait(part, part.position, part.size)
        if data is None:
            return None
        if len(data) != part.size:
            self._abort()
        part.release()
        return data

    def _abort(self) -> None:
        """A file is shorter than what was promised of it: the client must not wait for the rest."""
        self._closed = True
        self._transport.abort()

    def _write(self, parts: list[bytes | bytearray | memoryview]) -> None:
        if self._closed:
            return
        if len(parts) == 1:
            self._transport.write(parts[0])
        elif parts:
            # One copy of small parts for one system call.
            self._transport.write(b"".join(parts))

    def _send_slice(self, part: FileSlice) -> None:
        """Send the slice at the head of the queue, or as much of it as the socket takes now."""
        if self._paused:
            return
        if not self._is_cached(part):
            self._read_cold(part)
            return
        descriptor = part.source.fileno()
        if self._sendfile_to is not None and descriptor is not None:
            while part.size and not self._transport.get_write_buffer_size():
                try:
                    sent = os.sendfile(self._sendfile_to, descriptor, part.position, part.size)
                except BlockingIOError:
                    break
                except OSError:
                    sent = 0
                if sent == 0:
                    self._abort()
                    return
                part.position += sent
                part.size -= sent
        if part.size:
            # The socket is full (or has no descriptor): one buffered chunk makes the transport
            # tell us when there is room again.
            data = _read_nowait(part, part.position, min(part.size, CHUNK_BYTES))
            if data is None:
                self._read_cold(part)
                return
            self._advance(part, data)
        if not part.size and self._queue and self._queue[0] is part:
            self._queue.popleft()
            part.release()

    def _advance(self, part: FileSlice, data: bytes) -> None:
        if not data:
            self._abort()
            return
        part.position += len(data)
        part.size -= len(data)
        self._transport.write(data)

    def _is_cached(self, part: FileSlice) -> bool:
        end = part.position + part.size
        for position in range(part.position, end, PROBE_STRIDE_BYTES):
            if _read_nowait(part, position, 1) is None:
                return False
        return _read_nowait(part, end - 1, 1) is not None

    def _read_cold(self, part: FileSlice) -> None:
        """Read from the disk in a thread; a consumer of old data stalls nobody else."""
        self._reading_cold = True
        size = min(part.size, COLD_READ_BYTES)
        source = part.source
        source.retain()  # a descriptor number is reused at once: not while a thread uses it
        future = self._loop.run_in_executor(None, source.read_at, part.position, size)

        def done(future: asyncio.Future[bytes]) -> None:
            source.release()
            self._reading_cold = False
            if self._closed or future.cancelled():
                return
            if future.exception() is not None:
                self._abort()
                return
            self._advance(part, future.result())
            if not part.size:
                self._queue.popleft()
                part.release()
            self.drain()
            if not self.congested:
                self._on_drained()

        future.add_done_callback(done)


def _read_nowait(part: FileSlice, position: int, size: int) -> bytes | None:
    """None where the bytes are not in the page cache; none at all where they cannot be read, which
    ends the connection like a file that is too short."""
    try:
        return part.source.read_at_nowait(position, size)
    except OSError:
        return b""


def _plain_socket(transport: asyncio.Transport) -> int | None:
    """The descriptor that sendfile may write to; None for TLS and for simulated transports."""
    if transport.get_extra_info("sslcontext") is not None:
        return None
    sock = transport.get_extra_info("socket")
    return sock.fileno() if sock is not None else None
