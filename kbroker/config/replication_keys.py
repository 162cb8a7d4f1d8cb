"""The broker's keys about other brokers: being a member, following, leading, giving away."""

from __future__ import annotations

from kbroker.config.table import (
    CLUSTER_WIDE,
    ConfigTable,
    at_least,
    boolean,
    integer,
    long,
    one_of,
    string,
)

RACK_AWARE_SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


class ReplicationKeys(ConfigTable):
    """What a broker goes by that is one of several; alone, none of it has an effect."""

    # Membership
    broker_session_timeout_ms: int = integer(
        "broker.session.timeout.ms",
        default=6_000,
        kafka=9_000,
        valid=at_least(2_000),
        doc="How long a broker that is not heard of stays a member of its cluster; it is heard of"
        " three times as often.",
    )
    auto_leader_rebalance_enable: bool = boolean(
        "auto.leader.rebalance.enable",
        default=True,
        doc="Whether leadership goes back to preferred leaders by itself.",
    )
    leader_imbalance_check_interval_seconds: int = long(
        "leader.imbalance.check.interval.seconds",
        default=300,
        valid=at_least(1),
        doc="How often the controller gives leadership back.",
    )

    # Replicas
    replica_selector_class: str | None = string(
        "replica.selector.class",
        default=None,
        valid=one_of(RACK_AWARE_SELECTOR),
        doc="Kafka's RackAwareReplicaSelector has consumers read from an in-sync replica in their"
        " own rack (client.rack), if there is one; by default they read from leaders.",
    )
    unclean_leader_election_enable: bool = boolean(
        "unclean.leader.election.enable",
        default=False,
        update=CLUSTER_WIDE,
        doc="Whether a replica that may lack committed records may lead when no other is left.",
    )
    replica_lag_time_max_ms: int = long(
        "replica.lag.time.max.ms",
        default=30_000,
        doc="How long a follower may stay behind its leader's end before it leaves the ISR.",
    )
    replica_fetch_max_bytes: int = integer(
        "replica.fetch.max.bytes",
        default=1 << 20,
        valid=at_least(0),
        doc="The most that a follower asks for in one partition.",
    )
    replica_fetch_response_max_bytes: int = integer(
        "replica.fetch.response.max.bytes",
        default=10 << 20,
        valid=at_least(0),
        doc="The most that a follower asks for in one Fetch.",
    )
    replica_fetch_min_bytes: int = integer(
        "replica.fetch.min.bytes", default=1, doc="The least that a follower's Fetch waits for."
    )
    replica_fetch_wait_max_ms: int = integer(
        "replica.fetch.wait.max.ms", default=500, doc="How long a follower's Fetch may wait."
    )
    replica_fetch_backoff_ms: int = integer(
        "replica.fetch.backoff.ms",
        default=1000,
        valid=at_least(0),
        doc="How long a follower rests after a failed Fetch.",
    )
    controlled_shutdown_enable: bool = boolean(
        "controlled.shutdown.enable",
        default=True,
        doc="Whether leadership moves to other brokers before this one stops.",
    )
