"""kill -9 of the real process under load, again and again, loses nothing that was acknowledged.

KBROKER_KILLS raises the number of kills, KBROKER_SEED chooses others.
"""

import os
import random

import pytest

from simulator.history import Fate, History
from tests.process.broker_process import running
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
from tests.process.raw_client import RawClient

KILLS = int(os.environ.get("KBROKER_KILLS", "30"))
SEED = int(os.environ.get("KBROKER_SEED", "1"))
PARTITIONS = 3
MOST_ACKNOWLEDGEMENTS = 250
SETTINGS = (
    *LOG_SETTINGS,
    # Some processes live long enough to write them, others do not.
    "log.flush.offset.checkpoint.interval.ms=100",
    "offsets.topic.num.partitions=1",
)
ARGUMENTS = [word for setting in SETTINGS for word in ("--set", setting)]


@pytest.mark.timeout(60 + 20 * KILLS)
def test_kill_9_under_load_loses_nothing_acknowledged(tmp_path):
    chance = random.Random(SEED)
    history = History()
    writers = producers(history, chance, partitions=PARTITIONS)
    committer = Committer(history)
    reader = Reader(history, PARTITIONS)
    members = [*writers, committer, reader]
    data = tmp_path / "data"
    again = (
        f"KBROKER_SEED={SEED} KBROKER_KILLS={KILLS} .venv/bin/python -m pytest"
        " tests/process/test_kill.py"
    )
    history.note(f"again: {again}")
    try:
        with running(data, *ARGUMENTS) as broker, RawClient(broker.address) as client:
            client.create_topic(TOPIC, partitions=PARTITIONS)
            assert client.find_coordinator(GROUP) == 0
        for number in range(KILLS):
            wanted = chance.randrange(MOST_ACKNOWLEDGEMENTS)
            with running(data, *ARGUMENTS) as broker:
                for member in members:
                    member.connect(RawClient(broker.address))
                run_until(members, wanted)
                broker.kill()
                late = drain(members)
            history.note(f"kill {number + 1}: after {wanted} acknowledgements, {late} came late")
        with running(data, *ARGUMENTS) as broker:
            for member in members:
                member.connect(RawClient(broker.address))
            finish(members)
            with RawClient(broker.address) as client:
                whole = {index: client.read_all(TOPIC, index) for index in range(PARTITIONS)}
            rolled = len(list((data / f"{TOPIC}-0").glob("*.log")))
            assert broker.stop() == 0
    except Exception as error:
        error.add_note(history.explain([]))
        raise
    for index, records in whole.items():
        history.read_whole((TOPIC, index), records)
    anomalies = history.check()
    assert not anomalies, history.explain(anomalies)
    # The load was what it is meant to be.
    assert rolled > 2
    assert committer.acknowledged > 0
    told = {send.producer for send in history.sends.values() if send.fate is Fate.OK}
    assert told == {writer.name for writer in writers}
    for writer in writers:
        assert writer.retried > 0 or not writer.idempotent or KILLS < 10
