"""Which leaders are fetched from, as the metadata change."""

from __future__ import annotations

from tests.kbroker.replication.replication_harness import Cluster, play


def test_there_is_a_fetcher_for_each_leader_that_is_followed() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1, 2)
        assert cluster[3].fetchers.leader_ids == [1]
        cluster.lead(2, [1])
        assert cluster[3].fetchers.leader_ids == [1, 2]
        assert cluster[2].fetchers.leader_ids == [1]
        assert cluster[1].fetchers.leader_ids == [2]
        cluster.lead(3, [0, 1, 2])
        assert cluster[3].fetchers.leader_ids == []
        cluster[3].append(1, b"here")
        await cluster.until_equal(1)

    play(scenario, count=3)


def test_who_follows_nobody_asks_nobody() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        await cluster.until(lambda: len(cluster[1].server.connections) == 1)
        cluster.lead(-1, [0, 1])
        assert cluster[2].fetchers.leader_ids == []
        await cluster.until(lambda: not cluster[1].server.connections)
        cluster.lead(1, [0])
        cluster[1].append(0, b"again")
        await cluster.until_equal()

    play(scenario)


def test_a_partition_that_is_gone_is_fetched_no_longer() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        await cluster.until_equal()
        gone = cluster[2][0]
        cluster[2].fetchers.remove(gone)
        cluster[2].fetchers.remove(gone)
        cluster[1].append(0, b"not there")
        cluster[1].append(1, b"there")
        await cluster.until_equal(1)
        assert gone.log.log_end_offset == 0
        cluster[2].fetchers.remove(cluster[2][1])
        assert cluster[2].fetchers.leader_ids == []

    play(scenario)


def test_a_broker_that_closes_follows_nobody_any_more() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        cluster[2].fetchers.close()
        cluster.lead(1)
        assert cluster[2].fetchers.leader_ids == []
        await cluster.until(lambda: not cluster[1].server.connections)

    play(scenario)
