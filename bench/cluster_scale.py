"""`python -m bench.cluster_scale`: many partitions on three brokers, created, led anew, restarted.

Three brokers, their etcd and who asks share this machine. Topics of three replicas are created one
after the other; then the controller is killed, and what it led has to be led by others; then
all brokers are killed, and started again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from bench import machine
from bench.local_cluster import LocalCluster, ask, running
from bench.targets import BrokerError
from wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from wire.messages.metadata import MetadataRequest, MetadataResponse

REPLICAS = 3
LOOK_S = 0.1
"""Between two looks at all partitions, which cost the broker that is asked something, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, or 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster_scale", description=__doc__)
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=50, help="of each topic")
    options = parser.parse_args(arguments)
    root, file_system = machine.choose_data_root()
    for name, value in {**machine.describe(), "data": f"{root} ({file_system})"}.items():
        print(f"{name}: {value}")
    neighbours = machine.Neighbours()
    total = options.topics * options.partitions
    print(f"{options.topics} topics x {options.partitions} partitions, 3 replicas of each")
    try:
        with running(root, is_flushed=True) as cluster:
            measure(cluster, options.topics, options.partitions, total)
    except (BrokerError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(neighbours)
    return 0


def measure(cluster: LocalCluster, topics: int, partitions: int, total: int) -> None:
    """Tell each figure when it is there."""
    empty = memory_of(cluster)
    begin = time.monotonic()
    for number in range(topics):
        create(cluster, f"topic-{number}", partitions)
    tell("created and answered", time.monotonic() - begin)
    cluster.until(lambda: all(is_whole(look(cluster, each), total) for each in cluster.brokers))
    tell("led and in sync, as every broker sees it", time.monotonic() - begin)
    used = sorted(cluster.cpu_seconds().items())
    print("CPU of each broker so far:", ", ".join(f"{seconds:.1f} s" for _, seconds in used))
    full = memory_of(cluster)
    for broker_id, size in full.items():
        each = (size - empty[broker_id]) / total
        print(f"broker {broker_id}: {size >> 20} MiB, {each / 1024:.1f} KiB for each replica")

    controller = look(cluster, min(cluster.brokers)).controller_id
    begin = time.monotonic()
    cluster.kill(controller)
    asked = min(cluster.brokers)
    after(begin, "another controller", lambda: look(cluster, asked).controller_id != controller)
    after(
        begin,
        "all it led is led by others",
        lambda: is_led_without(look(cluster, asked), total, controller),
    )

    begin = time.monotonic()
    cluster.start(controller)
    tell(f"broker {controller} is started again", time.monotonic() - begin)
    after(begin, "in sync again", lambda: is_whole(look(cluster, asked), total))

    ids = list(cluster.brokers)
    for broker_id in ids:
        cluster.kill(broker_id)
    begin = time.monotonic()
    for broker_id in ids:
        cluster.start(broker_id)
        tell(f"after all were killed, broker {broker_id} is ready", time.monotonic() - begin)
    after(begin, "all is in sync again", lambda: is_whole(look(cluster, ids[0]), total))
    for broker_id, size in memory_of(cluster).items():
        print(f"broker {broker_id}: {size >> 20} MiB")


def tell(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.2f} s", flush=True)


def after(begin: float, what: str, is_so: Callable[[], bool]) -> None:
    """Wait for it, and tell how long it took from `begin`. BrokerError."""

    def looked() -> bool:
        time.sleep(LOOK_S)
        return is_so()

    wait(looked)
    tell(what, time.monotonic() - begin)


def wait(is_so: Callable[[], bool], patience_s: float = 300.0) -> None:
    """BrokerError: it never came to hold."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            raise BrokerError(f"not reached in {patience_s:.0f} s")


def create(cluster: LocalCluster, name: str, partitions: int) -> None:
    """BrokerError."""
    topic = CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=REPLICAS,
        assignments=[],
        configs=[],
    )
    request = CreateTopicsRequest(topics=[topic], timeout_ms=60_000)
    address = cluster.brokers[min(cluster.brokers)].address
    (answer,) = ask(address, request, 7, CreateTopicsResponse).topics
    if answer.error_code:
        raise BrokerError(f"{name}: {answer.error_message or answer.error_code}")


def look(cluster: LocalCluster, broker_id: int) -> MetadataResponse:
    """All that it knows."""
    return cluster.ask(broker_id, MetadataRequest(topics=None), 12, MetadataResponse)


def is_whole(found: MetadataResponse, total: int) -> bool:
    """Whether so many partitions are led, each with all of its replicas in sync."""
    partitions = [each for topic in found.topics for each in topic.partitions]
    return len(partitions) >= total and all(
        each.leader_id >= 0 and len(each.isr_nodes) == REPLICAS for each in partitions
    )


def is_led_without(found: MetadataResponse, total: int, killed: int) -> bool:
    """Whether so many are led, none of them by who was killed."""
    partitions = [each for topic in found.topics for each in topic.partitions]
    return len(partitions) >= total and all(
        each.leader_id not in (-1, killed) for each in partitions
    )


def memory_of(cluster: LocalCluster) -> dict[int, int]:
    """Resident, in bytes, by broker."""
    found = {}
    for broker_id, broker in cluster.brokers.items():
        with open(f"/proc/{broker.pid}/statm", encoding="ascii") as file:
            found[broker_id] = int(file.read().split()[1]) * 4096
    return found


if __name__ == "__main__":
    sys.exit(main())
