"""`BrokerConfig`: every key that a broker goes by, under Kafka's own names and with its defaults.

Where a default differs from Apache Kafka 4.3's, the row says so (`kafka=`) and docs/configs.md
lists it: durability, addresses and internal topics that suit one node. Keys of Kafka's that have
no counterpart here are in `ignored_keys`; a topic's keys are in `topic_config`.
"""

from __future__ import annotations

from kbroker.config.connection_values import HOST_AND_PORT, OVERRIDES
from kbroker.config.coordinator_keys import CoordinatorKeys
from kbroker.config.listeners import Listeners, for_a_cluster, parse_listeners
from kbroker.config.log_keys import LogKeys
from kbroker.config.metadata_keys import MetadataKeys
from kbroker.config.replication_keys import ReplicationKeys
from kbroker.config.table import (
    CLUSTER_WIDE,
    INT_MAX,
    ConfigError,
    at_least,
    boolean,
    integer,
    long,
    one_of,
    string,
    strings,
)


class BrokerConfig(LogKeys, CoordinatorKeys, ReplicationKeys, MetadataKeys):
    """One broker's configuration; each key is checked on its own, `check()` checks the whole."""

    # Who and where
    node_id: int = integer(
        "node.id",
        default=1,
        valid=at_least(0),
        synonyms=("broker.id",),
        doc="The number of this broker, unique in its cluster.",
    )
    broker_rack: str | None = string(
        "broker.rack", default=None, doc="The rack that replicas are spread over; free text."
    )
    listeners: tuple[str, ...] = strings(
        "listeners",
        default=("PLAINTEXT://127.0.0.1:9092",),
        kafka=("PLAINTEXT://:9092",),
        doc="Where the broker listens: NAME://HOST:PORT, separated by commas. An empty host is"
        " every interface, port 0 is any free one. By default only this machine can connect.",
    )
    advertised_listeners: tuple[str, ...] = strings(
        "advertised.listeners",
        default=(),
        doc="The addresses that clients are told, for each listener's name. Where it is not set,"
        " each client is told the address on which it reached the broker.",
    )
    listener_security_protocol_map: str = string(
        "listener.security.protocol.map",
        default="SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        doc="The security protocol of each listener's name. Only PLAINTEXT is served.",
    )
    inter_broker_listener_name: str | None = string(
        "inter.broker.listener.name",
        default=None,
        doc="The listener that other brokers use; where it is not set, PLAINTEXT or the first.",
    )
    controller_listener_names: tuple[str, ...] = strings(
        "controller.listener.names",
        default=(),
        doc="Listeners of Kafka's controller, which does not exist here: they are not opened.",
    )

    # Connections and requests
    socket_request_max_bytes: int = integer(
        "socket.request.max.bytes",
        default=100 << 20,
        valid=at_least(1),
        doc="The largest request; a larger one closes its connection.",
    )
    socket_listen_backlog_size: int = integer(
        "socket.listen.backlog.size",
        default=50,
        valid=at_least(1),
        doc="Connections that may wait to be accepted.",
    )
    max_connections: int = integer(
        "max.connections",
        default=INT_MAX,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="The most connections at a time; more are closed at once.",
    )
    max_connections_per_ip: int = integer(
        "max.connections.per.ip",
        default=INT_MAX,
        valid=at_least(0),
        update=CLUSTER_WIDE,
        doc="The most connections from one address; more are closed at once.",
    )
    max_connections_per_ip_overrides: str = string(
        "max.connections.per.ip.overrides",
        default="",
        valid=OVERRIDES,
        update=CLUSTER_WIDE,
        doc="Addresses, or names of hosts, that have a limit of their own. A name that is set while"
        " the broker runs is looked up within a sixteenth of connections.max.idle.ms.",
    )
    connections_max_idle_ms: int = long(
        "connections.max.idle.ms",
        default=600_000,
        doc="How long a connection without requests stays open; it is closed at most a sixteenth"
        " of that later.",
    )
    request_timeout_ms: int = integer(
        "request.timeout.ms",
        default=30_000,
        doc="How long this broker waits for another's answer.",
    )
    queued_max_request_bytes: int = long(
        "queued.max.request.bytes",
        default=256 << 20,
        kafka=-1,
        doc="Memory for requests that have partly arrived, over all connections; past it, reading"
        " pauses. -1 is no limit.",
    )
    kbroker_connection_slots: int = integer(
        "kbroker.connection.slots",
        default=256,
        valid=at_least(1),
        doc="Requests of one connection that may wait for their answers; past it, reading pauses.",
    )
    kbroker_connection_bytes: int = integer(
        "kbroker.connection.bytes",
        default=32 << 20,
        valid=at_least(1),
        doc="Bytes of one connection's requests that wait for their answers, and of answers that"
        " wait for those before them; past it, reading pauses.",
    )
    kbroker_request_partitions: int = integer(
        "kbroker.request.partitions",
        default=100_000,
        valid=at_least(1),
        doc="The most topics, partitions and other entries in one request; one with more closes"
        " its connection.",
    )
    kbroker_turn_requests: int = integer(
        "kbroker.turn.requests",
        default=64,
        valid=at_least(1),
        doc="Requests of one connection in a turn of the event loop; then others have theirs.",
    )
    kbroker_turn_bytes: int = integer(
        "kbroker.turn.bytes",
        default=1 << 20,
        valid=at_least(1),
        doc="Bytes of one connection's requests, or of their answers without records, in a turn of"
        " the event loop.",
    )
    kbroker_event_loop: str = string(
        "kbroker.event.loop",
        default="asyncio",
        valid=one_of("asyncio", "uvloop"),
        doc="The event loop; uvloop needs the extra of that name installed.",
    )
    kbroker_http_listener: str | None = string(
        "kbroker.http.listener",
        default=None,
        valid=HOST_AND_PORT,
        doc="HOST:PORT of /metrics, /livez and /readyz over HTTP, for those who may see it: there"
        " is no access control. Where it is not set there is none, and nothing is measured.",
    )
    kbroker_metrics_topics: int = integer(
        "kbroker.metrics.topics",
        default=500,
        valid=at_least(0),
        doc="The most topics, by name, that have series of their own in /metrics.",
    )

    kbroker_accept_damaged_logs: bool = boolean(
        "kbroker.accept.damaged.logs",
        default=False,
        doc="Whether a start cuts damaged logs at the first unreadable batch, and loses what is"
        " behind it, instead of refusing. For one start, by hand.",
    )

    # Fetch
    fetch_max_bytes: int = integer(
        "fetch.max.bytes",
        default=55 << 20,
        valid=at_least(1024),
        doc="The most that one Fetch answers, beyond its first batch.",
    )
    max_incremental_fetch_session_cache_slots: int = integer(
        "max.incremental.fetch.session.cache.slots",
        default=1000,
        valid=at_least(0),
        doc="Incremental fetch sessions (KIP-227) that are remembered at a time.",
    )

    # Topics
    auto_create_topics_enable: bool = boolean(
        "auto.create.topics.enable",
        default=True,
        doc="Whether a topic that a client asks for is created.",
    )
    delete_topic_enable: bool = boolean(
        "delete.topic.enable", default=True, doc="Whether topics may be deleted."
    )
    num_partitions: int = integer(
        "num.partitions",
        default=1,
        valid=at_least(1),
        doc="Partitions of a topic that is created without a number of them.",
    )
    default_replication_factor: int = integer(
        "default.replication.factor",
        default=1,
        doc="Replicas of a topic that is created without a number of them.",
    )
    min_insync_replicas: int = integer(
        "min.insync.replicas",
        default=1,
        valid=at_least(1),
        update=CLUSTER_WIDE,
        doc="The in-sync replicas that a write with acks=all needs.",
    )
    max_request_partition_size_limit: int = integer(
        "max.request.partition.size.limit",
        default=2000,
        valid=at_least(1),
        doc="The most partitions that one DescribeTopicPartitions answers.",
    )

    def check(self) -> None:
        """ConfigError where keys are good one by one but not together; the words are Kafka's."""
        self.parsed_listeners()
        retention = {
            "log.retention.ms": self.log_retention_ms,
            "log.retention.minutes": self.log_retention_minutes,
            "log.retention.hours": self.log_retention_hours,
        }
        for name, value in retention.items():
            if value is not None and value != -1 and value < 1:
                raise ConfigError(
                    name, f"{name} must be unlimited (-1) or, greater than or equal to 1"
                )
        if self.log_roll_ms is not None and self.log_roll_ms < 1:
            raise ConfigError("log.roll.ms", "log.roll.ms must be greater than or equal to 1")
        if self.log_roll_jitter_ms is not None and self.log_roll_jitter_ms < 0:
            raise ConfigError(
                "log.roll.jitter.ms", "log.roll.jitter.ms must be greater than or equal to 0"
            )
        if self.log_cleaner_dedupe_buffer_size <= 1 << 20:
            raise ConfigError(
                "log.cleaner.dedupe.buffer.size",
                "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
            )
        if self.group_min_session_timeout_ms > self.group_max_session_timeout_ms:
            raise ConfigError(
                "group.min.session.timeout.ms",
                "group.min.session.timeout.ms must not exceed group.max.session.timeout.ms",
            )
        if self.max_connections_per_ip == 0 and not self.max_connections_per_ip_overrides:
            raise ConfigError(
                "max.connections.per.ip",
                "max.connections.per.ip can be set to zero only if"
                " max.connections.per.ip.overrides property is set.",
            )
        if not self.data_directories:
            raise ConfigError("log.dirs", "At least one log directory must be defined via log.dirs")

    @property
    def data_directories(self) -> tuple[str, ...]:
        """The directories of log.dirs, else of log.dir, in their order, as they were written."""
        return tuple(filter(None, self.log_dirs or self.log_dir))

    def parsed_listeners(self) -> Listeners:
        """The listeners to open and what to advertise for each; ConfigError, as Kafka words it."""
        parsed = parse_listeners(
            listeners=self.listeners,
            advertised=self.advertised_listeners,
            protocol_map=self.listener_security_protocol_map,
            inter_broker_name=self.inter_broker_listener_name,
            controller_names=self.controller_listener_names,
        )
        return parsed if self.metadata_url() is None else for_a_cluster(parsed)
