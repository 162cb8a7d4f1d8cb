"""What `kbroker cluster up` starts: the command line of etcd and of each broker (pure).

Counterparts: `cluster_up` (does it), `cluster_etcd` (which etcd), `cluster_processes`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

MOST_REPLICAS = 3
"""Replicas of a topic for which nothing else is said, as far as there are brokers."""
ETCD_NAME = "kbroker"


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What was asked for. `port` is the first broker's; 0: each takes a free one."""

    directory: str
    broker_count: int
    host: str = "127.0.0.1"
    port: int = 9092
    dev: bool = False
    settings: tuple[str, ...] = ()  # KEY=VALUE each, for every broker
    known_count: int = 0  # brokers that the directory has data of, started or not

    @property
    def broker_ids(self) -> range:
        return range(1, self.broker_count + 1)

    def broker_directory(self, broker_id: int) -> str:
        return f"{self.directory}/broker-{broker_id}"

    def address(self, broker_id: int) -> str:
        """HOST:PORT of a broker's listener for clients."""
        return f"{self.host}:{self.port + broker_id - 1 if self.port else 0}"


def replication_settings(broker_count: int, known_count: int = 0) -> list[str]:
    """Settings with which the cluster survives what so many brokers can survive.

    Of three replicas two acknowledge, so that one broker may be missing. Of two, one: with both
    asked for, none might be missing. Where brokers are there that are not started now, as many
    acknowledge as with them: partitions that had to shrink have leaders by that (KIP-966).
    """
    replicas = min(broker_count, MOST_REPLICAS)
    acknowledging = min(max(broker_count, known_count), MOST_REPLICAS) - 1
    return [
        f"default.replication.factor={replicas}",
        f"min.insync.replicas={max(1, acknowledging)}",
        f"offsets.topic.replication.factor={replicas}",
    ]


def broker_command(
    plan: ClusterPlan, broker_id: int, metadata: str, *, allow_old_etcd: bool
) -> list[str]:
    """The process of one broker. What the user sets comes last, and wins."""
    settings = replication_settings(plan.broker_count, plan.known_count)
    if allow_old_etcd:
        settings.append("kbroker.metadata.etcd.allow.old=true")
    return [
        # -P: no module of the working directory's in place of ours.
        *(sys.executable, "-P", "-m", "kbroker"),
        *("--metadata", metadata),
        *("--node-id", str(broker_id)),
        *("--data", plan.broker_directory(broker_id)),
        *("--listen", plan.address(broker_id)),
        *(("--dev",) if plan.dev else ()),
        *(part for setting in (*settings, *plan.settings) for part in ("--set", setting)),
    ]


def etcd_command(program: str, directory: str, *, client_port: int, peer_port: int) -> list[str]:
    """The process of the one member: on loopback only, its data in `directory`."""
    client = f"http://127.0.0.1:{client_port}"
    peer = f"http://127.0.0.1:{peer_port}"
    return [
        program,
        *("--name", ETCD_NAME, "--data-dir", directory),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"{ETCD_NAME}={peer}"),
        *("--logger", "zap", "--log-outputs", "stderr"),
    ]


def ready_text(
    plan: ClusterPlan,
    bootstrap: Sequence[str],
    *,
    metadata: str,
    etcd: str,
    told_by_broker: str,
) -> str:
    """The first line is for programs as well: `kbroker cluster is ready on HOST:PORT,HOST:PORT`.

    `told_by_broker` is one broker's ready text, which has the cluster's id and the durability.
    """
    told = dict(
        line.strip().split(maxsplit=1)
        for line in told_by_broker.splitlines()
        if line.startswith("  ") and len(line.split()) > 1
    )
    replicas = min(plan.broker_count, MOST_REPLICAS)
    count = plan.broker_count
    first = bootstrap[0]
    return "\n".join(
        (
            f"kbroker cluster is ready on {','.join(bootstrap)}",
            f"  cluster     {told.get('cluster', '').split(',')[0]},"
            f" {count} broker{'s' * (count != 1)}",
            f"  data        {plan.directory}",
            f"  metadata    {metadata} ({etcd})",
            f"  replicas    {replicas} of each partition unless a topic says otherwise",
            f"  durability  {told.get('durability', '')}",
            f"  status      kbroker cluster status --bootstrap {first}",
            f"  kcat        echo hello | kcat -b {first} -P -t greetings"
            f" && kcat -b {first} -C -t greetings -e",
            f"  python      KafkaProducer(bootstrap_servers={','.join(bootstrap)!r})"
            ".send('greetings', b'hello').get()",
        )
    )


def broker_address(ready: str) -> str:
    """HOST:PORT of the first listener, from a broker's own ready text; empty if it is not there."""
    for line in ready.splitlines():
        _, found, rest = line.partition("kbroker is ready on ")
        if found:
            return rest.split(",")[0].split()[0]
    return ""
