"""Kafka's keys without meaning here."""

import re
from pathlib import Path

import pytest

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.ignored_keys import (
    CHANGE_WHILE_RUNNING,
    IGNORED,
    NOT_YET,
    REFUSED,
    changes_while_running,
    why_ignored,
    why_not_yet,
)
from kbroker.config.table import ConfigTable
from kbroker.config.topic_config import TopicConfig

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.mark.parametrize(
    "name",
    [
        "process.roles",
        "controller.quorum.voters",
        "num.network.threads",
        "num.io.threads",
        "zookeeper.connect",
        "metadata.log.dir",
        "listener.name.external.ssl.keystore.location",
    ],
)
def test_keys_of_an_existing_compose_file_are_known(name):
    assert why_ignored(name) is not None


@pytest.mark.parametrize("name", ["process.role", "zookeeper", "num.io.threads.more", "log.dirs"])
def test_other_names_are_not(name):
    assert why_ignored(name) is None


def test_no_name_is_in_two_classes():
    names = [name for names in IGNORED.values() for name in names]
    assert len(set(names)) == len(names)
    assert not set(names) & set(BrokerConfig.KEYS)
    assert not set(REFUSED) & {*names, *BrokerConfig.KEYS}


@pytest.fixture(scope="module")
def attributes_read() -> set[str]:
    """Every name that stands behind a dot in the product: what nobody reads is not among them."""
    paths = [path for package in ("kbroker", "log") for path in (ROOT / package).rglob("*.py")]
    return {name for path in paths for name in re.findall(r"\.(\w+)", path.read_text())}


@pytest.mark.parametrize("table", [BrokerConfig, TopicConfig])
def test_a_key_that_nothing_reads_says_that_it_has_no_effect_yet(
    table: type[ConfigTable], attributes_read: set[str]
) -> None:
    followed = {name for key in TopicConfig.KEYS.values() for name in key.synonyms}
    for name, key in table.KEYS.items():
        if key.attribute not in attributes_read and why_not_yet(name) is None:
            assert name in followed or key.doc.startswith("Accepted, without effect"), name


def test_what_has_no_effect_yet_is_in_the_tables() -> None:
    names = [name for names in NOT_YET.values() for name in names]
    assert len(set(names)) == len(names)
    assert set(names) <= {*BrokerConfig.KEYS, *TopicConfig.KEYS}


def test_what_may_be_set_on_a_running_broker_is_what_kafka_lets_be_set():
    rows = (Path(__file__).parent / "apache_kafka_keys.tsv").read_text().splitlines()
    update_modes = {row.split("\t")[1]: row.split("\t")[4] for row in rows if row[:6] == "broker"}
    unlisted = {  # in Kafka's own list of keys
        "leader.replication.throttled.rate",
        "follower.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    }
    for name in CHANGE_WHILE_RUNNING - unlisted:
        assert changes_while_running(name)
        assert why_ignored(name) is not None
        assert update_modes[name] != "read-only", name
    assert not changes_while_running("process.roles")
