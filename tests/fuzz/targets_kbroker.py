"""Targets above the log: frames, coordinators' records, metadata, configuration, lines of text."""

from __future__ import annotations

import json
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
from kbroker.cli.dump_files import Damage, is_known, read_small_file
from kbroker.cli.group_listing import read_assignment
from kbroker.cli.positions import parse_position
from kbroker.cli.record_lines import LineError, read_json_line
from kbroker.cluster import metadata_records as records
from kbroker.cluster.keys import Keys
from kbroker.config import sources
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.client_metrics_config import client_metrics_config
from kbroker.config.connection_values import parse_host_and_port, parse_overrides
from kbroker.config.group_config import GroupConfig, group_config
from kbroker.config.listeners import parse_listeners
from kbroker.config.table import ConfigError, ConfigTable, render
from kbroker.config.topic_config import TopicConfig, topic_config
from kbroker.log_lines import parse_levels
from kbroker.receive_buffer import FrameReader, FrameTooLarge, ReceiveMemory
from tests.fuzz.messages import message_sample
from tests.fuzz.mutation import Sample
from tests.fuzz.target import Target, require
from tests.fuzz.targets_log import lines
from wire.errors import KafkaError, WireError
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
    yield from config_targets()
    yield from text_targets()


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


# Configuration.

PROPERTIES = b"""\
# A broker.
node.id=3
listeners=PLAINTEXT://127.0.0.1:9092,INTERNAL://[::1]:9093
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT
advertised.listeners = PLAINTEXT://broker.example:9092
log.dirs=/tmp/a,\\
  /tmp/b
log.retention.hours:168
max.connections.per.ip.overrides=127.0.0.1:5,[::1]:7
controller.quorum.voters=1@localhost:9093
compression.type=zstd
log.cleaner.dedupe.buffer.size=134217728
broker.rack=caf\\u00e9
"""
VALUES = {
    "compression.type": "zstd",
    "cleanup.policy": "compact,delete",
    "retention.ms": "604800000",
    "min.cleanable.dirty.ratio": "0.5",
    "preallocate": "true",
    "message.timestamp.type": "LogAppendTime",
    "leader.replication.throttled.replicas": "0:1,1:2",
    "consumer.session.timeout.ms": "45000",
    "interval.ms": "1000",
    "match": "client_software_name=apache-kafka-.*,client_id=a[b-c]{2,3}",
    "metrics": "*",
}
DEFAULTS = BrokerConfig()


def config_targets() -> Iterator[Target]:
    yield Target(
        "properties",
        lambda chance: lines(PROPERTIES),
        check_properties,
        (sources.ConfigRefused,),
        covers=(
            "kbroker.config.sources.read_properties",
            "kbroker.config.sources.resolve",
            "kbroker.config.listeners.parse_listeners",
        ),
        weight=0.2,
    )
    yield Target(
        "assignments",
        lambda chance: lines(
            f"{chance.choice(list(BrokerConfig.KEYS))}={chance.choice(list(VALUES.values()))}".encode()
        ),
        check_assignment,
        (sources.ConfigRefused, UnicodeDecodeError),
        covers=("kbroker.config.sources.read_assignment",),
        weight=0.2,
    )
    yield Target(
        "set_on_a_resource",
        lambda chance: lines("=".join(chance.choice(list(VALUES.items()))).encode()),
        check_settings,
        (ConfigError, KafkaError, UnicodeDecodeError),
        covers=(
            "kbroker.config.client_metrics_config.client_metrics_config",
            "kbroker.config.group_config.group_config",
            "kbroker.config.topic_config.topic_config",
        ),
        weight=2,
    )
    yield Target(
        "listeners",
        lambda chance: lines(b"PLAINTEXT://127.0.0.1:9092,B://[::1]:9093;A:PLAINTEXT;B://h:1"),
        check_listeners,
        (ConfigError, UnicodeDecodeError),
        covers=("kbroker.config.listeners.parse_listeners",),
        weight=2,
    )
    yield Target(
        "addresses",
        lambda chance: lines(chance.choice((b"127.0.0.1:5,[::1]:7", b"[::1]:9090", b"h:1"))),
        check_addresses,
        (ValueError,),
        covers=(
            "kbroker.config.connection_values.parse_overrides",
            "kbroker.config.connection_values.parse_host_and_port",
        ),
        weight=1,
    )


def check_properties(data: bytes) -> None:
    settings = sources.read_properties("server.properties", data)
    resolved = sources.resolve([settings])
    require(isinstance(resolved.config, BrokerConfig), "no configuration")


def check_assignment(data: bytes) -> None:
    setting = sources.read_assignment(data.decode())
    config = sources.resolve([[setting]]).config
    key = BrokerConfig.find(setting.key)
    if key is not None:
        text = render(config.value(key.name))
        again = sources.resolve([[sources.Setting(key.name, text or "", "test")]]).config
        require(again.value(key.name) == config.value(key.name), f"{setting} is read as {text}")


def check_settings(data: bytes) -> None:
    """On whatever has such a key: a topic, a group, a subscription."""
    name, _, text = data.decode().partition("=")
    if TopicConfig.find(name) is not None:
        same_again(topic_config(DEFAULTS, {name: text}), name)
    elif GroupConfig.find(name) is not None:
        same_again(group_config(DEFAULTS, {name: text}), name)
    else:
        client_metrics_config({name: text})


def same_again(config: ConfigTable, name: str) -> None:
    value = config.value(name)
    again = type(config).KEYS[name].parse(render(value) or "")
    require(again == value, f"{name} is {value!r}, and shown reads as {again!r}")


def check_listeners(data: bytes) -> None:
    texts = data.decode().split(";")
    listeners, protocols, advertised = (*texts, "", "", "")[:3]
    parse_listeners(
        listeners=listeners.split(","),
        advertised=advertised.split(",") if advertised else (),
        protocol_map=protocols or "PLAINTEXT:PLAINTEXT,B:PLAINTEXT",
        inter_broker_name=None,
        controller_names=(),
    )


def check_addresses(data: bytes) -> None:
    text = data.decode()
    refusals = 0
    for parse in (parse_overrides, parse_host_and_port):
        try:
            parse(text)
        except ValueError:
            refusals += 1
    if refusals == 2:
        raise ValueError


# Lines of text.


def text_targets() -> Iterator[Target]:
    yield Target(
        "json_line",
        lambda chance: lines(chance.choice(JSON_LINES)),
        lambda data: require(read_json_line(data) is not None, "nothing"),
        (LineError,),
        covers=("kbroker.cli.record_lines.read_json_line",),
        weight=1.5,
    )
    yield Target(
        "position",
        lambda chance: lines(
            chance.choice((b"beginning", b"-5", b"@1700000000000", b"2026-01-01T00:00:00+01:00"))
        ),
        lambda data: require(parse_position(data.decode()).number >= 0, "negative"),
        (ValueError,),
        covers=("kbroker.cli.positions.parse_position",),
        weight=1,
    )
    yield Target(
        "log_levels",
        lambda chance: lines(b"info,kbroker.server=debug"),
        lambda data: require(parse_levels(data.decode().split(",")), "nothing"),
        (ValueError,),
        covers=("kbroker.log_lines.parse_levels",),
        weight=0.5,
    )
    yield Target(
        "dumped_file",
        dumped_sample,
        check_dumped,
        (Damage,),
        covers=("kbroker.cli.dump_files.read_small_file",),
        weight=2,
    )


JSON_LINES = (
    json.dumps({"key": "k", "value": "v", "headers": [["h", None]], "partition": 0}).encode(),
    json.dumps({"value": {"base64": "AAEC"}, "timestamp": 5, "topic": "t"}).encode(),
)
DUMPED = (
    b"00000000000000000000.index",
    b"00000000000000000005.timeindex",
    b"00000000000000000005.txnindex",
    b"00000000000000000005.snapshot",
    b"replication-offset-checkpoint",
    b"leader-epoch-checkpoint",
    b"partition.metadata",
    b"meta.properties",
    b".kafka_cleanshutdown",
)


def dumped_sample(chance: Random) -> Sample:
    """The name of a file, then what is in it."""
    name = chance.choice(DUMPED)
    body = chance.choice((bytes(48), b"0\n1\norders 0 5\n", b"0\n1\n0 0\n", chance.randbytes(34)))
    inner = lines(body)
    return Sample([bytes([len(name)]), name, *inner.pieces], "bd" + inner.kinds)


def check_dumped(data: bytes) -> None:
    end = 1 + data[0] if data else 1
    try:
        name = data[1:end].decode()
    except UnicodeDecodeError:
        return
    if is_known(name) and "/" not in name:
        for item in read_small_file(f"/nowhere/{name}", memoryview(data[end:])):
            json.dumps(item.fields)
