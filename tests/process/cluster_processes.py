"""Several brokers as processes of their own, on one etcd: started, killed, written to and read."""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.kbroker.cluster.etcd_process import EtcdCluster
from tests.process.broker_process import BrokerProcess
from tests.process.raw_client import Disconnected, RawClient, batch
from wire.errors import ErrorCode

LEASE_S = 2
SETTINGS = {
    "kbroker.metadata.etcd.allow.old": "true",
    "broker.session.timeout.ms": str(LEASE_S * 1000),
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "3",
}
ATTEMPTS = 600
PAUSE_S = 0.05


def pause() -> None:
    """Between two looks at what other processes do."""
    select.select([], [], [], PAUSE_S)


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(ATTEMPTS):
        if is_so():
            return
        pause()
    raise AssertionError("it never came to hold")


class Brokers:
    """By node id, each with its data directory. Mutable."""

    def __init__(self, directory: Path, etcd: EtcdCluster) -> None:
        self.directory = directory
        self.etcd = etcd
        self.running: dict[int, BrokerProcess] = {}

    @property
    def metadata_url(self) -> str:
        return "etcd://" + ",".join(map(str, self.etcd.endpoints))

    def data(self, node_id: int) -> Path:
        return self.directory / f"broker-{node_id}"

    def start(self, *ids: int) -> None:
        """Until they are ready."""
        for node_id in ids:
            self.begin(node_id)
        for node_id in ids:
            self.running[node_id].wait_until_ready()

    def begin(self, node_id: int) -> BrokerProcess:
        settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
        broker = BrokerProcess(
            *("--data", str(self.data(node_id)), "--node-id", str(node_id)),
            *("--listen", "127.0.0.1:0", "--metadata", self.metadata_url, *settings),
            log_path=self.directory / f"broker-{node_id}.stderr",
        )
        self.running[node_id] = broker
        return broker

    def kill(self, node_id: int) -> None:
        self.running.pop(node_id).kill()

    def stop(self, *ids: int) -> None:
        for node_id in ids:
            broker = self.running.pop(node_id)
            assert broker.stop() == 0, broker.errors

    def close(self) -> None:
        for broker in self.running.values():
            broker.close()

    def errors(self, node_id: int) -> str:
        return (self.directory / f"broker-{node_id}.stderr").read_text()

    # To clients

    @contextmanager
    def client(self, node_id: int = 0) -> Iterator[RawClient]:
        """Of one of them, or of any."""
        found = node_id or min(self.running)
        with RawClient(self.running[found].address) as client:
            yield client

    def leader(self, topic: str) -> int:
        """Of partition 0, as any of them sees it; -1: there is none."""
        with self.client() as client:
            return client.metadata(topic).topics[0].partitions[0].leader_id

    def in_sync(self, topic: str) -> list[int]:
        with self.client() as client:
            return sorted(client.metadata(topic).topics[0].partitions[0].isr_nodes)

    def produce(self, topic: str, value: bytes) -> None:
        """With acks=all, again and again until it is acknowledged: as clients do it."""

        def acknowledged() -> bool:
            leader = self.leader(topic)
            if leader not in self.running:
                return False
            with suppress(Disconnected, OSError), self.client(leader) as client:
                code = client.produce(topic, 0, batch(value)).error_code
                assert code in (0, *RETRIABLE), ErrorCode(code).name
                return code == 0
            return False

        until(acknowledged)

    def values(self, topic: str) -> list[bytes]:
        found: list[list[bytes]] = []

        def read() -> bool:
            leader = self.leader(topic)
            if leader not in self.running:
                return False
            with self.client(leader) as client:
                data = client.fetch(topic, 0, 0)
                if data.error_code:
                    return False
                found.append([value for _, value in client.read_all(topic, 0)])
            return True

        until(read)
        return found[0]


RETRIABLE = (
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
)
