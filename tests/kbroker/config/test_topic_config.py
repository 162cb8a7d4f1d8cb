"""A topic's keys against Apache Kafka's own, and how they follow the broker's."""

from pathlib import Path

import pytest

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.ignored_keys import why_ignored
from kbroker.config.table import ConfigError, render
from kbroker.config.topic_config import TopicConfig, topic_config
from log.log_config import LogConfig

KAFKA_KEYS = {
    line.split("\t")[1]: line.split("\t")[2:]
    for line in (Path(__file__).parent / "apache_kafka_keys.tsv").read_text().splitlines()
    if line.startswith("topic\t")
}


def test_the_table_is_kafkas_whole_table():
    assert set(TopicConfig.KEYS) == set(KAFKA_KEYS)


@pytest.mark.parametrize("name", sorted(KAFKA_KEYS))
def test_a_key_is_kafkas_in_type_default_and_brokers_key(name):
    key = TopicConfig.KEYS[name]
    kind, default, broker_key = KAFKA_KEYS[name]
    assert key.type.name.lower() == kind
    assert render(key.kafka_default) == default
    if key.synonyms:
        assert key.synonyms[0] == broker_key
    assert all(each in BrokerConfig.KEYS or why_ignored(each) for each in key.synonyms)


def test_defaults_agree_with_the_logs_own():
    broker = BrokerConfig()
    assert topic_config(broker, {}).to_log_config(broker) == LogConfig()


def test_the_brokers_keys_are_a_topics_defaults():
    broker = BrokerConfig.parse({"log.segment.bytes": "2000000", "min.insync.replicas": "2"})
    config = topic_config(broker, {"min.insync.replicas": "3"})
    assert (config.segment_bytes, config.min_insync_replicas) == (2_000_000, 3)
    assert config.given == {"min.insync.replicas"}


@pytest.mark.parametrize(
    ("broker_texts", "retention_ms"),
    [
        ({}, 604_800_000),
        ({"log.retention.hours": "2"}, 7_200_000),
        ({"log.retention.hours": "2", "log.retention.minutes": "3"}, 180_000),
        ({"log.retention.hours": "2", "log.retention.minutes": "3", "log.retention.ms": "4"}, 4),
        ({"log.retention.hours": "-1"}, -1),
    ],
)
def test_retention_in_the_finest_unit_that_is_set_wins(broker_texts, retention_ms):
    assert topic_config(BrokerConfig.parse(broker_texts), {}).retention_ms == retention_ms


def test_rolling_and_its_jitter_follow_hours():
    broker = BrokerConfig.parse({"log.roll.hours": "1", "log.roll.jitter.hours": "2"})
    config = topic_config(broker, {})
    assert (config.segment_ms, config.segment_jitter_ms) == (3_600_000, 7_200_000)


def test_page_cache_durability_is_opted_into_per_topic():
    broker = BrokerConfig()
    config = topic_config(broker, {"flush.messages": "9223372036854775807"})
    assert config.to_log_config(broker).flush_messages == 2**63 - 1


def test_a_topic_is_not_configured_by_the_brokers_names():
    with pytest.raises(ConfigError):
        topic_config(BrokerConfig(), {"log.retention.ms": "1"})


def test_what_the_broker_alone_decides_reaches_the_log():
    broker = BrokerConfig.parse({"producer.id.expiration.ms": "5"})
    assert topic_config(broker, {}).to_log_config(broker).producer_id_expiration_ms == 5


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"retention.ms": "-5"}, "Invalid value -5 for configuration retention.ms: Value must be"
         " at least -1"),
        ({"cleanup.policy": "foo"}, "Invalid value foo for configuration cleanup.policy: String"
         " must be one of: compact, delete"),
        ({"cleanup.policy": "delete,"}, "Configuration 'cleanup.policy' values must not be empty."),
        ({"segment.bytes": "10"}, "Invalid value 10 for configuration segment.bytes: Value must be"
         " at least 1048576"),
        ({"retention.ms": ""}, "Invalid value  for configuration retention.ms: Not a number of type"
         " LONG"),
        ({"no.such": "1"}, "Unknown topic config name: no.such"),
        ({"compression.gzip.level": "0"}, "Invalid value 0 for configuration"
         " compression.gzip.level: Value must be between 1 and 9 or equal to -1"),
        ({"min.cleanable.dirty.ratio": "2"}, "Invalid value 2.0 for configuration"
         " min.cleanable.dirty.ratio: Value must be no more than 1"),
        ({"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"}, "conflict topic config"
         " setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"),
        ({"remote.storage.enable": "true"}, "Tiered Storage functionality is disabled in the"
         " broker. Topic cannot be configured with remote log storage."),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_refused_in_the_words_of_apache_kafka(texts, message):
    """The messages are answers of Apache Kafka 4.3.1 to CreateTopics."""
    with pytest.raises(ConfigError) as refusal:
        topic_config(BrokerConfig(), texts)
    assert str(refusal.value) == message
    assert refusal.value.key in texts


@pytest.mark.parametrize(
    "texts",
    [
        {"cleanup.policy": "delete,delete"},
        {"cleanup.policy": "delete , compact"},
        {"cleanup.policy": ""},
        {"segment.bytes": " 2000000 "},
        {"segment.bytes": "+2000000"},
        {"preallocate": "TRUE"},
        {"retention.bytes": "-7"},
        {"leader.replication.throttled.replicas": "*"},
        {"follower.replication.throttled.replicas": "0:1,1:2"},
    ],
)
def test_what_apache_kafka_accepts_is_accepted(texts):
    broker = BrokerConfig()
    assert topic_config(broker, texts).to_log_config(broker)
