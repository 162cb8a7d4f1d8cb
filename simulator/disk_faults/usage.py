"""The clients of a cell: they produce, commit and read, and judge what they are answered.

`Use` keeps what was acknowledged over all lives of the broker, and `seen`, what went wrong in ways
that a client notices.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field

from simulator.client import ConnectionGoneError, WireClient, connect
from simulator.clock import EPOCH_MS
from simulator.disk_faults import requests as ask
from wire.errors import ErrorCode, WireError
from wire.messages.fetch import FetchResponse, PartitionData
from wire.messages.list_offsets import ListOffsetsResponse
from wire.messages.offset_commit import OffsetCommitResponse
from wire.messages.offset_fetch import OffsetFetchResponse
from wire.messages.produce import ProduceResponse
from wire.records.batch import HEADER_SIZE, build_batch, crc_is_valid, iterate_batches, read_header
from wire.records.file_slice import FileSlice
from wire.records.record import Record, iterate_records

GROUP = "group"
TOPICS = ("orders", "ledger")
STEP_MS = 100
"""Between the timestamps of two batches."""
RECORDS = 2
"""In each batch."""
MOST_FETCHES = 200


@dataclass
class Promised:
    """What the broker has acknowledged. Mutable; copied from the scene for each cell."""

    records: dict[tuple[str, int], bytes] = field(default_factory=dict)
    times: dict[tuple[str, int], int] = field(default_factory=dict)
    aborted: dict[tuple[str, int], int] = field(default_factory=dict)
    """(topic, first offset) -> producer id."""
    starts: dict[str, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    last: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    """Topic -> the last batch of its producer, and its offset."""
    producers: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Topic -> id, epoch, next sequence."""
    batches: int = 0

    def copy(self) -> Promised:
        return Promised(
            dict(self.records),
            dict(self.times),
            dict(self.aborted),
            dict(self.starts),
            dict(self.committed),
            dict(self.last),
            dict(self.producers),
            self.batches,
        )


class Use:
    """Mutable. `seen` counts what was noticed; `wrong` are answers that contradict `promised`, as
    (topic, what): whether anybody was told is the experiment's business."""

    def __init__(self, address: tuple[str, int], promised: Promised) -> None:
        self.promised = promised
        self.seen: Counter[str] = Counter()
        self.wrong: list[tuple[str, str]] = []
        self.checksum_failed: set[str] = set()
        """Topics of which a batch with a wrong checksum was served."""
        self.out_of_place: set[str] = set()
        """Topics of which a batch with another offset than it should have was served."""
        self.errors: Counter[tuple[str, str]] = Counter()
        """(topic, API and error)."""
        self._address = address
        self._client: WireClient | None = None

    async def everything(self) -> None:
        """Write and read a little of all there is. Whatever happens is noted."""
        for topic in TOPICS:
            await self._try(topic, self.produce(topic))
            await self._try(topic, self.repeat(topic))
            await self._try(topic, self.commit(topic))
        await self.look()

    async def look(self) -> None:
        """Read everything and compare it with what was promised."""
        for topic in TOPICS:
            await self._try(topic, self.read_all(topic))
            await self._try(topic, self.read_here_and_there(topic))
            await self._try(topic, self.look_up(topic))
            await self._try(topic, self.read_commit(topic))

    async def _try(self, topic: str, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except ConnectionGoneError:
            self.seen["hung up"] += 1
            self.errors[topic, "hung up"] += 1
            self._client = None

    async def client(self) -> WireClient:
        if self._client is None or not self._client.is_open:
            self._client = await connect(self._address, "matrix", timeout_s=40.0)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def refused(self, topic: str, api: str, code: int) -> None:
        self.errors[topic, f"{api} {ErrorCode(code).name}"] += 1

    # --- writing ---

    async def begin(self, topic: str, **configs: str) -> None:
        """Make it, and a producer for it."""
        client = await self.client()
        await ask.create_topic(client, topic, **configs)
        producer_id, epoch = await ask.init_producer(client)
        self.promised.producers[topic] = (producer_id, epoch, 0)
        self.promised.starts[topic] = 0

    async def produce(self, topic: str, count: int = 1) -> None:
        for _ in range(count):
            await self._produce_one(topic)

    async def _produce_one(self, topic: str) -> None:
        promised = self.promised
        promised.batches += 1
        producer_id, epoch, sequence = promised.producers[topic]
        time_ms = EPOCH_MS + promised.batches * STEP_MS
        values = [b"%s/%d/%d" % (topic.encode(), promised.batches, i) for i in range(RECORDS)]
        data = build_batch(
            [Record(0, time_ms, None, value + b"." * 60, ()) for value in values],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
        )
        sent = bytes(data)
        code, offset = await self._send(topic, sent)
        if code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
            # What it had sent before is gone. It begins anew, as producers do.
            client = await self.client()
            promised.producers[topic] = (*await ask.init_producer(client), 0)
        if code:
            return
        promised.producers[topic] = (producer_id, epoch, sequence + RECORDS)
        promised.last[topic] = (sent, offset)
        for index, value in enumerate(values):
            if (topic, offset + index) in promised.records:
                self.wrong.append((topic, f"offset {offset + index} was given twice"))
            promised.records[topic, offset + index] = value
            promised.times[topic, offset + index] = time_ms

    async def _send(self, topic: str, data: bytes) -> tuple[int, int]:
        client = await self.client()
        answer = await client.send(ask.produce(topic, data), ask.PRODUCE, ProduceResponse)
        told = answer.responses[0].partition_responses[0]
        if told.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
            self.seen["sequence gap"] += 1
        elif told.error_code:
            self.refused(topic, "Produce", told.error_code)
        return told.error_code, told.base_offset

    async def repeat(self, topic: str) -> None:
        """The last batch again: a duplicate."""
        data, offset = self.promised.last[topic]
        code, told = await self._send(topic, data)
        if not code and told != offset:
            self.wrong.append((topic, f"a batch stored at {offset} was stored again at {told}"))
            for index in range(RECORDS):
                self.promised.records.setdefault((topic, told + index), b"")

    async def commit(self, topic: str) -> None:
        client = await self.client()
        offset = self.promised.batches
        answer = await client.send(
            ask.commit(GROUP, topic, offset), ask.COMMIT, OffsetCommitResponse
        )
        code = answer.topics[0].partitions[0].error_code
        if code:
            self.refused(topic, "OffsetCommit", code)
        else:
            self.promised.committed[topic] = offset

    async def delete_records(self, topic: str, offset: int) -> None:
        client = await self.client()
        code = await ask.delete_records(client, topic, offset)
        if code:
            self.refused(topic, "DeleteRecords", code)
        else:
            self.promised.starts[topic] = offset

    # --- reading ---

    async def _fetch(
        self, topic: str, offset: int, max_bytes: int, *, committed: bool = False
    ) -> PartitionData:
        client = await self.client()
        request = ask.fetch(topic, offset, max_bytes=max_bytes, read_committed=committed)
        answer = await client.send(request, ask.FETCH, FetchResponse)
        data: PartitionData = answer.responses[0].partitions[0]
        if data.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
            # What a consumer answers with a reset: it does not tell of a loss.
            self.seen["out of range"] += 1
        elif data.error_code:
            self.refused(topic, "Fetch", data.error_code)
        return data

    async def read_all(self, topic: str) -> None:
        """As a consumer that checks sums, and goes on behind a batch that it cannot read."""
        found: dict[int, bytes] = {}
        end = max((at for name, at in self.promised.records if name == topic), default=-1) + 1
        position = self.promised.starts[topic]
        unreadable: set[int] = set()
        for _ in range(MOST_FETCHES):
            if position >= end:
                break
            data = await self._fetch(topic, position, 2000, committed=True)
            self._check_aborted(topic, data)
            records = _bytes_of(data)
            next_offset = self._take(topic, records, position, found, unreadable)
            if data.error_code == 0 and not records and position < data.high_watermark:
                self.seen["stuck"] += 1
                self.wrong.append((topic, f"nothing is served at {position}"))
            if next_offset <= position:
                if data.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
                    break
                if data.error_code or records:
                    unreadable.add(position)
                next_offset = position + 1
            position = next_offset
        for (name, offset), value in self.promised.records.items():
            if name != topic or offset < self.promised.starts[topic] or offset in unreadable:
                continue
            if found.get(offset, b"")[: len(value)] != value:
                what = "is gone" if offset not in found else "has changed"
                self.wrong.append((topic, f"the record at {offset} {what}"))

    def _take(
        self,
        topic: str,
        data: bytes,
        position: int,
        found: dict[int, bytes],
        unreadable: set[int],
    ) -> int:
        """Enter the records of whole batches; the offset to go on at."""
        at = 0
        while at + HEADER_SIZE <= len(data):
            try:
                header = read_header(data, at)
            except WireError:
                self.checksum_failed.add(topic)
                return position
            if at + header.size_bytes > len(data):
                break
            if not crc_is_valid(data, at, header):
                self.checksum_failed.add(topic)
                unreadable.update(range(position, header.last_offset + 1))
                return max(position, min(header.last_offset + 1, position + RECORDS))
            try:
                records = list(iterate_records(data, at, max_decompressed_bytes=1 << 20))
            except WireError:
                self.checksum_failed.add(topic)
                return position
            if header.base_offset > position:
                self.out_of_place.add(topic)
            if not header.is_control:
                for record in records:
                    if record.offset >= position:
                        found[record.offset] = record.value or b""
            position = max(position, header.last_offset + 1)
            at += header.size_bytes
        return position

    def _check_aborted(self, topic: str, data: PartitionData) -> None:
        told = {
            (topic, each.first_offset): each.producer_id for each in data.aborted_transactions or ()
        }
        for (name, first), producer_id in told.items():
            if self.promised.aborted.get((name, first)) != producer_id:
                self.wrong.append((topic, f"no transaction of {producer_id} began at {first}"))
        records = _bytes_of(data)
        with contextlib.suppress(WireError):
            for _, header in iterate_batches(records):
                key = topic, header.base_offset
                if key in self.promised.aborted and key not in told:
                    self.wrong.append((topic, f"the aborted transaction at {key[1]} is not told"))

    async def read_here_and_there(self, topic: str) -> None:
        """Single batches in the middle, as the indexes find them."""
        offsets = sorted(
            at
            for name, at in self.promised.records
            if name == topic and at >= self.promised.starts[topic]
        )
        for offset in offsets[3 :: max(1, len(offsets) // 6)]:
            data = await self._fetch(topic, offset, 1)
            records = _bytes_of(data)
            if data.error_code:
                continue
            try:
                header = read_header(records, 0)
            except WireError:
                self.seen["malformed"] += 1
                self.checksum_failed.add(topic)
                continue
            if not crc_is_valid(records, 0, header):
                self.checksum_failed.add(topic)
            elif not header.base_offset <= offset <= header.last_offset:
                self.wrong.append((topic, f"asked for {offset}, served {header.base_offset}"))

    async def look_up(self, topic: str) -> None:
        """By time, and where the log starts."""
        client = await self.client()
        earliest = await client.send(
            ask.list_offsets(topic, ask.EARLIEST), ask.LIST_OFFSETS, ListOffsetsResponse
        )
        told = earliest.topics[0].partitions[0]
        start = self.promised.starts[topic]
        if told.error_code:
            self.refused(topic, "ListOffsets", told.error_code)
        elif told.offset < start:
            self.wrong.append((topic, f"it starts at {told.offset}, deleted up to {start}"))
        elif told.offset > start:
            self.wrong.append((topic, f"it starts at {told.offset}, not at {start}"))
        times = sorted(
            (time_ms, at)
            for (name, at), time_ms in self.promised.times.items()
            if name == topic and at >= start
        )
        for time_ms, offset in times[1 :: max(1, len(times) // 6)]:
            answer = await client.send(
                ask.list_offsets(topic, time_ms), ask.LIST_OFFSETS, ListOffsetsResponse
            )
            found = answer.topics[0].partitions[0]
            first = min(at for ms, at in times if ms == time_ms)
            if found.error_code:
                self.refused(topic, "ListOffsets", found.error_code)
            elif found.offset != first:
                text = f"the time of {first} was looked up as {found.offset} ({offset})"
                self.wrong.append((topic, text))

    async def read_commit(self, topic: str) -> None:
        client = await self.client()
        answer = await client.send(
            ask.read_commit(GROUP, topic), ask.READ_COMMIT, OffsetFetchResponse
        )
        group = answer.groups[0]
        if group.error_code:
            self.refused(topic, "OffsetFetch", group.error_code)
            return
        found = group.topics[0].partitions[0]
        if found.error_code:
            self.refused(topic, "OffsetFetch", found.error_code)
        elif found.committed_offset != self.promised.committed[topic]:
            promised = self.promised.committed[topic]
            text = f"offset {promised} was committed, {found.committed_offset} is told"
            self.wrong.append((topic, text))


def _bytes_of(data: PartitionData) -> bytes:
    """What came over a connection is in memory."""
    records = data.records or b""
    assert not isinstance(records, FileSlice)
    return bytes(records)
