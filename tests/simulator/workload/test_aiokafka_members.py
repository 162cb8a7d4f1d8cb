"""aiokafka's group: it consumes everything; what a group must not be told ends the run."""

import pytest

from tests.simulator.workload.lying_aiokafka import aiokafka_run, lying_aiokafka_run

pytest.importorskip("aiokafka")


def telling(offset_of):
    """A lie about each committed offset."""

    def lie(answer) -> None:
        answer.topics = [
            (topic, [(index, offset_of(offset), *rest) for index, offset, *rest in each])
            for topic, each in answer.topics
        ]

    return lie


def test_an_honest_broker_passes_and_the_group_has_all() -> None:
    report = aiokafka_run(safety_s=60.0)
    assert report.failure is None
    assert report.counts["consumed"] >= report.counts["acknowledged"]
    assert report.counts["commits"] > 0


def test_a_commit_that_is_lost(monkeypatch) -> None:
    lie = telling(lambda offset: -1)
    assert "lost-commit" in lying_aiokafka_run(monkeypatch, "OffsetFetchRequest", lie, skip=2)


def test_a_commit_that_nobody_made(monkeypatch) -> None:
    lie = telling(lambda offset: offset + 3)
    assert "lost-commit" in lying_aiokafka_run(monkeypatch, "OffsetFetchRequest", lie)


def test_a_commit_that_is_confirmed_and_not_made(monkeypatch) -> None:
    from aiokafka.consumer.group_coordinator import GroupCoordinator

    async def nothing(self, assignment, offsets) -> None:
        pass

    monkeypatch.setattr(GroupCoordinator, "commit_offsets", nothing)
    assert "lost-commit" in (aiokafka_run().failure or "")
