"""What DescribeConfigs says: values, sources, and the synonyms in Kafka's order."""

from __future__ import annotations

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.describing import (
    ConfigSource,
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_every_broker,
    describe_group,
    describe_topic,
)
from kbroker.config.group_config import GroupConfig
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import READ_ONLY, ConfigType
from kbroker.config.topic_config import TopicConfig


def running(**settings: str) -> RunningConfig:
    return RunningConfig(
        BrokerConfig.parse({key.replace("_", "."): text for key, text in settings.items()})
    )


def one(described: list[DescribedConfig], name: str) -> DescribedConfig:
    (found,) = [each for each in described if each.name == name]
    return found


def synonyms(described: DescribedConfig) -> list[tuple[str, str | None, int]]:
    return [(each.name, each.value, int(each.source)) for each in described.synonyms]


def test_every_key_is_described_once_with_its_type_and_words() -> None:
    topic = describe_topic(running(), {})
    assert sorted(each.name for each in topic) == sorted(TopicConfig.KEYS)
    group = describe_group(running(), {})
    assert sorted(each.name for each in group) == sorted(GroupConfig.KEYS)
    broker = describe_broker(running())
    assert sorted(each.name for each in broker) == sorted([*BrokerConfig.KEYS, "broker.id"])
    assert all(each.type and (each.documentation or each.name == "broker.id") for each in broker)
    for each in broker:
        if each.name in BrokerConfig.KEYS:
            assert each.read_only == (BrokerConfig.KEYS[each.name].update is READ_ONLY), each.name


def test_a_topics_key_shows_all_that_stands_behind_it() -> None:
    config = running(log_retention_ms="500", log_retention_hours="3")
    config.take(every_broker={"log.retention.ms": "600"}, this_broker={"log.retention.ms": "700"})
    described = one(describe_topic(config, {"retention.ms": "800"}), "retention.ms")
    assert (described.value, described.source) == ("800", ConfigSource.TOPIC)
    assert synonyms(described) == [
        ("retention.ms", "800", 1),
        ("log.retention.ms", "700", 2),
        ("log.retention.ms", "600", 3),
        ("log.retention.ms", "500", 4),
        ("log.retention.hours", "3", 4),
        ("log.retention.hours", "168", 5),
    ]
    inherited = one(describe_topic(config, {}), "retention.ms")
    assert (inherited.value, inherited.source) == ("700", ConfigSource.DYNAMIC_BROKER)


def test_a_value_in_another_unit_alone_is_no_synonym() -> None:
    """As in Kafka: log.retention.hours shows only behind a log.retention.ms."""
    config = running(log_retention_hours="3")
    topic = one(describe_topic(config, {}), "retention.ms")
    assert (topic.value, topic.source, topic.synonyms) == ("10800000", ConfigSource.DEFAULT, ())
    hours = one(describe_broker(config), "log.retention.hours")
    assert synonyms(hours) == [("log.retention.hours", "3", 4), ("log.retention.hours", "168", 5)]
    assert one(describe_broker(config), "log.retention.ms").value is None


def test_a_broker_shows_each_layer_and_what_is_set_without_meaning() -> None:
    config = running()
    config.take(every_broker={"num.io.threads": "9"}, this_broker={"log.segment.bytes": "2000000"})
    described = describe_broker(config)
    assert synonyms(one(described, "log.segment.bytes")) == [
        ("log.segment.bytes", "2000000", 2),
        ("log.segment.bytes", "1073741824", 5),
    ]
    threads = one(described, "num.io.threads")
    assert (threads.value, threads.type) == ("9", None)
    assert threads.source == ConfigSource.DYNAMIC_DEFAULT_BROKER
    everybody = describe_every_broker(config)
    assert [each.name for each in everybody] == ["num.io.threads"]


def test_every_broker_shows_only_what_was_set_for_all() -> None:
    config = running(log_retention_ms="5")
    assert describe_every_broker(config) == []
    config.take(every_broker={"log.retention.ms": "6"}, this_broker={"log.retention.ms": "7"})
    (described,) = describe_every_broker(config)
    assert (described.value, described.type) == ("6", ConfigType.LONG)
    assert synonyms(described) == [("log.retention.ms", "6", 3)]


def test_a_group_follows_the_brokers_keys_where_there_are_some() -> None:
    config = running(group_consumer_session_timeout_ms="50000")
    described = describe_group(config, {"consumer.heartbeat.interval.ms": "7000"})
    session = one(described, "consumer.session.timeout.ms")
    assert (session.value, session.source) == ("50000", ConfigSource.STATIC_BROKER)
    heartbeat = one(described, "consumer.heartbeat.interval.ms")
    assert synonyms(heartbeat) == [
        ("consumer.heartbeat.interval.ms", "7000", 8),
        ("group.consumer.heartbeat.interval.ms", "5000", 5),
    ]
    share = one(described, "share.session.timeout.ms")
    assert synonyms(share) == [("group.share.session.timeout.ms", "45000", 5)]


def test_a_groups_setting_is_shown_though_the_bounds_have_moved_since() -> None:
    config = running(group_consumer_max_session_timeout_ms="46000")
    described = describe_group(config, {"consumer.session.timeout.ms": "50000"})
    assert one(described, "consumer.session.timeout.ms").value == "50000"


def test_a_subscription_has_three_keys() -> None:
    described = describe_client_metrics({"interval.ms": "1000"})
    assert [(each.name, each.value, int(each.source)) for each in described] == [
        ("interval.ms", "1000", 7),
        ("match", "", 5),
        ("metrics", "", 5),
    ]
