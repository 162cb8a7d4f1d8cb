"""What the Compose files set is what a broker takes. Needs no engine: they are read as text."""

import re
from pathlib import Path

import pytest

from kbroker.config import sources

ROOT = Path(__file__).resolve().parent.parent.parent
SETTING = re.compile(r"^ +(KAFKA_\w+|ETCD_\w+): (.+)$", re.MULTILINE)
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def blocks(text: str) -> dict[str, dict[str, str]]:
    """Of each anchor and each service: the variables that are set in it."""
    found = {}
    for part in re.split(r"\n(?=x-|services:|volumes:|  [a-z]+(?:-\d)?:\n)", text):
        name = part.strip().split(":")[0]
        found[name] = {key: DEFAULT.sub(r"\1", value) for key, value in SETTING.findall(part)}
    return found


@pytest.fixture
def cluster() -> dict[str, dict[str, str]]:
    return blocks((ROOT / "docker-compose.cluster.yml").read_text())


@pytest.mark.parametrize("node_id", [1, 2, 3])
def test_brokers_of_the_cluster(cluster, node_id):
    name = f"kafka-{node_id}"
    environment = {**cluster["x-settings"], **cluster[name]}
    resolved = sources.resolve([sources.read_environment(environment)])
    config = resolved.config
    assert resolved.warnings == ()
    assert config.node_id == node_id
    url = config.metadata_url()
    assert url is not None
    assert url.endpoints == (("etcd-1", 2379), ("etcd-2", 2379), ("etcd-3", 2379))
    listeners = config.parsed_listeners()
    assert listeners.inter_broker_name == "REPLICATION"
    assert listeners.opened[0].name == "PLAINTEXT", "which the health check asks"
    addresses = {each.name: listeners.advertised_for(each.name) for each in listeners.opened}
    assert {key: (each.host, each.port) for key, each in addresses.items() if each} == {
        "PLAINTEXT": (name, 19092),
        "HOST": ("localhost", 9091 + node_id),
        "REPLICATION": (name, 19093),
    }
    assert config.min_insync_replicas == 2
    assert config.default_replication_factor == config.offsets_topic_replication_factor == 3


def test_members_of_etcd_know_each_other(cluster):
    names = [f"etcd-{number}" for number in (1, 2, 3)]
    together = ",".join(f"{name}=http://{name}:2380" for name in names)
    assert cluster["x-members"]["ETCD_INITIAL_CLUSTER"] == together
    for name in names:
        assert cluster[name] == {
            "ETCD_NAME": name,
            "ETCD_ADVERTISE_CLIENT_URLS": f"http://{name}:2379",
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"http://{name}:2380",
        }


def test_the_single_broker():
    environment = blocks((ROOT / "docker-compose.yml").read_text())["kafka"]
    config = sources.resolve([sources.read_environment(environment)]).config
    assert config.metadata_url() is None
    assert [each.port for each in config.parsed_listeners().opened] == [19092, 9092]
