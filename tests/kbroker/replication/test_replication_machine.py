"""Random leader changes, crashes, power losses and cut routes: what was committed stays what it
was, on every broker, byte for byte; once all is well the logs are equal."""

from __future__ import annotations

import random

import pytest

from log.log_config import LogConfig
from simulator.network import Route
from tests.kbroker.passing_time import pass_time
from tests.kbroker.replication.replication_harness import Cluster, bytes_of, play
from wire.errors import KafkaError

PARTITIONS = (0, 1)
STEPS = 100


class Walk:
    """One random history. Mutable; `committed` is what some leader has called committed."""

    def __init__(self, cluster: Cluster, chance: random.Random, *, loses_power: bool) -> None:
        self.cluster = cluster
        self.chance = chance
        self.loses_power = loses_power
        self.committed = dict.fromkeys(PARTITIONS, b"")
        self.ends = dict.fromkeys(PARTITIONS, 0)
        self.appended = 0

    async def take(self) -> None:
        """One step."""
        cluster, chance = self.cluster, self.chance
        node = chance.choice(list(cluster.nodes.values()))
        index = chance.choice(PARTITIONS)
        match chance.choices(
            ["append", "lead", "hear", "stop", "start", "route", "heal", "checkpoint"],
            [12, 2, 6, 1, 5, 1, 1, 2],
        )[0]:
            case "append":
                self.append(index)
            case "lead":
                told = [each for each in cluster.nodes if chance.random() < 0.6]
                cluster.lead(node.id, [index], tell=told)
            case "hear":
                cluster.lead_is_heard(node.id, index)
            case "stop" if node.is_up:
                node.kill(power=self.loses_power and chance.random() < 0.5)
            case "start" if not node.is_up:
                await node.start()
            case "route":
                self.change_route()
            case "heal":
                cluster.network.heal()
            case "checkpoint" if node.is_up:
                node.checkpoint()
        await pass_time(chance.choice([0, 0.001, 0.01, 0.1, 1.0]))
        self.check()

    def append(self, index: int) -> None:
        leader = self.cluster[self.cluster.records[index].leader]
        if leader.is_up:
            for _ in range(self.chance.randrange(1, 5)):
                self.appended += 1
                try:
                    leader.append(index, b"%d" % self.appended, b"x" * self.chance.randrange(300))
                except KafkaError:
                    return  # it has not heard yet that it leads

    def change_route(self) -> None:
        hosts = [node.host for node in self.cluster.nodes.values()]
        source, target = self.chance.sample(hosts, 2)
        slow = Route(latency_s=(0.01, 0.5))
        route = self.chance.choice([Route(is_cut=True), slow, Route()])
        self.cluster.network.change_route(source, target, route)

    def check(self) -> None:
        """Nobody has ever called something else committed."""
        for node in self.cluster.nodes.values():
            for index in PARTITIONS if node.is_up else ():
                partition = node[index]
                known = bytes_of(partition, end=partition.high_watermark)
                committed = self.committed[index]
                assert known == committed[: len(known)] or known[: len(committed)] == committed
                if len(known) > len(committed):
                    self.committed[index] = known
                    self.ends[index] = partition.high_watermark

    async def end(self) -> None:
        """All is well again."""
        cluster = self.cluster
        cluster.network.heal()
        for node in cluster.nodes.values():
            if not node.is_up:
                await node.start()
        for index in PARTITIONS:
            cluster.lead(self.chance.choice(list(cluster.nodes)), [index])
            self.append(index)
        for index in PARTITIONS:
            await cluster.until_equal(index, within_s=120)
            for node in cluster.nodes.values():
                assert bytes_of(node[index]).startswith(self.committed[index])


@pytest.mark.parametrize("seed", range(20))
def test_what_is_committed_stays(seed: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        is_flushed = seed % 3 != 0
        cluster.log_config = LogConfig(
            flush_messages=1 if is_flushed else 2**63 - 1, segment_bytes=4096
        )
        cluster.max_sessions = seed % 4
        cluster.set_config(request_timeout_ms="5000", replica_fetch_max_bytes="1500")
        await cluster.start(*PARTITIONS)
        walk = Walk(cluster, random.Random(seed), loses_power=is_flushed)
        for index in PARTITIONS:
            walk.append(index)
            await cluster.until_equal(index)
        for _ in range(STEPS):
            await walk.take()
        assert all(walk.ends.values())
        await walk.end()

    play(scenario, count=3, seed=seed)
