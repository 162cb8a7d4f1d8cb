"""Followers fetch from their leader: what they append, when they cut, and whom they ask again."""

from __future__ import annotations

import dataclasses
import errno
import logging

import pytest

from kbroker.replication.fetcher import FLUSH_PATIENCE_S, SLICE_BYTES
from log.log_config import LogConfig
from simulator.network import Route
from tests.kbroker.passing_time import pass_time
from tests.kbroker.replication.replication_harness import TOPIC_ID, Cluster, bytes_of, play

PROMPT_S = 0.1
"""Less than any backoff or long poll of the configuration: what is told at once."""


def fill(cluster: Cluster, count: int = 10, *, leader: int = 1, index: int = 0) -> None:
    for number in range(count):
        cluster[leader].append(index, b"%d by %d" % (number, leader), b"x" * 100)


# --- what a follower copies ---


@pytest.mark.parametrize("flush_messages", [1, 2**63 - 1], ids=["flushed", "page cache"])
def test_a_follower_becomes_equal_to_its_leader(flush_messages: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.log_config = LogConfig(flush_messages=flush_messages)
        await cluster.start()
        fill(cluster, 20)
        await cluster.until_equal()
        assert cluster[2][0].log.log_end_offset == 40

    play(scenario)


def test_what_is_appended_while_a_fetch_waits_is_there_at_once_and_soon_committed() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.set_config(replica_fetch_wait_max_ms="30000")
        await cluster.start(0, 1)
        await pass_time(5)
        for _ in range(5):
            fill(cluster, 1)
            assert await cluster.until_equal() < PROMPT_S

    play(scenario, count=3)


def test_a_batch_larger_than_every_limit_comes_through() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.set_config(replica_fetch_max_bytes="100", replica_fetch_response_max_bytes="100")
        await cluster.start(0, 1, 2)
        for index in (0, 1, 2):
            cluster[1].append(index, b"x" * 300_000)
            fill(cluster, index=index)
        for index in (0, 1, 2):
            await cluster.until_equal(index)

    play(scenario)


def test_many_partitions_share_one_session_and_only_what_moved_is_asked_for() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(*range(200))
        await pass_time(1)
        bytes_before = cluster.bytes_seen
        fill(cluster, 1, index=77)
        await cluster.until_equal(77)
        assert len(cluster[1].services.fetch_sessions) == 1
        assert cluster.bytes_seen - bytes_before < 1500

    play(scenario)


def test_partitions_without_news_are_not_asked_for_without_end() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(*range(20))
        fill(cluster, 1, index=7)
        await cluster.until_equal(7)
        await pass_time(1)
        bytes_before = cluster.bytes_seen
        await pass_time(10)
        assert 0 < cluster.bytes_seen - bytes_before < 20 * 200, "two polls a second"

    play(scenario)


def test_what_comes_at_once_is_appended_in_several_turns_of_the_loop() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(*range(40))
        appended: dict[float, int] = {}
        cluster.network.change_route("10.0.1.1", "10.0.1.2", Route(is_cut=True))
        for index in range(40):
            cluster[1].append(index, b"x" * 100_000)
            partition = cluster[2][index]
            partition.watch_end(
                lambda: appended.update(
                    {cluster.loop.now: appended.get(cluster.loop.now, 0) + 100_000}
                )
            )
        cluster.network.heal()
        for index in range(40):
            await cluster.until_equal(index)
        assert max(appended.values()) <= SLICE_BYTES + 100_000

    play(scenario)


# --- logs that part ---


def test_what_a_deposed_leader_alone_had_is_cut_on_its_return() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        cluster[2].kill()
        fill(cluster, 5)
        cluster[1].kill()
        await cluster[2].start()
        cluster.lead(2)
        fill(cluster, 3, leader=2)
        await cluster[1].start()
        await cluster.until_equal()
        assert cluster[1][0].log.log_end_offset == 26
        assert cluster[1][0].log.leader_epochs.latest_epoch == 1

    play(scenario)


def test_nothing_that_parts_is_ever_below_the_high_watermark(caplog) -> None:
    """KAFKA-14704: the leader's high watermark may be taken over once the log is cut."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        for node in (2, 3):
            cluster[node].kill()
        fill(cluster, 5)
        cluster[1].kill()
        for node in (2, 3):
            await cluster[node].start()
        cluster.lead(2)
        cluster.records[0] = dataclasses.replace(
            cluster.records[0], isr=(2, 3), partition_epoch=2, mod_revision=3
        )
        for node in (1, 2, 3):
            cluster.lead_is_heard(node)
        fill(cluster, 3, leader=2)
        await cluster.until(lambda: cluster[2][0].high_watermark == 26)
        await cluster[1].start()
        await cluster.until_equal()
        assert cluster[1][0].log.leader_epochs.latest_epoch == 1

    play(scenario, count=3)
    assert "was cut below its high watermark" not in caplog.text


def test_logs_that_parted_twice_meet_where_they_parted_first() -> None:
    """KIP-279: a leader that lacks the follower's epoch tells its own largest one below it."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        cluster.network.change_route("10.0.1.1", "10.0.1.2", Route(is_cut=True))
        cluster.network.change_route("10.0.1.2", "10.0.1.1", Route(is_cut=True))
        for epoch in range(1, 6):
            leader = 1 + epoch % 2
            cluster.lead(leader, tell=[leader])
            fill(cluster, epoch, leader=leader)
        cluster.lead(1)
        fill(cluster, 1)
        cluster.network.heal()
        await cluster.until_equal()
        assert cluster[1][0].log.log_end_offset == 20 + 2 * (2 + 4 + 1)

    play(scenario)


def test_a_leader_that_wrote_nothing_in_its_epoch_leaves_no_trace() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        cluster.lead(2, tell=[2])
        cluster.lead(1)
        fill(cluster, 1)
        await cluster.until_equal()
        epochs = [
            [each.epoch for each in cluster[node][0].log.leader_epochs.entries] for node in (1, 2)
        ]
        assert epochs == [[0, 2], [0, 2]]

    play(scenario)


def test_a_leader_change_amid_a_stream_loses_and_repeats_nothing() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        for leader in (1, 2, 3, 1, 2, 3):
            cluster.lead(leader)
            for _ in range(4):
                fill(cluster, 5, leader=leader)
                await pass_time(0.003)
        await cluster.until_equal()

    play(scenario, count=3)


# --- the ends of a log ---


def test_a_follower_below_its_leaders_log_start_begins_there() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        cluster[2].kill()
        fill(cluster)
        log = cluster[1][0].log
        log.advance_log_start(30)
        await cluster[2].start()
        await cluster.until(lambda: cluster[2][0].log.log_start_offset == 30)
        await cluster.until_equal()

    play(scenario)


def test_a_follower_that_knows_no_epochs_and_is_past_the_end_starts_over() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        await pass_time(1)
        cluster[2].fetchers.close()
        follower = cluster[2][0]
        follower.followed_in(0).truncate_fully_and_start_at(500)
        fill(cluster)
        cluster[2].kill()
        cluster[2].log_starts[0] = 500
        await cluster[2].start()
        assert cluster[2][0].log.log_start_offset == 500
        await cluster.until_equal()
        assert cluster[2][0].log.log_start_offset == 0

    play(scenario)


def test_what_the_leader_deletes_its_follower_deletes() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.set_config(replica_fetch_wait_max_ms="100")
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        cluster[1][0].delete_records(7)
        await cluster.until(lambda: cluster[2][0].log.log_start_offset == 7)
        # And the leader learns that it has.
        assert await cluster.until(lambda: cluster[1][0].low_watermark({2}) == 7) < PROMPT_S

    play(scenario)


# --- mishaps ---


@pytest.mark.parametrize("victim", [1, 2])
@pytest.mark.parametrize("power", [False, True])
def test_a_broker_that_comes_back_goes_on(victim: int, power: bool) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        cluster[victim].kill(power=power)
        await cluster[victim].start()
        cluster.lead(3 - victim)
        fill(cluster, leader=3 - victim)
        await cluster.until_equal()

    play(scenario)


@pytest.mark.parametrize("cut_after", [*range(0, 120, 7), *range(120, 4000, 331)])
def test_a_connection_may_be_cut_at_any_byte(cut_after: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        fill(cluster, 10)
        cluster.cut_after(cut_after)
        await cluster.until_equal()
        fill(cluster, 10)
        await cluster.until_equal()

    play(scenario)


def test_a_slow_leader_is_waited_for_and_one_that_is_cut_off_found_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.set_config(request_timeout_ms="3000")
        await cluster.start()
        cluster.network.change_route("10.0.1.1", "10.0.1.2", Route(latency_s=(0.2, 0.4)))
        fill(cluster)
        await cluster.until_equal()
        cluster.network.change_route("10.0.1.1", "10.0.1.2", Route(is_cut=True))
        fill(cluster)
        await pass_time(20)
        assert cluster[2][0].log.log_end_offset == 20
        cluster.network.heal()
        assert await cluster.until_equal() < 5

    play(scenario)


@pytest.mark.parametrize("max_sessions", [0, 1])
def test_a_leader_that_forgets_sessions_or_has_none_is_told_everything(max_sessions: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.max_sessions = max_sessions
        await cluster.start(0, 1)
        for _ in range(3):
            fill(cluster)
            fill(cluster, index=1)
            await cluster.until_equal()
            await cluster.until_equal(1)
            cluster[1].services.fetch_sessions._sessions.clear()
            await pass_time(1)

    play(scenario, count=3)


def test_a_leader_without_sessions_is_not_asked_without_end() -> None:
    """It tells a high watermark at once only if the follower does not know it."""

    async def scenario(cluster: Cluster) -> None:
        cluster.max_sessions = 0
        await cluster.start()
        fill(cluster)
        await cluster.until_equal()
        await pass_time(1)
        bytes_before = cluster.bytes_seen
        await pass_time(10)
        assert cluster.bytes_seen - bytes_before < 10 * 2 * 400, "two long polls a second"

    play(scenario)


def test_a_corrupt_answer_never_gets_into_the_log() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        fill(cluster)
        await cluster.until_equal()
        cluster[2].kill()
        fill(cluster)
        name = "data/t-0/00000000000000000000.log"
        position = len(cluster[1].disk.content(name)) - 30
        good = cluster[1].disk.content(name)[position : position + 1]
        cluster[1].disk.corrupt(name, position, bytes([good[0] ^ 1]))
        await cluster[2].start()
        fill(cluster, index=1)
        await cluster.until_equal(1)
        await pass_time(10)
        copied = cluster[2][0]
        assert 20 <= copied.log.log_end_offset < 40
        assert bytes_of(copied) == bytes_of(cluster[1][0], end=copied.log.log_end_offset)
        cluster[1].disk.corrupt(name, position, good)
        await cluster.until_equal()

    play(scenario)


def test_a_full_disk_holds_up_its_partition_until_there_is_room() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        cluster[2].disk.fail("append", "data/t-0/*", error_number=errno.ENOSPC)
        fill(cluster)
        fill(cluster, index=1)
        await cluster.until_equal(1)
        await pass_time(5)
        assert cluster[2][0].log.log_end_offset == 0
        assert {error.errno for error in cluster[2].storage_errors} == {errno.ENOSPC}
        cluster[2].disk.heal()
        await cluster.until_equal()

    play(scenario)


def test_a_disk_that_fails_to_flush_stops_its_partition_and_no_other() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        cluster[2].disk.fail("flush", "data/t-0/*")
        fill(cluster)
        fill(cluster, index=1)
        assert await cluster.until_equal(1) < FLUSH_PATIENCE_S
        cluster[2].disk.heal()
        fill(cluster)
        await pass_time(5)
        assert cluster[1][0].high_watermark == 0
        fill(cluster, index=1)
        assert await cluster.until_equal(1) < PROMPT_S

    play(scenario)


def test_a_flush_that_cannot_be_begun_holds_the_others_up_only_so_long() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        slow = cluster[2][0]
        armed = slow._arm_flush
        slow._arm_flush = lambda partition: None
        fill(cluster)
        fill(cluster, index=1)
        await pass_time(FLUSH_PATIENCE_S)
        fill(cluster, index=1)
        await cluster.until_equal(1, within_s=FLUSH_PATIENCE_S + 0.5)
        assert cluster[1][0].high_watermark == 0, "a fetch offset is a durable end"
        slow._arm_flush = armed
        armed(slow)
        await cluster.until_equal()

    play(scenario)


# --- who is asked, and when again ---


def test_a_leader_that_hears_of_it_later_than_its_follower_is_soon_asked_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        fill(cluster)
        await cluster.until_equal()
        cluster.lead(2, [1])
        cluster.lead(2, tell=[1])
        await pass_time(0.01)
        cluster.lead_is_heard(2)
        fill(cluster, leader=2)
        assert await cluster.until_equal() < PROMPT_S

    play(scenario)


def test_a_new_partition_does_not_wait_for_the_fetch_that_waits_at_the_leader() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.set_config(replica_fetch_wait_max_ms="30000")
        await cluster.start(0)
        await pass_time(5)
        cluster.lead(1, [1])
        fill(cluster, index=1)
        assert await cluster.until_equal(1) < PROMPT_S

    play(scenario)


def test_a_broker_that_is_no_member_fetches_nothing() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        cluster[2].broker_epoch_told = None
        await pass_time(1)
        fill(cluster)
        await pass_time(5)
        assert cluster[2][0].log.log_end_offset == 0
        cluster[2].broker_epoch_told = 150
        await cluster.until_equal()

    play(scenario)


def test_a_former_life_of_a_broker_is_answered_nothing() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        await pass_time(1)
        cluster[2].broker_epoch_told = 50
        await pass_time(1)
        fill(cluster)
        await pass_time(2)
        assert cluster[1][0].high_watermark == 0

    play(scenario)


def test_a_client_cannot_pose_as_a_follower() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        cluster[1].services.internal_listener = "ANOTHER"
        fill(cluster)
        await pass_time(5)
        assert cluster[2][0].log.log_end_offset == 0
        assert cluster[1][0].high_watermark == 0
        cluster[1].services.internal_listener = "REPLICATION"
        await cluster.until_equal()

    play(scenario)


def test_a_topic_that_the_leader_does_not_know_yet_is_asked_for_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0)
        cluster.lead(1, [5], tell=[2])
        await pass_time(1)
        cluster.lead_is_heard(1, 5)
        fill(cluster, index=5)
        await cluster.until_equal(5)

    play(scenario)


def test_a_failure_is_logged_once_and_not_at_each_attempt(caplog) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        await pass_time(1)
        cluster[1].kill()
        with caplog.at_level(logging.INFO, "kbroker.replication.fetcher"):
            await pass_time(60)
        assert len(caplog.records) == 1
        assert "broker 1" in caplog.text

    play(scenario)


def test_an_answer_of_an_epoch_that_is_over_changes_nothing() -> None:
    """KAFKA-7786, 13207: it is on its way when the leader changes."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        await cluster.until_equal()
        cluster.network.change_route("10.0.1.1", "10.0.1.2", Route(latency_s=(0.5, 0.5)))
        fill(cluster)
        await pass_time(0.1)
        record = dataclasses.replace(
            cluster.records[0], leader=-1, leader_epoch=1, partition_epoch=1, mod_revision=2
        )
        cluster[2].hear(0, record)
        await pass_time(2)
        assert cluster[2][0].log.log_end_offset == 0
        assert cluster[2][0].log.topic_id == TOPIC_ID

    play(scenario)


def test_an_answer_of_a_former_epoch_of_the_same_leader_changes_nothing() -> None:
    """Between the two another one may have led, and cut what is on its way."""

    async def scenario(cluster: Cluster) -> None:
        await cluster.start()
        await pass_time(1)
        cluster.network.change_route("10.0.1.1", "10.0.1.2", Route(latency_s=(0.01, 0.01)))
        fill(cluster)
        await pass_time(0.005)
        cluster.lead(1, tell=[2])
        await pass_time(1)
        assert cluster[2][0].log.log_end_offset == 0
        cluster.lead_is_heard(1)
        await cluster.until_equal()

    play(scenario)


def test_a_high_watermark_told_in_a_former_epoch_of_the_same_leader_is_told_again() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.start(0, 1)
        fill(cluster, 1, index=1)
        await cluster.until_equal(1)
        end_offset = cluster[1].append(0, b"last")
        await cluster.until(lambda: cluster[1][0].high_watermark == end_offset)
        assert cluster[2][0].high_watermark < end_offset, "the answer is on its way"
        cluster.lead(1)  # as when a reassignment ends
        await cluster.until_equal(within_s=2)

    play(scenario)
