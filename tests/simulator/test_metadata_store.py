"""What a crash leaves of the metadata: all that was answered, and perhaps what was under way."""

import random

import pytest

from kbroker.cluster.metadata_store import OutcomeUnknownError, StoreUnavailableError
from kbroker.cluster.revisioned_map import Put, RevisionedMap
from simulator.metadata_store import MetadataDisk, SimulatedJournal
from tests.simulator.world_harness import play
from wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse


def put(disk: MetadataDisk, key: str, journal: SimulatedJournal, *, commits: bool = True) -> None:
    contents: RevisionedMap = disk.contents()
    plan = contents.plan((), (Put(key, b"v"),), ())
    journal.stage(plan.changes, 0)
    if commits:
        journal.commit()


def keys(disk: MetadataDisk) -> list[str]:
    return [each.key for each in disk.contents().list_prefix("").items]


def test_what_was_committed_is_there_after_a_crash() -> None:
    disk = MetadataDisk()
    journal = SimulatedJournal(disk, random.Random(1))
    put(disk, "/a", journal)
    journal.crash()
    assert keys(disk) == ["/a"]
    with pytest.raises(StoreUnavailableError):
        put(disk, "/b", journal)


def test_what_was_under_way_is_there_or_not() -> None:
    found = set()
    for seed in range(20):
        disk = MetadataDisk()
        journal = SimulatedJournal(disk, random.Random(seed))
        put(disk, "/a", journal, commits=False)
        assert journal.is_committing
        journal.crash()
        found.add(tuple(keys(disk)))
    assert found == {(), ("/a",)}


def test_a_commit_can_be_refused_or_stay_unknown() -> None:
    disk = MetadataDisk()
    journal = SimulatedJournal(disk, random.Random(1))
    disk.fail_next = "refuse"
    with pytest.raises(StoreUnavailableError):
        put(disk, "/a", journal)
    assert keys(disk) == []
    disk.fail_next = "unknown"
    with pytest.raises(OutcomeUnknownError):
        put(disk, "/b", journal)
    put(disk, "/c", journal)
    assert "/c" in keys(disk)


def test_a_commit_whose_outcome_nobody_knows_ends_the_broker_and_the_next_start_goes_on() -> None:
    """Found by a run in which no producer got an id any more."""

    async def scene(stage) -> None:
        machine = stage.world.machine
        machine.metadata.fail_next = "unknown"
        client = await stage.client()
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        told = client.send(request, 4, InitProducerIdResponse)
        await stage.wait(5)
        assert not machine.is_running
        assert "the metadata store is broken" in machine.failure
        assert not told.done() or told.exception() or told.result().error_code
        await stage.serve()
        answer = await (await stage.client()).send(request, 4, InitProducerIdResponse)
        assert answer.error_code == 0

    play(scene)
