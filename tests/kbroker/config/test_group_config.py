"""What may be set on a group: bounds from the broker's keys, Kafka's where we have none."""

from __future__ import annotations

import pytest

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.group_config import GroupConfig, group_config
from kbroker.config.table import ConfigError, render

BROKER = BrokerConfig()


def test_the_defaults_lie_within_their_own_bounds() -> None:
    for key in GroupConfig.KEYS.values():
        text = render(key.default)
        assert text is not None
        assert group_config(BROKER, {key.name: text}).value(key.name) == key.default


def test_a_group_follows_its_broker_until_it_is_given_a_value() -> None:
    broker = BrokerConfig.parse({"group.consumer.session.timeout.ms": "50000"})
    assert group_config(broker, {}).consumer_session_timeout_ms == 50_000
    own = group_config(broker, {"consumer.session.timeout.ms": "51000"})
    assert own.consumer_session_timeout_ms == 51_000
    assert own.given == {"consumer.session.timeout.ms"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("consumer.session.timeout.ms", "44999", "group.consumer.min.session.timeout.ms"),
        ("consumer.session.timeout.ms", "60001", "group.consumer.max.session.timeout.ms"),
        ("consumer.heartbeat.interval.ms", "4999", "group.consumer.min.heartbeat.interval.ms"),
        ("consumer.assignment.interval.ms", "15001", "group.consumer.max.assignment.interval.ms"),
        ("share.record.lock.duration.ms", "14999", "group.share.min.record.lock.duration.ms"),
        ("share.delivery.count.limit", "11", "group.share.max.delivery.count.limit"),
        ("streams.num.standby.replicas", "3", "group.streams.max.standby.replicas"),
        ("share.auto.offset.reset", "by_duration:1h", "by_duration:<PnDTnHnMn.nS>"),
        ("share.auto.offset.reset", "by_duration:PT", "by_duration:<PnDTnHnMn.nS>"),
        ("share.isolation.level", "none", "String must be one of"),
        ("session.timeout.ms", "1", "Unknown group config name"),
        ("group.consumer.session.timeout.ms", "50000", "Unknown group config name"),
    ],
)
def test_what_is_out_of_bounds_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("<", ".").replace(">", ".")) as refusal:
        group_config(BROKER, {name: text})
    assert refusal.value.key == name


def test_the_bounds_are_the_brokers() -> None:
    broker = BrokerConfig.parse({"group.consumer.min.session.timeout.ms": "100"})
    assert group_config(broker, {"consumer.session.timeout.ms": "100"})


@pytest.mark.parametrize("text", ["latest", "EARLIEST", "by_duration:P1DT2H", "by_duration:PT0.5S"])
def test_where_a_share_group_begins(text: str) -> None:
    assert group_config(BROKER, {"share.auto.offset.reset": text}).share_auto_offset_reset == text
