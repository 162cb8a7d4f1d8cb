"""Subscriptions of client metrics (KIP-714): what they may hold, and Kafka's two kinds of no."""

from __future__ import annotations

import pytest

from kbroker.config.client_metrics_config import client_metrics_config
from kbroker.config.table import ConfigError
from wire.errors import ErrorCode, KafkaError


def test_a_whole_subscription() -> None:
    config = client_metrics_config(
        {"interval.ms": "1000", "metrics": "org.,", "match": "client_id=a.*"}
        | {"metrics": "org.apache.,x."}
    )
    assert config.interval_ms == 1000
    assert config.metrics == ("org.apache.", "x.")
    assert config.match == ("client_id=a.*",)


def test_nothing_set_is_the_defaults() -> None:
    assert client_metrics_config({}).interval_ms == 300_000


@pytest.mark.parametrize("settings", [{"no.such.key": "1"}, {"interval.ms": "99"}])
def test_some_faults_are_of_the_request(settings: dict[str, str]) -> None:
    with pytest.raises(KafkaError) as refusal:
        client_metrics_config(settings)
    assert refusal.value.code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("interval.ms", "often"),
        ("match", "colour=red"),
        ("match", "client_id"),
        ("match", "client_id="),
        ("match", "client_id=("),
        ("match", "client_id=a{99999999999999999999}"),
        ("match", "client_id=" + "(" * 3000),
    ],
)
def test_others_are_of_the_value(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        client_metrics_config({name: text})
    assert refusal.value.key == name
