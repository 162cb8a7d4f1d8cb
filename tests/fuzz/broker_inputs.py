"""What is sent to a live broker: requests that speak of what it has, most of them damaged.

An input is drawn from the seed and its index alone; ids that only the broker knows (of members,
topics, producers) are taken from what it answered, by a drawn place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from struct import pack
from typing import NamedTuple

from kbroker.handlers import HANDLERS
from tests.fuzz.batches import batch_sample, repaired
from tests.fuzz.messages import Vocabulary, message_sample
from tests.fuzz.mutation import Sample, change_bytes, change_pieces
from wire.api_key import ApiKey
from wire.messages.create_partitions import CreatePartitionsRequest
from wire.messages.create_topics import CreateTopicsRequest
from wire.schema import Request

TOPICS = (
    b"orders",
    b"orders",
    b"orders",
    b"orders",
    b"clicks",
    b"clicks",
    b"fuzz.1",
    b"fuzz_1",
    b"__consumer_offsets",
    b"",
    b"a/b",
)
GROUPS = (b"g1",) * 4 + (b"g2", b"g3", b"")
CONFIG_NAMES = (
    b"retention.ms",
    b"cleanup.policy",
    b"segment.bytes",
    b"message.timestamp.type",
    b"compression.type",
    b"max.message.bytes",
    b"log.retention.ms",
    b"message.max.bytes",
    b"consumer.session.timeout.ms",
    b"interval.ms",
    b"match",
    b"no.such.key",
)
CONFIG_VALUES = (
    b"1",
    b"-1",
    b"1000",
    b"1048588",
    b"compact",
    b"delete,compact",
    b"LogAppendTime",
    b"zstd",
    b"client_id=a.*",
    b"",
    b"99999999999999999999",
)
STRINGS = {
    "name": TOPICS,
    "topic": TOPICS,
    "topics": TOPICS,
    "topic_name": TOPICS,
    "topic_names": TOPICS,
    "resource_name": (*TOPICS[:5], *GROUPS[:3], b"1", b"", b"2"),
    "group_id": GROUPS,
    "groups": GROUPS,
    "groups_names": GROUPS,
    "key": GROUPS,
    "coordinator_keys": GROUPS,
    "transactional_id": (b"tx-1", b""),
    "protocol_type": (b"consumer",) * 8 + (b"connect", b""),
    "protocol_name": (b"range",) * 5 + (b"roundrobin",),
    "group_instance_id": (b"static-1", b"static-2", b""),
    "JoinGroupRequestProtocol.name": (b"range",) * 6 + (b"roundrobin", b""),
    "config_name": CONFIG_NAMES,
    "AlterableConfig.name": CONFIG_NAMES,
    "CreatableTopicConfig.name": CONFIG_NAMES,
    "configuration_keys": CONFIG_NAMES,
    "value": CONFIG_VALUES,
    "states_filter": (b"Stable", b"Empty", b"stable", b"nonsense"),
    "types_filter": (b"classic", b"consumer", b"nonsense"),
}
INTEGERS = {
    "partition": (0, 0, 0, 1, 2, -1),
    "partitions": (0, 0, 1, 2, -1),
    "partition_index": (0, 0, 0, 1, -1),
    "partition_indexes": (0, 0, 1),
    "index": (0, 0, 0, 1, 7),
    "acks": (-1, 1, 0, 0, 1, -1, 1, -1, 1, -1, 2),
    "timeout_ms": (0, 10, 1000, 30000),
    "max_wait_ms": (0, 0, 0, 1, 5),
    "min_bytes": (0, 1, 1, 100, 1 << 20),
    "max_bytes": (0, 1, 1000, 1 << 20),
    "partition_max_bytes": (0, 1, 1000, 1 << 20),
    "fetch_offset": (0, 0, 1, 5, -1, 100),
    "session_id": (0, 0, 0, 1, 1000),
    "session_epoch": (-1, 0, 1, 2),
    "replica_id": (-1, -1, -1, -2, 1),
    "current_leader_epoch": (-1, 0, 1),
    "leader_epoch": (-1, 0, 1),
    "last_fetched_epoch": (-1, -1, 0),
    "isolation_level": (0, 0, 0, 1, 1, 1, 2),
    "timestamp": (-1, -2, -3, -4, 0, 1_700_000_000_000),
    "session_timeout_ms": (100, 1000, 1500, 2000, 2000, 2000, 2000, 6000),
    "rebalance_timeout_ms": (1, 5, 20, 100),
    "generation_id": (-1, 1, 1, 2, 3),
    "generation_id_or_member_epoch": (-1, 1, 2),
    "committed_offset": (0, 5, 100, -1),
    "num_partitions": (1, 1, 2, 3, -1, 0),
    "count": (1, 2, 3, 4),
    "replication_factor": (1, 1, -1, 2),
    "broker_ids": (1, 1, 1, 2),
    "replicas": (1, 1, 2),
    "resource_type": (2, 2, 4, 32, 16, 3),
    "config_operation": (0, 0, 1, 2, 3),
    "resource_types": (2, 4, 32, 16, 8),
    "offset": (-1, 0, 1, 5, 1000),
    "key_type": (0, 0, 0, 1, 2),
    "producer_id": (-1, 0, 1, 5),
    "transaction_timeout_ms": (1000, 60000),
    "response_partition_limit": (1, 10, 2000),
}
NULLS = {
    "group_instance_id": 0.8,
    "transactional_id": 0.9,
    "protocol_type": 0.05,
    "protocol_name": 0.05,
    "forgotten_topics_data": 0.9,
}
# More of what clients do all the time, less of what takes the disk.
WEIGHTS = {
    ApiKey.PRODUCE: 4.0,
    ApiKey.FETCH: 4.0,
    ApiKey.JOIN_GROUP: 2.0,
    ApiKey.SYNC_GROUP: 2.0,
    ApiKey.HEARTBEAT: 2.0,
    ApiKey.OFFSET_COMMIT: 2.0,
    ApiKey.OFFSET_FETCH: 2.0,
    ApiKey.CREATE_TOPICS: 0.4,
    ApiKey.DELETE_TOPICS: 0.2,
    ApiKey.CREATE_PARTITIONS: 0.2,
    ApiKey.DELETE_RECORDS: 0.5,
}
KEYS = tuple(HANDLERS)
KEY_WEIGHTS = tuple(WEIGHTS.get(key, 1.0) for key in KEYS)
MOST_PARTITIONS = 16
"""In one request: a topic's growth is the disk's work, not the decoder's."""


class Membership(NamedTuple):
    group: bytes
    member: bytes
    generation: int


@dataclass
class Learned:
    """What the broker gave out, newest last. Mutable."""

    members: list[Membership] = field(default_factory=lambda: [Membership(b"g1", b"", -1)])
    topic_ids: list[bytes] = field(default_factory=lambda: [bytes(16), b"\xff" * 16])
    most: int = 3

    def joined(self, member: Membership) -> None:
        if member not in self.members:
            self.members.append(member)
            del self.members[1 : -self.most]

    def saw_topic(self, topic_id: bytes) -> None:
        if topic_id not in self.topic_ids:
            self.topic_ids.append(topic_id)
            del self.topic_ids[2 : -self.most]

    def vocabulary(self, chance: Random) -> Vocabulary:
        """Mostly one of the members that there are, as itself."""
        strings, integers = STRINGS, INTEGERS
        roll, place = chance.random(), chance.random()
        member = self.members[int(place * len(self.members))]
        if roll < 0.15:  # a newcomer, or nobody in particular
            strings = {**STRINGS, "member_id": (b"",), "group_id": (b"g1",)}
        elif roll < 0.8:
            strings = {**STRINGS, "member_id": (member.member,), "group_id": (member.group,)}
            strings["leader"] = (member.member,)
            integers = {**INTEGERS, "generation_id": (member.generation,)}
            integers["generation_id_or_member_epoch"] = (member.generation, -1)
        else:
            strings = {**STRINGS, "member_id": (b"", member.member, b"nobody")}
        return Vocabulary(
            strings=strings,
            integers=integers,
            uuids=tuple(self.topic_ids),
            batch=produced,
            nulls=NULLS,
            extreme=0.03,
        )


def produced(chance: Random) -> bytes:
    """What a client appends: mostly a right batch, with offsets from 0."""
    sample = batch_sample(chance, base_offset=0, harm=0.2)
    if chance.random() < 0.7:
        return sample.data
    return repaired(change_pieces(sample, sample, chance), chance)


def request_sample(chance: Random, words: Vocabulary, correlation_id: int) -> Sample:
    """A whole frame: its length, its header, its body."""
    (key,) = chance.choices(KEYS, KEY_WEIGHTS)
    request: type[Request] = HANDLERS[key].request
    version = chance.choice(HANDLERS[key].versions)
    body = message_sample(request, version, chance, words)
    name = chance.choice((b"fuzz", b"caf\xc3\xa9", b""))
    pieces = [b"", pack(">h", key), pack(">h", version), pack(">i", correlation_id)]
    pieces += [pack(">h", len(name)), name]
    kinds = "ihhihd"
    if version in request.FLEXIBLE:
        pieces.append(b"\0")
        kinds += "v"
    pieces += body.pieces
    pieces[0] = pack(">i", sum(map(len, pieces)))
    return Sample(pieces, kinds + body.kinds)


def framed(body: bytes) -> bytes:
    return pack(">i", len(body)) + body


def whole(sample: Sample, chance: Random) -> list[bytes]:
    return [sample.data]


def changed_body(sample: Sample, chance: Random) -> list[bytes]:
    """A right header and a right length around a body that is not."""
    head = 7 if sample.kinds.startswith("ihhihdv") else 6
    body = Sample(sample.pieces[head:], sample.kinds[head:])
    if not body.kinds:
        return [sample.data]
    if chance.random() < 0.6:
        data = change_pieces(body, body, chance)
    else:
        changed = bytearray(body.data)
        change_bytes(changed, body, chance)
        data = bytes(changed)
    return [framed(b"".join(sample.pieces[1:head]) + data)]


def changed_header(sample: Sample, chance: Random) -> list[bytes]:
    head = Sample(sample.pieces[1:6], sample.kinds[1:6])
    return [framed(change_pieces(head, head, chance) + b"".join(sample.pieces[6:]))]


def wrong_length(sample: Sample, chance: Random) -> list[bytes]:
    body = b"".join(sample.pieces[1:])
    size = chance.choice((len(body) - 1, len(body) + 1, 0, 3, -1, -(1 << 31), 1 << 30, 50))
    return [pack(">i", size) + body]


def cut(sample: Sample, chance: Random) -> list[bytes]:
    data = sample.data
    return [data[: int(chance.random() * len(data))], HANG_UP]


def in_pieces(sample: Sample, chance: Random) -> list[bytes]:
    data = sample.data * chance.choice((1, 1, 3))
    place = int(chance.random() * len(data))
    return [data[:place], data[place:]]


def garbage(sample: Sample, chance: Random) -> list[bytes]:
    data = chance.randbytes(int(chance.random() * 200))
    return [framed(data) if chance.random() < 0.7 else data]


def leave(sample: Sample, chance: Random) -> list[bytes]:
    return [sample.data, HANG_UP]


HANG_UP = b""
"""Among the parts of an input: the client goes away."""

DAMAGES: tuple[Callable[[Sample, Random], list[bytes]], ...] = (
    whole,
    changed_body,
    changed_header,
    wrong_length,
    cut,
    in_pieces,
    garbage,
    leave,
)
DAMAGE_WEIGHTS = (50, 30, 4, 2, 2, 6, 2, 1)


def broker_input(seed: int, index: int, learned: Learned) -> tuple[int, list[bytes]]:
    """A number that chooses the connection, and what is sent on it, part by part."""
    chance = Random(f"{seed} broker {index}")
    sample = request_sample(chance, learned.vocabulary(chance), index & 0x7FFFFFFF)
    (damage,) = chance.choices(DAMAGES, DAMAGE_WEIGHTS)
    return chance.getrandbits(16), damage(sample, chance)


def is_heavy(request: Request) -> bool:
    """Whether it asks for so many partitions that the disk would be what is tested."""
    if isinstance(request, CreateTopicsRequest):
        counts = [max(topic.num_partitions, len(topic.assignments)) for topic in request.topics]
        return sum(counts) > MOST_PARTITIONS
    if isinstance(request, CreatePartitionsRequest):
        return sum(topic.count for topic in request.topics) > MOST_PARTITIONS
    return False
