"""What the Compose files set is what a broker takes; and a whole cluster in containers.

Read as text the files need no engine. The cluster needs Docker, docker-compose and an image of etcd
that is there (ETCD_IMAGE names it); without, it is skipped by name.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

from interop_tests.image_target import IMAGE, why_no_image
from kbroker.cli.cluster_etcd import free_ports
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


ETCD_IMAGE = os.environ.get("ETCD_IMAGE", "quay.io/coreos/etcd:v3.6.9")


@pytest.fixture
def compose():
    """Calls docker-compose on a project of the test's own, which is removed in the end."""
    missing = why_no_image()
    if missing is not None:
        pytest.skip(missing)
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed")
    found = subprocess.run(["docker", "image", "inspect", ETCD_IMAGE], capture_output=True)
    if found.returncode:
        pytest.skip(f"there is no image {ETCD_IMAGE}: pull it, or name another with ETCD_IMAGE")
    project = f"kbroker{uuid.uuid4().hex[:12]}"
    ports = free_ports(3)
    environment = {
        **os.environ,
        **{f"KAFKA_PORT_{number}": str(port) for number, port in enumerate(ports, 1)},
        "KBROKER_IMAGE": IMAGE,
        "ETCD_IMAGE": ETCD_IMAGE,
    }

    def call(*arguments: str) -> str:
        command = ["docker-compose", "-p", project, "-f", "docker-compose.cluster.yml", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    call.bootstrap = ",".join(f"localhost:{port}" for port in ports)
    yield call
    call("down", "--volumes", "--timeout", "5")


def tool(bootstrap: str, *arguments: str, given: str = "") -> str:
    """The output of a kbroker command on this host."""
    command = [sys.executable, "-m", "kbroker", *arguments, "--bootstrap", bootstrap]
    return subprocess.run(command, cwd=ROOT, input=given, stdout=PIPE, text=True, check=True).stdout


@pytest.mark.timeout(600)
def test_a_broker_and_an_etcd_member_may_be_missing(compose):
    compose("up", "--detach", "--no-build")
    brokers = ("kafka-1", "kafka-2", "kafka-3")
    while not all("kbroker is ready" in compose("logs", name) for name in brokers):
        assert compose("ps", "--quiet").count("\n") == 6
    tool(compose.bootstrap, "topics", "create", "orders")
    tool(compose.bootstrap, "produce", "orders", given="before\n")
    compose("kill", "etcd-1", "kafka-3")
    tool(compose.bootstrap, "produce", "orders", "--timeout", "60", given="after\n")
    assert tool(compose.bootstrap, "consume", "orders") == "before\nafter\n"
    status = json.loads(tool(compose.bootstrap, "cluster", "status", "--json"))
    assert status["cluster"]["under_min_isr"] == 0
    inside = compose("exec", "-T", "kafka-1", "start-kbroker", "cluster", "status", "--json",
                     "--bootstrap", "kafka-1:19092")  # fmt: skip
    assert sorted(each["error"] is None for each in json.loads(inside)["etcd"]) == [
        *(False, True, True)
    ]
