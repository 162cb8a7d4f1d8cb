"""Which key of the metadata store holds what (pure). All keys start `/kbroker/<cluster>/`.

| key | value (`metadata_records.py`) |
|---|---|
| `meta` | ClusterRecord, written once |
| `brokers/<id>` | BrokerRegistration; its create_revision is the broker epoch |
| `admit/<id>` | BrokerAdmission |
| `controller` | ControllerRecord; its create_revision is the controller epoch |
| `tname/<normalised name>` | TopicNameRecord |
| `t/<topic id>` | TopicRecord |
| `p/<topic id>/<n>` | PartitionRecord |
| `pid-block` | ProducerIdBlock |
| `cfg/broker/<id>`, `cfg/broker/default` | ConfigRecord: dynamic broker configs |
| `cfg/group/<name>` | ConfigRecord: what was set on a group |
| `cfg/metrics/<name>` | ConfigRecord: a subscription of client metrics |
| `del/<topic id>` | DeletedTopic: replicas that may still have files of it |
| `migration` | somebody's metadata are being moved here (`migration.py`): there is no cluster yet |
| `restores` | the backups that were accepted (`restoration.py`) |

A name's key is normalised as Kafka's metrics do it, '.' to '_': creating the key if absent then
refuses both an existing name and one that collides with it, without a race. Groups and
subscriptions have names of any letters: theirs are percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote

from kbroker.cluster.topic_ids import parse_topic_id, topic_id_text
from kbroker.cluster.topic_names import normalised_topic_name

CLUSTER_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
DEFAULT_BROKER = "default"
"""Stands for every broker where a broker id stands for one."""


class KeyKind(Enum):
    CLUSTER = "meta"
    BROKER = "brokers"
    ADMISSION = "admit"
    CONTROLLER = "controller"
    TOPIC_NAME = "tname"
    TOPIC = "t"
    PARTITION = "p"
    PRODUCER_ID_BLOCK = "pid-block"
    BROKER_CONFIG = "cfg/broker"
    GROUP_CONFIG = "cfg/group"
    CLIENT_METRICS = "cfg/metrics"
    DELETED_TOPIC = "del"


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """What a key is about; the fields that its kind does not have keep their defaults."""

    kind: KeyKind
    topic_id: bytes = b""
    partition: int = -1
    name: str = ""  # of a topic (normalised), group or subscription; of a broker, its id as text
    broker_id: int = -1


class Keys:
    """The keys of one cluster. The cluster's name only separates several in one etcd."""

    def __init__(self, cluster: str) -> None:
        if not CLUSTER_NAME.fullmatch(cluster):
            raise ValueError(f"not a cluster name: {cluster!r}")
        self.prefix = f"/kbroker/{cluster}/"
        self.cluster = f"{self.prefix}meta"
        self.brokers = f"{self.prefix}brokers/"
        self.admissions = f"{self.prefix}admit/"
        self.controller = f"{self.prefix}controller"
        self.topics = f"{self.prefix}t/"
        self.all_partitions = f"{self.prefix}p/"
        self.producer_id_block = f"{self.prefix}pid-block"
        self.migration = f"{self.prefix}migration"
        self.restores = f"{self.prefix}restores"

    def broker(self, broker_id: int) -> str:
        return f"{self.brokers}{broker_id}"

    def admission(self, broker_id: int) -> str:
        return f"{self.admissions}{broker_id}"

    def topic_name(self, name: str) -> str:
        return f"{self.prefix}tname/{normalised_topic_name(name)}"

    def topic(self, topic_id: bytes) -> str:
        return f"{self.topics}{topic_id_text(topic_id)}"

    def partitions(self, topic_id: bytes) -> str:
        """The prefix of all partitions of a topic."""
        return f"{self.all_partitions}{topic_id_text(topic_id)}/"

    def partition(self, topic_id: bytes, partition: int) -> str:
        return f"{self.partitions(topic_id)}{partition}"

    def broker_config(self, broker: int | None) -> str:
        """The dynamic configs of one broker; None: of all."""
        return f"{self.prefix}cfg/broker/{DEFAULT_BROKER if broker is None else broker}"

    def group_config(self, group_id: str) -> str:
        return f"{self.prefix}cfg/group/{quote(group_id, safe='')}"

    def client_metrics(self, subscription: str) -> str:
        return f"{self.prefix}cfg/metrics/{quote(subscription, safe='')}"

    def deleted_topic(self, topic_id: bytes) -> str:
        return f"{self.prefix}del/{topic_id_text(topic_id)}"

    def parse(self, key: str) -> ParsedKey | None:
        """What the key is about; None for one that this version does not know."""
        if not key.startswith(self.prefix):
            return None
        try:
            return _parse(key[len(self.prefix) :].split("/"))
        except ValueError:
            return None


def _parse(parts: list[str]) -> ParsedKey | None:
    match parts:
        case ["p", topic_id, partition]:
            return ParsedKey(
                KeyKind.PARTITION, topic_id=parse_topic_id(topic_id), partition=int(partition)
            )
        case ["t", topic_id]:
            return ParsedKey(KeyKind.TOPIC, topic_id=parse_topic_id(topic_id))
        case ["tname", name]:
            return ParsedKey(KeyKind.TOPIC_NAME, name=name)
        case ["brokers", broker_id]:
            return ParsedKey(KeyKind.BROKER, broker_id=int(broker_id))
        case ["admit", broker_id]:
            return ParsedKey(KeyKind.ADMISSION, broker_id=int(broker_id))
        case ["cfg", "broker", broker]:
            return ParsedKey(KeyKind.BROKER_CONFIG, name=broker)
        case ["cfg", "group", name]:
            return ParsedKey(KeyKind.GROUP_CONFIG, name=unquote(name))
        case ["cfg", "metrics", name]:
            return ParsedKey(KeyKind.CLIENT_METRICS, name=unquote(name))
        case ["del", topic_id]:
            return ParsedKey(KeyKind.DELETED_TOPIC, topic_id=parse_topic_id(topic_id))
        case ["meta"]:
            return ParsedKey(KeyKind.CLUSTER)
        case ["controller"]:
            return ParsedKey(KeyKind.CONTROLLER)
        case ["pid-block"]:
            return ParsedKey(KeyKind.PRODUCER_ID_BLOCK)
    return None
