"""Followers fetch from their leader: what they append, when they cut, and whom they ask again."""

from __future__ import annotations

from tests.kbroker.replication.replication_harness import Cluster, play


def test_a_follower_becomes_equal_to_its_leader() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        for number in range(20):
            cluster[1].append(0, b"value %d" % number, b"x" * number * 100)
        await cluster.until_equal()
        assert cluster[2][0].log.log_end_offset == 40

    play(scenario)
