"""The library is started and stopped whatever it does, and left out where it is not installed."""

import asyncio

import pytest

from simulator.workload import aiokafka_client
from tests.simulator.workload.lying import honest_run


def test_a_run_goes_on_without_the_library_and_says_so(monkeypatch) -> None:
    monkeypatch.setattr(aiokafka_client, "is_installed", lambda: False)
    report = honest_run(aiokafka=True, producers=1)
    assert report.failure is None
    assert report.counts["aiokafka is not installed"] == 1
    assert not [name for name in report.workers if "aiokafka" in name]


class Stubborn:
    """Its start and its stop do what they are told."""

    def __init__(self, start: Exception | None = None, stop: BaseException | None = None) -> None:
        self.start_raises, self.stop_raises = start, stop
        self.stops = 0

    async def start(self) -> None:
        if self.start_raises:
            raise self.start_raises

    async def stop(self) -> None:
        self.stops += 1
        if self.stop_raises:
            raise self.stop_raises


def test_a_client_that_cannot_start_is_stopped() -> None:
    async def scene() -> None:
        client = Stubborn(start=ConnectionRefusedError())
        assert not await aiokafka_client.start(client, load())
        assert client.stops == 1
        assert await aiokafka_client.start(Stubborn(), load())

    asyncio.run(scene())


@pytest.mark.parametrize("error", [OSError(), TimeoutError(), asyncio.CancelledError()])
def test_a_stop_that_fails_is_the_end_as_well(error) -> None:
    asyncio.run(aiokafka_client.stop(Stubborn(stop=error), load()))


def test_who_stops_can_be_cancelled() -> None:
    async def scene() -> None:
        client = Stubborn()
        client.stop = asyncio.Event().wait
        stopping = asyncio.create_task(aiokafka_client.stop(client, load()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping

    asyncio.run(scene())


def load() -> aiokafka_client.Library:
    pytest.importorskip("aiokafka")
    return aiokafka_client.load()
