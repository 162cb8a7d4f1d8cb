"""The floor: the least a Python broker must do for a Produce or a Fetch, and nothing more.

    python -m bench.floor --data DIR --listen 127.0.0.1:0 \
        --loop asyncio|uvloop --flush none|group --read pread|sendfile

It is the yardstick for kbroker, so it is honest about the work and lax about all else. It does
what no broker can leave out: cut frames out of the stream, find the topic and partition, check
each batch's CRC-32C, stamp its base offset, append it to a file with one system call, answer with
the right bytes; read back whole ranges of that file; and with `--flush group` hold answers until
an fdatasync covers them (one flush serves every append that came before it, on all connections,
while the next requests are already being read). It does not validate, authorise, index on disk,
roll, recover, bound its memory, or know a second version of any request: Produce v7, Fetch v11
without sessions, CreateTopics v4 (every topic exists), each with one topic and one partition.

The counterpart is wireload.c, which sends exactly these requests.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import struct
import sys
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import crc32c

PRODUCE, FETCH, CREATE_TOPICS = 0, 1, 19
RECEIVE_BYTES = 4 << 20
MOVE_BELOW_BYTES = 2 << 20
"""Bytes held are moved to the front of the buffer once less room than this remains behind them."""

read_length = struct.Struct(">i").unpack_from
read_request_header = struct.Struct(">hhih").unpack_from
read_batch_header = struct.Struct(">qiibIhiqqqhii").unpack_from
write_base_offset = struct.Struct(">q").pack_into


class Log:
    """One partition: a file of batches and, in memory, where each of them starts."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.next_offset = 0
        self.size = 0
        self.base_offsets: list[int] = []
        self.positions: list[int] = []

    def append(self, batch: memoryview) -> int:
        """Stamps the batch's base offset into it, writes it, and returns that offset."""
        header = read_batch_header(batch, 0)
        if crc32c.crc32c(batch[21:]) != header[4]:
            raise ValueError("a batch with a wrong CRC")
        base_offset = self.next_offset
        write_base_offset(batch, 0, base_offset)
        os.pwrite(self.fd, batch, self.size)
        self.base_offsets.append(base_offset)
        self.positions.append(self.size)
        self.size += len(batch)
        self.next_offset = base_offset + header[12]
        return base_offset

    def position_of(self, offset: int) -> int:
        """Where the batch that holds `offset` starts; the end of the file past the last."""
        if offset >= self.next_offset:
            return self.size
        return self.positions[bisect_right(self.base_offsets, offset) - 1]


class Logs:
    """The partitions, created when first named, and the group commit over all of them."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.logs: dict[tuple[bytes, int], Log] = {}
        self.dirty: set[Log] = set()
        self.waiting: list[Connection] = []
        self.flusher = ThreadPoolExecutor(1, "flusher")
        self.is_flushing = False

    def log(self, topic: bytes, partition: int) -> Log:
        log = self.logs.get((topic, partition))
        if log is None:
            path = os.path.join(self.directory, f"{topic.decode()}-{partition}.log")
            log = self.logs[topic, partition] = Log(path)
        return log

    def flush_for(self, connection: Connection) -> None:
        """Calls `connection.flushed()` once all that was appended until now is on the disk."""
        self.waiting.append(connection)
        if not self.is_flushing:
            self.start_flush()

    def start_flush(self) -> None:
        self.is_flushing = True
        covered, self.waiting = self.waiting, []
        descriptors = [log.fd for log in self.dirty]
        self.dirty.clear()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self.flusher, flush_files, descriptors)
        future.add_done_callback(lambda done: self.flush_done(done, covered))

    def flush_done(self, done: asyncio.Future[None], covered: list[Connection]) -> None:
        done.result()
        self.is_flushing = False
        for connection in covered:
            connection.flushed()
        if self.waiting and not self.is_flushing:
            self.start_flush()


def flush_files(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.fdatasync(descriptor)


class Connection(asyncio.BufferedProtocol):
    """Answers every whole request of a read with one write.

    `answers` are those of the current reads; with group commit they become `unflushed` while a
    flush that covers them runs, and reading goes on meanwhile.
    """

    def __init__(self, logs: Logs, *, flush: bool, use_sendfile: bool) -> None:
        self.logs = logs
        self.flush = flush
        self.use_sendfile = use_sendfile
        self.buffer = bytearray(RECEIVE_BYTES)
        self.view = memoryview(self.buffer)
        self.start = self.end = 0  # the bytes received and not yet parsed
        self.answers: list[bytes] = []
        self.unflushed: list[bytes] = []
        self.awaits_flush = False
        self.file_part: tuple[int, int, int] | None = None  # descriptor, position, bytes left
        self.waits_for_room = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transports do not inherit asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(1 << 20)
        # sendfile needs a descriptor of its own: the transport's may not be watched by others.
        self.socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))

    def connection_lost(self, error: Exception | None) -> None:
        if self.waits_for_room:
            asyncio.get_running_loop().remove_writer(self.socket)
        self.file_part = None
        self.socket.close()

    def get_buffer(self, size_hint: int) -> memoryview:
        return self.view[self.end :]

    def buffer_updated(self, count: int) -> None:
        self.end += count
        self.serve()

    def serve(self) -> None:
        """Executes every whole request that was received, then sends what there is to answer."""
        view, start, end = self.view, self.start, self.end
        while end - start >= 4 and self.file_part is None:
            length = read_length(view, start)[0]
            if end - start - 4 < length:
                break
            key, _, correlation_id, client_id_length = read_request_header(view, start + 4)
            body = start + 14 + max(client_id_length, 0)
            start += 4 + length
            if key == PRODUCE:
                self.answers.append(self.produce(body, correlation_id))
            elif key == FETCH:
                self.fetch(body, correlation_id)
            elif key == CREATE_TOPICS:
                self.answers.append(create_topics(view, body, correlation_id))
            else:
                raise ValueError(f"API key {key} is above the floor")
        if start == end:
            start = end = 0
        elif RECEIVE_BYTES - end < MOVE_BELOW_BYTES:
            self.buffer[: end - start] = bytes(view[start:end])
            start, end = 0, end - start
        self.start, self.end = start, end
        self.send_answers()

    def send_answers(self) -> None:
        if not self.answers:
            return
        if not self.flush:
            self.transport.write(b"".join(self.answers))
            self.answers.clear()
        elif not self.awaits_flush:
            self.awaits_flush = True
            self.unflushed, self.answers = self.answers, []
            self.logs.flush_for(self)

    def flushed(self) -> None:
        self.awaits_flush = False
        if not self.transport.is_closing():
            self.transport.write(b"".join(self.unflushed))
            self.send_answers()

    def produce(self, at: int, correlation_id: int) -> bytes:
        """Appends the one batch of a Produce v7 whose body starts at `at`; the answer's frame."""
        view = self.view
        at += 2 + max(struct.unpack_from(">h", view, at)[0], 0)  # transactional id
        at += 2 + 4 + 4  # acks, timeout, count of topics
        topic_length = struct.unpack_from(">h", view, at)[0]
        topic = bytes(view[at + 2 : at + 2 + topic_length])
        at += 2 + topic_length + 4  # count of partitions
        partition, size = struct.unpack_from(">ii", view, at)
        log = self.logs.log(topic, partition)
        base_offset = log.append(view[at + 8 : at + 8 + size])
        if self.flush:
            self.logs.dirty.add(log)
        answer = b"".join(
            (
                struct.pack(">iih", correlation_id, 1, topic_length),
                topic,
                # partitions, index, error, base offset, append time, log start, throttle
                struct.pack(">iihqqqi", 1, partition, 0, base_offset, -1, 0, 0),
            )
        )
        return struct.pack(">i", len(answer)) + answer

    def fetch(self, at: int, correlation_id: int) -> None:
        """Answers a Fetch v11 of one partition whose body starts at `at`."""
        view = self.view
        at += 4 + 4 + 4 + 4 + 1 + 4 + 4 + 4  # replica, waits, limits, session, count of topics
        topic_length = struct.unpack_from(">h", view, at)[0]
        topic = bytes(view[at + 2 : at + 2 + topic_length])
        at += 2 + topic_length + 4
        partition, _, offset, _, max_bytes = struct.unpack_from(">iiqqi", view, at)
        log = self.logs.log(topic, partition)
        position = log.position_of(offset)
        size = min(max_bytes, log.size - position)
        end_offset = log.next_offset
        head = b"".join(
            (
                # throttle, error, session, count of topics
                struct.pack(">iihiih", correlation_id, 0, 0, 0, 1, topic_length),
                topic,
                # partitions, index, error, high watermark, last stable, log start, no aborted
                # transactions, no preferred replica, size of the records
                struct.pack(">iihqqqiii", 1, partition, 0, end_offset, end_offset, 0, 0, -1, size),
            )
        )
        head = struct.pack(">i", len(head) + size) + head
        if not self.use_sendfile:
            self.answers += (head, os.pread(log.fd, size, position))
            return
        self.send_answers()
        assert self.transport.get_write_buffer_size() == 0, "a load sends only one kind of request"
        self.socket.send(head, socket.MSG_MORE)
        self.file_part = (log.fd, position, size)
        self.send_file()

    def send_file(self) -> None:
        """Moves file bytes into the socket until it is full; goes on when it has room again."""
        assert self.file_part is not None
        descriptor, position, size = self.file_part
        while size:
            try:
                count = os.sendfile(self.socket.fileno(), descriptor, position, size)
            except BlockingIOError:
                self.file_part = (descriptor, position, size)
                if not self.waits_for_room:
                    self.waits_for_room = True
                    asyncio.get_running_loop().add_writer(self.socket, self.send_file)
                return
            position += count
            size -= count
        self.file_part = None
        if self.waits_for_room:
            self.waits_for_room = False
            asyncio.get_running_loop().remove_writer(self.socket)
            self.serve()  # the requests behind this one


def create_topics(view: memoryview, at: int, correlation_id: int) -> bytes:
    """Says yes to a CreateTopics v4 of one topic."""
    topic_length = struct.unpack_from(">h", view, at + 4)[0]
    topic = bytes(view[at + 6 : at + 6 + topic_length])
    answer = b"".join(
        (
            struct.pack(">iiih", correlation_id, 0, 1, topic_length),  # throttle, topics
            topic,
            struct.pack(">hh", 0, -1),  # no error, no message
        )
    )
    return struct.pack(">i", len(answer)) + answer


async def serve(listen: str, data: str, *, flush: bool, use_sendfile: bool) -> None:
    """Serves until SIGTERM; the ready line on stdout ends in the address."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    logs = Logs(data)
    host, _, port = listen.rpartition(":")
    server = await loop.create_server(
        lambda: Connection(logs, flush=flush, use_sendfile=use_sendfile), host, int(port)
    )
    address = server.sockets[0].getsockname()
    sys.stdout.write(f"ready on {address[0]}:{address[1]}\n")
    sys.stdout.flush()
    await stopped.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--data", required=True, metavar="DIR", help="an existing directory")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--flush", choices=("none", "group"), default="none")
    parser.add_argument("--read", choices=("pread", "sendfile"), default="sendfile")
    options = parser.parse_args()
    serving = serve(
        options.listen,
        options.data,
        flush=options.flush == "group",
        use_sendfile=options.read == "sendfile",
    )
    if options.loop == "uvloop":
        import uvloop

        uvloop.run(serving)
    else:
        asyncio.run(serving)


if __name__ == "__main__":
    main()
