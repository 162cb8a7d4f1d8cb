"""Keys of Kafka's that have no meaning here: accepted with one warning line, so that files start.

A name that ends in a dot stands for every key that begins with it. The second table holds the keys
that are refused instead, because starting without what they ask for would be dangerous. The third
holds keys of our tables that nothing reads yet: they warn too, if they are given another value.
"""

from __future__ import annotations

from collections.abc import Mapping

IGNORED: Mapping[str, tuple[str, ...]] = {
    "there is no controller quorum, cluster metadata is in SQLite or etcd": (
        "process.roles",
        "controller.",
        "metadata.log.",
        "metadata.max.",
        "initial.broker.registration.timeout.ms",
        "broker.heartbeat.interval.ms",
        "early.start.listeners",
        "unstable.",
    ),
    "there is no ZooKeeper": (
        "zookeeper.",
        "broker.id.generation.enable",
        "reserved.broker.max.id",
        "control.plane.listener.name",
    ),
    "one event loop serves all requests, there are no pools to size": (
        "num.network.threads",
        "num.io.threads",
        "num.replica.fetchers",
        "num.replica.alter.log.dirs.threads",
        "num.recovery.threads.per.data.dir",
        "background.threads",
        "queued.max.requests",
        "group.coordinator.threads",
        "group.coordinator.background.threads",
        "group.coordinator.append.linger.ms",
        "group.coordinator.cached.buffer.max.bytes",
        "offsets.load.buffer.size",
        "transaction.state.log.load.buffer.size",
        "log.cleaner.threads",
        "log.cleaner.io.buffer.size",
        "log.cleaner.io.buffer.load.factor",
        "log.cleaner.io.max.bytes.per.second",
        "add.partitions.to.txn.retry.backoff.ms",
        "add.partitions.to.txn.retry.backoff.max.ms",
    ),
    "waiting requests need no purging": (
        "producer.purgatory.purge.interval.requests",
        "fetch.purgatory.purge.interval.requests",
        "share.fetch.purgatory.purge.interval.requests",
        "delete.records.purgatory.purge.interval.requests",
    ),
    "the operating system sizes socket buffers": (
        "socket.send.buffer.bytes",
        "socket.receive.buffer.bytes",
        "socket.connection.setup.timeout.ms",
        "socket.connection.setup.timeout.max.ms",
        "replica.socket.receive.buffer.bytes",
        "replica.socket.timeout.ms",
    ),
    "internal topics keep the compression that the coordinator chooses": (
        "offsets.topic.compression.codec",
    ),
    "TLS and SASL are not served, and a listener that asks for them is refused": (
        "ssl.",
        "sasl.",
        "security.",
        "listener.name.",
        "principal.builder.class",
        "connection.failed.authentication.delay.ms",
        "connections.max.reauth.ms",
        "delegation.token.",
        "password.encoder.",
    ),
    "connections are limited in number, not in how fast they are made": (
        "max.connection.creation.rate",
    ),
    "there are no quotas and no throttling": (
        "quota.",
        "replication.quota.",
        "alter.log.dirs.replication.quota.",
        "client.quota.callback.class",
        "leader.replication.throttled.rate",
        "follower.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    ),
    "there is no tiered storage": (
        "remote.",
        "log.local.retention.bytes",
        "log.local.retention.ms",
        "follower.fetch.last.tiered.offset.enable",
    ),
    "share groups and streams groups are not served": (
        "group.share.",
        "group.streams.",
        "share.coordinator.",
    ),
    "assignments are computed at once": (
        "group.consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    "leadership goes back to every preferred leader, whatever the imbalance": (
        "leader.imbalance.per.broker.percentage",
    ),
    "a failed or cordoned data directory is not reported to a controller": (
        "log.dir.failure.timeout.ms",
        "cordoned.log.dirs",
    ),
    "two-phase commit is not served": ("transaction.two.phase.commit.enable",),
    "Java classes cannot be loaded": (
        "config.providers",
        "config.providers.",
        "metric.reporters",
        "metrics.",
        "kafka.metrics.",
        "auto.include.jmx.reporter",
        "create.topic.policy.class.name",
        "alter.config.policy.class.name",
        "telemetry.max.bytes",
    ),
    "it belongs to an older Kafka and has no effect in Kafka 4 either": (
        "port",
        "host.name",
        "advertised.port",
        "advertised.host.name",
        "inter.broker.protocol.version",
        "log.message.format.version",
        "log.message.downconversion.enable",
        "log.message.timestamp.difference.max.ms",
        "controlled.shutdown.max.retries",
        "controlled.shutdown.retry.backoff.ms",
        "offsets.commit.required.acks",
        "eligible.leader.replicas.enable",
        "group.coordinator.new.enable",
    ),
}

# Of the keys above, those that Kafka lets be changed while a broker runs: so it is here, and still
# they have no meaning. What TLS and SASL go by is not among them.
CHANGE_WHILE_RUNNING = frozenset(
    {
        "background.threads",
        "cordoned.log.dirs",
        "follower.fetch.last.tiered.offset.enable",
        "follower.replication.throttled.rate",
        "group.consumer.assignment.interval.ms",
        "group.coordinator.cached.buffer.max.bytes",
        "group.share.assignment.interval.ms",
        "group.streams.assignment.interval.ms",
        "leader.replication.throttled.rate",
        "log.cleaner.io.buffer.load.factor",
        "log.cleaner.io.buffer.size",
        "log.cleaner.io.max.bytes.per.second",
        "log.cleaner.threads",
        "log.local.retention.bytes",
        "log.local.retention.ms",
        "max.connection.creation.rate",
        "metric.reporters",
        "num.io.threads",
        "num.network.threads",
        "num.recovery.threads.per.data.dir",
        "num.replica.fetchers",
        "remote.fetch.max.wait.ms",
        "remote.list.offsets.request.timeout.ms",
        "remote.log.index.file.cache.total.size.bytes",
        "remote.log.manager.copier.thread.pool.size",
        "remote.log.manager.copy.max.bytes.per.second",
        "remote.log.manager.expiration.thread.pool.size",
        "remote.log.manager.fetch.max.bytes.per.second",
        "remote.log.manager.follower.thread.pool.size",
        "remote.log.reader.threads",
        "replica.alter.log.dirs.io.max.bytes.per.second",
        "share.coordinator.cached.buffer.max.bytes",
    }
)

REFUSED: Mapping[str, str] = {
    "authorizer.class.name": "access control is not served, every client could do everything",
}

NOT_YET: Mapping[str, tuple[str, ...]] = {
    "logs are not compacted yet": (
        "log.cleaner.enable",
        "log.cleaner.backoff.ms",
        "log.cleaner.dedupe.buffer.size",
        "log.cleaner.delete.retention.ms",
        "log.cleaner.max.compaction.lag.ms",
        "log.cleaner.min.cleanable.ratio",
        "log.cleaner.min.compaction.lag.ms",
        "delete.retention.ms",
        "max.compaction.lag.ms",
        "min.cleanable.dirty.ratio",
        "min.compaction.lag.ms",
    ),
    "segments are not allocated in advance": ("log.preallocate", "preallocate"),
    "groups of the next generation's protocol (KIP-848) are not served yet": (
        "group.coordinator.rebalance.protocols",
        "group.consumer.assignors",
        "group.consumer.heartbeat.interval.ms",
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
        "group.consumer.session.timeout.ms",
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
        "group.consumer.max.size",
        "group.consumer.migration.policy",
    ),
    "transactions are not served yet": (
        "transaction.max.timeout.ms",
        "transactional.id.expiration.ms",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        "transaction.partition.verification.enable",
        "transaction.state.log.num.partitions",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "transaction.state.log.segment.bytes",
    ),
    "one interval serves all checkpoints, log.flush.offset.checkpoint.interval.ms": (
        "log.flush.start.offset.checkpoint.interval.ms",
        "replica.high.watermark.checkpoint.interval.ms",
    ),
}


def why_not_yet(name: str) -> str | None:
    """Why a key of our tables has no effect in this version; None when it has one."""
    return next((reason for reason, names in NOT_YET.items() if name in names), None)


def why_ignored(name: str) -> str | None:
    """Why Kafka's key `name` has no meaning here; None when it is not one of them."""
    for reason, names in IGNORED.items():
        for pattern in names:
            if name == pattern or (pattern.endswith(".") and name.startswith(pattern)):
                return reason
    return None


def changes_while_running(name: str) -> bool:
    """Whether Kafka's key `name`, which has no meaning here, may be set on a running broker."""
    return name in CHANGE_WHILE_RUNNING
