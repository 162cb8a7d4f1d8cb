"""`python -m bench.replication`: three replicas beside one, and how long a fail-over takes.

Three brokers share this machine with the load: the figures say what replication costs here, not
what three machines would do. Both factors alternate within each pair, on topics of one partition
with min.insync.replicas 2 and acks=all; CPU is that of the brokers, by role, for each GB produced.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields

from bench import generator, machine
from bench.generator import GeneratorError
from bench.loads import shape
from bench.local_cluster import LocalCluster, running
from bench.targets import BrokerError
from wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from wire.records.batch import build_batch
from wire.records.record import Record

SHAPES = {
    "1KiB-16": shape(1024, 1, 16),
    "15KiB-16": shape(100, 143, 16),
    "1MB-5": shape(990, 1000, 5),
}
MOST_BYTES = 300_000_000
"""Of one measurement: disk and page cache are finite, and each is there three times."""
FACTORS = (1, 3)
RETRY_S = 0.01


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement. CPU in seconds for each GB of records; `followers`: of both together."""

    bytes_per_second: float
    p50_us: float
    p99_us: float
    leader_cpu_per_gb: float
    followers_cpu_per_gb: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 0, or 1 where something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.replication", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--failovers", type=int, default=10)
    parser.add_argument("--json", metavar="FILE", help="also write every figure to FILE")
    options = parser.parse_args(arguments)
    root, file_system = machine.choose_data_root()
    about = {**machine.describe(), "data": f"{root} ({file_system})"}
    for name, value in about.items():
        print(f"{name}: {value}")
    neighbours = machine.Neighbours()
    found: dict[str, list[Figure]] = defaultdict(list)
    try:
        generator.build()
        for is_flushed in (False, True):
            with running(root, is_flushed=is_flushed) as cluster:
                for pair in range(options.pairs):
                    measure_pair(cluster, pair, options.seconds, found)
        with running(root, is_flushed=True) as cluster:
            failovers = [fail_over(cluster, number) for number in range(options.failovers)]
    except (BrokerError, GeneratorError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(neighbours)
    print("\n".join(table(found)))
    print("\n".join(told(failovers)))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            figures = {name: [_plain(each) for each in all_] for name, all_ in found.items()}
            json.dump(
                {"about": about, "figures": figures, "failovers_s": failovers}, file, indent=1
            )
    return 0


def measure_pair(
    cluster: LocalCluster, pair: int, seconds: float, found: dict[str, list[Figure]]
) -> None:
    durability = "flushed" if cluster.is_flushed else "page cache"
    for name, arguments in SHAPES.items():
        for factor in FACTORS if pair % 2 else reversed(FACTORS):
            row = f"{durability}, {name}, factor {factor}"
            figure = measure(cluster, f"{name}-{factor}-{pair}", factor, arguments, seconds)
            found[row].append(figure)
            print(f"[{pair + 1}] {row}: {figure.bytes_per_second / 1e6:,.1f} MB/s", flush=True)


def measure(
    cluster: LocalCluster, topic: str, factor: int, arguments: Sequence[str], seconds: float
) -> Figure:
    """Of a topic of its own."""
    cluster.create(topic, factor)
    leader = cluster.leader(topic)
    before = cluster.cpu_seconds()
    sample = generator.measure(
        "produce",
        cluster.brokers[leader].address,
        topic,
        *arguments,
        "--acks=-1",
        f"--max-total-bytes={MOST_BYTES}",
        seconds=seconds,
        warmup_seconds=0,
        broker_pid=cluster.brokers[leader].pid,
    )
    used = {each: value - before[each] for each, value in cluster.cpu_seconds().items()}
    gigabytes = sample["bytes_per_second"] * sample["seconds"] / 1e9
    followers = sum(value for each, value in used.items() if each != leader)
    return Figure(
        bytes_per_second=sample["bytes_per_second"],
        p50_us=sample["p50_us"],
        p99_us=sample["p99_us"],
        leader_cpu_per_gb=used[leader] / gigabytes,
        followers_cpu_per_gb=followers / gigabytes if factor > 1 else 0.0,
    )


def fail_over(cluster: LocalCluster, number: int) -> float:
    """Seconds from kill -9 of a leader to the next acknowledged record, as a client that asks
    again every 10 ms has it. Afterwards all replicas are in sync again."""
    topic = "failover"
    if number == 0:
        cluster.create(topic, 3)
    leader = cluster.leader(topic)
    assert produced(cluster, topic, leader)
    cluster.kill(leader)
    began = time.monotonic()
    while True:
        time.sleep(RETRY_S)
        try:
            if produced(cluster, topic, cluster.partition(topic).leader_id):
                break
        except BrokerError:
            continue
    took = time.monotonic() - began
    print(f"fail-over {number + 1}: {took:.2f} s", flush=True)
    cluster.start(leader)
    cluster.until(lambda: len(cluster.partition(topic).isr_nodes) == 3)
    return took


def produced(cluster: LocalCluster, topic: str, leader: int) -> bool:
    """Whether one more record was acknowledged by all."""
    if leader not in cluster.brokers:
        return False
    batch = memoryview(build_batch([Record(0, 0, None, b"x" * 100, ())]))
    request = ProduceRequest(
        acks=-1,
        timeout_ms=1_000,
        topic_data=[
            TopicProduceData(
                name=topic, partition_data=[PartitionProduceData(index=0, records=batch)]
            )
        ],
    )
    try:
        answer = cluster.ask(leader, request, 9, ProduceResponse)
    except (OSError, struct.error):
        return False
    return answer.responses[0].partition_responses[0].error_code == 0


def table(found: dict[str, list[Figure]]) -> list[str]:
    """Medians, in Markdown; the ratio is that of each pair's rates, three replicas over one."""
    lines = [
        "| class | load | 1 replica MB/s | 3 replicas MB/s | ratio (least to largest)"
        " | p50 ms, 1 · 3 | p99 ms, 1 · 3 | CPU s per GB: 1 · leader of 3 · a follower |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for durability in ("page cache", "flushed"):
        for name in SHAPES:
            one = found[f"{durability}, {name}, factor 1"]
            three = found[f"{durability}, {name}, factor 3"]
            ratios = [
                b.bytes_per_second / a.bytes_per_second for a, b in zip(one, three, strict=True)
            ]
            cells = [
                durability,
                name,
                f"{_median(one, 'bytes_per_second') / 1e6:,.1f}",
                f"{_median(three, 'bytes_per_second') / 1e6:,.1f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{_median(one, 'p50_us') / 1e3:.2f} · {_median(three, 'p50_us') / 1e3:.2f}",
                f"{_median(one, 'p99_us') / 1e3:.2f} · {_median(three, 'p99_us') / 1e3:.2f}",
                f"{_median(one, 'leader_cpu_per_gb'):.2f}"
                f" · {_median(three, 'leader_cpu_per_gb'):.2f}"
                f" · {_median(three, 'followers_cpu_per_gb') / 2:.2f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def told(failovers: Sequence[float]) -> list[str]:
    if not failovers:
        return []
    ordered = sorted(failovers)
    return [
        f"fail-over, kill -9 of a leader to the next acknowledged record, {len(ordered)} times:"
        f" median {statistics.median(ordered):.2f} s, least {ordered[0]:.2f},"
        f" largest {ordered[-1]:.2f}"
    ]


def _median(figures: Sequence[Figure], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in figures))


def _plain(figure: Figure) -> dict[str, float]:
    return {each.name: getattr(figure, each.name) for each in fields(figure)}


if __name__ == "__main__":
    sys.exit(main())
