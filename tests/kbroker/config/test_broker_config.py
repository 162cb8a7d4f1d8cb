"""The broker's table against Apache Kafka's own, and the checks over several keys."""

from pathlib import Path

import pytest

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.ignored_keys import REFUSED, why_ignored
from kbroker.config.table import READ_ONLY, ConfigError, render

KAFKA_KEYS = [
    line.split("\t")[1:]
    for line in (Path(__file__).parent / "apache_kafka_keys.tsv").read_text().splitlines()
    if line.startswith("broker\t")
]
NEED_A_RESTART = ("listeners", "listener.security.protocol.map")


@pytest.mark.parametrize(("name", "kind", "default", "update"), KAFKA_KEYS)
def test_every_key_of_kafka_is_effective_or_ignored_or_refused(name, kind, default, update):
    key = BrokerConfig.find(name)
    if key is None:
        assert why_ignored(name) is not None or name in REFUSED
        return
    assert key.type.name.lower() == kind
    if name == key.name and name not in NEED_A_RESTART:
        assert key.update.value == update


def test_what_kafka_changes_while_it_runs_and_we_do_not_is_read_only():
    assert {BrokerConfig.KEYS[name].update for name in NEED_A_RESTART} == {READ_ONLY}


def test_defaults_are_kafkas_where_the_row_does_not_say_otherwise():
    kafka = {name: default for name, _, default, _ in KAFKA_KEYS}
    kafka["node.id"] = "1"  # has no default there
    kafka["advertised.listeners"] = ""  # null there
    for name, key in BrokerConfig.KEYS.items():
        if not name.startswith("kbroker."):
            expected = "" if kafka[name] == "null" else kafka[name]
            assert (render(key.kafka_default) or "") == expected, name


def test_keys_of_our_own_carry_our_prefix():
    kafka = {row[0] for row in KAFKA_KEYS}
    ours = set(BrokerConfig.KEYS) - kafka
    assert ours
    assert all(name.startswith("kbroker.") for name in ours)


def test_the_default_is_durable_and_complete():
    config = BrokerConfig()
    config.check()
    assert config.log_flush_interval_messages == 1
    assert config.group_initial_rebalance_delay_ms == 0
    assert config.data_directories == ("./data",)


def test_log_dirs_comes_before_log_dir():
    config = BrokerConfig.parse({"log.dirs": "/a, /b", "log.dir": "/c"})
    assert config.data_directories == ("/a", "/b")


def test_broker_id_is_another_name_of_node_id():
    assert BrokerConfig.parse({"broker.id": "7"}).node_id == 7


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        ({"log.retention.ms": "0"}, "log.retention.ms"),
        ({"log.retention.hours": "-2"}, "log.retention.hours"),
        ({"group.min.session.timeout.ms": "9000000"}, "group.min.session.timeout.ms"),
        ({"log.dirs": " , "}, "log.dirs"),
        ({"listeners": "PLAINTEXT://:99999"}, "listeners"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused_by_name(texts, key):
    with pytest.raises(ConfigError) as refusal:
        BrokerConfig.parse(texts).check()
    assert refusal.value.key == key
