"""A client over one blocking socket: any number of requests in flight, answers in order."""

import socket
from typing import TypeVar

from wire.errors import ErrorCode
from wire.frame import read_response, request_frame
from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from wire.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from wire.records.batch import build_batch, iterate_batches
from wire.records.record import Record, iterate_records
from wire.schema import NIL_UUID, Request, Response

TIMEOUT_S = 60.0
MAX_BYTES = 1 << 24
TIMESTAMP_MS = 1_600_000_000_000

PRODUCE_VERSION = 12
FETCH_VERSION = 12
COMMIT_VERSION = 9

ResponseT = TypeVar("ResponseT", bound=Response)


class Disconnected(Exception):
    """The broker is gone, or hung up."""


class RawClient:
    """One connection. Mutable; `in_flight` counts the requests that are not answered."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.in_flight = 0
        self._sent = 0
        self._answered = 0
        self._buffer = bytearray()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: Request, version: int) -> None:
        """Send it; that the broker is gone shows at the next read."""
        self._sent += 1
        self.in_flight += 1
        frame = request_frame(request, version, self._sent, "process test")
        try:
            self.socket.sendall(b"".join(bytes(part) for part in frame))
        except (BrokenPipeError, ConnectionResetError):
            return

    def read_frames(self) -> list[bytes]:
        """What one read brings: whole frames without their lengths, perhaps none. Disconnected."""
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Disconnected
        buffer = self._buffer
        buffer += data
        frames = []
        position = 0
        while len(buffer) >= position + 4:
            size = int.from_bytes(buffer[position : position + 4], "big")
            if len(buffer) < position + 4 + size:
                break
            frames.append(bytes(buffer[position + 4 : position + 4 + size]))
            position += 4 + size
        del buffer[:position]
        return frames

    def decode(self, cls: type[ResponseT], version: int, frame: bytes) -> ResponseT:
        """The answer to the oldest request in flight."""
        correlation_id, response = read_response(cls, version, frame)
        self._answered += 1
        self.in_flight -= 1
        assert correlation_id == self._answered, "answers come in the order of the requests"
        return response

    def ask(self, request: Request, version: int, cls: type[ResponseT]) -> ResponseT:
        """Send it with nothing else in flight, and wait."""
        assert self.in_flight == 0
        self.send(request, version)
        frames: list[bytes] = []
        while not frames:
            frames = self.read_frames()
        assert len(frames) == 1
        return self.decode(cls, version, frames[0])

    # What tests ask for most.

    def create_topic(
        self, name: str, *, partitions: int = 1, timeout_ms: int = 60_000, **configs: str
    ) -> bytes:
        """Create it, with `configs` as `segment_bytes="1048576"`; its id."""
        response = self.try_create_topic(
            name, partitions=partitions, timeout_ms=timeout_ms, **configs
        )
        assert response.topics[0].error_code == 0, response
        return response.topics[0].topic_id

    def try_create_topic(
        self, name: str, *, partitions: int = 1, timeout_ms: int = 60_000, **configs: str
    ) -> CreateTopicsResponse:
        return self.ask(
            create_topic_request(name, partitions=partitions, timeout_ms=timeout_ms, **configs),
            7,
            CreateTopicsResponse,
        )

    def delete_topic(self, name: str) -> int:
        response = self.ask(delete_topic_request(name), 6, DeleteTopicsResponse)
        return response.responses[0].error_code

    def metadata(self, *topics: str, auto_create: bool = False) -> MetadataResponse:
        """Of these topics, or of all if there are none."""
        wanted = [MetadataRequestTopic(name=name) for name in topics] if topics else None
        request = MetadataRequest(topics=wanted, allow_auto_topic_creation=auto_create)
        return self.ask(request, 12, MetadataResponse)

    def topic_id(self, name: str) -> bytes:
        (topic,) = self.metadata(name).topics
        assert topic.error_code == 0, topic
        return topic.topic_id

    def init_producer(self) -> tuple[int, int]:
        """A new producer id and its epoch."""
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        response = self.ask(request, 4, InitProducerIdResponse)
        assert response.error_code == 0
        return response.producer_id, response.producer_epoch

    def find_coordinator(self, group: str) -> int:
        """The error code; asking creates `__consumer_offsets`."""
        request = FindCoordinatorRequest(coordinator_keys=[group])
        response = self.ask(request, 6, FindCoordinatorResponse)
        return response.coordinators[0].error_code

    def produce(
        self, topic: str, partition: int, data: bytes | bytearray, *, acks: int = -1
    ) -> PartitionProduceResponse:
        request = produce_request(topic, partition, data, acks=acks)
        response = self.ask(request, PRODUCE_VERSION, ProduceResponse)
        return response.responses[0].partition_responses[0]

    def fetch(self, topic: str, partition: int, offset: int, *, wait_ms: int = 0) -> PartitionData:
        request = fetch_request(topic, {partition: offset}, wait_ms=wait_ms)
        response = self.ask(request, FETCH_VERSION, FetchResponse)
        assert response.error_code == 0
        topic_response: FetchableTopicResponse = response.responses[0]
        return topic_response.partitions[0]

    def read_all(self, topic: str, partition: int, offset: int = 0) -> list[tuple[int, bytes]]:
        """(offset, value) of every record from `offset` up to the high watermark."""
        found: list[tuple[int, bytes]] = []
        while True:
            data = self.fetch(topic, partition, offset)
            assert data.error_code == 0, ErrorCode(data.error_code).name
            records = values_in(data.records)
            found += [(at, value) for at, value in records if at >= offset]
            if offset >= data.high_watermark:
                return found
            assert found, f"nothing at {offset} below the high watermark {data.high_watermark}"
            assert found[-1][0] >= offset, f"nothing at {offset} of {data.high_watermark}"
            offset = found[-1][0] + 1

    def committed_offset(self, group: str, topic: str, partition: int) -> int:
        request = OffsetFetchRequest(
            groups=[
                OffsetFetchRequestGroup(
                    group_id=group,
                    topics=[OffsetFetchRequestTopics(name=topic, partition_indexes=[partition])],
                )
            ]
        )
        response = self.ask(request, 9, OffsetFetchResponse)
        assert response.groups[0].error_code == 0, response
        found = response.groups[0].topics[0].partitions[0]
        assert found.error_code == 0, found
        return found.committed_offset


def batch(
    *values: bytes,
    producer: tuple[int, int] = (-1, -1),
    sequence: int = -1,
    timestamp_ms: int = TIMESTAMP_MS,
) -> bytearray:
    """A record batch with these values; `producer` is (id, epoch)."""
    return build_batch(
        [Record(offset=0, timestamp_ms=timestamp_ms, key=None, value=value) for value in values],
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=sequence,
    )


def values_in(records: object) -> list[tuple[int, bytes]]:
    """(offset, value) of the whole batches that a Fetch answered."""
    data = memoryview(records or b"")  # type: ignore[call-overload]
    return [
        (record.offset, record.value)
        for position, _ in iterate_batches(data)
        for record in iterate_records(data, position, max_decompressed_bytes=MAX_BYTES)
        if record.value is not None
    ]


def produce_request(
    topic: str, partition: int, data: bytes | bytearray, *, acks: int = -1
) -> ProduceRequest:
    return ProduceRequest(
        acks=acks,
        timeout_ms=60_000,
        topic_data=[
            TopicProduceData(
                name=topic,
                partition_data=[PartitionProduceData(index=partition, records=memoryview(data))],
            )
        ],
    )


def fetch_request(
    topic: str, offsets: dict[int, int], *, wait_ms: int = 0, max_bytes: int = MAX_BYTES
) -> FetchRequest:
    """From these offsets of partitions of a topic, without a session."""
    return FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        topics=[
            FetchTopic(
                topic=topic,
                partitions=[
                    FetchPartition(
                        partition=partition, fetch_offset=offset, partition_max_bytes=max_bytes
                    )
                    for partition, offset in offsets.items()
                ],
            )
        ],
    )


def commit_request(group: str, topic: str, partition: int, offset: int) -> OffsetCommitRequest:
    """From a consumer that assigned itself."""
    return OffsetCommitRequest(
        group_id=group,
        member_id="",
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=partition, committed_offset=offset, committed_metadata=""
                    )
                ],
            )
        ],
    )


def create_topic_request(
    name: str, *, partitions: int = 1, timeout_ms: int = 60_000, **configs: str
) -> CreateTopicsRequest:
    return CreateTopicsRequest(
        topics=[
            CreatableTopic(
                name=name,
                num_partitions=partitions,
                replication_factor=-1,
                assignments=[],
                configs=[
                    CreatableTopicConfig(name=key.replace("_", "."), value=value)
                    for key, value in configs.items()
                ],
            )
        ],
        timeout_ms=timeout_ms,
    )


def delete_topic_request(name: str) -> DeleteTopicsRequest:
    return DeleteTopicsRequest(
        topics=[DeleteTopicState(name=name, topic_id=NIL_UUID)], timeout_ms=60_000
    )
