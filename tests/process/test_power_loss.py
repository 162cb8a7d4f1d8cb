"""Power loss under load: what no fsync covered is lost, torn or there, as chance has it.

kill -9 leaves the page cache as it was; here it goes as well. The disk is the simulator's, all else
is the broker as it is, over TCP.
"""

import random

import pytest

from simulator.disk import SimulatedDisk
from simulator.history import History
from tests.process.broker_thread import DEADLINE_S, BrokerThread, GatedFlusher, SlowFlusher
from tests.process.load import (
    GROUP,
    LOG_SETTINGS,
    TOPIC,
    Committer,
    Reader,
    drain,
    finish,
    producers,
    run_until,
)
from tests.process.raw_client import PRODUCE_VERSION, RawClient, batch, produce_request

PARTITIONS = 2
LIVES = 5
SETTINGS = ("offsets.topic.num.partitions=1", *LOG_SETTINGS)


@pytest.mark.parametrize("seed", range(6))
def test_power_loss_under_load_loses_nothing_acknowledged(tmp_path, seed):
    chance = random.Random(seed)
    history = History()
    members = [
        *producers(history, chance, partitions=PARTITIONS),
        Committer(history),
        Reader(history, PARTITIONS),
    ]
    disk = SimulatedDisk()

    def broker() -> BrokerThread:
        flushes = random.Random(chance.random())
        return BrokerThread(
            disk,
            str(tmp_path / "metadata.sqlite"),
            *SETTINGS,
            make_flusher=lambda loop: SlowFlusher(loop, flushes),
        )

    with broker() as first, RawClient(first.address) as client:
        client.create_topic(TOPIC, partitions=PARTITIONS)
        assert client.find_coordinator(GROUP) == 0
    for number in range(LIVES):
        wanted = chance.randrange(150)
        with broker() as life:
            for member in members:
                client = RawClient(life.address)
                client.metadata(
                    TOPIC
                )  # accepted: a thread, unlike a process, hangs up on no others
                member.connect(client)
            run_until(members, wanted)
            if chance.random() < 0.5:
                life.checkpoint()
            disk = life.lose_power(random.Random(chance.random()))
            drain(members)
        history.note(f"power loss {number + 1} after {wanted} acknowledgements")
    with broker() as last:
        for member in members:
            member.connect(RawClient(last.address))
        finish(members)
        with RawClient(last.address) as client:
            whole = {index: client.read_all(TOPIC, index) for index in range(PARTITIONS)}
    for index, records in whole.items():
        history.read_whole((TOPIC, index), records)
    anomalies = history.check()
    assert not anomalies, history.explain(anomalies)


class LastOnly:
    """Chance, fallen so that of several unflushed writes only the last came to the disk."""

    def choice(self, options):
        return keep_last

    def random(self) -> float:
        return 0.0

    def randrange(self, stop: int) -> int:
        return stop - 1


def keep_last(content: bytearray, operations, chance: object) -> None:
    operations[-1].apply(content)


def test_a_hole_among_unflushed_batches_is_cut_without_asking_anybody(tmp_path):
    """Nobody was told of the batch behind the hole: the broker starts by itself, and keeps it
    beside the log."""
    store = str(tmp_path / "metadata.sqlite")
    first = BrokerThread(SimulatedDisk(), store, make_flusher=GatedFlusher)
    with first, RawClient(first.address) as client, RawClient(first.address) as other:
        client.create_topic(TOPIC)
        client.send(produce_request(TOPIC, 0, batch(b"one")), PRODUCE_VERSION)
        first.flusher.submitted.get(timeout=DEADLINE_S)
        client.send(produce_request(TOPIC, 0, batch(b"two")), PRODUCE_VERSION)
        # The broker has taken both when it has answered a later request.
        while first.run(lambda: end_of(first)) < 2:
            other.metadata(TOPIC)
        disk = first.lose_power(LastOnly())
    with BrokerThread(disk, store) as second, RawClient(second.address) as client:
        assert client.read_all(TOPIC, 0) == []
        assert client.produce(TOPIC, 0, batch(b"three")).base_offset == 0
    kept = disk.read_file(f"/data/{TOPIC}-0/{0:020d}.0.log.aside")
    assert b"two" in kept
    with BrokerThread(disk, store) as again, RawClient(again.address) as client:
        assert client.read_all(TOPIC, 0) == [(0, b"three")]


def end_of(life: BrokerThread) -> int:
    return life.broker.replicas.partition(TOPIC, 0).log.log_end_offset
