"""Targets of the broker above its log: frames, coordinators' records, metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from random import Random
from struct import pack

from coordinator.group.records import (
    decode_group_metadata_key,
    decode_group_metadata_value,
    decode_offset_commit_key,
    decode_offset_commit_value,
)
from coordinator.group.settings import GroupSettings
from coordinator.group.shard import GroupShard
from coordinator.group.subscription import subscribed_topics
from coordinator.outcome import Moment
from kbroker.cli.group_listing import read_assignment
from kbroker.cluster import metadata_records as records
from kbroker.cluster.keys import Keys
from kbroker.receive_buffer import FrameReader, FrameTooLarge, ReceiveMemory
from tests.fuzz.messages import message_sample
from tests.fuzz.mutation import Sample, lines
from tests.fuzz.target import Target, require
from wire.errors import WireError
from wire.messages.offset_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)

MOST_FRAME = 1 << 16


def kbroker_targets() -> Iterator[Target]:
    yield Target(
        "frames",
        frames_sample,
        check_frames,
        covers=("kbroker.receive_buffer.FrameReader",),
        weight=15,
    )
    yield from coordinator_targets()
    yield from metadata_targets()


# Frames.


def frames_sample(chance: Random) -> Sample:
    """Where to split what follows, then frames."""
    pieces = [chance.randbytes(4)]
    kinds = "d"
    for _ in range(chance.choice((1, 2, 5))):
        body = chance.randbytes(chance.choice((0, 1, 10, 200, 5000)))
        pieces += [pack(">i", len(body)), body]
        kinds += "id"
    return Sample(pieces, kinds)


def check_frames(data: bytes) -> None:
    """Frames and what is left are the same however the bytes arrive."""
    stream = memoryview(data)[4:]
    expected, refused = plainly_cut(stream)
    memory = ReceiveMemory(budget_bytes=1 << 20, max_frame_bytes=MOST_FRAME)
    reader = FrameReader(memory)
    found: list[bytes] = []
    hung_up = False
    for piece in pieces_of(stream, data[:4]):
        try:
            room = reader.buffer()
            require(len(room) > 0, "nowhere to read to")
            size = min(len(room), len(piece))
            while piece:
                room = reader.buffer()
                size = min(len(room), len(piece))
                room[:size] = piece[:size]
                piece = piece[size:]
                reader.received(size)
                while (frame := reader.next_frame()) is not None:
                    found.append(bytes(frame))
                reader.keep_rest()
        except FrameTooLarge:
            hung_up = True
            break
    require(hung_up is refused, f"refused: {hung_up}, should be {refused}")
    require(found == expected, f"{len(found)} frames of {len(expected)}")
    reader.drop()
    require(memory.used_bytes == 0, f"{memory.used_bytes} bytes are still charged")


def plainly_cut(stream: memoryview) -> tuple[list[bytes], bool]:
    """The frames, and whether one follows that is refused."""
    found = []
    position = 0
    while position + 4 <= len(stream):
        size = int.from_bytes(stream[position : position + 4], "big", signed=True)
        if not 0 <= size <= MOST_FRAME:
            return found, True
        if position + 4 + size > len(stream):
            break
        found.append(bytes(stream[position + 4 : position + 4 + size]))
        position += 4 + size
    return found, False


def pieces_of(stream: memoryview, seed: bytes) -> Iterator[memoryview]:
    """The stream in pieces, of sizes that the seed draws."""
    chance = Random(seed)
    position = 0
    while position < len(stream):
        size = chance.choice((1, 2, 3, 5, 100, 4096, 1 << 17))
        yield stream[position : position + size]
        position += size


# Coordinators.

PAIRS = ((OffsetCommitKey, OffsetCommitValue), (GroupMetadataKey, GroupMetadataValue))


def coordinator_targets() -> Iterator[Target]:
    yield Target(
        "group_replay",
        replay_sample,
        check_replay,
        covers=(
            "coordinator.group.records.decode_offset_commit_key",
            "coordinator.group.records.decode_offset_commit_value",
            "coordinator.group.records.decode_group_metadata_key",
            "coordinator.group.records.decode_group_metadata_value",
            "coordinator.group.shard.replay",
        ),
        weight=15,
    )
    yield Target(
        "subscription",
        subscription_sample,
        check_subscription,
        (),
        covers=("coordinator.group.subscription.subscribed_topics",),
        weight=3,
    )
    yield Target(
        "assignment",
        subscription_sample,
        lambda data: require(isinstance(read_assignment(data), dict), "no partitions"),
        (),
        covers=("kbroker.cli.group_listing.read_assignment",),
        weight=0.5,
    )


def replay_sample(chance: Random) -> Sample:
    """Records, each a key and a value with their lengths as two bytes in front."""
    pieces: list[bytes] = []
    kinds = ""
    for _ in range(chance.choice((1, 1, 2, 4))):
        for cls in chance.choice(PAIRS):
            version = chance.choice(cls.VERSIONS)
            body = message_sample(cls, version, chance)
            size = 2 + sum(map(len, body.pieces))
            pieces += [pack(">H", size), pack(">h", version), *body.pieces]
            kinds += "hh" + body.kinds
    return Sample(pieces, kinds)


def check_replay(data: bytes) -> None:
    """Whatever stands in the log, a group that was loaded works; the first refusal is raised at
    the end, as the log goes on behind it."""
    numbers = count()
    shard = GroupShard(GroupSettings(), lambda: f"id-{next(numbers)}")
    refused: WireError | None = None
    for key, value in records_of(data):
        try:
            for decode in (decode_offset_commit_key, decode_group_metadata_key):
                decode(key)
            shard.replay(key, value or None)
            if value:
                decode_either(key, value)
        except WireError as error:
            refused = error
    shard.on_loaded(Moment(1000, 1000))
    for group_id in shard.group_ids():
        shard.describe_group(group_id, version=5)
    list(shard.group_sizes())
    shard.list_groups(states=frozenset(), types=frozenset())
    later = Moment(1 << 42, 1 << 42)
    outcomes = [shard.on_deadline(later), shard.expire_offsets(later, shard.group_ids())]
    for outcome in outcomes:
        for record in outcome.records:
            shard.replay(record.key, record.value)
    if refused is not None:
        raise refused


def decode_either(key: bytes, value: bytes) -> None:
    if decode_offset_commit_key(key) is not None:
        decode_offset_commit_value(value)
    elif decode_group_metadata_key(key) is not None:
        decode_group_metadata_value(value)


def records_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    parts = []
    position = 0
    while position + 2 <= len(data):
        size = int.from_bytes(data[position : position + 2], "big")
        parts.append(data[position + 2 : position + 2 + size])
        position += 2 + size
    yield from zip(parts[::2], parts[1::2], strict=False)


def subscription_sample(chance: Random) -> Sample:
    pieces = [pack(">h", chance.choice((0, 1, 3)))]
    kinds = "h"
    names = [chance.choice((b"orders", b"t", b"caf\xc3\xa9")) for _ in range(chance.randrange(4))]
    pieces.append(pack(">i", len(names)))
    kinds += "i"
    for name in names:
        pieces += [pack(">h", len(name)), name]
        kinds += "hd"
        if chance.random() < 0.5:  # an assignment
            pieces += [pack(">i", 1), pack(">i", chance.randrange(3))]
            kinds += "ii"
    return Sample([*pieces, b"\xff\xff\xff\xff"], kinds + "i")


def check_subscription(data: bytes) -> None:
    topics = subscribed_topics(data)
    if topics is not None:
        size = sum(len(topic.encode()) for topic in topics)
        require(size <= len(data), f"{topics} of {len(data)} bytes")


# Metadata.

LISTENER = records.ListenerRecord("PLAINTEXT", "127.0.0.1", 9092)
METADATA: Mapping[str, tuple] = {
    "cluster": (
        records.decode_cluster,
        records.encode_cluster,
        records.ClusterRecord("abc", 1, {"metadata.version": 25}),
    ),
    "registration": (
        records.decode_registration,
        records.encode_registration,
        records.BrokerRegistration(1, bytes(range(16)), (bytes(range(1, 17)),), (LISTENER,), "r"),
    ),
    "admission": (
        records.decode_admission,
        records.encode_admission,
        records.BrokerAdmission(5, records.AdmissionState.DRAINING),
    ),
    "controller": (
        records.decode_controller,
        records.encode_controller,
        records.ControllerRecord(1),
    ),
    "topic_name": (
        records.decode_topic_name,
        records.encode_topic_name,
        records.TopicNameRecord(bytes(range(16)), "orders"),
    ),
    "topic": (
        records.decode_topic,
        records.encode_topic,
        records.TopicRecord("orders", 3, {"retention.ms": "5"}, 2),
    ),
    "partition": (
        lambda value: records.decode_partition(value, 0),
        records.encode_partition,
        records.PartitionRecord((1, 2, 3), 1, 5, (1, 2), (3,)),
    ),
    "producer_id_block": (
        records.decode_producer_id_block,
        records.encode_producer_id_block,
        records.ProducerIdBlock(1000),
    ),
    "config": (
        records.decode_config,
        records.encode_config,
        records.ConfigRecord({"a": "b", "é": "\u2028"}),
    ),
    "deleted_topic": (
        records.decode_deleted_topic,
        records.encode_deleted_topic,
        records.DeletedTopic("orders", (1, 2)),
    ),
}


def metadata_targets() -> Iterator[Target]:
    for name, (decode, encode, record) in METADATA.items():
        yield Target(
            f"metadata.{name}",
            partial(line_sample, encode(record)),
            partial(check_metadata, decode, encode),
            (ValueError,),
            covers=(f"kbroker.cluster.metadata_records.decode_{name}",),
            weight=1.5,
        )
    yield Target(
        "metadata.key",
        key_sample,
        check_key,
        (UnicodeDecodeError,),
        covers=("kbroker.cluster.keys.Keys", "kbroker.cluster.topic_ids.parse_topic_id"),
        weight=1.5,
    )


def line_sample(data: bytes, chance: Random) -> Sample:
    return lines(data)


def check_metadata(decode, encode, data: bytes) -> None:
    record = decode(data)
    again = decode(encode(record))
    require(again == record, f"{record} decodes to {again}")


def key_sample(chance: Random) -> Sample:
    keys = Keys("main")
    topic_id = chance.randbytes(16)
    return lines(
        chance.choice(
            (
                keys.cluster,
                keys.broker(1),
                keys.admission(2),
                keys.topic(topic_id),
                keys.topic_name("orders"),
                keys.partition(topic_id, 3),
                keys.group_config("a group/é"),
                keys.broker_config(None),
                keys.deleted_topic(topic_id),
            )
        ).encode()
    )


def check_key(data: bytes) -> None:
    found = Keys("main").parse(data.decode())
    require(found is None or len(found.topic_id) in (0, 16), f"{found} has an odd id")
