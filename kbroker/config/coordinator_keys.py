"""The broker's keys about groups, committed offsets, idempotent producers and transactions."""

from __future__ import annotations

from kbroker.config.table import (
    CLUSTER_WIDE,
    INT_MAX,
    ConfigTable,
    at_least,
    boolean,
    integer,
    long,
    one_of,
    short,
    some_of,
    string,
    strings,
)


class CoordinatorKeys(ConfigTable):
    """What the group coordinator and the transaction coordinator go by."""

    # Committed offsets
    offset_metadata_max_bytes: int = integer(
        "offset.metadata.max.bytes",
        default=4096,
        doc="The longest text that a client may store beside an offset.",
    )
    offsets_commit_timeout_ms: int = integer(
        "offsets.commit.timeout.ms",
        default=5_000,
        valid=at_least(1),
        doc="How long a commit may wait until its records are replicated.",
    )
    offsets_retention_minutes: int = integer(
        "offsets.retention.minutes",
        default=10_080,
        valid=at_least(1),
        doc="How long the offsets of an empty group are kept.",
    )
    offsets_retention_check_interval_ms: int = long(
        "offsets.retention.check.interval.ms",
        default=600_000,
        valid=at_least(1),
        doc="How often expired offsets are looked for.",
    )
    offsets_topic_num_partitions: int = integer(
        "offsets.topic.num.partitions",
        default=1,
        kafka=50,
        valid=at_least(1),
        doc="Partitions of __consumer_offsets when it is created.",
    )
    offsets_topic_replication_factor: int = short(
        "offsets.topic.replication.factor",
        default=1,
        kafka=3,
        valid=at_least(1),
        doc="Replicas of __consumer_offsets when it is created.",
    )
    offsets_topic_segment_bytes: int = integer(
        "offsets.topic.segment.bytes",
        default=100 << 20,
        valid=at_least(1),
        doc="Segment size of __consumer_offsets, small so that it compacts and loads fast.",
    )

    # Classic groups
    group_initial_rebalance_delay_ms: int = integer(
        "group.initial.rebalance.delay.ms",
        default=0,
        kafka=3_000,
        valid=at_least(0),
        doc="How long the first join of an empty group waits for more members.",
    )
    group_min_session_timeout_ms: int = integer(
        "group.min.session.timeout.ms",
        default=6_000,
        doc="The shortest session timeout that a member may ask for; tests that wait for the end "
        "of a session lower it, to 1000 or less.",
    )
    group_max_session_timeout_ms: int = integer(
        "group.max.session.timeout.ms",
        default=1_800_000,
        doc="The longest session timeout that a member may ask for.",
    )
    group_max_size: int = integer(
        "group.max.size",
        default=INT_MAX,
        valid=at_least(1),
        doc="The most members that a classic group may have.",
    )

    # Consumer groups (KIP-848)
    group_coordinator_rebalance_protocols: tuple[str, ...] = strings(
        "group.coordinator.rebalance.protocols",
        default=("classic", "consumer"),
        kafka=("classic", "consumer", "streams"),
        valid=some_of("classic", "consumer", "share", "streams"),
        doc="The group protocols that are served.",
    )
    group_consumer_assignors: tuple[str, ...] = strings(
        "group.consumer.assignors",
        default=("uniform", "range"),
        valid=some_of("uniform", "range"),
        doc="The assignors that the coordinator offers; the first is its default.",
    )
    group_consumer_heartbeat_interval_ms: int = integer(
        "group.consumer.heartbeat.interval.ms",
        default=5_000,
        valid=at_least(1),
        doc="How often a member of a consumer group is asked to send a heartbeat.",
    )
    group_consumer_min_heartbeat_interval_ms: int = integer(
        "group.consumer.min.heartbeat.interval.ms",
        default=5_000,
        valid=at_least(1),
        doc="The shortest heartbeat interval that a group may be given.",
    )
    group_consumer_max_heartbeat_interval_ms: int = integer(
        "group.consumer.max.heartbeat.interval.ms",
        default=15_000,
        valid=at_least(1),
        doc="The longest heartbeat interval that a group may be given.",
    )
    group_consumer_session_timeout_ms: int = integer(
        "group.consumer.session.timeout.ms",
        default=45_000,
        valid=at_least(1),
        doc="How long a member of a consumer group may be silent before it is removed.",
    )
    group_consumer_min_session_timeout_ms: int = integer(
        "group.consumer.min.session.timeout.ms",
        default=45_000,
        valid=at_least(1),
        doc="The shortest session timeout that a group may be given.",
    )
    group_consumer_max_session_timeout_ms: int = integer(
        "group.consumer.max.session.timeout.ms",
        default=60_000,
        valid=at_least(1),
        doc="The longest session timeout that a group may be given.",
    )
    group_consumer_max_size: int = integer(
        "group.consumer.max.size",
        default=INT_MAX,
        valid=at_least(1),
        doc="The most members that a consumer group may have.",
    )
    group_consumer_migration_policy: str = string(
        "group.consumer.migration.policy",
        default="bidirectional",
        valid=one_of("disabled", "downgrade", "upgrade", "bidirectional", ignoring_case=True),
        doc="Which way a group may change between the classic and the consumer protocol online.",
    )

    # Producers and transactions
    producer_id_expiration_ms: int = integer(
        "producer.id.expiration.ms",
        default=86_400_000,
        valid=at_least(1),
        update=CLUSTER_WIDE,
        doc="How long a partition remembers the sequence numbers of a silent producer.",
    )
    transaction_max_timeout_ms: int = integer(
        "transaction.max.timeout.ms",
        default=900_000,
        valid=at_least(1),
        doc="The longest transaction timeout that a producer may ask for.",
    )
    transactional_id_expiration_ms: int = integer(
        "transactional.id.expiration.ms",
        default=604_800_000,
        valid=at_least(1),
        doc="How long the coordinator remembers a transactional id that is not used.",
    )
    transaction_abort_timed_out_transaction_cleanup_interval_ms: int = integer(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        default=10_000,
        valid=at_least(1),
        doc="How often transactions that have timed out are looked for and aborted.",
    )
    transaction_remove_expired_transaction_cleanup_interval_ms: int = integer(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        default=3_600_000,
        valid=at_least(1),
        doc="How often expired transactional ids are looked for and forgotten.",
    )
    transaction_partition_verification_enable: bool = boolean(
        "transaction.partition.verification.enable",
        default=True,
        update=CLUSTER_WIDE,
        doc="Whether a partition asks the coordinator before a transaction's first records.",
    )
    transaction_state_log_num_partitions: int = integer(
        "transaction.state.log.num.partitions",
        default=1,
        kafka=50,
        valid=at_least(1),
        doc="Partitions of __transaction_state when it is created.",
    )
    transaction_state_log_replication_factor: int = short(
        "transaction.state.log.replication.factor",
        default=1,
        kafka=3,
        valid=at_least(1),
        doc="Replicas of __transaction_state when it is created.",
    )
    transaction_state_log_min_isr: int = integer(
        "transaction.state.log.min.isr",
        default=1,
        kafka=2,
        valid=at_least(1),
        doc="The in-sync replicas that a write to __transaction_state needs.",
    )
    transaction_state_log_segment_bytes: int = integer(
        "transaction.state.log.segment.bytes",
        default=100 << 20,
        valid=at_least(1),
        doc="Segment size of __transaction_state.",
    )
