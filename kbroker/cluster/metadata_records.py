"""The values behind the keys of `keys.py`: frozen records and their canonical JSON (pure).

Canonical: sorted keys, no spaces, so that equal records are equal bytes and a person can still
read them. Ids stand in Kafka's base64 text. A decoder ignores fields that it does not know, so
that a newer broker may add some; it raises ValueError when one that it needs is missing or odd.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from kbroker.cluster.topic_ids import parse_topic_id, topic_id_text

FORMAT_VERSION = 1
"""Of the keys and values as a whole; a broker refuses a cluster with a higher one."""

NO_LEADER = -1

SHOWN_BYTES = 1000
"""Of a value that is refused, in the error's text."""

TopicPartitions = tuple[tuple[bytes, tuple[int, ...]], ...]
"""Topic ids, each with some of its partitions."""

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """Who this cluster is. Written once, by the first broker."""

    cluster_id: str  # Kafka's base64 form of a random UUID
    format_version: int = FORMAT_VERSION
    features: Mapping[str, int] = field(default_factory=dict)  # finalized levels, by name


@dataclass(frozen=True, slots=True)
class ListenerRecord:
    """Where a broker tells clients, or other brokers, to find it."""

    name: str
    host: str
    port: int
    security_protocol: str = "PLAINTEXT"


@dataclass(frozen=True, slots=True)
class BrokerRegistration:
    """A broker that runs. `clean`: its last life ended with a clean shutdown (KIP-966).

    `lossy_topics`: ids of the topics of which it may have lost records that it had acknowledged
    (rule 6); `lossy_partitions`: the same of a few partitions of a topic, `missing_partitions`:
    those of either of which it has no log any more. They stand here until it was admitted once.
    `leaving`: it asks to be drained. The broker writes that over its own registration, which keeps
    its create_revision, and with it the broker epoch; a decision of it is the controller's alone.
    """

    broker_id: int
    incarnation: bytes  # 16 bytes, new at every start, and whenever it registers anew
    log_directories: tuple[bytes, ...] = ()  # the directories' 16-byte ids
    listeners: tuple[ListenerRecord, ...] = ()
    rack: str | None = None
    clean: bool = True
    lossy_topics: tuple[bytes, ...] = ()
    lossy_partitions: TopicPartitions = ()
    missing_partitions: TopicPartitions = ()
    leaving: bool = False


class AdmissionState(Enum):
    ACTIVE = "active"
    DRAINING = "draining"  # controlled shutdown: gives its leaders away, gets no new replicas


@dataclass(frozen=True, slots=True)
class BrokerAdmission:
    """The controller's word that a broker counts, for that broker epoch only (rule 6)."""

    broker_epoch: int
    state: AdmissionState = AdmissionState.ACTIVE


@dataclass(frozen=True, slots=True)
class ControllerRecord:
    broker_id: int


@dataclass(frozen=True, slots=True)
class TopicNameRecord:
    """Holds a name, and with it all names that collide with it."""

    topic_id: bytes
    name: str


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """A topic. It exists, with `partition_count` partitions, once this key says so.

    Partitions written beyond the count are a growth that has not finished.
    """

    name: str
    partition_count: int
    configs: Mapping[str, str] = field(default_factory=dict)  # only what was set on the topic
    min_isr: int = 1  # what all its partition records hold, or will as soon as possible


@dataclass(frozen=True, slots=True)
class PartitionRecord:
    """The state of one partition. Changed only by compare-and-swap on `mod_revision`.

    `mod_revision` is the key's, not part of the value; 0 in a record not yet written.
    """

    replicas: tuple[int, ...]
    leader: int  # NO_LEADER: none
    leader_epoch: int
    isr: tuple[int, ...]
    elr: tuple[int, ...] = ()
    last_known_leader: int = NO_LEADER
    min_isr: int = 1  # as configured; see effective_min_isr
    adding: tuple[int, ...] = ()
    removing: tuple[int, ...] = ()
    partition_epoch: int = 0
    mod_revision: int = 0

    @property
    def effective_min_isr(self) -> int:
        """Kafka never asks for more in-sync replicas than there are replicas."""
        return min(self.min_isr, len(self.replicas))


@dataclass(frozen=True, slots=True)
class ProducerIdBlock:
    """Every producer id below `next_producer_id` has been handed to some broker."""

    next_producer_id: int


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeletedTopic:
    """Proof that a topic was deleted, kept until all these brokers have removed its files.

    An id that is neither a topic nor here is no proof: the metadata may be an older copy.
    """

    name: str
    replicas: tuple[int, ...]


def encode_cluster(record: ClusterRecord) -> bytes:
    return _encode(
        {
            "cluster_id": record.cluster_id,
            "format_version": record.format_version,
            "features": dict(record.features),
        }
    )


def decode_cluster(value: bytes) -> ClusterRecord:
    return _decode(
        value,
        lambda d: ClusterRecord(
            str(d["cluster_id"]), _integer(d["format_version"]), _levels(d.get("features", {}))
        ),
    )


def encode_registration(record: BrokerRegistration) -> bytes:
    """What says nothing is left out: a broker alone writes what it has always written."""
    rare: dict[str, object] = {}
    if record.lossy_topics:
        rare["lossy_topics"] = [topic_id_text(each) for each in record.lossy_topics]
    for name in ("lossy_partitions", "missing_partitions"):
        partitions: TopicPartitions = getattr(record, name)
        if partitions:
            rare[name] = {topic_id_text(each): numbers for each, numbers in partitions}
    if record.leaving:
        rare["leaving"] = True
    return _encode(
        {
            **rare,
            "broker_id": record.broker_id,
            "incarnation": topic_id_text(record.incarnation),
            "log_directories": [topic_id_text(each) for each in record.log_directories],
            "listeners": [
                {
                    "name": each.name,
                    "host": each.host,
                    "port": each.port,
                    "security_protocol": each.security_protocol,
                }
                for each in record.listeners
            ],
            "rack": record.rack,
            "clean": record.clean,
        }
    )


def decode_registration(value: bytes) -> BrokerRegistration:
    return _decode(
        value,
        lambda d: BrokerRegistration(
            broker_id=_integer(d["broker_id"]),
            incarnation=parse_topic_id(_text(d["incarnation"])),
            log_directories=tuple(
                parse_topic_id(_text(each)) for each in _list(d["log_directories"])
            ),
            listeners=tuple(_listener(_object(each)) for each in _list(d["listeners"])),
            rack=None if d["rack"] is None else _text(d["rack"]),
            clean=d["clean"] is True,
            lossy_topics=tuple(
                parse_topic_id(_text(each)) for each in _list(d.get("lossy_topics", []))
            ),
            lossy_partitions=_topic_partitions(d.get("lossy_partitions", {})),
            missing_partitions=_topic_partitions(d.get("missing_partitions", {})),
            leaving=d.get("leaving") is True,
        ),
    )


def encode_admission(record: BrokerAdmission) -> bytes:
    return _encode({"broker_epoch": record.broker_epoch, "state": record.state.value})


def decode_admission(value: bytes) -> BrokerAdmission:
    return _decode(
        value,
        lambda d: BrokerAdmission(_integer(d["broker_epoch"]), AdmissionState(_text(d["state"]))),
    )


def encode_controller(record: ControllerRecord) -> bytes:
    return _encode({"broker_id": record.broker_id})


def decode_controller(value: bytes) -> ControllerRecord:
    return _decode(value, lambda d: ControllerRecord(_integer(d["broker_id"])))


def encode_topic_name(record: TopicNameRecord) -> bytes:
    return _encode({"topic_id": topic_id_text(record.topic_id), "name": record.name})


def decode_topic_name(value: bytes) -> TopicNameRecord:
    return _decode(
        value, lambda d: TopicNameRecord(parse_topic_id(_text(d["topic_id"])), _text(d["name"]))
    )


def encode_topic(record: TopicRecord) -> bytes:
    return _encode(
        {
            "name": record.name,
            "partition_count": record.partition_count,
            "configs": dict(record.configs),
            "min_isr": record.min_isr,
        }
    )


def decode_topic(value: bytes) -> TopicRecord:
    return _decode(
        value,
        lambda d: TopicRecord(
            _text(d["name"]),
            _integer(d["partition_count"]),
            _texts(d["configs"]),
            _integer(d["min_isr"]),
        ),
    )


def encode_partition(record: PartitionRecord) -> bytes:
    return _encode(
        {
            "replicas": record.replicas,
            "leader": record.leader,
            "leader_epoch": record.leader_epoch,
            "isr": record.isr,
            "elr": record.elr,
            "last_known_leader": record.last_known_leader,
            "min_isr": record.min_isr,
            "adding": record.adding,
            "removing": record.removing,
            "partition_epoch": record.partition_epoch,
        }
    )


def decode_partition(value: bytes, mod_revision: int) -> PartitionRecord:
    return _decode(
        value,
        lambda d: PartitionRecord(
            replicas=_integers(d["replicas"]),
            leader=_integer(d["leader"]),
            leader_epoch=_integer(d["leader_epoch"]),
            isr=_integers(d["isr"]),
            elr=_integers(d["elr"]),
            last_known_leader=_integer(d["last_known_leader"]),
            min_isr=_integer(d["min_isr"]),
            adding=_integers(d["adding"]),
            removing=_integers(d["removing"]),
            partition_epoch=_integer(d["partition_epoch"]),
            mod_revision=mod_revision,
        ),
    )


def encode_producer_id_block(record: ProducerIdBlock) -> bytes:
    return _encode({"next_producer_id": record.next_producer_id})


def decode_producer_id_block(value: bytes) -> ProducerIdBlock:
    return _decode(value, lambda d: ProducerIdBlock(_integer(d["next_producer_id"])))


def encode_config(record: ConfigRecord) -> bytes:
    return _encode({"configs": dict(record.configs)})


def decode_config(value: bytes) -> ConfigRecord:
    return _decode(value, lambda d: ConfigRecord(_texts(d["configs"])))


def encode_deleted_topic(record: DeletedTopic) -> bytes:
    return _encode({"name": record.name, "replicas": record.replicas})


def decode_deleted_topic(value: bytes) -> DeletedTopic:
    return _decode(value, lambda d: DeletedTopic(_text(d["name"]), _integers(d["replicas"])))


def _encode(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("utf-8")


def _decode(value: bytes, build: Callable[[dict[str, object]], _Record]) -> _Record:
    try:
        return build(_object(json.loads(value)))
    except (KeyError, TypeError, RecursionError) as error:
        shown = repr(value[:SHOWN_BYTES])
        raise ValueError(f"a metadata value that makes no sense ({error}): {shown}") from error


def _listener(document: dict[str, object]) -> ListenerRecord:
    return ListenerRecord(
        _text(document["name"]),
        _text(document["host"]),
        _integer(document["port"]),
        _text(document["security_protocol"]),
    )


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"not an object: {value!r}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"not a list: {value!r}")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"not an integer: {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def _integers(value: object) -> tuple[int, ...]:
    return tuple(_integer(each) for each in _list(value))


def _topic_partitions(value: object) -> TopicPartitions:
    return tuple((parse_topic_id(key), _integers(each)) for key, each in _object(value).items())


def _texts(value: object) -> dict[str, str]:
    return {key: _text(each) for key, each in _object(value).items()}


def _levels(value: object) -> dict[str, int]:
    return {key: _integer(each) for key, each in _object(value).items()}
