"""Power loss under load: what no fsync covered is lost, torn or there, as chance has it.

kill -9 leaves the page cache as it was; here it goes as well. The disk is the simulator's, all else
is the broker as it is, over TCP.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kbroker.broker import StartError
from log.checkpoints import decode_partition_metadata
from log.log_config import LogConfig
from log.log_directory import LogDirectory
from simulator.disk import SimulatedDisk
from simulator.history import History
from tests.process.broker_thread import DATA, DEADLINE_S, BrokerThread, GatedFlusher, SlowFlusher
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
        with started(broker()) as life:
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
    with started(broker()) as last:
        for member in members:
            member.connect(RawClient(last.address))
        finish(members)
        with RawClient(last.address) as client:
            whole = {index: client.read_all(TOPIC, index) for index in range(PARTITIONS)}
    for index, records in whole.items():
        history.read_whole((TOPIC, index), records)
    anomalies = history.check()
    assert not anomalies, history.explain(anomalies)


@contextmanager
def started(broker: BrokerThread) -> Iterator[BrokerThread]:
    """The broker, ready. Where it asks a person whether damage is to be accepted, it is: what is
    cut off then was never acknowledged, or the history shows it."""
    try:
        broker.__enter__()
    except StartError as refusal:
        if "is not valid" not in str(refusal):
            raise
        accept_damage(broker.disk)
        broker = broker.next_life()
        broker.__enter__()
    try:
        yield broker
    finally:
        broker.stop()


def accept_damage(disk: SimulatedDisk) -> None:
    """Cut off what the broker refused to open."""
    directory = LogDirectory.open(
        disk, DATA, node_id=1, cluster_id=None, new_cluster_id="", new_directory_id=bytes(16)
    )
    ids = {}
    for name in disk.list_directory(DATA):
        path = f"{DATA}/{name}/partition.metadata"
        if disk.exists(path):
            ids[name.rpartition("-")[0]] = decode_partition_metadata(disk.read_file(path), path)
    directory.open_logs(
        config_of=lambda _: LogConfig(flush_messages=1, segment_ms=20_000, retention_ms=-1),
        topic_id_of=ids.get,
        now_ms=0,
        accept_damage=True,
    )
    directory.close(clean=False, high_watermarks={})


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


def test_a_hole_among_unflushed_batches_is_refused_until_the_loss_is_accepted(tmp_path):
    """From the files alone it may be damage as well as a write that came back out of order: a
    person decides, once."""
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
    with pytest.raises(StartError, match=r"kbroker\.accept\.damaged\.logs=true"):
        BrokerThread(disk, store).__enter__()
    accepting = BrokerThread(disk, store, "kbroker.accept.damaged.logs=true")
    with accepting, RawClient(accepting.address) as client:
        assert client.read_all(TOPIC, 0) == []
        assert client.produce(TOPIC, 0, batch(b"three")).base_offset == 0
    with BrokerThread(disk, store) as again, RawClient(again.address) as client:
        assert client.read_all(TOPIC, 0) == [(0, b"three")]


def end_of(life: BrokerThread) -> int:
    return life.broker.replicas.partition(TOPIC, 0).log.log_end_offset
