"""Settings that were answered are there after kill -9 of the real process, and take effect."""

from __future__ import annotations

from pathlib import Path

from tests.kbroker.handlers.config_requests import BROKER, GROUP, SET, TOPIC, change, describe
from tests.process.broker_process import running
from tests.process.raw_client import RawClient
from wire.messages.describe_configs import DescribeConfigsResponse
from wire.messages.incremental_alter_configs import IncrementalAlterConfigsResponse

SETTINGS = (
    (TOPIC, "t", "retention.ms", "5000"),
    (BROKER, "", "log.segment.bytes", "2000000"),
    (BROKER, "1", "message.max.bytes", "3000"),
    (GROUP, "g", "consumer.session.timeout.ms", "50000"),
)


def test_settings_survive_kill_9_right_after_the_answer(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as broker, RawClient(broker.address) as client:
        client.create_topic("t")
        for kind, name, key, value in SETTINGS:
            request = change(kind, name, (key, SET, value))
            answer = client.ask(request, 1, IncrementalAlterConfigsResponse)
            assert answer.responses[0].error_code == 0
        broker.kill()
    with running(data) as broker, RawClient(broker.address) as client:
        for kind, name, key, value in SETTINGS:
            described = client.ask(describe(kind, name, key), 4, DescribeConfigsResponse)
            (shown,) = described.results[0].configs
            assert (shown.name, shown.value) == (key, value)
        followed = client.ask(
            describe(TOPIC, "t", "segment.bytes", "max.message.bytes"), 4, DescribeConfigsResponse
        )
        values = {each.name: each.value for each in followed.results[0].configs}
        assert values == {"segment.bytes": "2000000", "max.message.bytes": "3000"}
