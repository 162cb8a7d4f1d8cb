"""What holds for a running broker: one broker's setting over every broker's over the start's."""

from __future__ import annotations

import logging

import pytest

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import ConfigError


def running(**settings: str) -> RunningConfig:
    return RunningConfig(
        BrokerConfig.parse({key.replace("_", "."): text for key, text in settings.items()})
    )


def test_the_nearest_layer_wins_and_what_goes_uncovers_the_next() -> None:
    config = running(message_max_bytes="1000")
    assert config.now.message_max_bytes == 1000
    config.take(every_broker={"message.max.bytes": "2000"}, this_broker={})
    assert config.now.message_max_bytes == 2000
    config.take(
        every_broker={"message.max.bytes": "2000"}, this_broker={"message.max.bytes": "3000"}
    )
    assert config.now.message_max_bytes == 3000
    config.take(every_broker={}, this_broker={"message.max.bytes": "3000"})
    assert config.now.message_max_bytes == 3000
    config.take(every_broker={}, this_broker={})
    assert config.now is config.static


def test_those_who_asked_are_told_once_for_each_change() -> None:
    config = running()
    told: list[tuple[int, int]] = []
    config.on_change(lambda was, now: told.append((was.message_max_bytes, now.message_max_bytes)))
    config.take(every_broker={"message.max.bytes": "2000"}, this_broker={})
    config.take(every_broker={"message.max.bytes": "2000"}, this_broker={})
    config.take(every_broker={"num.io.threads": "5"}, this_broker={})
    assert told == [(1_048_588, 2000), (2000, 1_048_588)]


@pytest.mark.parametrize(
    ("name", "text"),
    [("message.max.bytes", "many"), ("num.partitions", "3"), ("log.segment.bytes", "1")],
)
def test_what_another_version_stored_and_this_one_refuses_is_left_out(
    name: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = running()
    with caplog.at_level(logging.ERROR):
        config.take(every_broker={name: text, "log.retention.bytes": "7"}, this_broker={})
    assert config.now.log_retention_bytes == 7
    assert config.now.value(name) == BrokerConfig.KEYS[name].default
    assert name not in config.every_broker
    assert "left out" in caplog.text


def test_values_that_do_not_go_together_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    config = running()
    config.take(every_broker={"log.retention.ms": "0"}, this_broker={})
    assert config.now.log_retention_ms is None
    assert config.every_broker == {}
    assert "stays as it was" in caplog.text


def test_layers_can_be_tried_before_they_are_taken() -> None:
    config = running()
    tried = config.with_layers({"log.retention.ms": "5"}, {"log.retention.ms": "6"})
    assert (tried.log_retention_ms, config.now.log_retention_ms) == (6, None)
    with pytest.raises(ConfigError, match="must be unlimited"):
        config.with_layers({"log.retention.ms": "0"}, {})
    with pytest.raises(ConfigError, match="Not a number of type INT"):
        config.with_layers({}, {"message.max.bytes": "x"})
