"""Kafka's keys without meaning here."""

import pytest

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.ignored_keys import IGNORED, REFUSED, why_ignored


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
