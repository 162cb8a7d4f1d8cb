"""aiokafka's producer: an honest broker passes; whatever it says that cannot be ends the run."""

import pytest

from tests.simulator.workload.lying_aiokafka import aiokafka_run, lying_aiokafka_run

pytest.importorskip("aiokafka")
OUT_OF_ORDER = 45
DUPLICATE = 46


def changing(code: int | None = None, by: int = 0):
    """A lie about each partition: another error code, another base offset."""

    def lie(answer) -> None:
        answer.topics = [
            (topic, [(index, *told(error, offset), *rest) for index, error, offset, *rest in each])
            for topic, each in answer.topics
        ]

    def told(error: int, offset: int) -> tuple[int, int]:
        return (error, offset + by) if code is None else (code, -1)

    return lie


def test_an_honest_broker_passes() -> None:
    report = aiokafka_run()
    assert report.failure is None
    assert "aiokafka-producer" in report.workers
    assert report.counts["acknowledged"] > 10


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (changing(by=1), "the high watermark is"),
        (changing(OUT_OF_ORDER), "and nothing was lost"),
        (changing(DUPLICATE), "is said to be in load-0"),
    ],
)
def test_a_lie_is_found(monkeypatch, lie, words) -> None:
    assert words in lying_aiokafka_run(monkeypatch, "ProduceRequest", lie, readers=1)


def test_an_offset_that_is_another_records(monkeypatch) -> None:
    words = lying_aiokafka_run(monkeypatch, "ProduceRequest", changing(by=-1), skip=1)
    assert "inconsistent-offsets" in words
