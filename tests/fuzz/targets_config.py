"""Targets in the configuration: properties, settings of resources, listeners, addresses."""

from __future__ import annotations

from collections.abc import Iterator

from kbroker.config import sources
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.client_metrics_config import client_metrics_config
from kbroker.config.connection_values import parse_host_and_port, parse_overrides
from kbroker.config.group_config import GroupConfig, group_config
from kbroker.config.listeners import parse_listeners
from kbroker.config.table import ConfigError, ConfigTable, render
from kbroker.config.topic_config import TopicConfig, topic_config
from tests.fuzz.mutation import lines
from tests.fuzz.target import Target, require
from wire.errors import KafkaError

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
